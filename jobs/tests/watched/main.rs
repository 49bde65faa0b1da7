//! A running detection as those see it who watch over it: metrics, health, logs, alerts on itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod health;
mod logs;
mod metrics;
mod monitoring;
mod shop;
