use centinel_model::{Duration, Timestamp};

/// How long a rule waits for rows that are on their way, in source time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The time that the systems need to agree, counted from the anchor.
    pub settle: Duration,
    /// How many more times to look before believing it.
    pub retries: u32,
    /// The time between two looks.
    pub retry_interval: Duration,
    /// An entity that does not come to rest for so long is undetermined.
    pub max_wait: Duration,
}

impl Patience {
    /// Settle and all retries.
    pub fn total(&self) -> Duration {
        self.settle.plus(self.retry_interval.times(self.retries))
    }

    /// When a violation with this anchor may be believed.
    pub fn ends(&self, anchor: Timestamp) -> Timestamp {
        anchor.plus(self.total())
    }
}
