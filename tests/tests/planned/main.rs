//! Announced repairs: what was done as planned is explained, all else is told, whenever the plans come to be read.
#![allow(clippy::unwrap_used, clippy::panic)]

mod exact;
mod followed;
mod late;
mod support;
