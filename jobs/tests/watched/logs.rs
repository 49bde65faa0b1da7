//! What is said on standard error, for programs.

use std::process::Command;

use serde_json::Value;

use crate::shop::{Running, Shop};

fn read(said: &str) -> Vec<Value> {
    let lines = said.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn detect(shop: &Shop, change: impl FnOnce(&mut Command)) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    command
        .args(["detect", "--config"])
        .arg(shop.path("centinel.toml"));
    change(&mut command);
    Running::start(command)
}

#[test]
fn every_line_is_an_object_and_the_words_are_the_same() {
    let mut shop = Shop::new();
    shop.configure("");
    shop.pay(1, "-5.00");
    // A record that nobody can read, with what would be a line of its own.
    shop.write("{\"table\":\"payment\\n{\\\"level\\\":\\\"info\\\"}\",\"op\":1}");
    shop.beat();
    let mut said = Vec::new();
    for change in [
        (|command: &mut Command| {
            command.args(["--log-format", "json"]);
        }) as fn(&mut Command),
        |command| {
            command.env("CENTINEL_LOG", "json");
        },
        |_| {},
    ] {
        let mut running = detect(&shop, change);
        running.wait("findings", |running| {
            let found = running.scrape();
            let open = found
                .keys()
                .any(|name| name.starts_with("centinel_open_findings"));
            open.then_some(())
        });
        running.terminate();
        std::thread::sleep(std::time::Duration::from_millis(100));
        said.push(running.said());
    }
    let secret = "0123456789abcdef0123456789abcdef";
    assert!(said.iter().all(|said| !said.contains(secret)));
    for json in &said[..2] {
        let lines = read(json);
        assert!(lines.len() >= 2, "{json}");
        for line in &lines {
            let fields: std::collections::BTreeSet<&str> = line
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(
                fields,
                ["fields", "level", "message", "target", "timestamp"].into(),
                "{line}"
            );
            assert!(
                line["target"].as_str().unwrap().starts_with("centinel"),
                "{line}"
            );
        }
        let message = |line: &Value| line["message"].as_str().unwrap().to_owned();
        assert!(message(&lines[0]).starts_with("detection's interface listens on"));
        assert_eq!(lines[0]["target"], "centinel::interface");
        assert_eq!(lines[0]["level"], "info");
    }
    // For people, the words alone.
    let words = &said[2];
    assert!(
        words.starts_with("detection's interface listens on http://"),
        "{words}"
    );
    assert!(!words.contains('{'), "{words}");
}

/// A name that would be a line of its own, and speak to the terminal.
#[test]
fn data_forges_no_line() {
    let hostile = "O-1\nerror: all is well\n{\"level\":\"info\"}\u{1b}[2J";
    for format in ["text", "json"] {
        let done = Command::new(env!("CARGO_BIN_EXE_centinel"))
            .args(["--log-format", format, "rules", "explain", hostile])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(!said.is_empty() && !said.contains('\u{1b}'), "{said:?}");
        let forged = |line: &str| line.starts_with("error: all is well");
        assert!(!said.lines().any(forged), "{said}");
        match format {
            "json" => {
                let line = &read(&said)[0];
                let message = line["message"].as_str().unwrap();
                assert!(
                    line["level"] == "error" && message.contains(hostile),
                    "{said}"
                );
            }
            _ => assert!(said.contains("`O-1\\nerror: all is well\\n{"), "{said}"),
        }
    }
}

#[test]
fn another_form_is_refused() {
    let done = Command::new(env!("CARGO_BIN_EXE_centinel"))
        .args(["rules", "check"])
        .env("CENTINEL_LOG", "xml")
        .output()
        .unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(64));
    assert_eq!(said, "error: CENTINEL_LOG is `xml`: write text or json\n");
}
