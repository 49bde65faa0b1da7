//! The threads beside detection that tell people what it finds.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use centinel_alert::{Alerts, Batch, Channels, Delivery, Outlets, Progress, RuleNote, StateFile};
use centinel_model::Finding;
use tokio::sync::mpsc::{self, Sender, error::TrySendError};
use tokio::sync::watch;

use super::STATE;
use super::feed::{Feed, LAST};
use crate::detect::wall_clock;
use crate::in_force::InForce;
use crate::printer::{complain, counted};

/// Batches that wait to be taken in.
const WAITING: usize = 8;
/// Messages that are on their way at the end may take so long; they are sent again at the next start.
const LAST_SENT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// Who is told, and of what.
pub struct Telling {
    pub channels: Channels,
    pub outlets: Outlets,
    /// The file that detection writes; it exists.
    pub findings: PathBuf,
    /// Detection's state, below which the alerts keep theirs.
    pub state: PathBuf,
    pub in_force: InForce,
}

/// The threads. They end with [`Alerting::end`], or when this is dropped.
pub struct Alerting {
    news: Option<SyncSender<()>>,
    batches: Sender<Batch>,
    ending: watch::Sender<bool>,
    shown: watch::Receiver<Progress>,
    feed: Option<JoinHandle<()>>,
    delivery: Option<JoinHandle<()>>,
}

/// Tells people something that stands in no file of findings.
#[derive(Clone)]
pub struct Own(Sender<Batch>);

impl Own {
    /// Tells it. `input` names who says it.
    pub fn tell(&self, input: &str, finding: Finding, runbook: &str) {
        let note = RuleNote {
            runbook: runbook.into(),
            ..RuleNote::default()
        };
        let batch = Batch {
            input: input.into(),
            findings: vec![(finding.sequence, finding, note)],
        };
        // It has a place of its own: a storm of findings must not keep it waiting for long.
        let mut batch = batch;
        for _ in 0..100 {
            match self.0.try_send(batch) {
                Ok(()) => return,
                Err(TrySendError::Full(full)) => batch = full,
                Err(TrySendError::Closed(_)) => return,
            }
            std::thread::sleep(LOOK);
        }
        complain("error: alerts take nothing at present: nobody is told of this");
    }
}

impl Alerting {
    /// Begins to tell, where it stopped.
    ///
    /// # Errors
    /// When the state or the file of findings cannot be read, or there are no threads.
    pub fn begin(telling: Telling) -> Result<Alerting, String> {
        let file = StateFile::new(&telling.state.join(STATE));
        let path = telling.state.join(STATE);
        let of_state = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let stored = file.read().map_err(|error| of_state(&error))?;
        let rules = telling.channels.rules.clone();
        let alerts = match &stored {
            Some(bytes) => Alerts::restore(rules, bytes).map_err(|error| of_state(&error))?,
            None => {
                let instance = format!("{:x}-{:x}", wall_clock().0, std::process::id());
                Alerts::new(rules, &instance)
            }
        };
        let findings = std::fs::canonicalize(&telling.findings)
            .map_err(|error| format!("{}: {error}", telling.findings.display()))?;
        let named = findings.display().to_string();
        let is_file = |input: &str| Path::new(input).is_absolute();
        let earlier = alerts
            .inputs()
            .filter(|(input, _)| is_file(input) && *input != named)
            .map(|(input, number)| (PathBuf::from(input), number))
            .collect();
        let (news, grown) = sync_channel(1);
        let (batches, input) = mpsc::channel(WAITING);
        let (ending, ended) = watch::channel(false);
        let (show, shown) = watch::channel(Progress {
            status: alerts.status(),
            not_stored: None,
        });
        let feed = Feed {
            findings,
            earlier,
            from: Some(alerts.consumed(&named)).filter(|number| *number > 0),
            in_force: telling.in_force,
            batches: batches.clone(),
            news: grown,
        };
        let delivery = Delivery {
            alerts,
            outlets: telling.outlets,
            file,
            clock: wall_clock,
        };
        let no_thread = |error: std::io::Error| format!("no thread that tells people: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let said = say(shown.clone());
        let late = late(ended.clone());
        let delivering = std::thread::Builder::new()
            .name("alerts".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = delivery.run(input, ended, show) => {}
                        () = said => {}
                        () = late => complain(
                            "  a message to people is still on its way; it is sent again at the next start",
                        ),
                    }
                });
            })
            .map_err(no_thread)?;
        let feeding = std::thread::Builder::new()
            .name("alerts-feed".into())
            .spawn(move || feed.run())
            .map_err(no_thread)?;
        Ok(Alerting {
            news: Some(news),
            batches,
            ending,
            shown,
            feed: Some(feeding),
            delivery: Some(delivering),
        })
    }

    /// To be called after each commit, once what it told stands in the file.
    pub fn observe(&self) {
        if let Some(news) = &self.news {
            // Where it was said already, nothing more is to be said.
            let _ = news.try_send(());
        }
    }

    /// How all channels do, at any time.
    pub fn shown(&self) -> watch::Receiver<Progress> {
        self.shown.clone()
    }

    /// For what stands in no file of findings.
    pub fn own(&self) -> Own {
        Own(self.batches.clone())
    }

    /// Takes in the rest, waits for what is on its way, for some seconds at most, and says what waits for the next start.
    pub fn end(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.news.take();
        let (Some(feed), Some(delivery)) = (self.feed.take(), self.delivery.take()) else {
            return;
        };
        let ends = Instant::now() + 2 * LAST;
        // The last batches are in the channel when the one who feeds it is done.
        let taken_in =
            || feed.is_finished() && self.batches.capacity() == self.batches.max_capacity();
        while !taken_in() && !delivery.is_finished() && Instant::now() < ends {
            std::thread::sleep(LOOK);
        }
        self.ending.send_replace(true);
        if delivery.join().is_err() {
            complain(
                "error: the thread that tells people died; the next start goes on where it was",
            );
        }
        // It ends by itself when nobody takes batches any more.
        if feed.join().is_err() {
            complain("error: the thread that reads findings for people died");
        }
        let waiting: u64 = {
            let progress = self.shown.borrow();
            let channels = progress.status.channels.values();
            channels.map(|channel| channel.pending).sum()
        };
        if waiting > 0 {
            complain(format_args!(
                "  {} to people {} for the next start",
                counted(waiting, "message", "messages"),
                if waiting == 1 { "waits" } else { "wait" },
            ));
        }
    }
}

impl Drop for Alerting {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Ends some seconds after detection does.
async fn late(mut ended: watch::Receiver<bool>) {
    // The sender lives as long as the thread is waited for.
    let _ = ended.wait_for(|ended| *ended).await;
    tokio::time::sleep(LAST_SENT).await;
}

/// Says on standard error what fails, once, and when it works again.
async fn say(mut shown: watch::Receiver<Progress>) {
    let (mut fails, mut not_stored, mut unrouted) = (Vec::<String>::new(), false, None);
    loop {
        {
            let progress = shown.borrow_and_update();
            for (name, channel) in &progress.status.channels {
                let known = fails.iter().position(|known| known == name);
                match (&channel.health.failing_since, known) {
                    (Some(_), None) => {
                        let why = channel.health.last_error.as_deref().unwrap_or_default();
                        complain(format_args!(
                            "error: the alert channel `{name}` does not take messages: {why}; they wait and are sent again"
                        ));
                        fails.push(name.clone());
                    }
                    (None, Some(place)) => {
                        complain(format_args!(
                            "the alert channel `{name}` takes messages again"
                        ));
                        fails.remove(place);
                    }
                    _ => {}
                }
            }
            if progress.not_stored.is_some() != not_stored {
                not_stored = progress.not_stored.is_some();
                match &progress.not_stored {
                    Some(why) => complain(format_args!(
                        "error: the alerts' state cannot be kept: {why}; messages go out all the same, and some may come \
                         twice"
                    )),
                    None => complain("the alerts' state is kept again"),
                }
            }
            // What nobody took before this start was said then.
            let nobody: u64 = progress.status.unrouted.values().sum();
            let before = *unrouted.get_or_insert(nobody);
            if nobody > before {
                complain(
                    "warning: no alert channel takes some of the findings: give one `fallback = true`; `centinel alerts \
                     status` counts them",
                );
                unrouted = Some(u64::MAX);
            }
        }
        if shown.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
