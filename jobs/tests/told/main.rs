//! What stands beside detection, end to end: findings are taken into their store, people are told of them, and detection
//! checks itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alerts;
mod kafka;
mod receiver;
mod self_check;
mod shop;
mod store;
