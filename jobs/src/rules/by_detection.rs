//! A test's rows as changes through the detection: change log, micro-batches, state, verdicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use centinel_batch::{Batcher, Limits};
use centinel_catalog::{Catalog, Table, TableKind};
use centinel_engine::detect::{Detector, DetectorLimits};
use centinel_model::{Duration, Finding, MicroBatch, Timestamp, Verdict};
use centinel_rules::{Rule, RuleTest};
use centinel_source::{Decoder, RawChunk};
use centinel_state::{FileStore, Store};
use serde_json::{Map, Value, json};

use super::answer::Answer;

/// Pages of a state that holds one test.
const CACHE_BYTES: usize = 16 << 20;
/// How long before the time of judgement everything was committed, beyond the rule's patience.
const REST: Duration = Duration::seconds(3_600);

/// How the rows arrive; each comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// As written, in one micro-batch.
    Together,
    /// The last one first, each in a micro-batch of its own.
    Backwards,
    /// In an order that this seed draws, a few in each micro-batch.
    Shuffled(u64),
}

/// What detection has open once everything has arrived and come to rest.
pub fn by_detection(
    rule: &Arc<Rule>,
    catalog: &Arc<Catalog>,
    test: &RuleTest,
    arrival: Arrival,
) -> Result<Answer, String> {
    let patience = rule.patience().plus(REST);
    let committed_at = Timestamp(test.as_of.0.saturating_sub(patience.0).max(0));
    let (lines, rows_in_batch) = arrival.arrange(lines(catalog, test, committed_at)?);
    let mut state = Watched::new(rule, catalog)?;
    for lines in lines.chunks(rows_in_batch.max(1)) {
        state.read(catalog, lines)?;
    }
    let beats: Vec<String> = catalog
        .sources
        .iter()
        .map(|source| {
            json!({"heartbeat": source, "committed_at": test.as_of.to_string()}).to_string()
        })
        .collect();
    state.read(catalog, &beats)?;
    // Without `as_of()` a test has no time: what is late by its own account may come to rest, too.
    if !rule.uses_as_of {
        state.detector.end();
    }
    while state.take_in(&MicroBatch::default())? {}
    state.answer()
}

impl Arrival {
    /// Every line twice in this order, and how many come at once.
    fn arrange(self, lines: Vec<String>) -> (Vec<String>, usize) {
        let mut twice: Vec<String> = lines.iter().chain(&lines).cloned().collect();
        match self {
            Arrival::Together => (twice, usize::MAX),
            Arrival::Backwards => {
                twice.reverse();
                (twice, 1)
            }
            Arrival::Shuffled(seed) => {
                shuffle(&mut twice, seed);
                (twice, 3)
            }
        }
    }
}

/// Fisher and Yates's shuffle with the numbers of SplitMix64: the same for a seed everywhere.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        items.swap(last, (mixed % (last as u64 + 1)) as usize);
    }
}

/// A detection of one rule that remembers what it told last of each finding.
struct Watched {
    detector: Detector,
    store: Arc<dyn Store>,
    told: BTreeMap<String, Finding>,
    holes: Vec<String>,
    read_bytes: u64,
}

impl Watched {
    fn new(rule: &Arc<Rule>, catalog: &Arc<Catalog>) -> Result<Watched, String> {
        let store = FileStore::in_memory(CACHE_BYTES).map_err(|error| error.to_string())?;
        let store: Arc<dyn Store> = Arc::new(store);
        let detector = Detector::new(
            Arc::clone(catalog),
            &[Arc::clone(rule)],
            Arc::clone(&store),
            DetectorLimits::default(),
        );
        Ok(Watched {
            detector: detector.map_err(|error| error.to_string())?,
            store,
            told: BTreeMap::new(),
            holes: Vec::new(),
            read_bytes: 0,
        })
    }

    fn read(&mut self, catalog: &Arc<Catalog>, lines: &[String]) -> Result<(), String> {
        let bytes: Vec<u8> = lines
            .iter()
            .flat_map(|line| [line.as_bytes(), b"\n"].concat())
            .collect();
        let offset = self.read_bytes;
        self.read_bytes += bytes.len() as u64;
        let chunk = RawChunk {
            input: "test".into(),
            first_line: "test".into(),
            offset,
            bytes,
            oversized: None,
        };
        let now = Timestamp::LATEST;
        let decoded = Decoder::new(catalog).decode(chunk, now);
        let decoded = decoded.map_err(|error| error.to_string())?;
        self.holes
            .extend(decoded.holes.iter().map(|hole| hole.message.clone()));
        let mut batcher = Batcher::new(Arc::clone(catalog), Limits::default());
        let mut batches = batcher
            .push(decoded, now)
            .map_err(|error| error.to_string())?;
        batches.extend(
            batcher
                .finish(true, now)
                .map_err(|error| error.to_string())?,
        );
        for batch in &batches {
            self.take_in(batch)?;
        }
        Ok(())
    }

    /// One micro-batch, made durable; whether entities are still waiting for their turn.
    fn take_in(&mut self, batch: &MicroBatch) -> Result<bool, String> {
        let prepared = self
            .detector
            .process(batch)
            .map_err(|error| error.to_string())?;
        let committed = self.store.commit(&prepared.commit);
        committed.map_err(|error| error.to_string())?;
        self.detector.committed();
        for (_, message) in &prepared.commit.outbox {
            // Messages about records and sources have another form.
            if let Ok(finding) = serde_json::from_slice::<Finding>(message) {
                self.told.insert(finding.finding_id.to_string(), finding);
            }
        }
        Ok(prepared.more_due)
    }

    fn answer(self) -> Result<Answer, String> {
        if let Some(hole) = self.holes.first() {
            return Err(format!("a given row was refused: {hole}"));
        }
        let mut answer = Answer::default();
        for finding in self.told.into_values() {
            match finding.verdict {
                Verdict::Confirmed => answer.rows.extend(finding.evidence.rows),
                Verdict::Undetermined => {
                    let reason = finding.hint.unwrap_or_else(|| "undetermined".to_owned());
                    answer
                        .unjudged
                        .push(format!("{}: {reason}", finding.entity_key));
                }
                _ => {}
            }
        }
        Ok(answer)
    }
}

/// The given rows as lines of a change log, each a transaction of its own.
fn lines(
    catalog: &Catalog,
    test: &RuleTest,
    committed_at: Timestamp,
) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for (id, rows) in &test.given {
        let table = catalog.table(*id);
        for mut after in objects(table, rows)? {
            let committed_at = committed_at.to_string();
            let line = match table.kind {
                TableKind::Rows | TableKind::History(_) => json!({
                    "table": table.name, "op": "insert", "epoch": 1, "sequence": lines.len() + 1,
                    "ordinal": 0, "last": true, "committed_at": committed_at, "after": after,
                }),
                TableKind::Events => {
                    let message = after.remove("message_id");
                    json!({
                        "event": table.name, "message_id": message, "committed_at": committed_at,
                        "after": after,
                    })
                }
            };
            lines.push(line.to_string());
        }
    }
    Ok(lines)
}

/// Rows in storage types as the change log writes them.
fn objects(table: &Table, rows: &RecordBatch) -> Result<Vec<Map<String, Value>>, String> {
    let options = FormatOptions::default();
    let mut objects = vec![Map::new(); rows.num_rows()];
    for (column, values) in table.columns.iter().zip(rows.columns()) {
        let format =
            ArrayFormatter::try_new(values, &options).map_err(|error| error.to_string())?;
        for (row, object) in objects.iter_mut().enumerate() {
            let text = || {
                format
                    .value(row)
                    .try_to_string()
                    .map_err(|error| error.to_string())
            };
            let value = match values.data_type() {
                _ if values.is_null(row) => Value::Null,
                DataType::Boolean => Value::Bool(text()? == "true"),
                DataType::Int64 => text()?
                    .parse()
                    .map(Value::Number)
                    .map_err(|_| "not a number")?,
                DataType::Timestamp(..) => Value::String(text()? + "Z"),
                _ => Value::String(text()?),
            };
            object.insert(column.name.clone(), value);
        }
    }
    Ok(objects)
}
