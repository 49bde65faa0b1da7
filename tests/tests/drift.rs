//! A column that rules use is dropped, renamed or retyped in mid-stream: exactly those rules are suspended, for the
//! rows that come without it; the others find what is true, and nothing false is said before, during and after.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use centinel_batch::{Batcher, Limits};
use centinel_catalog::{Catalog, ColumnType};
use centinel_engine::detect::{Detector, DetectorLimits};
use centinel_model::{
    DecodedChunk, Finding, MicroBatch, Position, Positions, SourceId, Timestamp, Verdict,
};
use centinel_rules::Rule;
use centinel_source::{DebeziumOptions, Decimals, Format, MessageDecoder, RawMessage, RawMessages};
use centinel_state::{FileStore, Store};
use centinel_tests::{Found, History, absolute, rules, schemas};
use data_fixtures::write::{DebeziumWriter, JsonLinesWriter};
use data_fixtures::{
    Change, Delivered, FaultKind, Record, Row, SECOND, SimulationParameters, Source,
};
use serde_json::{Value, json};

const TABLE: &str = "settlement";
const COLUMN: &str = "amount";
const DRIFT: &str = "centinel/schema-drift";
const NOW: Timestamp = Timestamp(1_900_000_000_000_000);
const HOUR: i64 = 3_600 * SECOND;

/// What the platform does to the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dropped,
    Renamed,
    Retyped,
}

/// A message of a topic, as it was written.
struct Sent {
    source: Source,
    offset: u64,
    content: Content,
}

enum Content {
    Text(String),
    Heartbeat(i64),
}

/// Writes records as a CDC tool would.
struct Tool {
    debezium: DebeziumWriter,
    lines: JsonLinesWriter,
    offsets: BTreeMap<Source, u64>,
    sent: Vec<Sent>,
}

impl Tool {
    fn new() -> Tool {
        Tool {
            debezium: DebeziumWriter::default(),
            lines: JsonLinesWriter::default(),
            offsets: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn write(&mut self, catalog: &Catalog, record: &Delivered, drift: Option<Kind>) {
        let content = match &record.record {
            Record::Heartbeat(at) => Content::Heartbeat(*at),
            Record::Event(_) => {
                let mut line = Vec::new();
                self.lines.write(&mut line, record);
                Content::Text(String::from_utf8(line).unwrap())
            }
            Record::Change(change) => {
                let mut message = Vec::new();
                self.debezium.write(&mut message, record);
                let mut message: Value = serde_json::from_slice(&message).unwrap();
                let table = change.after.table().name();
                if let Some(kind) = drift.filter(|_| table == TABLE) {
                    message = reshaped(catalog, message, kind);
                }
                Content::Text(message.to_string())
            }
        };
        let offset = self.offsets.entry(record.source).or_insert(0);
        let sent = Sent {
            source: record.source,
            offset: *offset,
            content,
        };
        *offset += 1;
        self.sent.push(sent);
    }
}

/// The message as it would be, had the table the other shape.
fn reshaped(catalog: &Catalog, mut message: Value, kind: Kind) -> Value {
    for image in ["before", "after"] {
        let Some(row) = message[image].as_object_mut() else {
            continue;
        };
        let value = row.remove(COLUMN).unwrap();
        match kind {
            Kind::Dropped => {}
            Kind::Renamed => drop(row.insert("amount_in_fen".into(), value)),
            Kind::Retyped => drop(row.insert(COLUMN.into(), value)),
        }
    }
    match kind {
        Kind::Retyped => json!({"schema": schema(catalog), "payload": message}),
        _ => message,
    }
}

/// The schema beside the messages of a table whose column is a double now.
fn schema(catalog: &Catalog) -> Value {
    let table = catalog.table(catalog.table_id(TABLE).unwrap());
    let fields = table.columns.iter().map(|column| {
        let kind = match column.kind {
            _ if column.name == COLUMN => "double",
            ColumnType::Integer => "int64",
            _ => "string",
        };
        json!({"type": kind, "optional": true, "field": column.name})
    });
    let fields: Vec<Value> = fields.collect();
    json!({"type": "struct", "fields": [{"type": "struct", "fields": fields, "field": "after"}]})
}

/// Detection over a state, from where that stands.
struct Running<'a> {
    catalog: &'a Arc<Catalog>,
    store: Arc<dyn Store>,
    detector: Detector,
    batcher: Batcher,
    rows: MessageDecoder,
    events: MessageDecoder,
    told: &'a mut Vec<Value>,
}

impl<'a> Running<'a> {
    fn start(
        catalog: &'a Arc<Catalog>,
        rules: &[Arc<Rule>],
        folder: &Path,
        told: &'a mut Vec<Value>,
    ) -> Running<'a> {
        let store = FileStore::open(folder, 64 << 20).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let limits = DetectorLimits::default();
        let detector =
            Detector::new(Arc::clone(catalog), rules, Arc::clone(&store), limits).unwrap();
        let limits = Limits {
            max_rows: 300,
            ..Limits::default()
        };
        let rows = Format::Debezium(DebeziumOptions {
            decimals: Some(Decimals::String),
            ..DebeziumOptions::default()
        });
        Running {
            catalog,
            batcher: Batcher::new(Arc::clone(catalog), limits),
            rows: MessageDecoder::new(catalog, rows).unwrap(),
            events: MessageDecoder::new(catalog, Format::Lines).unwrap(),
            store,
            detector,
            told,
        }
    }

    /// Reads what was sent and is not in state; with `rest` also what does not fill a micro-batch.
    fn read(&mut self, sent: &[Sent], rest: bool) {
        let Positions(positions) = self.detector.positions().clone();
        for message in sent {
            let resume = match positions.get(message.source.name()) {
                Some(Position::Partition { next, .. }) => *next,
                _ => 0,
            };
            if message.offset >= resume {
                let chunk = self.decode(message);
                assert_eq!(chunk.holes, [], "nothing is a hole");
                let batches = self.batcher.push(chunk, NOW).unwrap();
                for batch in &batches {
                    self.take_in(batch);
                }
            }
        }
        if rest {
            let batches = self.batcher.finish(false, NOW).unwrap();
            for batch in &batches {
                self.take_in(batch);
            }
            while self.take_in(&MicroBatch::default()) {}
        }
    }

    fn decode(&mut self, message: &Sent) -> DecodedChunk {
        let input = message.source.name().to_owned();
        let at = |next| Position::Partition { next, known: None };
        let (start, after) = (at(message.offset), at(message.offset + 1));
        let end = message.offset + 1;
        let text = match &message.content {
            Content::Text(text) => text,
            Content::Heartbeat(time) => {
                let mut sources = self.catalog.sources.iter();
                let source = sources.position(|source| *source == input).unwrap();
                let mut chunk = DecodedChunk::new(input, start, end, after);
                chunk
                    .progress
                    .push((SourceId(source as u16), Timestamp(*time)));
                return chunk;
            }
        };
        let message = RawMessage {
            offset: message.offset,
            value: Some(0..text.len()),
            ..RawMessage::default()
        };
        let messages = RawMessages {
            input,
            start,
            end,
            after,
            bytes: text.clone().into_bytes(),
            messages: vec![message],
        };
        let decoder = match messages.input.as_str() {
            "business-events" => &mut self.events,
            _ => &mut self.rows,
        };
        decoder.decode(messages, NOW).unwrap()
    }

    fn take_in(&mut self, batch: &MicroBatch) -> bool {
        let prepared = self.detector.process(batch).unwrap();
        self.store.commit(&prepared.commit).unwrap();
        self.detector.committed();
        let told = prepared.commit.outbox.iter();
        self.told
            .extend(told.map(|(_, message)| serde_json::from_slice::<Value>(message).unwrap()));
        prepared.more_due
    }

    /// The findings that stand for sure.
    fn confirmed(&self, rules: &[Arc<Rule>], moment: i64) -> BTreeSet<Found> {
        let open = self.detector.open_findings().unwrap();
        let certain = open.into_iter().filter(|open| {
            let rule = rules.iter().find(|rule| rule.id == open.rule).unwrap();
            open.confirmed && open.anchor.plus(rule.patience()).0 <= moment
        });
        certain
            .map(|open| Found {
                amount: absolute(open.amount.as_deref().unwrap_or("0")),
                rule: open.rule,
                key: open.key,
            })
            .collect()
    }
}

fn findings(told: &[Value]) -> Vec<Finding> {
    let findings = told
        .iter()
        .filter(|message| message["schema"] == "centinel/finding/1");
    findings
        .map(|message| serde_json::from_value(message.clone()).unwrap())
        .collect()
}

fn drifts(told: &[Value]) -> Vec<Finding> {
    let findings = findings(told).into_iter();
    findings.filter(|finding| finding.rule == DRIFT).collect()
}

fn uses(rule: &Rule, catalog: &Catalog) -> bool {
    let table = catalog.table_id(TABLE).unwrap();
    let column = catalog.table(table).column_index(COLUMN).unwrap();
    let used = rule.reads.iter().find(|used| used.table == table);
    used.is_some_and(|used| used.columns.contains(&column))
}

fn history() -> History {
    History::simulate(SimulationParameters {
        seed: 91,
        orders: 600,
        fault_share: 400,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    })
}

/// Where so many sixths of the table's changes were delivered.
fn place(history: &History, sixths: usize) -> usize {
    let records = history.records.iter().enumerate();
    let own = records.filter(|(_, record)| {
        let row = record.record.row();
        row.is_some_and(|row| row.table().name() == TABLE)
    });
    let own: Vec<usize> = own.map(|(index, _)| index).collect();
    own[own.len() * sixths / 6]
}

/// Each row of the table, written once more as it is.
fn touched(records: &[Delivered], at: i64, sequence: u64) -> Vec<Delivered> {
    let mut last: BTreeMap<String, (Change, Source)> = BTreeMap::new();
    for record in records {
        if let Record::Change(change) = &record.record
            && change.after.table().name() == TABLE
        {
            let key = change.after.primary_key().text();
            let newer = last
                .get(&key)
                .is_none_or(|(known, _)| known.sequence < change.sequence);
            if newer {
                last.insert(key, (*change, record.source));
            }
        }
    }
    let again = last
        .into_values()
        .enumerate()
        .map(|(index, (change, source))| {
            let again: Row = change.after;
            Delivered {
                arrival: at,
                source,
                record: Record::Change(Change {
                    sequence: sequence + index as u64,
                    ordinal: 0,
                    last: true,
                    committed_at: at,
                    before: Some(again),
                    after: again,
                    ..change
                }),
            }
        });
    again.collect()
}

fn heartbeats(at: i64) -> Vec<Delivered> {
    let beat = |source| Delivered {
        arrival: at,
        source,
        record: Record::Heartbeat(at),
    };
    Source::ALL.map(beat).to_vec()
}

fn drift_in_mid_stream(kind: Kind) {
    let (catalog, mut history) = (schemas(), history());
    let rules = rules(&catalog);
    let suspended: Vec<&str> = rules
        .iter()
        .filter(|rule| uses(rule, &catalog))
        .map(|rule| rule.id.as_str())
        .collect();
    assert!(!suspended.is_empty() && suspended.len() < rules.len());
    let folder = tempfile::tempdir().unwrap();
    let (mut tool, mut told) = (Tool::new(), Vec::new());
    let [from, middle, until] = [2, 3, 4].map(|share| place(&history, share));
    for (index, record) in history.records.iter().enumerate() {
        let drifted = (from..until).contains(&index);
        tool.write(&catalog, record, drifted.then_some(kind));
    }

    // Before: nothing but what is true without it. The run breaks off in the middle of the drift.
    let mut running = Running::start(&catalog, &rules, folder.path(), &mut told);
    running.read(&tool.sent[..from], false);
    assert_eq!(drifts(running.told), []);
    running.read(&tool.sent[from..middle], false);
    assert_eq!(running.detector.drifts(), 1);
    drop(running);
    let begun = drifts(&told);
    assert_eq!(begun.len(), 1, "{begun:#?}");
    assert_eq!(begun[0].verdict, Verdict::Confirmed);
    let key = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(begun[0].key, [key("table", TABLE), key("column", COLUMN)]);
    let hint = begun[0].hint.as_deref().unwrap();
    assert!(hint.ends_with(&suspended.join(", ")), "{hint}");

    // It goes on where it stopped, and tells no drift twice; then the table fits again.
    let mut running = Running::start(&catalog, &rules, folder.path(), &mut told);
    running.read(&tool.sent[..until], false);
    assert_eq!(running.detector.drifts(), 1);
    assert_eq!(running.detector.open()[DRIFT].confirmed, 1);
    running.read(&tool.sent[until..], true);
    assert_eq!(running.detector.drifts(), 0);
    let truth = history.truth(history.end);
    let confirmed = running.confirmed(&rules, history.end);
    drop(running);
    let verdicts: Vec<Verdict> = drifts(&told).iter().map(|drift| drift.verdict).collect();
    assert_eq!(verdicts, [Verdict::Confirmed, Verdict::Recovered]);

    // Those that do not use the column find what is true, all others nothing that is not.
    let planted: BTreeSet<String> = history
        .planted
        .iter()
        .map(|planted| planted.key.text())
        .collect();
    let of = |found: &BTreeSet<Found>, rule: &str| -> BTreeSet<Found> {
        let own = found.iter().filter(|found| found.rule == rule);
        own.cloned().collect()
    };
    let mut undetermined: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in findings(&told) {
        match finding.verdict {
            Verdict::Confirmed if finding.rule != DRIFT => {
                assert!(planted.contains(&finding.entity_key), "{finding:#?}");
            }
            Verdict::Undetermined => {
                let hint = finding.hint.as_deref().unwrap_or_default();
                assert!(hint.contains("came without `amount`"), "{finding:#?}");
                assert!(suspended.contains(&finding.rule.as_str()), "{finding:#?}");
                let entities = undetermined.entry(finding.rule).or_default();
                entities.insert(finding.entity_key);
            }
            _ => {}
        }
    }
    for rule in &rules {
        let (found, wanted) = (of(&confirmed, &rule.id), of(&truth, &rule.id));
        if !suspended.contains(&rule.id.as_str()) {
            assert_eq!(found, wanted);
            continue;
        }
        assert!(found.is_subset(&wanted), "{found:#?}");
        let entities = undetermined.get(&rule.id);
        let entities = entities.unwrap_or_else(|| panic!("`{}` was not suspended", rule.id));
        for missing in wanted.difference(&found) {
            let known = missing.key.iter().any(|value| entities.contains(value));
            assert!(known, "{missing:?} is passed over in silence");
        }
    }

    // Each row is seen whole again: everything is judged.
    let at = history.end + HOUR;
    let again = touched(&history.records, at, 1_000_000_000);
    history.records.extend(again);
    let later = at + 200 * HOUR;
    history.records.extend(heartbeats(later));
    for record in &history.records[tool.sent.len()..] {
        tool.write(&catalog, record, None);
    }
    let mut running = Running::start(&catalog, &rules, folder.path(), &mut told);
    running.read(&tool.sent, true);
    assert_eq!(running.confirmed(&rules, later), history.truth(later));
    let open = running.detector.open();
    let unsure: i64 = open.values().map(|open| open.undetermined).sum();
    assert_eq!(unsure, 0, "{open:#?}");
    drop(running);
    let changed = findings(&told);
    let told_twice: BTreeSet<(&str, u64)> = changed
        .iter()
        .map(|finding| (finding.finding_id.0.as_str(), finding.sequence))
        .collect();
    assert_eq!(told_twice.len(), changed.len(), "each message once");
}

#[test]
fn a_dropped_column_suspends_the_rules_that_use_it() {
    drift_in_mid_stream(Kind::Dropped);
}

#[test]
fn a_renamed_column_suspends_the_rules_that_use_it() {
    drift_in_mid_stream(Kind::Renamed);
}

#[test]
fn a_retyped_column_suspends_the_rules_that_use_it() {
    drift_in_mid_stream(Kind::Retyped);
}

/// The new name is told once as a note, over a restart; rules that use the old one no longer end the finding.
#[test]
fn other_rules_end_the_suspension_and_added_columns_are_noted_once() {
    let (catalog, history) = (schemas(), history());
    let rules = rules(&catalog);
    let without = rules.iter().filter(|rule| !uses(rule, &catalog));
    let without: Vec<Arc<Rule>> = without.cloned().collect();
    let folder = tempfile::tempdir().unwrap();
    let (mut tool, mut told) = (Tool::new(), Vec::new());
    let [half, later] = [3, 4].map(|share| place(&history, share));
    for (index, record) in history.records.iter().enumerate() {
        tool.write(&catalog, record, (index >= half).then_some(Kind::Renamed));
    }
    for (rules, until) in [(&rules, later), (&without, tool.sent.len())] {
        let mut running = Running::start(&catalog, rules, folder.path(), &mut told);
        running.read(&tool.sent[..until], true);
    }
    let drifts = drifts(&told);
    let verdicts: Vec<Verdict> = drifts.iter().map(|drift| drift.verdict).collect();
    assert_eq!(verdicts, [Verdict::Confirmed, Verdict::RuleChanged]);
    let notes: Vec<&Value> = told
        .iter()
        .filter(|message| message["schema"] == "centinel/note/1")
        .collect();
    let columns: Vec<&str> = notes
        .iter()
        .map(|note| note["column"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["amount_in_fen", "amount"], "{notes:#?}");
    assert!(
        notes[1]["message"]
            .as_str()
            .unwrap()
            .contains("no rule uses it")
    );
    // What the rules that are gone left open is closed with them; the others judge on.
    let mut running = Running::start(&catalog, &without, folder.path(), &mut told);
    running.read(&[], true);
    let truth = history.truth(history.end).into_iter();
    let wanted = truth.filter(|found| without.iter().any(|rule| rule.id == found.rule));
    assert_eq!(
        running.confirmed(&without, history.end),
        wanted.collect::<BTreeSet<Found>>()
    );
    assert_eq!(running.detector.drifts(), 0);
    let open = running.detector.open();
    assert!(
        open.values().all(|open| open.undetermined == 0),
        "{open:#?}"
    );
}
