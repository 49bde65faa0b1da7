//! The drill's own detection: its state is gone with it, and what it finds is told to nobody else.

use std::collections::HashMap;
use std::sync::Arc;

use centinel_batch::{Batcher, Limits};
use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::detect::{Detector, DetectorLimits};
use centinel_model::{Finding, MicroBatch, SourceId, Timestamp, Verdict};
use centinel_rules::Rule;
use centinel_source::{Decoder, RawChunk};
use centinel_state::{FileStore, Store};
use data_fixtures::Source;

/// Pages of the drill's state that are kept unpacked.
const CACHE_BYTES: usize = 64 << 20;

/// What detection knows of one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it said last.
    pub verdict: Verdict,
    /// The rule's clock when it was confirmed: the first time, or after it had recovered.
    pub confirmed_at: Option<Timestamp>,
    /// Up to when every source had been read before that micro-batch.
    pub read_before: Timestamp,
    /// Money at risk in major units, as it was said last.
    pub amount: Option<String>,
    /// Why it could not be judged, where it could not.
    pub hint: Option<String>,
}

/// Findings by rule and key.
pub type Findings = HashMap<(String, Vec<String>), Known>;

/// A detection over a state in memory.
pub struct Watched {
    catalog: Arc<Catalog>,
    decoder: Decoder,
    batcher: Batcher,
    detector: Detector,
    store: Arc<dyn Store>,
    /// Those of the reference platform.
    sources: Vec<SourceId>,
    read_bytes: u64,
    /// What is known of each finding.
    pub findings: Findings,
}

impl Watched {
    /// A detection that has read nothing.
    pub fn new(catalog: &Arc<Catalog>, rules: &[Arc<Rule>]) -> Result<Watched, EngineError> {
        let store: Arc<dyn Store> = Arc::new(FileStore::in_memory(CACHE_BYTES)?);
        let detector = Detector::new(
            Arc::clone(catalog),
            rules,
            Arc::clone(&store),
            DetectorLimits::default(),
        )?;
        let names = Source::ALL.map(Source::name);
        let numbered = catalog.sources.iter().enumerate();
        let sources = numbered
            .filter(|(_, name)| names.contains(&name.as_str()))
            .map(|(number, _)| SourceId(number as u16));
        Ok(Watched {
            sources: sources.collect(),
            catalog: Arc::clone(catalog),
            decoder: Decoder::new(catalog),
            batcher: Batcher::new(Arc::clone(catalog), Limits::default()),
            detector,
            store,
            read_bytes: 0,
            findings: Findings::new(),
        })
    }

    /// Reads whole lines as one micro-batch, and gives the findings that were told with it.
    pub fn read(&mut self, lines: &[u8]) -> Result<Vec<Finding>, EngineError> {
        let before = self.read_up_to();
        let chunk = RawChunk {
            input: "drill".into(),
            first_line: "drill".into(),
            offset: self.read_bytes,
            bytes: lines.to_vec(),
            oversized: None,
        };
        self.read_bytes += lines.len() as u64;
        let failed = |error: arrow::error::ArrowError| EngineError::Input(error.to_string());
        let now = Timestamp::LATEST;
        let decoded = self.decoder.decode(chunk, now).map_err(failed)?;
        let mut batches = self.batcher.push(decoded, now).map_err(failed)?;
        batches.extend(self.batcher.finish(false, now).map_err(failed)?);
        let mut told = Vec::new();
        let mut more_due = false;
        for batch in &batches {
            more_due |= self.take_in(batch, &mut told)?;
        }
        while more_due {
            more_due = self.take_in(&MicroBatch::default(), &mut told)?;
        }
        told.iter().for_each(|finding| self.note(finding, before));
        Ok(told)
    }

    /// How many records could not be read.
    pub fn holes(&self) -> u64 {
        self.detector.holes()
    }

    /// The sources that the schemas lack.
    pub fn lacks(&self) -> Vec<&'static str> {
        let known = |name: &&str| self.catalog.sources.iter().any(|source| source == name);
        let names = Source::ALL.map(Source::name).into_iter();
        names.filter(|name| !known(name)).collect()
    }

    /// One micro-batch; whether entities still wait for their turn.
    fn take_in(
        &mut self,
        batch: &MicroBatch,
        told: &mut Vec<Finding>,
    ) -> Result<bool, EngineError> {
        let prepared = self.detector.process(batch)?;
        self.store.commit(&prepared.commit)?;
        self.detector.committed();
        let messages = prepared.commit.outbox.iter();
        // Messages about records and sources have another form.
        told.extend(messages.filter_map(|(_, message)| serde_json::from_slice(message).ok()));
        Ok(prepared.more_due)
    }

    fn read_up_to(&self) -> Timestamp {
        let progress = self
            .sources
            .iter()
            .map(|source| self.detector.progress(*source));
        progress.min().unwrap_or(Timestamp::MIN)
    }

    fn note(&mut self, finding: &Finding, before: Timestamp) {
        let key = finding.key.iter().map(|(_, value)| value.clone()).collect();
        let known = self
            .findings
            .entry((finding.rule.clone(), key))
            .or_insert(Known {
                verdict: finding.verdict,
                confirmed_at: None,
                read_before: before,
                amount: None,
                hint: None,
            });
        known.verdict = finding.verdict;
        known.amount.clone_from(&finding.amount);
        known.hint.clone_from(&finding.hint);
        match finding.verdict {
            Verdict::Confirmed if known.confirmed_at.is_none() => {
                known.confirmed_at = Timestamp::parse(&finding.judged_at).ok();
                known.read_before = before;
            }
            Verdict::Recovered | Verdict::RuleChanged | Verdict::Cleared => {
                known.confirmed_at = None;
            }
            _ => {}
        }
    }
}
