//! What a running detection tells of itself and lets people do, over HTTP: forms, service and client.
//!
//! Detection owns its state, which no second process can open. So whoever wants to look into it (the console, `centinel
//! trace`, a metrics server) asks here. The service knows nothing of detection but the trait [`Inside`].

mod client;
mod forms;
mod inside;
mod service;

pub use centinel_listen::acceptor;
pub use client::{Client, ClientError, Options};
pub use forms::{
    Health, QuarantinedBytes, QuarantinedRecord, RuleStatus, Settle, Settled, SourceStatus,
    Standing,
};
pub use inside::{Inside, Problem};
pub use service::{Access, router, serve};
