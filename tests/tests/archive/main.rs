//! The archive of detection: what stands in it, and what an audit of the past makes of it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod folded;
mod kept;
mod killed;
mod moments;
mod refused;
