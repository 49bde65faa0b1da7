//! The README's "Stop the money", run as it is written but for the port, in one terminal.
#![allow(clippy::unwrap_used, clippy::panic)]

mod terminal;

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

/// What stands between the blocks in what the terminal says.
const MARK: &str = "=== the next block";

/// Runs the blocks one after the other in one shell, and gives what each of them printed.
fn run(blocks: &[String]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_centinel"), bin.join("centinel")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let port = port.unwrap().port().to_string();
    // Whatever runs in the background ends with the shell, and the shell in two minutes.
    let mut script = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for block in blocks {
        script += &block.replace("7070", &port);
        script += &format!("\necho; echo '{MARK}'\n");
    }
    let done = Command::new("timeout")
        .args([
            "--kill-after=10",
            "120",
            "bash",
            "-e",
            "-u",
            "-o",
            "pipefail",
            "-c",
            &script,
        ])
        .current_dir(folder.path())
        .env(
            "PATH",
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        )
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{}\n{said}\n{complaint}",
        done.status
    );
    said.split(MARK).map(str::to_owned).collect()
}

/// The JSON answers among what was printed.
fn answers(said: &str) -> Vec<Value> {
    let lines = said.lines().filter(|line| line.starts_with('{'));
    let parsed = lines.flat_map(|line| {
        let many = serde_json::Deserializer::from_str(line).into_iter::<Value>();
        many.map(Result::unwrap).collect::<Vec<_>>()
    });
    parsed.collect()
}

#[test]
fn from_a_fault_to_the_last_release() {
    let said = run(&terminal::shell_blocks("Stop the money"));
    let [_, _, _, _, fault, asked, mended, released, verified, rest] = said.as_slice() else {
        panic!("the README has other blocks: {said:#?}");
    };
    assert_eq!(rest.trim(), "");

    let trips = answers(fault).pop().unwrap();
    let trip = &trips["trips"][0];
    assert_eq!(trip["id"], "T1", "{trip}");
    assert_eq!(trip["scope"], serde_json::json!({"merchant": "M1"}));
    assert_eq!(
        trip["points"],
        serde_json::json!(["settlement", "cash_out"])
    );
    assert_eq!(trip["automatic"], true);
    assert_eq!(trips["trips"].as_array().unwrap().len(), 1, "{trips}");

    let mut checks = answers(asked);
    let holds = checks.pop().unwrap();
    let decided: Vec<(&str, &str)> = checks
        .iter()
        .map(|answer| {
            let text = |name: &str| answer[name].as_str().unwrap();
            (text("request_id"), text("decision"))
        })
        .collect();
    let expected = [
        ("settle-1", "hold"),
        ("settle-3", "hold"),
        ("cash-1", "hold"),
        ("settle-2", "allow"),
        ("refund-1", "allow"),
    ];
    assert_eq!(decided, expected);
    for held in &checks[..3] {
        assert_eq!(
            (&held["trip"], &held["rule"]),
            (&"T1".into(), &"settled-is-paid".into())
        );
        assert_eq!(
            (&held["stored"], &held["default"]),
            (&true.into(), &false.into())
        );
    }
    assert_eq!(holds["holds"].as_array().unwrap().len(), 3, "{holds}");

    // That the fault is mended lets nothing go.
    let still = answers(mended).pop().unwrap();
    assert_eq!(
        (&still["request_id"], &still["decision"]),
        (&"cash-1".into(), &"hold".into())
    );

    let answers = answers(released);
    let [first, second, told, cash, settle] = answers.as_slice() else {
        panic!("{released}");
    };
    assert_eq!(
        (&first["state"], &second["state"]),
        (&"done".into(), &"done".into())
    );
    let told: Vec<(&str, &str)> = told["dispositions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap();
            (text("request_id"), text("disposition"))
        })
        .collect();
    let expected = [
        ("settle-1", "reject"),
        ("settle-3", "resume"),
        ("cash-1", "resume"),
    ];
    assert_eq!(told, expected);
    assert_eq!(cash["decision"], "allow");
    assert_eq!(
        (&settle["decision"], &settle["state"]),
        (&"hold".into(), &"rejected".into())
    );
    assert!(verified.contains("the audit log is whole: "), "{verified}");
}
