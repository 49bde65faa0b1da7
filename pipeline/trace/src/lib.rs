//! The trace of one entity: what happened to it in every system, as one line of time.

mod history;

pub use history::{Change, Completeness, History, Origin, RuleNow, Value};
