//! The one crate that sees all stages: near-real-time detection, the audit of snapshots and of the archive.

mod error;
mod finding;
mod rule_facts;

pub mod archive;
pub mod audit;
pub mod detect;

pub use error::EngineError;
