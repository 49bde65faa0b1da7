//! The fund circuit breaker: trips, checks, holds and releases as a pure state machine.
//!
//! Refund, settlement and cash-out ask before they act; payment never does. A **trip** names a scope (one order, a
//! merchant, a business code, or all) at one or more points. A request in a tripped scope is **held**, until a person
//! **releases** it, to resume or to reject.
//!
//! [`State::check`] only looks. [`State::handle`] takes an [`Input`] and the time, and gives a [`Reply`] and the
//! [`Change`]s that it made, each a whole record. Records put into an empty state by [`State::put`] make the same state,
//! so a store need only keep the newest record under each name.
//!
//! # What holds
//!
//! - A request is *held* from its first hold on until a release decides it. That a trip expires, or that a finding
//!   recovers, lets no held request go.
//! - One cause claims each held request: the narrowest trip first, then the oldest. When that cause is released to
//!   resume, whatever else would hold the request claims it next; only when there is nothing else does it resume.
//! - A rejected request stays rejected, and a resumed one is held again only by what it was not released from.
//! - Nobody releases what neither of two persons saw: a release covers the holds that there were when it was proposed.
//! - A large release takes effect in steps ([`Input::Tick`]), so that no step keeps others waiting for long.
//!
//! # Time
//!
//! No clock is read here. [`Now`] carries two: the wall's, which only labels records for people, and the breaker's own,
//! an [`Instant`] that never goes back. Everything that is decided by time (expiries, limits by the hour, staleness,
//! forgetting) is decided on the latter, so a step of the wall clock changes no decision.

mod answer;
mod finding;
mod handle;
mod hold;
mod index;
mod input;
mod money;
mod names;
mod policy;
mod put;
mod refusal;
mod release;
mod request;
mod scope;
mod state;
mod time;
mod traffic;
mod trip;
mod update;

pub use answer::Answer;
pub use finding::{Declared, Knowledge, Lag, Report};
pub use hold::{Cause, Decided, Hold, HoldState};
pub use input::{Change, Input, Numbers, Outcome, Reply};
pub use money::{Money, read_amount, write_amount};
pub use names::{Name, NameError, Text, TextError};
pub use policy::{AutomaticLimits, Decision, Limits, PointPolicy, Policies};
pub use refusal::Refusal;
pub use release::{Ask, Disposition, Release, ReleaseId, ReleaseState, Told};
pub use request::{Currency, CurrencyError, Point, Points, Request};
pub use scope::{Scope, ScopeKind};
pub use state::{Checked, State};
pub use time::{Instant, Now};
pub use traffic::{Preview, Traffic};
pub use trip::{Draft, Origin, Trip, TripId, TripState};
pub use update::{Known, Update};

/// Who acts when nobody does: expiries, automatic trips, holds of a suspicion that was cleared.
pub const ITSELF: &str = "centinel";
