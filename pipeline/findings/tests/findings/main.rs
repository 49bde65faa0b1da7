//! The store of findings, through its interface.
#![allow(clippy::unwrap_used, clippy::panic)]

mod export;
mod following;
mod hostile;
mod life;
mod model;
mod pages;
mod property;
mod store;
mod support;
