//! The service through its HTTP interface, over its real store, and over stores that fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod audit;
mod config;
mod described;
mod example;
mod failing;
mod flow;
mod killed;
mod limits;
mod people;
mod store;
mod stream;
mod support;
mod tls;
mod webhook;
