use std::sync::Arc;

use centinel_model::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    Ask, Checked, Draft, Hold, Knowledge, Money, Name, Release, ReleaseId, Report, Request, Text,
    Told, Trip, TripId,
};

/// What may happen to a breaker.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A request asks and, by what [`State::check`](crate::State::check) said, must be held.
    Check(Request),
    /// A person trips, or proposes to.
    Set {
        /// Who.
        by: Name,
        /// What.
        draft: Draft,
    },
    /// A person confirms a proposed trip.
    ConfirmTrip {
        /// Who.
        by: Name,
        /// Which.
        trip: TripId,
    },
    /// A person declines a proposed trip.
    DeclineTrip {
        /// Who.
        by: Name,
        /// Which.
        trip: TripId,
    },
    /// Detection says what it knows of a finding.
    Report {
        /// What it says.
        report: Report,
        /// The money that a trip over the finding's scope would have held of the recent traffic.
        would_hold: Money,
    },
    /// A person releases, or proposes to.
    Release {
        /// Who.
        by: Name,
        /// Whether this person's role may release without another at all.
        alone: bool,
        /// What.
        ask: Ask,
    },
    /// A second person confirms a proposed release.
    ConfirmRelease {
        /// Who.
        by: Name,
        /// Which.
        release: ReleaseId,
    },
    /// A person declines a proposed release.
    DeclineRelease {
        /// Who.
        by: Name,
        /// Which.
        release: ReleaseId,
        /// Why.
        reason: Text,
    },
    /// Detection says how far it is behind its sources.
    Fresh {
        /// By how much.
        lag: Duration,
    },
    /// Time passes: trips expire, large releases go on, what is old is forgotten.
    Tick,
}

/// The answer to an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To a check.
    Checked(Checked),
    /// A trip as it stands now.
    Trip(Arc<Trip>),
    /// A release as it stands now.
    Release(Arc<Release>),
    /// To a report: the trip that it set or proposed, or that stands for it already.
    Reported(Option<Arc<Trip>>),
    /// Done.
    Done,
    /// Done for now; there is more to do at the next tick.
    More,
}

/// One record that changed, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A trip, under its id.
    Trip(#[serde(with = "shared")] Arc<Trip>),
    /// A hold, under its request id.
    Hold(#[serde(with = "shared")] Arc<Hold>),
    /// A release, under its id.
    Release(#[serde(with = "shared")] Arc<Release>),
    /// A message to the platform, under its sequence. It never changes.
    Told(#[serde(with = "shared")] Arc<Told>),
    /// An open finding, under its id.
    Finding(#[serde(with = "shared")] Arc<Report>),
    /// A finding is open no more.
    FindingGone(Name),
    /// How fresh the knowledge is.
    Knowledge(Knowledge),
    /// The last number of each kind.
    Numbers(Numbers),
    /// A trip is forgotten.
    ForgetTrip(TripId),
    /// A hold is forgotten.
    ForgetHold(Name),
    /// A release is forgotten.
    ForgetRelease(ReleaseId),
}

/// The last numbers that were given: none is given twice, whatever is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// Of trips.
    pub trips: u64,
    /// Of releases.
    pub releases: u64,
    /// Of claims.
    pub claims: u64,
    /// Of messages to the platform.
    pub told: u64,
}

/// What came of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The answer.
    pub reply: Reply,
    /// The records that changed, in order. They are in the state already.
    pub changes: Vec<Change>,
}

/// Shared records are written as what they share.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(out)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}
