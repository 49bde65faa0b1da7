//! Where the time of detection goes.

use std::ops::AddAssign;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Where the time of detection went, in processor time of the thread that did it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// Reading bytes, decoding, cutting into micro-batches.
    pub decode: Duration,
    /// Changes to records and documents.
    pub route: Duration,
    /// Documents from cache and store.
    pub read: Duration,
    /// Records into documents.
    pub merge: Duration,
    /// Documents to slices, rules over slices.
    pub evaluate: Duration,
    /// Verdicts, and documents to bytes.
    pub judge: Duration,
    /// The durable commit, and telling.
    pub commit: Duration,
}

impl Stages {
    /// Each stage with its name, in the order of the data.
    pub fn named(&self) -> [(&'static str, Duration); 7] {
        [
            ("decode", self.decode),
            ("route", self.route),
            ("read", self.read),
            ("merge", self.merge),
            ("evaluate", self.evaluate),
            ("judge", self.judge),
            ("commit", self.commit),
        ]
    }
}

/// Processor time of this thread from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch(thread_time())
    }

    /// Adds what has passed since the start or the last lap to `stage`.
    pub fn lap(&mut self, stage: &mut Duration) {
        let now = thread_time();
        stage.add_assign(now.saturating_sub(self.0));
        self.0 = now;
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
