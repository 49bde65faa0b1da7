//! The program while it follows a log that grows: rules and schemas that change meanwhile, and an end when nothing
//! happens any more.
#![allow(clippy::unwrap_used, clippy::panic)]

mod platform;
mod quiet;
mod reload;
