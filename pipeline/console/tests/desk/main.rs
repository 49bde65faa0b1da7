//! The pages of the trace, the breaker, rules, audits, sources and quarantine, over HTTP and in a browser, with a real
//! breaker and a real store of findings. Only detection is played, by [`fake`], which refuses as detection does.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, dead_code)]

mod browser;
mod fake;
mod flows;
mod hostile;
mod looks;
mod roles;
mod speed;
mod support;
