//! The trace of one entity: what happened to it in every system, as one line of time.
//!
//! [`History`] is what one place (state, or the archive) knows of its rows. [`compose`] makes one [`Trace`] of one or two
//! of them, of what was told of its findings and what people did with them, and of what the breaker did.

mod compose;
mod form;
mod history;
mod merge;
mod stage;

pub use compose::{
    BREAKER_LANE, BreakerEntry, FindingEntry, MOST_CHANGES, MOST_ENTRIES, PEOPLE_LANE, Parts,
    RULES_LANE, compose,
};
pub use form::{
    BreakerAct, BreakerStep, ColumnStep, FindingStep, PersonStep, RowStep, Step, TRACE_SCHEMA,
    Total, Trace, What,
};
pub use history::{
    Change, Completeness, HISTORY_SCHEMA, History, MoneyValue, Origin, RuleNow, Value, VersionOf,
};
pub use merge::joined;
pub use stage::{Cell, RowAt, SystemAt};
