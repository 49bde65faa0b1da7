//! Killed with SIGKILL two hundred times, at every step of a commit and at any moment: the same findings as
//! without, each once.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use centinel_tests::{Detected, Detection, History, rules, schemas, write_log};
use data_fixtures::{Draw, FaultKind, SimulationParameters};

const KILLS: u32 = 200;
/// The history grows by one of so many parts with each start, so that no start can read all of it.
const PARTS: usize = 400;
const SIGKILL: i32 = 9;

fn start(folder: &Path, log: &Path, kill: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_detect_until_killed"))
        .args([folder, log])
        .args(kill)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Everything told for sure, by finding, verdict and amount.
fn told(detected: &Detected) -> BTreeSet<String> {
    let findings = detected
        .messages
        .iter()
        .filter(|message| message["schema"] == "centinel/finding/1");
    let told = findings.map(|finding| {
        format!(
            "{} {} {} {} {}",
            finding["rule"],
            finding["key"],
            finding["sequence"],
            finding["verdict"],
            finding["amount"]
        )
    });
    told.collect()
}

#[test]
fn killed_at_least_two_hundred_times_over_one_history() {
    let history = History::simulate(SimulationParameters {
        seed: 77,
        orders: 6_000,
        fault_share: 100,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    write_log(&log, &history.records);
    let (killed, whole) = (folder.path().join("killed"), folder.path().join("whole"));
    std::fs::create_dir_all(&killed).unwrap();
    std::fs::create_dir_all(&whole).unwrap();

    let mut draw = Draw::new(3, 0);
    let whole_log = std::fs::read(&log).unwrap();
    let lines: Vec<&[u8]> = whole_log.split_inclusive(|byte| *byte == b'\n').collect();
    let (mut kills, mut torn) = (0, 0);
    std::fs::write(&log, b"").unwrap();
    for (start_number, part) in lines.chunks(lines.len().div_ceil(PARTS)).enumerate() {
        let mut growing = OpenOptions::new().append(true).open(&log).unwrap();
        growing.write_all(&part.concat()).unwrap();
        let step = ["prepared", "committed", "delivered", "moment"][start_number % 4];
        let kill = match step {
            "moment" => vec![],
            step => vec![step.to_owned(), draw.below(3).to_string()],
        };
        let mut child = start(&killed, &log, &kill);
        if step == "moment" {
            std::thread::sleep(Duration::from_millis(draw.below(250)));
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        match status.signal() {
            Some(signal) => {
                assert_eq!(signal, SIGKILL);
                kills += 1;
            }
            // It was quicker than the moment that was drawn.
            None => assert!(status.success() && step == "moment", "{step}: {status}"),
        }
        // A crash may leave half a line behind that state knows nothing of.
        if draw.chance(3_000) {
            torn += 1;
            let findings = killed.join("findings.jsonl");
            let mut bytes = std::fs::read(&findings).unwrap_or_default();
            bytes.extend_from_slice(b"{\"schema\":\"centinel/fin");
            std::fs::write(&findings, bytes).unwrap();
        }
    }
    assert!(kills >= KILLS, "{kills}");
    assert!(torn > 20, "{torn}");

    let catalog = schemas();
    let rules = rules(&catalog);
    let detection = |folder: &Path| Detection {
        batch_rows: 40,
        ..Detection::over(&log, folder)
    };
    let after = detection(&killed).run(&catalog, &rules);
    let uninterrupted = detection(&whole).run(&catalog, &rules);
    let truth = history.truth(history.end);
    assert!(truth.len() > 60, "{}", truth.len());
    assert_eq!(uninterrupted.certain(&rules, history.end), truth);
    assert_eq!(after.certain(&rules, history.end), truth);
    assert_eq!(told(&after), told(&uninterrupted));
    assert_eq!(
        after.messages.len(),
        told(&after).len(),
        "something was told twice"
    );
}
