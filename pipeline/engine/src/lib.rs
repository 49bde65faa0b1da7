//! The one crate that sees all stages: near-real-time detection, the audit of snapshots and of the archive, and the
//! audit before a repair.

mod error;
mod finding;
mod rule_facts;
mod shown;

pub mod archive;
pub mod audit;
pub mod detect;
pub mod query;
pub mod repair;

pub use error::EngineError;
