//! The breaker, as a person asks it: every call goes with that person's own token, so that the breaker's roles hold.

mod calls;
mod forms;

pub use calls::{Breaker, BreakerProblem};
pub use forms::{
    Ask, Cause, CauseHeld, Decided, Disposition, Draft, Hold, HoldState, Money, Origin, Point,
    Preview, Release, ReleaseState, Request, Scope, Status, Trip, TripState,
};
