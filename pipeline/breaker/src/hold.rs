use std::fmt;

use centinel_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Disposition, Instant, Name, ReleaseId, Request, Text, TripId, time};

/// What holds a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A trip.
    Trip(TripId),
    /// A finding that is suspected or could not be judged, where the point's policy says hold.
    Finding(Name),
    /// Knowledge older than the point's policy allows.
    Stale,
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Trip(trip) => write!(out, "trip {trip}"),
            Cause::Finding(finding) => write!(out, "finding {finding}"),
            Cause::Stale => out.write_str("stale knowledge"),
        }
    }
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// It waits.
    Held,
    /// It may go.
    Resumed,
    /// It must never go.
    Rejected,
}

/// How a hold ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The release that decided it.
    pub release: ReleaseId,
    /// By whom it was released, the last person where there were two.
    pub by: Name,
    /// Why.
    pub reason: Text,
    /// When, by the wall clock.
    #[serde(with = "time::wall")]
    pub at: Timestamp,
    /// When, on the breaker's clock.
    pub since: Instant,
    /// Number of the message to the platform.
    pub sequence: u64,
}

/// One held request, named by its request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What was asked.
    pub request: Request,
    /// What holds it, or held it last.
    pub cause: Cause,
    /// Numbers claims on requests in their order: a later cause gives a higher number.
    pub claim: u64,
    /// Where it stands.
    pub state: HoldState,
    /// How many times it was held: 2 when it was held again after it had been let go.
    pub round: u32,
    /// When it was held, by the wall clock.
    #[serde(with = "time::wall")]
    pub held_at: Timestamp,
    /// What it was released from: that holds it no more.
    pub passed: Vec<Cause>,
    /// How it ended.
    pub decided: Option<Decided>,
}

impl Hold {
    /// The state that a disposition makes.
    pub(crate) fn state_after(disposition: Disposition) -> HoldState {
        match disposition {
            Disposition::Resume => HoldState::Resumed,
            Disposition::Reject => HoldState::Rejected,
        }
    }
}
