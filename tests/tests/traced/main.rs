//! What state and archive tell of one entity, against an independent reading of the change log.
#![allow(clippy::unwrap_used, clippy::panic)]

mod hand_made;
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::archive::{ArchivePlace, history_in_archive};
use centinel_engine::detect::{HistoryReader, Until};
use centinel_outlet::archive::ArchiveOptions;
use centinel_rules::Rule;
use centinel_state::{FileStore, Store};
use centinel_tests::{Detection, History as Lived, all_rules, schemas, write_log};
use centinel_trace::{Change, History, Parts, What, compose};
use data_fixtures::{FaultKind, Key, Row, SimulationParameters, trouble};

use log::{Log, Told};

/// Replaced versions that state keeps of each row, and the current one.
const KEPT: usize = 17;

/// A state and an archive of the same log.
struct Both {
    folder: tempfile::TempDir,
    catalog: Arc<Catalog>,
    rules: Vec<Arc<Rule>>,
}

impl Both {
    fn of(lines: &Path, folder: tempfile::TempDir) -> Both {
        let catalog = schemas();
        let rules = all_rules(&catalog);
        let both = Both {
            folder,
            catalog,
            rules,
        };
        both.run(lines);
        both
    }

    fn run(&self, lines: &Path) {
        let folder = self.folder.path();
        let archive = ArchiveOptions {
            segment_bytes: 256 << 10,
            ..ArchiveOptions::new(self.archive(), folder.join("state").join("archive"))
        };
        let detection = Detection {
            until: Until::End,
            archive: Some(archive),
            ..Detection::over(lines, folder)
        };
        detection.run(&self.catalog, &self.rules);
    }

    fn archive(&self) -> String {
        self.folder.path().join("archive").display().to_string()
    }

    fn reader(&self) -> HistoryReader {
        let store = FileStore::open(&self.folder.path().join("state"), 64 << 20).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        HistoryReader::open(Arc::clone(&self.catalog), &self.rules, store).unwrap()
    }

    fn archived(&self, entity: &str, key: &str) -> Option<History> {
        let place = ArchivePlace {
            location: self.archive(),
            store_options: Vec::new(),
        };
        history_in_archive(&self.catalog, &place, entity, key, 2).unwrap()
    }
}

/// What a test compares: the change's name, what it was to the entity, and what it says.
fn told(change: &Change) -> Told {
    let value = |name: &str| {
        let mut cells = change.after.iter();
        cells
            .find(|(column, _)| column == name)
            .and_then(|(_, value)| value.clone())
    };
    let amount = change.money.iter().find(|(column, ..)| column == "amount");
    Told {
        table: change.table.clone(),
        key: change.primary_key.clone(),
        version: change.version,
        gone: change.operation == "delete",
        status: value("status"),
        amount: amount.and_then(|(_, amount, _)| amount.clone()),
        committed_at: change.committed_at.clone(),
    }
}

fn all(history: &History) -> BTreeSet<Told> {
    let told: BTreeSet<Told> = history.changes.iter().map(told).collect();
    assert_eq!(told.len(), history.changes.len(), "a change is told twice");
    told
}

/// By row: its versions, oldest first.
fn by_row(told: &BTreeSet<Told>) -> BTreeMap<(String, String), Vec<Told>> {
    let mut rows: BTreeMap<(String, String), Vec<Told>> = BTreeMap::new();
    for told in told {
        let row = rows
            .entry((told.table.clone(), told.key.clone()))
            .or_default();
        row.push(told.clone());
    }
    for versions in rows.values_mut() {
        versions.sort_by_key(|told| (told.version, !told.gone));
    }
    rows
}

/// What state and archive say of an entity is what the log says.
fn agrees(both: &Both, reader: &HistoryReader, log: &Log, entity: &str, key: &str) {
    let expected = log.of(entity, key);
    let archived = both.archived(entity, key);
    let archived = archived.as_ref().map(all).unwrap_or_default();
    assert_eq!(archived, expected, "archive, {entity} {key}");
    let Some(state) = reader.read(entity, key).unwrap() else {
        assert!(expected.is_empty(), "state knows nothing of {entity} {key}");
        return;
    };
    let (state, expected) = (by_row(&all(&state)), by_row(&expected));
    let rows = |rows: &BTreeMap<(String, String), Vec<Told>>| -> Vec<(String, String)> {
        rows.keys().cloned().collect()
    };
    assert_eq!(rows(&state), rows(&expected), "{entity} {key}");
    for (row, versions) in &expected {
        let kept = &state[row];
        let fewest = versions.len().min(KEPT);
        assert!(kept.len() >= fewest, "{entity} {key} {row:?}");
        let newest = &versions[versions.len() - kept.len()..];
        assert_eq!(kept, newest, "{entity} {key} {row:?}");
    }
}

fn platform(seed: u64) -> Lived {
    Lived::simulate(SimulationParameters {
        seed,
        orders: 400,
        fault_share: 500,
        manual_share: 500,
        refund_share: 3_000,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    })
}

#[test]
fn state_and_archive_tell_what_the_log_says() {
    let lived = platform(71);
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("log.jsonl");
    let repeated = trouble::repeat(lived.records.iter().copied(), 71, 300);
    let records: Vec<_> = trouble::replay(repeated, 71, 30).collect();
    write_log(&lines, &records);
    let log = Log::read(&lines);
    let both = Both::of(&lines, folder);
    let reader = both.reader();
    let orders = log.keys("order_no");
    assert!(orders.len() > 350, "{}", orders.len());
    for order in &orders {
        agrees(&both, &reader, &log, "order", order);
    }
    for cash_out in log.keys("cash_out_no").iter().take(10) {
        agrees(&both, &reader, &log, "cash_out", cash_out);
    }
    // A key is brought to its normal form.
    let shouted = format!("  {} ", orders.first().unwrap().to_lowercase());
    let found = reader.read("order", &shouted).unwrap().unwrap();
    assert_eq!(found.key, *orders.first().unwrap());
    assert!(both.archived("order", &shouted).is_some());
    assert_eq!(reader.read("order", "no such order").unwrap(), None);
    assert_eq!(both.archived("order", "no such order"), None);
    assert!(reader.read("planet", "earth").is_err());
}

/// What the simulator planted by hand, and nothing else, is marked; rules say what is open.
#[test]
fn what_was_planted_by_hand_is_marked() {
    let lived = Lived::simulate(SimulationParameters {
        seed: 72,
        orders: 300,
        faults: vec![FaultKind::ManualSettlementAmount],
        fault_share: 500,
        ..SimulationParameters::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("log.jsonl");
    write_log(&lines, &lived.records);
    let both = Both::of(&lines, folder);
    let reader = both.reader();
    let planted: BTreeMap<Key, (u64, u32)> = lived
        .records
        .iter()
        .filter_map(|record| match &record.record {
            data_fixtures::Record::Change(change) if change.by_hand => match change.after {
                Row::Settlement(row) => Some((row.order_no, (change.sequence, change.ordinal))),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert!(planted.len() > 5, "{}", planted.len());
    let mut origins = 0;
    for (order, (sequence, ordinal)) in planted {
        let history = reader.read("order", &order.text()).unwrap().unwrap();
        let marked: Vec<&Change> = history
            .changes
            .iter()
            .filter(|change| change.by_hand)
            .collect();
        assert_eq!(marked.len(), 1, "{order:?} {marked:#?}");
        let (epoch, found, place) = marked[0].version;
        assert_eq!((found, place), (sequence, ordinal), "epoch {epoch}");
        // Its history says what was there before, and who did it.
        assert!(!marked[0].before.is_empty() && !marked[0].changed.is_empty());
        origins += usize::from(marked[0].origin.account.is_some());
        let open = history
            .rules
            .iter()
            .filter(|rule| rule.finding_id.is_some());
        let open: Vec<&str> = open.map(|rule| rule.rule.as_str()).collect();
        assert!(open.contains(&"manual-change-settlement"), "{open:?}");
        assert!(history.rules.iter().any(|rule| rule.verdict == "passed"));
    }
    assert!(origins > 0);
}

/// Nothing sensitive leaves, in neither way.
#[test]
fn sensitive_values_are_masked() {
    let lived = platform(73);
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("log.jsonl");
    write_log(&lines, &lived.records);
    let log = Log::read(&lines);
    let both = Both::of(&lines, folder);
    let reader = both.reader();
    let secrets = log.values(&["payer_account", "card_no", "bank_card"]);
    assert!(secrets.len() > 50, "{}", secrets.len());
    let mut masked = 0;
    for order in log.keys("order_no").iter().take(60) {
        let state = reader.read("order", order).unwrap();
        for history in state.into_iter().chain(both.archived("order", order)) {
            let text = serde_json::to_string(&history).unwrap();
            masked += text.matches("****").count();
            let parts = Parts {
                histories: vec![history],
                ..Parts::default()
            };
            let trace = serde_json::to_string(&compose("order", order, parts)).unwrap();
            for secret in &secrets {
                assert!(
                    !text.contains(secret) && !trace.contains(secret),
                    "{secret}"
                );
            }
        }
    }
    assert!(masked > 60, "{masked}");
}

/// Of both together each change is one step, and every stage has the rows that the log had then.
#[test]
fn every_stage_has_the_rows_of_its_time() {
    let lived = platform(74);
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("log.jsonl");
    write_log(&lines, &lived.records);
    let log = Log::read(&lines);
    let both = Both::of(&lines, folder);
    let reader = both.reader();
    for order in log.keys("order_no").iter().take(40) {
        let histories: Vec<History> = [
            reader.read("order", order).unwrap(),
            both.archived("order", order),
        ]
        .into_iter()
        .flatten()
        .collect();
        let expected = log.of("order", order);
        let parts = Parts {
            histories,
            ..Parts::default()
        };
        let trace = compose("order", order, parts);
        assert_eq!(trace.steps.len(), expected.len(), "{order}");
        let mut so_far: BTreeSet<Told> = BTreeSet::new();
        for step in &trace.steps {
            let What::Row(row) = &step.what else {
                panic!("{step:?}");
            };
            let is_it = |told: &&Told| {
                told.table == row.table
                    && told.key == row.primary_key
                    && told.version == row.version
                    && told.gone == (row.operation == "delete")
            };
            so_far.insert(expected.iter().find(is_it).unwrap().clone());
            let rows = by_row(&so_far).into_values();
            let current: BTreeSet<(String, String, Option<String>)> = rows
                .filter_map(|versions| versions.last().cloned())
                .filter(|told| !told.gone)
                .map(|told| (told.table, told.key, told.amount))
                .collect();
            let state = trace.state_at(step.stage).into_iter();
            let shown: BTreeSet<(String, String, Option<String>)> = state
                .flat_map(|system| system.rows)
                .map(|row| {
                    let amount = row.cells.iter().find(|cell| cell.column == "amount");
                    (
                        row.table,
                        row.primary_key,
                        amount.and_then(|cell| cell.value.clone()),
                    )
                })
                .collect();
            assert_eq!(shown, current, "{order} {}", step.stage);
        }
    }
}
