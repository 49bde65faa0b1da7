//! `centinel detect --archive` and `centinel audit --archive` as a person or a script meets them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The end of the history, which every source has reached.
const END: &str = "2026-11-22T08:25:30Z";

fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data-fixtures/small/faulty")
}

fn centinel(arguments: &[&str]) -> (i32, String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    let done = command.args(arguments).current_dir(root).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

/// The findings in JSON Lines, by rule, key and amount.
fn findings(lines: &str) -> BTreeSet<String> {
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let findings = objects.filter(|object| object["schema"] == "centinel/finding/1");
    let shown = findings.map(|finding| {
        format!(
            "{} {} {}",
            finding["rule"], finding["key"], finding["amount"]
        )
    });
    shown.collect()
}

#[test]
fn the_past_is_audited_as_the_snapshot_of_then_and_never_beyond_what_is_archived() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (state, archive, out) = (place("state"), place("archive"), place("findings.jsonl"));
    let log = small().join("jsonl/log.jsonl").display().to_string();
    let detect = ["detect", "--state", &state, "--input", &log, "--out", &out];
    let archived = [&detect[..], &["--archive", &archive, "--until-end"]].concat();
    let (status, _, complaints) = centinel(&archived);
    assert_eq!(status, 2, "{complaints}");
    assert!(!complaints.contains("not in the archive"), "{complaints}");

    let at = |time| {
        let cut = ["audit", "--archive", &archive, "--at", time];
        centinel(&[&cut[..], &["--format", "jsonl"]].concat())
    };
    let (status, of_archive, complaints) = at(END);
    assert_eq!((status, complaints.as_str()), (2, ""), "{of_archive}");
    let snapshot = small().join("snapshot").display().to_string();
    let (status, of_snapshot, _) =
        centinel(&["audit", "--snapshot", &snapshot, "--format", "jsonl"]);
    assert_eq!(status, 2);
    assert_eq!(findings(&of_archive), findings(&of_snapshot));
    assert!(findings(&of_archive).len() > 10);

    let (status, out, complaints) = at("2026-11-22T08:25:31Z");
    assert_eq!((status, out.as_str()), (3, ""), "never taken for clean");
    let told = "`payment-db` is archived up to 2026-11-22T08:25:30Z";
    assert!(complaints.contains(told), "{complaints}");

    // The state keeps an archive from now on.
    let (status, _, complaints) = centinel(&[&detect[..], &["--until-end"]].concat());
    assert_eq!(status, 64, "{complaints}");
    assert!(complaints.contains("--archive"), "{complaints}");
}
