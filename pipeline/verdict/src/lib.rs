//! Violations over time → verdicts. A pure state machine: no I/O, no clock of its own.
//!
//! A violation is not a finding yet: half of a payment's rows may still be on their way. So it is
//! *suspected* first, and *confirmed* only when it still stands and the rule's clock (what its sources
//! have been read up to) has reached anchor + patience. The anchor is a function of the entity's rows,
//! never of when they arrived, so the same rows end in the same verdicts in any order of arrival.
//!
//! The rule is evaluated again whenever one of the entity's rows arrives. Without one its answer cannot
//! change, so between settle and the last retry there is nothing to ask again: the machine asks to be
//! woken once, at anchor + patience.

mod case;
mod judge;
mod patience;

pub use case::{Case, CaseState, CasesError, read_cases, write_cases};
pub use judge::{Observation, Question, Transition, judge};
pub use patience::Patience;
