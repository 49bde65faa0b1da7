//! A folder to drill in, and what must be true of every drill.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use data_fixtures::{DRILL_MARK, FaultKind};
use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

pub fn centinel(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    command.args(arguments).current_dir(folder);
    command
}

pub fn shown(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

pub fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A folder to drill in, beside the repository's schemas and rules.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub rules: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        Place {
            folder: tempfile::tempdir().unwrap(),
            rules: root().join("sql-rules"),
        }
    }

    /// The same with a copy of the rules that lacks some.
    pub fn without(rules: &[&str]) -> Place {
        let mut place = Place::new();
        let copy = place.folder.path().join("rules");
        std::fs::create_dir(&copy).unwrap();
        for entry in std::fs::read_dir(&place.rules).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let left_out = rules
                .iter()
                .any(|rule| name.starts_with(&format!("{rule}.")));
            if file.is_file() && !left_out {
                std::fs::copy(&file, copy.join(name)).unwrap();
            }
        }
        place.rules = copy;
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn drill(&self, more: &[&str]) -> (i32, String, String) {
        let schemas = root().join("schemas");
        let mut command = centinel(self.folder.path(), &["drill", "run", "--folder", "drills"]);
        command
            .arg("--schemas")
            .arg(schemas)
            .arg("--rules")
            .arg(&self.rules);
        shown(command.args(more).output().unwrap())
    }

    pub fn history(&self, folder: &str) -> Vec<Value> {
        lines(&std::fs::read_to_string(self.path(folder).join("drills.jsonl")).unwrap())
    }

    pub fn configure(&self, more: &str) {
        let schemas = root().join("schemas");
        let text = format!(
            "centinel = \"config/1\"\nschemas = {schemas:?}\nrules = {:?}\n{more}\n",
            self.rules
        );
        std::fs::write(self.path("centinel.toml"), text).unwrap();
    }
}

pub fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {line}"))
}

pub fn number(line: &Value, field: &str) -> i64 {
    line[field]
        .as_i64()
        .unwrap_or_else(|| panic!("{field} of {line}"))
}

/// Fen of an amount in yuan.
pub fn fen(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap();
    let (yuan, rest) = text.split_once('.').unwrap();
    assert_eq!(rest.len(), 2, "{text}");
    format!("{yuan}{rest}").parse().unwrap()
}

/// Every fault is there, detected by a rule that is named, in time; those whose rules trip were held after their trip,
/// and only after it.
pub fn assert_all_detected(faults: &[Value], with_breaker: bool) {
    let kinds: BTreeSet<&str> = faults.iter().map(|fault| text(fault, "kind")).collect();
    let all: BTreeSet<&str> = FaultKind::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(kinds, all);
    let (mut held, mut leaked, mut tripped) = (0, 0, 0);
    for fault in faults {
        let kind = FaultKind::by_name(text(fault, "kind")).unwrap();
        assert_eq!(text(fault, "verdict"), "detected", "{fault:#}");
        assert_eq!(text(fault, "loss_class"), kind.loss_class().name());
        assert!(text(fault, "entity_key").starts_with(DRILL_MARK), "{fault}");
        let rules = fault["rules"].as_array().unwrap();
        let seen: BTreeSet<&str> = rules.iter().map(|rule| text(rule, "rule")).collect();
        // The simulator says which rules always see it; the drill asks for these at least.
        for rule in kind.rules() {
            assert!(
                seen.contains(rule),
                "{} is not asked of {rule}",
                kind.name()
            );
        }
        assert!(seen.contains(text(fault, "rule")));
        for rule in rules {
            assert_eq!(
                (&rule["confirmed"], &rule["in_time"]),
                (&true.into(), &true.into()),
                "{rule}"
            );
            // A micro-batch of a second, heartbeats of a second, and deliveries of up to five.
            let late = number(rule, "took_ms") - number(rule, "due_ms");
            assert!(late <= 8_000, "{rule}");
            let plain = |field: &str| text(rule, field).trim_end_matches('0').to_owned();
            assert_eq!(plain("must_tell"), plain("told"), "{rule}");
        }
        if with_breaker {
            let breaker = &fault["breaker"];
            let trips = breaker["trips"].as_array().unwrap();
            tripped += usize::from(!trips.is_empty());
            for trip in trips {
                assert!(text(trip, "scope").starts_with(DRILL_MARK), "{trip}");
            }
            held += fen(&breaker["held"]["amount"]);
            leaked += fen(&breaker["leaked"]["amount"]);
            let none = trips.is_empty() && number(&breaker["held"], "requests") == 0;
            assert!(none || !trips.is_empty(), "held without a trip: {fault:#}");
        }
    }
    if with_breaker {
        assert!(tripped >= 15, "{tripped} faults trip");
        assert!(held > 0 && leaked > 0, "{held} held, {leaked} leaked");
    }
}
