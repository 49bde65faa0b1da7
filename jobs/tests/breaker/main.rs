//! The program with its circuit breaker: `centinel breaker` and `centinel detect`, each a process of its own.
#![allow(clippy::unwrap_used, clippy::panic)]

mod away;
mod commands;
mod overloaded;
mod queried;
mod shop;
mod suspected;
mod tripped;
