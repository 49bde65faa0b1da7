//! Logs that grow: what is appended is read, and a source that falls silent is told once, and once again when it
//! moves. A run that follows them comes to its end when nothing changes any more, and when something fails.
#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use centinel_batch::Limits;
use centinel_engine::EngineError;
use centinel_engine::detect::{
    Detector, DetectorLimits, InputFile, Inputs, RunOptions, RunReport, Step, Surroundings, Until,
    run, run_on,
};
use centinel_model::{Duration, Finding, Timestamp};
use centinel_outlet::archive::ArchiveOptions;
use centinel_outlet::{LineFile, LineWriter, Message, Outlet};
use centinel_state::{FileStore, Store};
use centinel_tests::{Detection, History, rules, schemas, write_log};
use data_fixtures::write::JsonLinesWriter;
use data_fixtures::{Delivered, FaultKind, Record, SECOND, SimulationParameters, Source};

/// A minute of the machine's clock passes with each look at it; after so many it has gone on too long.
const LOOKS: i64 = 20_000;

#[test]
fn a_silent_source_is_told_once_and_judged_when_it_moves() {
    let history = History::simulate(SimulationParameters {
        seed: 4,
        orders: 500,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    });
    // The settlement database says nothing after a minute, not even a heartbeat.
    let silent_from = history.records[0].record.committed_at() + 60 * SECOND;
    let (late, first): (Vec<Delivered>, Vec<Delivered>) =
        history.records.iter().copied().partition(|record| {
            record.source == Source::SettlementDb && record.record.committed_at() > silent_from
        });
    assert!(
        late.iter()
            .any(|record| !matches!(record.record, Record::Heartbeat(_)))
    );

    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &first);
    let catalog = schemas();
    let rules = rules(&catalog);
    let store = FileStore::open(&folder.path().join("state"), 16 << 20).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let mut detector = Detector::new(
        Arc::clone(&catalog),
        &rules,
        Arc::clone(&store),
        DetectorLimits::default(),
    )
    .unwrap();

    let (stop, looks) = (AtomicBool::new(false), AtomicI64::new(0));
    let mut sources: Vec<(String, String, u64)> = Vec::new();
    let mut confirmed_while_silent = Vec::new();
    let mut observe = |_: &Detector, messages: &[Message]| {
        for (_, message) in messages {
            let value: serde_json::Value = serde_json::from_slice(message).unwrap();
            if value["schema"] == "centinel/source/1" {
                let text = |field: &str| value[field].as_str().unwrap().to_owned();
                sources.push((
                    text("source"),
                    text("state"),
                    value["undetermined"].as_u64().unwrap(),
                ));
                if text("source") == "settlement-db" && text("state") == "behind" {
                    let mut lines = Vec::new();
                    let mut writer = JsonLinesWriter::default();
                    late.iter()
                        .for_each(|record| writer.write(&mut lines, record));
                    OpenOptions::new()
                        .append(true)
                        .open(&log)
                        .unwrap()
                        .write_all(&lines)
                        .unwrap();
                }
                if text("state") == "moving" {
                    stop.store(true, Ordering::Relaxed);
                }
            } else if sources.is_empty() {
                confirmed_while_silent.push(serde_json::from_value::<Finding>(value).unwrap());
            }
        }
    };
    let now = || {
        let looked = looks.fetch_add(1, Ordering::Relaxed);
        if looked > LOOKS {
            stop.store(true, Ordering::Relaxed);
        }
        Timestamp(1_900_000_000_000_000 + looked * 10_000)
    };
    let options = RunOptions {
        inputs: vec![
            InputFile {
                name: "log.jsonl".into(),
                path: log.clone(),
                sources: Vec::new(),
            }
            .into(),
        ],
        until: Until::Stopped,
        limits: Limits {
            max_rows: 500,
            ..Limits::default()
        },
        silent_after: Duration::seconds(5),
        archive: None,
        bootstrap: None,
        quiet_after: None,
        backlog: Default::default(),
    };
    let mut outlet = LineFile::open(&folder.path().join("findings.jsonl")).unwrap();
    let surroundings = Surroundings {
        now: &now,
        stop: &|| stop.load(Ordering::Relaxed),
        observe: &mut observe,
        at_step: &|_| {},
    };
    run(&mut detector, &mut outlet, &options, surroundings).unwrap();
    drop(detector);
    drop(store);

    let of_settlement: Vec<_> = sources
        .iter()
        .filter(|(source, ..)| source == "settlement-db")
        .collect();
    assert_eq!(of_settlement.len(), 2, "{sources:?}");
    assert_eq!(
        (of_settlement[0].1.as_str(), of_settlement[1].1.as_str()),
        ("behind", "moving")
    );
    assert!(
        of_settlement[0].2 > 100,
        "hundreds of orders wait: {sources:?}"
    );
    let planted: Vec<String> = history
        .planted
        .iter()
        .map(|planted| planted.key.text())
        .collect();
    for finding in &confirmed_while_silent {
        assert!(planted.contains(&finding.entity_key), "{finding:#?}");
    }

    // The next run reads what is left; the end is as if nothing had been late.
    let after = Detection::over(&log, folder.path()).run(&catalog, &rules);
    assert_eq!(
        after.certain(&rules, history.end),
        history.truth(history.end)
    );
}

/// Many times what the runs below take; one that has not ended then never ends.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(120);
/// Far more micro-batches than stand between the thread that reads and the one that judges.
const BATCH_ROWS: usize = 20;

/// Follows a log that does not grow, and is never told to stop: how that ends.
fn followed(
    folder: &Path,
    outlet: impl Outlet + 'static,
    quiet_after: Option<std::time::Duration>,
    archive: Option<ArchiveOptions>,
) -> Result<RunReport, EngineError> {
    let log = folder.join("log.jsonl");
    let history = History::simulate(SimulationParameters {
        seed: 6,
        orders: 100,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    });
    write_log(&log, &history.records);
    let options = RunOptions {
        inputs: vec![
            InputFile {
                name: "log.jsonl".into(),
                path: log,
                sources: Vec::new(),
            }
            .into(),
        ],
        until: Until::Stopped,
        limits: Limits {
            max_rows: BATCH_ROWS,
            ..Limits::default()
        },
        silent_after: Duration::seconds(3_600),
        archive,
        bootstrap: None,
        quiet_after,
        backlog: Default::default(),
    };
    let state = folder.join("state");
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let catalog = schemas();
        let store = FileStore::open(&state, 16 << 20).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let limits = DetectorLimits::default();
        let rules = rules(&catalog);
        let mut detector = Detector::new(catalog, &rules, Arc::clone(&store), limits).unwrap();
        let surroundings = Surroundings {
            now: &|| Timestamp(1_900_000_000_000_000),
            stop: &|| false,
            observe: &mut |_, _| {},
            at_step: &|_| {},
        };
        let mut outlet = outlet;
        let done = run(&mut detector, &mut outlet, &options, surroundings);
        let _ = ended.send(done);
    });
    end.recv_timeout(LONGEST)
        .expect("the run hangs: it has not ended")
}

#[test]
fn a_run_ends_when_nothing_has_changed_for_long_enough() {
    let folder = tempfile::tempdir().unwrap();
    let quiet_after = Some(std::time::Duration::from_millis(300));
    let outlet = LineFile::open(&folder.path().join("findings.jsonl")).unwrap();
    let report = followed(folder.path(), outlet, quiet_after, None).unwrap();
    assert!(report.batches > 10, "{}", report.batches);
}

/// Takes nothing.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("nobody listens"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_run_ends_when_its_findings_cannot_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let failed = followed(folder.path(), LineWriter(Broken), None, None).unwrap_err();
    assert!(matches!(failed, EngineError::Outlet(_)), "{failed}");
}

#[test]
fn a_run_ends_when_its_archive_takes_nothing_and_its_spool_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let archive = ArchiveOptions {
        segment_bytes: 20_000,
        spool_limit: 60_000,
        patience: std::time::Duration::from_millis(300),
        ..ArchiveOptions::new(
            // Nothing can be made there.
            "file:///sys/archive".into(),
            folder.path().join("state").join("archive"),
        )
    };
    let outlet = LineFile::open(&folder.path().join("findings.jsonl")).unwrap();
    let failed = followed(folder.path(), outlet, None, Some(archive)).unwrap_err();
    assert!(matches!(failed, EngineError::Archive(_)), "{failed}");
    assert!(
        failed.to_string().contains("its limit is 60000"),
        "{failed}"
    );
}

/// Keeps the numbers of all messages that it is given, as often as it is given them.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u64>>>);

impl Outlet for Heard {
    fn name(&self) -> Option<&str> {
        None
    }

    fn resume(&mut self, _: Option<u64>) -> io::Result<()> {
        Ok(())
    }

    fn deliver(&mut self, messages: &[Message]) -> io::Result<u64> {
        let numbers = messages.iter().map(|(number, _)| *number);
        self.0.lock().unwrap().extend(numbers);
        Ok(0)
    }
}

/// Runs take over from each other in the very moments in which they would end because all is quiet, while what was
/// read waits and much is due.
#[test]
fn a_run_that_pauses_when_it_is_quiet_loses_nothing_and_tells_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let history = History::simulate(SimulationParameters {
        seed: 8,
        orders: 200,
        faults: FaultKind::ALL.to_vec(),
        fault_share: 2_000,
        ..SimulationParameters::default()
    });
    write_log(&log, &history.records);
    let options = RunOptions {
        inputs: vec![
            InputFile {
                name: "log.jsonl".into(),
                path: log.clone(),
                sources: Vec::new(),
            }
            .into(),
        ],
        until: Until::Stopped,
        limits: Limits {
            max_rows: BATCH_ROWS,
            ..Limits::default()
        },
        silent_after: Duration::seconds(3_600),
        archive: None,
        bootstrap: None,
        quiet_after: Some(std::time::Duration::from_millis(300)),
        backlog: Default::default(),
    };
    let catalog = schemas();
    let rules = rules(&catalog);
    let store = FileStore::open(&folder.path().join("state"), 16 << 20).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let limits = DetectorLimits {
        wakes_per_batch: 2,
        ..DetectorLimits::default()
    };
    let mut detector =
        Detector::new(Arc::clone(&catalog), &rules, Arc::clone(&store), limits).unwrap();
    let mut inputs = Inputs::open(&catalog, detector.positions(), &options).unwrap();
    let (pausing, steps) = (AtomicBool::new(false), AtomicUsize::new(0));
    let at_step = |step: Step| {
        let step = (step == Step::Prepared).then(|| steps.fetch_add(1, Ordering::Relaxed));
        if step.is_some_and(|step| step % 4 == 3 && step < 60) {
            pausing.store(true, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(350));
        }
    };
    let begun = std::time::Instant::now();
    let mut heard = Heard::default();
    let mut runs = 0;
    while !detector.at_the_end() {
        pausing.store(false, Ordering::Relaxed);
        let surroundings = Surroundings {
            // Rows that wait for others are given out as time goes by.
            now: &|| Timestamp(1_900_000_000_000_000 + begun.elapsed().as_micros() as i64),
            stop: &|| false,
            observe: &mut |_, _| {},
            at_step: &at_step,
        };
        let pause = || pausing.load(Ordering::Relaxed);
        let outlet = &mut heard;
        run_on(
            &mut detector,
            &mut inputs,
            outlet,
            &options,
            surroundings,
            &pause,
        )
        .unwrap();
        runs += 1;
    }
    assert!(runs > 5, "{runs}");
    let is_row = |record: &&Delivered| !matches!(record.record, Record::Heartbeat(_));
    let rows = history.records.iter().filter(is_row).count();
    assert_eq!(detector.counters.changes, rows as u64, "nothing is lost");
    let heard = heard.0.lock().unwrap();
    assert!(heard.len() > 20, "{}", heard.len());
    let once: Vec<u64> = (1..=heard.len() as u64).collect();
    assert_eq!(*heard, once, "each is told once");
    let mut open = detector.open_findings().unwrap();
    open.sort();

    let apart = tempfile::tempdir().unwrap();
    let whole = Detection {
        until: Until::End,
        ..Detection::over(&log, apart.path())
    };
    let mut wanted = whole.run(&catalog, &rules).open;
    wanted.sort();
    assert_eq!(open, wanted);
}
