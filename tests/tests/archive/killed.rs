//! Killed with SIGKILL at every step of a commit and at any moment, also while segments are on their way: the
//! archive holds each change once, and tells the truth.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use centinel_engine::audit::AuditOptions;
use centinel_engine::detect::Until;
use centinel_tests::{Detection, History, rules, schemas, write_log};
use data_fixtures::{Draw, FaultKind, SimulationParameters};

use crate::kept::{archive_in, assert_each_once, assert_same, audit_at, found};

/// The history grows by one of so many parts with each start, so that no start can read all of it.
const STARTS: usize = 80;
const KILLS: u32 = 60;
const SIGKILL: i32 = 9;
/// Many times what a start needs to read its part.
const LONGEST_START: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);

fn start(folder: &Path, log: &Path, kill: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_detect_until_killed"))
        .args([folder, log])
        .args(kill)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for the end of a start, but not for ever.
fn end_of(mut child: Child, what: &str) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > LONGEST_START {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what}: it hung, it had not ended after {LONGEST_START:?}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn killed_at_every_step_the_archive_holds_each_change_once() {
    let history = History::simulate(SimulationParameters {
        seed: 64,
        orders: 300,
        fault_share: 500,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let killed = folder.path().join("killed");
    std::fs::create_dir_all(killed.join("archive")).unwrap();

    let mut draw = Draw::new(5, 0);
    let whole = std::fs::read(&log).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    std::fs::write(&log, b"").unwrap();
    let mut kills = 0;
    for (number, part) in lines.chunks(lines.len().div_ceil(STARTS)).enumerate() {
        let mut growing = OpenOptions::new().append(true).open(&log).unwrap();
        growing.write_all(&part.concat()).unwrap();
        let step = ["prepared", "committed", "delivered", "moment"][number % 4];
        let kill = match step {
            "moment" => vec![],
            step => vec![step.to_owned(), draw.below(2).to_string()],
        };
        let mut child = start(&killed, &log, &kill);
        if step == "moment" {
            std::thread::sleep(Duration::from_millis(draw.below(200)));
            child.kill().unwrap();
        }
        let status = end_of(child, &format!("start {number}, to be killed at {step}"));
        match status.signal() {
            Some(signal) => {
                assert_eq!(signal, SIGKILL);
                kills += 1;
            }
            // It was quicker than the moment that was drawn.
            None => assert!(status.success() && step == "moment", "{step}: {status}"),
        }
    }
    assert!(kills >= KILLS, "{kills}");

    let options = archive_in(&killed, 60_000);
    let catalog = schemas();
    let rules = rules(&catalog);
    let detection = Detection {
        until: Until::End,
        archive: Some(options.clone()),
        ..Detection::over(&log, &killed)
    };
    let archive = detection.run(&catalog, &rules).archive.unwrap();
    assert_eq!((archive.waiting, archive.trouble), (0, None));
    assert_each_once(&options, &history.records);
    let spooled = std::fs::read_dir(&options.spool).unwrap().count();
    assert_eq!(spooled, 0, "what is archived leaves the spool");
    let begin = history.records[0].record.committed_at();
    for moment in [begin + (history.end - begin) / 2, history.end] {
        let how = AuditOptions::default();
        let report = audit_at(&catalog, &rules, &options, moment, &how).unwrap();
        assert_same(&found(&report), &history.truth(moment), "killed");
    }
    assert!(history.truth(history.end).len() > 30);
}
