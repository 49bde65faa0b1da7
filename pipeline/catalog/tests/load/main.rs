//! Schema folders that load, and every kind of mistake that must be told with its place and remedy.
#![allow(clippy::unwrap_used, clippy::panic)]

mod folder;
mod mistakes;
mod shipped;
