use std::fmt;

use centinel_model::{Amount, Duration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Currency, Instant, Name, Points, Scope, Text, money, time};

/// Numbers trips from 1, in the order in which they were set or proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TripId(pub u64);

impl TryFrom<String> for TripId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<TripId, &'static str> {
        let number = text
            .strip_prefix('T')
            .and_then(|digits| digits.parse().ok());
        number.map(TripId).ok_or("write a trip as T1")
    }
}

impl TripId {
    /// The number as a name.
    pub fn name(self) -> Name {
        Name::own(self.to_string())
    }
}

impl From<TripId> for String {
    fn from(id: TripId) -> String {
        id.to_string()
    }
}

impl fmt::Display for TripId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "T{}", self.0)
    }
}

/// Where a trip stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TripState {
    /// Waits for a person; holds nothing.
    Proposed,
    /// Holds what it covers.
    InForce,
    /// A person said no.
    Declined,
    /// Nobody said yes in time.
    Lapsed,
    /// Its time is over; what it held stays held.
    Expired,
    /// A person ended it.
    Released,
}

/// Who or what asked for a trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Origin {
    /// A person.
    Person {
        /// Their account.
        name: Name,
    },
    /// A confirmed finding.
    Finding {
        /// The finding.
        finding_id: Name,
        /// Which time it broke.
        occurrence: u32,
        /// The rule that found it.
        rule: Name,
        /// Its money at risk, in major units.
        #[serde(with = "optional_amount")]
        amount: Option<Amount>,
        /// Currency of `amount`.
        currency: Option<Currency>,
    },
}

/// One trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// Its number.
    pub id: TripId,
    /// What it covers.
    pub scope: Scope,
    /// Where it holds.
    pub points: Points,
    /// Why.
    pub reason: Text,
    /// Who sees to the cause.
    pub owner: Name,
    /// Who or what asked for it.
    pub origin: Origin,
    /// The name under which it was asked for: asked again, it is the same trip.
    pub request_id: Option<Name>,
    /// How long it lasts once it is in force.
    #[serde(with = "time::span")]
    pub lasts: Duration,
    /// Where it stands.
    pub state: TripState,
    /// Why it was only proposed.
    pub proposed_because: Option<Text>,
    /// Who confirmed, declined or released it; the breaker itself when its time was over.
    pub decided_by: Option<Name>,
    /// When it was set or proposed, by the wall clock.
    #[serde(with = "time::wall")]
    pub set_at: Timestamp,
    /// When it ended, by the wall clock.
    #[serde(with = "time::wall_or_none")]
    pub ended_at: Option<Timestamp>,
    /// When its finding recovered, by the wall clock. That releases nothing.
    #[serde(with = "time::wall_or_none")]
    pub recovered_at: Option<Timestamp>,
    /// When it was set or proposed, on the breaker's clock.
    pub set: Instant,
    /// When it last changed its state, on the breaker's clock.
    pub since: Instant,
    /// When it expires or lapses, on the breaker's clock.
    pub expires: Instant,
    /// Whether it took force without a person.
    pub automatic: bool,
}

impl Trip {
    /// Whether it holds at this instant.
    pub fn in_force(&self, clock: Instant) -> bool {
        self.state == TripState::InForce && clock < self.expires
    }
}

/// A trip that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Names the wish: sent again, it is the same trip.
    pub request_id: Name,
    /// What to cover.
    pub scope: Scope,
    /// Where to hold.
    pub points: Points,
    /// Why.
    pub reason: Text,
    /// Who sees to the cause.
    pub owner: Name,
    /// How long, such as `4h`.
    #[serde(with = "time::span")]
    pub lasts: Duration,
    /// Whether another person is to confirm it first.
    #[serde(default)]
    pub propose: bool,
}

pub(crate) mod optional_amount {
    use centinel_model::Amount;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::money::{read_amount, write_amount};

    pub fn serialize<S: Serializer>(amount: &Option<Amount>, out: S) -> Result<S::Ok, S::Error> {
        amount.map(write_amount).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Amount>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| read_amount(&text).map_err(D::Error::custom))
            .transpose()
    }
}
