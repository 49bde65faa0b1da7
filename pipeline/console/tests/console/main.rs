//! The console through its pages, over a real store of findings and a real breaker.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod acts;
mod attempts;
mod forms;
mod heads;
mod injection;
mod list;
mod live;
mod roles;
mod sessions;
mod support;
