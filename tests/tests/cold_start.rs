//! Detection that starts on a platform that already runs: with a Parquet snapshot or with a CDC tool's snapshot
//! rows, whatever the stream overlaps, and wherever it is killed. What may begin before the snapshot is never
//! confirmed; everything else is found.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::archive::{ArchiveCut, audit_archive};
use centinel_engine::audit::AuditOptions;
use centinel_engine::detect::{BootstrapOptions, Until};
use centinel_model::{Timestamp, Verdict};
use centinel_outlet::archive::ArchiveOptions;
use centinel_rules::Rule;
use centinel_tests::{Detected, Detection, Found, History, absolute, rules, schemas, write_log};
use data_fixtures::write::{JsonLinesWriter, SnapshotWriter};
use data_fixtures::{
    Change, Delivered, Draw, FaultKind, Key, Record, Row, SECOND, SimulationParameters, Table,
    trouble,
};

const SIGKILL: i32 = 9;
/// How long before the snapshot a stream begins that overlaps it.
const OVERLAP: i64 = 120 * SECOND;

/// A platform, and the moment at which detection comes to it.
struct Platform {
    history: History,
    cut: i64,
    /// When each order began, by its number.
    begun: BTreeMap<String, i64>,
}

impl Platform {
    fn simulate(seed: u64, orders: u64) -> Platform {
        let history = History::simulate(SimulationParameters {
            seed,
            orders,
            fault_share: 200,
            faults: FaultKind::ALL.to_vec(),
            ..SimulationParameters::default()
        });
        let begin = history.records[0].record.committed_at();
        let mut begun = BTreeMap::new();
        for record in &history.records {
            if let Some(Row::Payment(payment)) = record.record.row() {
                let at = record.record.committed_at();
                let first = begun.entry(payment.order_no.text()).or_insert(at);
                *first = at.min(*first);
            }
        }
        // In the midst of the orders: a platform at work has some in each of their states.
        let cut = begin + orders as i64 / 40 * SECOND;
        Platform {
            history,
            cut,
            begun,
        }
    }

    fn snapshot(&self, folder: &Path, tables: &[Table]) -> PathBuf {
        let folder = folder.join("snapshot");
        let mut writer = SnapshotWriter::create(&folder, tables, Some(self.cut)).unwrap();
        for record in &self.history.records {
            writer.write(record).unwrap();
        }
        writer.finish(self.history.end).unwrap();
        folder
    }

    /// Everything that was committed after a moment.
    fn stream_after(&self, moment: i64) -> Vec<Delivered> {
        let records = self.history.records.iter();
        let records = records.filter(|record| record.record.committed_at() > moment);
        records.copied().collect()
    }

    /// Whether an entity came into being after the snapshot, where detection sees it do so.
    fn begins_behind(&self, entity_key: &str) -> bool {
        self.begun
            .get(entity_key)
            .is_some_and(|begun| *begun > self.cut)
    }

    /// Nothing false, nothing of what began before the snapshot for sure, everything else, and what began before
    /// is marked as what it is.
    #[track_caller]
    fn assert_found(&self, detected: &Detected, rules: &[Arc<Rule>], what: &str) {
        assert_eq!(
            detected.holes,
            0,
            "{what}: {:#?}",
            detected.messages.first()
        );
        let truth = self.history.truth(self.history.end);
        let (behind, beyond): (BTreeSet<Found>, BTreeSet<Found>) = truth
            .into_iter()
            .partition(|found| self.begins_behind(&found.key[0]));
        assert!(behind.len() > 20 && beyond.len() > 20, "{what}");
        let certain = detected.certain(rules, self.history.end);
        assert_eq!(certain, behind, "{what}: what is sure");
        let undetermined: BTreeSet<Found> = detected
            .open
            .iter()
            .filter(|open| !open.confirmed)
            .map(|open| Found {
                rule: open.rule.clone(),
                key: open.key.clone(),
                amount: absolute(open.amount.as_deref().unwrap_or("0")),
            })
            .collect();
        assert_eq!(undetermined, beyond, "{what}: what is beyond the horizon");
        for finding in detected.told(Verdict::Confirmed) {
            let found = Found::of(&finding);
            let known = |found: &Found| (found.rule.clone(), found.key.clone());
            let is_true = behind.iter().any(|truth| known(truth) == known(&found));
            assert!(is_true, "{what}: {finding:#?}");
        }
        for finding in detected.told(Verdict::Undetermined) {
            let hint = finding.hint.unwrap();
            assert!(hint.starts_with("beyond the horizon"), "{what}: {hint}");
        }
    }
}

fn bootstrap(snapshot: &Path) -> BootstrapOptions {
    BootstrapOptions {
        location: snapshot.display().to_string(),
        store_options: Vec::new(),
        as_of: None,
    }
}

fn run(
    records: &[Delivered],
    folder: &Path,
    snapshot: &Path,
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
) -> Detected {
    let log = folder.join("log.jsonl");
    write_log(&log, records);
    Detection {
        bootstrap: Some(bootstrap(snapshot)),
        ..Detection::over(&log, folder)
    }
    .run(catalog, rules)
}

#[test]
fn a_snapshot_and_the_stream_from_then_on() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::simulate(101, 3_000);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = platform.snapshot(folder.path(), &Table::ALL);
    let exactly = platform.stream_after(platform.cut);
    let detected = run(&exactly, folder.path(), &snapshot, &catalog, &rules);
    platform.assert_found(&detected, &rules, "from the cut on");
    // Once it is taken in, it need not be there any more.
    std::fs::remove_dir_all(&snapshot).unwrap();
    let again = run(&exactly, folder.path(), &snapshot, &catalog, &rules);
    assert_eq!(again.messages.len(), detected.messages.len());
}

#[test]
fn a_stream_that_began_before_the_snapshot() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::simulate(102, 3_000);
    let overlapping = platform.stream_after(platform.cut - OVERLAP);
    let repeated = trouble::repeat(overlapping.iter().copied(), 5, 500).collect();
    for (what, records) in [
        ("whole", platform.history.records.clone()),
        ("overlapping", overlapping.clone()),
        ("interleaved", trouble::interleave(overlapping, 6)),
        ("shuffled, with repetitions", trouble::shuffle(repeated, 7)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = platform.snapshot(folder.path(), &Table::ALL);
        let detected = run(&records, folder.path(), &snapshot, &catalog, &rules);
        platform.assert_found(&detected, &rules, what);
    }
}

/// Tables without events: events are read from their beginning, and still nothing is confirmed that may lack some.
#[test]
fn a_snapshot_that_lacks_some_tables() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::simulate(103, 2_000);
    let folder = tempfile::tempdir().unwrap();
    let tables = [
        Table::Payment,
        Table::Refund,
        Table::Settlement,
        Table::Billing,
        Table::AccountingEntry,
        Table::CashOut,
    ];
    let snapshot = platform.snapshot(folder.path(), &tables);
    let records = platform.history.records.iter();
    let is_event = |record: &Delivered| matches!(record.record, Record::Event(_));
    let stream: Vec<Delivered> = records
        .filter(|record| is_event(record) || record.record.committed_at() > platform.cut)
        .copied()
        .collect();
    let detected = run(&stream, folder.path(), &snapshot, &catalog, &rules);
    platform.assert_found(&detected, &rules, "without events");
}

/// An older change does not bring an older row back, not even for a moment.
#[test]
fn a_row_of_the_snapshot_is_not_rolled_back() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::simulate(104, 400);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = platform.snapshot(folder.path(), &Table::ALL);
    // The stream breaks off before it has come as far as the snapshot.
    let records = platform.history.records.iter();
    let stream: Vec<Delivered> = records
        .filter(|record| record.record.committed_at() <= platform.cut - 10 * SECOND)
        .copied()
        .collect();
    let detected = run(&stream, folder.path(), &snapshot, &catalog, &rules);
    let alone = tempfile::tempdir().unwrap();
    let only = run(&[], alone.path(), &snapshot, &catalog, &rules);
    let open = |detected: &Detected| -> BTreeSet<(String, Vec<String>)> {
        let open = detected.open.iter();
        open.map(|open| (open.rule.clone(), open.key.clone()))
            .collect()
    };
    assert!(
        open(&only).is_empty(),
        "no source has said how far it stands"
    );
    let truth = platform.history.truth(platform.cut);
    for (rule, key) in open(&detected) {
        let known = truth
            .iter()
            .any(|found| found.rule == rule && found.key == key);
        assert!(known, "{rule} {key:?}");
    }
    assert!(detected.told(Verdict::Confirmed).is_empty());
}

/// A column that may be null and that the files do not have: nothing is found or passed by nulls that say nothing.
#[test]
fn a_column_that_the_snapshot_lacks_is_lost_in_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("schemas");
    std::fs::create_dir(&own).unwrap();
    for entry in std::fs::read_dir(centinel_tests::folder("schemas")).unwrap() {
        let entry = entry.unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        if entry.file_name() == "payment.yaml" {
            let note = "columns:\n  a_note: { type: text, nullable: true }\n";
            text = text.replacen("columns:\n", note, 1);
        }
        std::fs::write(own.join(entry.file_name()), text).unwrap();
    }
    let catalog = Arc::new(centinel_catalog::load(&own).unwrap());
    let noted = "/* ---\nid: noted\ntitle: Each payment has a note\nentity: order\nseverity: error\n\
                 key: [order_no, payment_no]\nowner: test\nsettle: 0s\nretries: 0\nstatus: stable\n--- */\n\
                 SELECT order_no, payment_no FROM payment WHERE a_note IS NULL\n";
    let noted = centinel_rules::load_text("noted.sql", noted, &catalog);
    let noted = Arc::new(noted.unwrap_or_else(|mistakes| panic!("{}", mistakes[0].rendered)));
    let shipped = rules(&catalog);
    let all = [shipped.clone(), vec![noted]].concat();

    let platform = Platform::simulate(107, 2_000);
    let snapshot = platform.snapshot(folder.path(), &Table::ALL);
    let stream = platform.stream_after(platform.cut);
    let mut detected = run(&stream, folder.path(), &snapshot, &catalog, &all);
    let of_note = |told: &serde_json::Value| told["rule"] == "noted";
    let told: Vec<serde_json::Value> = detected
        .messages
        .extract_if(.., |told| of_note(told))
        .collect();
    let with = |verdict: &str| {
        let told = told.iter().filter(|told| told["verdict"] == verdict);
        told.collect::<Vec<_>>()
    };
    for finding in with("confirmed") {
        let key = finding["entity_key"].as_str().unwrap();
        assert!(platform.begins_behind(key), "{finding:#}");
    }
    assert!(with("confirmed").len() > 20);
    let lost = |told: &&&serde_json::Value| {
        let hint = told["hint"].as_str().unwrap_or_default();
        hint.contains("came without `a_note`")
    };
    assert!(with("undetermined").iter().filter(lost).count() > 20);
    // What does not read it is judged as ever.
    detected.open.retain(|open| open.rule != "noted");
    platform.assert_found(&detected, &shipped, "without a column");
}

#[test]
fn what_does_not_fit_is_refused_with_a_remedy() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::simulate(105, 100);
    let folder = tempfile::tempdir().unwrap();
    let snapshot = platform.snapshot(folder.path(), &Table::ALL);
    let log = folder.path().join("log.jsonl");
    write_log(&log, &platform.history.records);
    let begun = folder.path().join("begun");
    std::fs::create_dir_all(&begun).unwrap();
    Detection::over(&log, &begun).run(&catalog, &rules);
    let refusal = |folder: &Path, options: Option<BootstrapOptions>| {
        let detection = Detection {
            bootstrap: options,
            ..Detection::over(&log, folder)
        };
        let refused = detection.try_run(&catalog, &rules, &|_| {}).err();
        refused.map(|error| error.to_string()).unwrap_or_default()
    };
    let told = refusal(&begun, Some(bootstrap(&snapshot)));
    assert!(told.contains("start with a new state folder"), "{told}");

    let fresh = folder.path().join("fresh");
    std::fs::create_dir_all(&fresh).unwrap();
    let without = folder.path().join("without-manifest");
    std::fs::create_dir_all(&without).unwrap();
    let copy = |name: &str| {
        std::fs::copy(snapshot.join(name), without.join(name)).unwrap();
    };
    copy("payment.parquet");
    let told = refusal(&fresh, Some(bootstrap(&without)));
    assert!(told.contains("--bootstrap-as-of"), "{told}");
    std::fs::remove_file(without.join("payment.parquet")).unwrap();
    let told = refusal(&fresh, Some(bootstrap(&without)));
    assert!(told.contains("holds no table of the schemas"), "{told}");
    copy("manifest.json");
    let told = refusal(&fresh, Some(bootstrap(&without)));
    assert!(told.contains("payment: manifest.json promises"), "{told}");
    let other = BootstrapOptions {
        as_of: Some(Timestamp(1)),
        ..bootstrap(&snapshot)
    };
    let told = refusal(&fresh, Some(other));
    assert!(told.contains("leave --bootstrap-as-of out"), "{told}");
    // The same folder in other words is the same; another one is not.
    let state = folder.path().join("again");
    std::fs::create_dir_all(&state).unwrap();
    assert_eq!(refusal(&state, Some(bootstrap(&snapshot))), "");
    let around = folder.path().join("without-manifest/../snapshot/.");
    assert_eq!(refusal(&state, Some(bootstrap(&around))), "");
    let told = refusal(&state, Some(bootstrap(&without)));
    assert!(told.contains("name that one"), "{told}");
}

/// Killed at every step of a commit, over and over, until all is taken in: the same as without, each row once.
#[test]
fn killed_in_the_midst_of_the_snapshot() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::simulate(106, 3_000);
    let folder = tempfile::tempdir().unwrap();
    let killed = folder.path().join("killed");
    let archive = killed.join("archive");
    std::fs::create_dir_all(&archive).unwrap();
    let snapshot = platform.snapshot(&killed, &Table::ALL);
    let log = folder.path().join("log.jsonl");
    write_log(&log, &platform.stream_after(platform.cut - OVERLAP));

    let mut draw = Draw::new(9, 0);
    let mut kills = 0;
    for start in 0..200 {
        let step = ["prepared", "committed", "delivered"][start % 3];
        let mut child = Command::new(env!("CARGO_BIN_EXE_detect_until_killed"))
            .args([&killed, &log])
            .args([step.to_owned(), draw.below(60).to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        match child.wait().unwrap().signal() {
            Some(signal) => assert_eq!(signal, SIGKILL),
            None => break,
        }
        kills += 1;
    }
    assert!(kills > 10, "{kills}");

    let detection = Detection {
        bootstrap: Some(bootstrap(&snapshot)),
        archive: Some(ArchiveOptions::new(
            archive.display().to_string(),
            killed.join("state").join("archive"),
        )),
        until: Until::End,
        ..Detection::over(&log, &killed)
    };
    let detected = detection.run(&catalog, &rules);
    platform.assert_found(&detected, &rules, "killed");
    let numbers: BTreeSet<String> = detected
        .messages
        .iter()
        .map(|message| format!("{} {}", message["finding_id"], message["sequence"]))
        .collect();
    assert_eq!(numbers.len(), detected.messages.len(), "told twice");

    // The archive begins with the same rows: it tells every moment from the snapshot's on, and none before.
    let audited = |at: i64| {
        let cut = ArchiveCut {
            location: archive.display().to_string(),
            store_options: Vec::new(),
            at: Timestamp(at),
        };
        audit_archive(&catalog, &rules, &cut, &AuditOptions::default(), &|_| ()).unwrap()
    };
    let report = audited(platform.history.end);
    assert!(
        report.could_not_judge.is_empty(),
        "{:?}",
        report.could_not_judge
    );
    let found: BTreeSet<Found> = report.findings.iter().map(Found::of).collect();
    assert_eq!(found, platform.history.truth(platform.history.end));
    let before = audited(platform.cut - SECOND);
    assert_eq!(before.could_not_judge.len(), rules.len());
    assert!(before.findings.is_empty());
}

/// Rows as a CDC tool reads them first: all that a table holds, with the place of the log at which it was read.
fn cdc_snapshot(platform: &Platform) -> Vec<u8> {
    let mut current: BTreeMap<(Table, Key), (Delivered, Change)> = BTreeMap::new();
    let mut newest: BTreeMap<usize, u64> = BTreeMap::new();
    for record in &platform.history.records {
        let Record::Change(change) = record.record else {
            continue;
        };
        if change.committed_at > platform.cut {
            continue;
        }
        let place = newest.entry(record.source as usize).or_default();
        *place = change.sequence.max(*place);
        let name = (change.after.table(), change.after.primary_key());
        let known = current.get(&name);
        if known.is_none_or(|(_, known)| known.sequence < change.sequence) {
            current.insert(name, (*record, change));
        }
    }
    let mut lines = Vec::new();
    let mut writer = JsonLinesWriter::default();
    for (delivered, change) in current.into_values() {
        let row = Record::Change(Change {
            before: None,
            // Nothing that was committed so far stands behind it in the log.
            sequence: newest[&(delivered.source as usize)] + 1,
            ordinal: 0,
            last: true,
            committed_at: platform.cut,
            ..change
        });
        let mut line = Vec::new();
        writer.write(
            &mut line,
            &Delivered {
                record: row,
                ..delivered
            },
        );
        let line = String::from_utf8(line).unwrap();
        lines.extend_from_slice(line.replacen("\"insert\"", "\"snapshot\"", 1).as_bytes());
    }
    lines
}

/// All rows are known, so all is judged: from the end of the tool's snapshot on, from before it, and in no order.
#[test]
fn snapshot_rows_of_a_cdc_tool() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::simulate(107, 2_000);
    let truth = platform.history.truth(platform.history.end);
    let stream = |moment: i64| -> Vec<Delivered> {
        let records = platform.history.records.iter();
        let wanted = |record: &&Delivered| match record.record {
            Record::Event(_) => true,
            _ => record.record.committed_at() > moment,
        };
        // What the tool reads of the log behind its snapshot has places behind the snapshot's.
        let moved = |record: &Delivered| {
            let mut record = *record;
            if let Record::Change(change) = &mut record.record
                && change.committed_at > platform.cut
            {
                change.sequence += 1;
            }
            record
        };
        records.filter(wanted).map(moved).collect()
    };
    let before = stream(platform.cut - OVERLAP);
    for (what, records) in [
        ("from its end on", stream(platform.cut)),
        ("shuffled", trouble::shuffle(before.clone(), 8)),
        ("from before it", before),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        let mut lines = cdc_snapshot(&platform);
        let mut writer = JsonLinesWriter::default();
        for record in &records {
            writer.write(&mut lines, record);
        }
        std::fs::write(&log, lines).unwrap();
        let detected = Detection::over(&log, folder.path()).run(&catalog, &rules);
        assert_eq!(detected.holes, 0, "{what}: {:?}", detected.messages.first());
        assert_eq!(
            detected.certain(&rules, platform.history.end),
            truth,
            "{what}"
        );
        let unsure = detected.open.iter().filter(|open| !open.confirmed).count();
        assert_eq!(unsure, 0, "{what}");
    }
}
