//! Questions in SQL. Each answer is held against another reading of the same: the change log, by code of its own.
#![allow(clippy::unwrap_used, clippy::panic)]

mod limits;
mod log;
mod masked;
mod platform;
mod refused;
mod sums;
mod support;
mod tables;
