//! The thread that plants losses and looks whether they are found.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use centinel_model::{Finding, SELF_CHECK_RULE, Timestamp, is_self_check};

use super::log::Log;
use super::round::{Planted, Seen};
use super::{Shown, alarm};
use crate::detect::wall_clock;
use crate::following::Following;
use crate::printer::complain;

/// How often the file of findings is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// While orders are on their way, the source says so often how far it stands.
const BEAT: Duration = Duration::from_millis(500);
/// Otherwise it says it at the latest after so long.
const LONGEST_BEAT: Duration = Duration::from_secs(5);
/// The first round has so much longer: state is opened, and what has come meanwhile is read.
const START: Duration = Duration::from_secs(120);

/// What is watched, and how often.
pub struct Watching {
    /// The log that detection reads.
    pub log: Log,
    /// The file that detection writes; it exists. None where nobody follows: then the source only says how far it stands.
    pub findings: Option<PathBuf>,
    /// How far rounds are apart; none where none are made.
    pub every: Option<Duration>,
    /// How long a loss may take to be found.
    pub within: Duration,
    /// A source that says nothing for so long is told to be behind.
    pub silent_after: Duration,
    /// Tells people that it fails, or works again.
    pub tell: Box<dyn Fn(Finding) + Send>,
}

/// The thread; it ends with [`SelfCheck::end`], or when this is dropped.
pub struct SelfCheck {
    shown: Shown,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SelfCheck {
    /// Begins.
    ///
    /// # Errors
    /// When the file of findings cannot be read, or there is no thread.
    pub fn begin(watching: Watching) -> io::Result<SelfCheck> {
        let shown = Shown::default();
        let on = watching.every.is_some() && watching.findings.is_some();
        shown.change(|standing| standing.on = on);
        let findings = watching.findings.clone().filter(|_| on);
        let lines = findings.map(|path| Following::open(&path, length(&path)?));
        let mut watch = Watch {
            lines: lines.transpose()?,
            watching,
            shown: shown.clone(),
            step: Step::Waits(Instant::now()),
            round: 0,
            first: true,
            beat: Instant::now(),
            troubled: false,
        };
        let (end, ended) = channel();
        let thread = std::thread::Builder::new()
            .name("self-check".into())
            .spawn(move || watch.until(&ended))?;
        Ok(SelfCheck {
            shown,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// How it does.
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Ends it. A round that is under way says nothing.
    pub fn end(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            complain("error: the thread of the self-check died");
        }
    }
}

impl Drop for SelfCheck {
    fn drop(&mut self) {
        self.finish();
    }
}

fn length(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

/// Where a round is.
enum Step {
    /// The next one begins then.
    Waits(Instant),
    /// The orders are written.
    Planted(Round),
    /// They are taken back; the loss was found after so long.
    TakenBack(Round, Duration),
}

struct Round {
    planted: Planted,
    seen: Seen,
    /// Where it begins in the log.
    at: u64,
    began: Instant,
    /// When this step is over at the latest.
    until: Instant,
}

struct Watch {
    watching: Watching,
    lines: Option<Following>,
    shown: Shown,
    step: Step,
    round: u64,
    /// Whether no round has ended yet.
    first: bool,
    /// When the source said last how far it stands.
    beat: Instant,
    /// Whether it was said that the log cannot be written.
    troubled: bool,
}

impl Watch {
    fn until(&mut self, ended: &Receiver<()>) {
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            match self.look(Instant::now(), wall_clock()) {
                Ok(()) => self.troubled = false,
                Err(error) => {
                    if !std::mem::replace(&mut self.troubled, true) {
                        complain(format_args!("error: the self-check: {error}"));
                    }
                    // Whatever keeps it from checking: nobody would know that a loss is not found.
                    self.failed(&format!("it cannot be made: {error}"), wall_clock());
                    self.step = Step::Waits(Instant::now() + self.watching.within);
                }
            }
        }
    }

    fn look(&mut self, now: Instant, time: Timestamp) -> io::Result<()> {
        let told = self.told()?;
        let step = std::mem::replace(&mut self.step, Step::Waits(now));
        self.step = match step {
            Step::Waits(at) if now >= at && self.lines.is_some() => self.plant(now, time)?,
            Step::Waits(at) => Step::Waits(at),
            Step::Planted(mut round) => {
                round.take_in(&told);
                self.planted(round, now, time)?
            }
            Step::TakenBack(mut round, took) => {
                round.take_in(&told);
                self.taken_back(round, took, now, time)
            }
        };
        let idle = LONGEST_BEAT.min(self.watching.silent_after / 3);
        let every = match self.step {
            Step::Waits(_) => idle,
            _ => BEAT.min(idle),
        };
        if now.duration_since(self.beat) >= every {
            self.watching.log.beat(time)?;
            self.beat = now;
        }
        Ok(())
    }

    /// What detection has told of synthetic orders since the last look.
    fn told(&mut self) -> io::Result<Vec<Finding>> {
        let mut told = Vec::new();
        let Some(lines) = &mut self.lines else {
            return Ok(told);
        };
        while let Some(line) = lines.line()? {
            let named = std::str::from_utf8(&line).is_ok_and(|line| line.contains(SELF_CHECK_RULE));
            if !named {
                continue;
            }
            // Other messages are no findings.
            let finding = serde_json::from_slice::<Finding>(&line);
            told.extend(finding.ok().filter(|finding| is_self_check(&finding.rule)));
        }
        Ok(told)
    }

    fn plant(&mut self, now: Instant, time: Timestamp) -> io::Result<Step> {
        let planted = Planted::new(self.round);
        self.round += 1;
        let at = self.watching.log.length();
        self.watching.log.plant(planted, time)?;
        self.watching.log.beat(time)?;
        self.beat = now;
        let patience = match self.first {
            true => self.watching.within + START,
            false => self.watching.within,
        };
        Ok(Step::Planted(Round {
            planted,
            seen: Seen::default(),
            at,
            began: now,
            until: now + patience,
        }))
    }

    fn planted(&mut self, mut round: Round, now: Instant, time: Timestamp) -> io::Result<Step> {
        let late = now >= round.until;
        if !(round.seen.found || round.seen.wrong.is_some() || late) {
            return Ok(Step::Planted(round));
        }
        self.watching.log.take_back(round.planted, time)?;
        self.watching.log.beat(time)?;
        self.beat = now;
        let problem = match (&round.seen.wrong, round.seen.found) {
            (Some(wrong), _) => Some(wrong.clone()),
            (None, true) => None,
            (None, false) => Some(format!(
                "a planted loss was not found within {} s",
                (round.until - round.began).as_secs()
            )),
        };
        match problem {
            Some(problem) => {
                self.failed(&problem, time);
                Ok(self.next(now, round.began))
            }
            None => {
                let took = now.duration_since(round.began);
                round.until = now + self.watching.within;
                Ok(Step::TakenBack(round, took))
            }
        }
    }

    fn taken_back(&mut self, round: Round, took: Duration, now: Instant, time: Timestamp) -> Step {
        let problem = match (&round.seen.wrong, round.seen.recovered) {
            (Some(wrong), _) => wrong.clone(),
            (None, true) => {
                self.found(took, time);
                self.watching.log.free(round.at);
                return self.next(now, round.began);
            }
            (None, false) if now >= round.until => format!(
                "a planted loss was taken back, and that was not told within {} s",
                self.watching.within.as_secs()
            ),
            (None, false) => return Step::TakenBack(round, took),
        };
        self.failed(&problem, time);
        self.next(now, round.began)
    }

    fn next(&mut self, now: Instant, began: Instant) -> Step {
        self.first = false;
        let every = self.watching.every.unwrap_or(self.watching.within);
        Step::Waits((began + every).max(now))
    }

    fn found(&mut self, took: Duration, time: Timestamp) {
        let failed = self.shown.get().failing.is_some();
        let never = self.shown.get().last_found.is_none();
        self.shown.change(|standing| {
            standing.found += 1;
            standing.last_found = Some(time);
            standing.last_took = u64::try_from(took.as_micros()).ok();
            standing.failing = None;
        });
        if failed {
            complain("the self-check works again: a planted loss was found in time");
        }
        // An alarm of the run before may stand.
        if failed || never {
            (self.watching.tell)(alarm(None, time, time));
        }
    }

    fn failed(&mut self, why: &str, time: Timestamp) {
        let stands = self.shown.get().failing.is_some();
        self.shown.change(|standing| {
            standing.failed += 1;
            let since = standing.failing.take().map_or(time, |(since, _)| since);
            standing.failing = Some((since, why.to_owned()));
        });
        if !stands {
            complain(format_args!(
                "error: the self-check fails: {why}; until it works again, a loss may not be found either: see whether \
                 detection is behind or stands still"
            ));
            (self.watching.tell)(alarm(Some(why), time, time));
        }
    }
}

impl Round {
    fn take_in(&mut self, told: &[Finding]) {
        for finding in told {
            self.seen.take_in(self.planted, finding);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use centinel_model::Verdict;
    use serde_json::json;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    const TIME: Timestamp = Timestamp(1_800_000_000_000_000);

    struct Played {
        watch: Watch,
        began: Instant,
        alarms: Arc<Mutex<Vec<(Verdict, Option<String>)>>>,
        findings: std::fs::File,
        _folder: tempfile::TempDir,
    }

    impl Played {
        fn new() -> Played {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("findings.jsonl");
            let findings = std::fs::File::create(&path).unwrap();
            let alarms = Arc::new(Mutex::new(Vec::new()));
            let told = Arc::clone(&alarms);
            let began = Instant::now();
            let watch = Watch {
                lines: Some(Following::open(&path, 0).unwrap()),
                watching: Watching {
                    log: Log::begin(folder.path(), TIME).unwrap(),
                    findings: Some(path),
                    every: Some(Duration::from_secs(60)),
                    within: Duration::from_secs(30),
                    silent_after: Duration::from_secs(30),
                    tell: Box::new(move |finding| {
                        told.lock().unwrap().push((finding.verdict, finding.hint));
                    }),
                },
                shown: Shown::default(),
                step: Step::Waits(began),
                round: 0,
                first: false,
                beat: began,
                troubled: false,
            };
            Played {
                watch,
                began,
                alarms,
                findings,
                _folder: folder,
            }
        }

        fn look(&mut self, second: u64) {
            let time = Timestamp(TIME.0 + i64::try_from(second).unwrap() * 1_000_000);
            let now = self.began + Duration::from_secs(second);
            self.watch.look(now, time).unwrap();
        }

        fn tell(&mut self, order: &str, verdict: &str, amount: &str) {
            let line = json!({
                "schema": "centinel/finding/1", "finding_id": "5c1de0f2a3b44c5d9e8f7a6b5c4d3e2f", "sequence": 1,
                "rule": "centinel-self-check", "rule_version": "0", "title": "t", "entity": "self_check_order",
                "entity_key": order, "key": [["order_no", order]], "verdict": verdict, "occurrence": 1,
                "severity": "info", "owner": "centinel", "amount": amount, "currency": "CNY", "hint": null,
                "evidence": {"rows": [], "total": 0}, "positions": {}, "anchor": "", "judged_at": "",
            });
            self.findings
                .write_all(format!("{line}\n").as_bytes())
                .unwrap();
        }

        fn alarms(&self) -> Vec<(Verdict, Option<String>)> {
            self.alarms.lock().unwrap().drain(..).collect()
        }
    }

    #[test]
    fn what_is_found_in_time_is_no_alarm() {
        let mut played = Played::new();
        for round in 0..3_u64 {
            let amount = format!("0.0{}", round + 1);
            let order = format!("SELF-CHECK-LOSS-{round}");
            played.look(60 * round);
            played.tell(&order, "confirmed", &amount);
            played.look(60 * round + 4);
            played.tell(&order, "recovered", &amount);
            played.look(60 * round + 6);
        }
        let standing = played.watch.shown.get();
        assert_eq!((standing.found, standing.failed), (3, 0));
        assert_eq!(standing.last_took, Some(4_000_000));
        // Once at the start: one of the run before may stand.
        assert_eq!(played.alarms(), [(Verdict::Recovered, None)]);
    }

    #[test]
    fn silence_is_an_alarm_once_and_its_end_is_told() {
        let mut played = Played::new();
        for second in 0..212 {
            played.look(second);
        }
        let standing = played.watch.shown.get();
        assert_eq!((standing.found, standing.failed), (0, 4));
        let since = standing.failing.clone().unwrap().0;
        assert_eq!(since.0 - TIME.0, 30_000_000);
        let alarms = played.alarms();
        assert_eq!(alarms.len(), 1);
        assert!(
            alarms[0]
                .1
                .clone()
                .unwrap()
                .contains("not found within 30 s")
        );
        // It comes too late for its own round, and the next one is in time.
        played.tell("SELF-CHECK-LOSS-3", "confirmed", "0.04");
        played.look(240);
        played.tell("SELF-CHECK-LOSS-4", "confirmed", "0.05");
        played.look(243);
        assert!(played.alarms().is_empty());
        played.tell("SELF-CHECK-LOSS-4", "recovered", "0.05");
        played.look(244);
        assert_eq!(played.alarms(), [(Verdict::Recovered, None)]);
        assert_eq!(played.watch.shown.get().failing, None);
    }

    #[test]
    fn an_order_that_is_right_and_told_as_broken_is_an_alarm() {
        let mut played = Played::new();
        played.look(0);
        played.tell("SELF-CHECK-RIGHT-0", "confirmed", "0.01");
        played.tell("SELF-CHECK-LOSS-0", "confirmed", "0.01");
        played.look(1);
        let alarms = played.alarms();
        assert!(
            alarms[0]
                .1
                .clone()
                .unwrap()
                .contains("right was told as broken")
        );
    }

    #[test]
    fn a_loss_that_does_not_end_is_an_alarm() {
        let mut played = Played::new();
        played.look(0);
        played.tell("SELF-CHECK-LOSS-0", "confirmed", "0.01");
        played.look(1);
        played.look(31);
        let alarms = played.alarms();
        assert!(alarms[0].1.clone().unwrap().contains("taken back"));
        assert_eq!(played.watch.shown.get().last_found, None);
    }
}
