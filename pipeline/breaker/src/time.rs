use centinel_model::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

/// An instant on the breaker's own clock: microseconds that the breaker has been in force, over all its runs. It never
/// goes back. While the process runs it follows a monotonic clock; how the time between two runs is counted is the
/// caller's to say, and must not be less than nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(pub i64);

impl Instant {
    /// This instant moved later.
    pub fn plus(self, span: Duration) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }

    /// The span from `earlier` to this instant, zero if it is not earlier.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0).max(0))
    }
}

/// The time of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What the wall clock says; only a label on records.
    pub wall: Timestamp,
    /// What the breaker's clock says; all that time decides is decided on it.
    pub clock: Instant,
}

/// Instants of the wall clock as RFC 3339 text.
pub(crate) mod wall {
    use centinel_model::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// The same where there may be none.
pub(crate) mod wall_or_none {
    use centinel_model::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| Timestamp::parse(&text).map_err(D::Error::custom))
            .transpose()
    }
}

/// Spans as text such as `90m`.
pub(crate) mod span {
    use centinel_model::Duration;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(span: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(span)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}
