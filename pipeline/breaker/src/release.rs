use std::fmt;

use centinel_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Cause, Instant, Money, Name, Point, Text, time};

/// Numbers releases from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId(pub u64);

impl TryFrom<String> for ReleaseId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ReleaseId, &'static str> {
        let number = text
            .strip_prefix('R')
            .and_then(|digits| digits.parse().ok());
        number.map(ReleaseId).ok_or("write a release as R1")
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> String {
        id.to_string()
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "R{}", self.0)
    }
}

/// What becomes of a held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// The platform goes on with it.
    Resume,
    /// The platform gives it up.
    Reject,
}

/// What a person asks to release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Names the wish: sent again, it is the same release.
    pub request_id: Name,
    /// What held the requests. A trip that is released whole ends.
    pub cause: Cause,
    /// Request ids of chosen holds; absent for all that the cause holds.
    #[serde(default)]
    pub holds: Option<Vec<Name>>,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Why.
    pub reason: Text,
}

/// Where a release stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseState {
    /// Waits for a second person.
    Proposed,
    /// Decided; its holds are being let go, step by step.
    UnderWay,
    /// All its holds are decided.
    Done,
    /// A person said no.
    Declined,
    /// Nobody said yes in time.
    Lapsed,
}

/// One release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number.
    pub id: ReleaseId,
    /// What was asked.
    pub ask: Ask,
    /// Who asked; the breaker itself where a suspicion was cleared.
    pub asked_by: Name,
    /// Who confirmed or declined it.
    pub decided_by: Option<Name>,
    /// Why a second person is needed.
    pub proposed_because: Option<Text>,
    /// Where it stands.
    pub state: ReleaseState,
    /// Only claims up to this number are released: those that there were when it was asked.
    pub up_to: u64,
    /// How many holds it concerned when it was asked.
    pub count: u64,
    /// Their money.
    pub money: Money,
    /// How many were resumed or rejected so far; others were decided before, or something else holds them now.
    pub decided: u64,
    /// When it was asked, by the wall clock.
    #[serde(with = "time::wall")]
    pub asked_at: Timestamp,
    /// When it last changed its state, on the breaker's clock.
    pub since: Instant,
}

impl Release {
    /// Whether one person answers for it alone.
    pub fn alone(&self) -> bool {
        let decided = matches!(self.state, ReleaseState::UnderWay | ReleaseState::Done);
        decided && self.decided_by.is_none() && self.asked_by.as_str() != crate::ITSELF
    }
}

/// What the platform is told of a request. Delivered at least once, in the order of `sequence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Numbers all of these from 1, without a gap; what was seen already has a number that was seen.
    pub sequence: u64,
    /// The request.
    pub request_id: Name,
    /// Where it was asked.
    pub point: Point,
    /// Its order.
    pub order_no: Name,
    /// What becomes of it.
    pub disposition: Disposition,
    /// Why.
    pub reason: Text,
    /// Who says so.
    pub by: Name,
    /// The release that says so.
    pub release: ReleaseId,
    /// Which hold of this request it ends.
    pub round: u32,
    /// When, by the wall clock.
    #[serde(with = "time::wall")]
    pub at: Timestamp,
}
