//! The loop around the core: takes findings in, stores the state, sends what is due, each channel on its own.

use std::collections::HashMap;
use std::time::{Duration as StdDuration, Instant};

use centinel_model::{Finding, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};

use crate::config::Outlets;
use crate::dispatch::{Alerts, Outcome, Place, Status};
use crate::message::Message;
use crate::notice::RuleNote;
use crate::store::StateFile;

/// What was taken in is stored after so long, and before anything is sent.
const STORED_AFTER: StdDuration = StdDuration::from_secs(5);
/// The clock is looked at so often while something waits: it may be set.
const LOOK: StdDuration = StdDuration::from_secs(1);
const REST: StdDuration = StdDuration::from_secs(60);

/// Findings of one input, with their numbers there and what is known of their rules.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The input's name.
    pub input: String,
    /// Number, finding, rule.
    pub findings: Vec<(u64, Finding, RuleNote)>,
}

/// How alerting does.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Of all channels.
    pub status: Status,
    /// Why the state could not be stored the last time. Messages are sent all the same: after a crash some come again.
    pub not_stored: Option<String>,
}

/// Everything that delivers.
pub struct Delivery<C> {
    /// The core, new or restored.
    pub alerts: Alerts,
    /// What sends, by the names of its rules' channels.
    pub outlets: Outlets,
    /// Where the state is kept.
    pub file: StateFile,
    /// The wall clock.
    pub clock: C,
}

impl<C: Fn() -> Timestamp> Delivery<C> {
    /// Delivers until `ending` is true; then waits for messages that are on their way, and stores. Returns the core.
    pub async fn run(
        mut self,
        mut input: mpsc::Receiver<Batch>,
        mut ending: watch::Receiver<bool>,
        shown: watch::Sender<Progress>,
    ) -> Alerts {
        let mut sending = JoinSet::new();
        let mut on_their_way: HashMap<Id, Message> = HashMap::new();
        let (mut changed, mut stored, mut not_stored) = (false, Instant::now(), None);
        let (mut open, mut ends) = (true, false);
        loop {
            let mut ready = Vec::new();
            while !ends && let Some(message) = self.alerts.due((self.clock)()) {
                ready.push(message);
            }
            let last = ends && sending.is_empty();
            if last || !ready.is_empty() || (changed && stored.elapsed() >= STORED_AFTER) {
                not_stored = self.store().await.err();
                (changed, stored) = (false, Instant::now());
            }
            shown.send_replace(Progress {
                status: self.alerts.status(),
                not_stored: not_stored.clone(),
            });
            if last {
                return self.alerts;
            }
            for message in ready {
                let outlet = self.outlets.get(&message.channel).cloned();
                let (sent, now) = (message.clone(), (self.clock)());
                let task = sending.spawn(async move {
                    match outlet {
                        Some(outlet) => outlet.send(&sent, now).await,
                        None => later("nothing sends for this channel"),
                    }
                });
                on_their_way.insert(task.id(), message);
            }
            let pause = self.pause(changed);
            tokio::select! {
                Some(done) = sending.join_next_with_id() => {
                    let (id, outcome) = match done {
                        Ok((id, outcome)) => (id, outcome),
                        Err(error) => (error.id(), later("sending it failed by a mistake of this program")),
                    };
                    if let Some(message) = on_their_way.remove(&id) {
                        self.alerts.done(&message, &outcome, (self.clock)());
                        changed = true;
                    }
                }
                batch = input.recv(), if open && !ends => match batch {
                    Some(batch) => {
                        self.take(&batch);
                        changed = true;
                    }
                    None => open = false,
                },
                _ = ending.wait_for(|ending| *ending), if !ends => ends = true,
                () = tokio::time::sleep(pause), if !ends => {}
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        let now = (self.clock)();
        for (number, finding, note) in &batch.findings {
            let place = Place {
                input: &batch.input,
                number: *number,
            };
            self.alerts.take(place, finding, note, now);
        }
    }

    fn pause(&self, changed: bool) -> StdDuration {
        let rest = match changed {
            true => LOOK,
            false => REST,
        };
        let Some(wake) = self.alerts.wake() else {
            return rest;
        };
        let micros = wake.since((self.clock)()).0;
        // Not at once: what is due may not be told before a channel is free.
        let until = StdDuration::from_micros(u64::try_from(micros).unwrap_or(0));
        until.clamp(StdDuration::from_millis(1), LOOK)
    }

    async fn store(&self) -> Result<(), String> {
        let bytes = self.alerts.store().map_err(|error| error.to_string())?;
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&bytes)).await;
        match written {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn later(why: &str) -> Outcome {
    Outcome::Later {
        why: why.to_owned(),
        after: None,
    }
}
