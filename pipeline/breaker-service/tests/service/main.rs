//! The service through its HTTP interface, over its real store, and over stores that fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod audit;
mod clock;
mod config;
mod described;
mod example;
mod failing;
mod flow;
mod kafka;
mod killed;
mod limits;
mod metrics;
mod overload;
mod people;
mod program;
mod refused;
mod secrets;
mod store;
mod stream;
mod support;
mod tls;
mod webhook;
