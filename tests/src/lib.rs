//! What the tests that cross crates share: a simulated history, detection over it, and what must come of it.
#![allow(clippy::panic, reason = "its only users are tests")]

pub mod failing;
pub mod measure;
pub mod platform;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use centinel_batch::Limits;
use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::audit::{AuditOptions, Snapshot, audit};
use centinel_engine::detect::{
    BootstrapOptions, Detector, DetectorLimits, InputFile, InputOptions, OpenFinding, RunOptions,
    Step, Surroundings, Until, run,
};
use centinel_model::{Duration, Finding, Timestamp, Verdict};
use centinel_outlet::archive::{ArchiveOptions, ArchiveStatus};
use centinel_outlet::{LineFile, Outlet};
use centinel_rules::{Rule, Status};
use centinel_state::{FileStore, Store};
use data_fixtures::auditor::Ledger;
use data_fixtures::write::{JsonLinesWriter, SnapshotWriter};
use data_fixtures::{Delivered, Planted, Record, Simulation, SimulationParameters, Source, Table};

/// `CENTINEL_SEEDS` seeds from `first` on, else `fixed` of them: how long a property is tried.
pub fn seeds(first: u64, fixed: u64) -> std::ops::Range<u64> {
    let wanted = std::env::var("CENTINEL_SEEDS");
    first
        ..first
            + wanted
                .ok()
                .and_then(|count| count.parse().ok())
                .unwrap_or(fixed)
}

/// The repository's own folder `name`.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// The shipped schemas.
pub fn schemas() -> Arc<Catalog> {
    Arc::new(centinel_catalog::load(&folder("schemas")).expect("the shipped schemas load"))
}

/// The shipped rules that are not drafts and that audits can judge, too.
pub fn rules(catalog: &Catalog) -> Vec<Arc<Rule>> {
    let mut rules = all_rules(catalog);
    rules.retain(|rule| !rule.reads_history);
    rules
}

/// The shipped rules that are not drafts, those of guarded tables among them.
pub fn all_rules(catalog: &Catalog) -> Vec<Arc<Rule>> {
    let loaded = centinel_rules::load(&folder("sql-rules"), catalog);
    let loaded = loaded.unwrap_or_else(|mistakes| {
        let shown: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.rendered.as_str())
            .collect();
        panic!("the shipped rules load: {}", shown.join("\n"))
    });
    loaded
        .rules
        .into_iter()
        .filter(|rule| rule.status != Status::Draft)
        .collect()
}

/// Everything that a simulated platform delivered.
pub struct History {
    /// In order of arrival.
    pub records: Vec<Delivered>,
    /// The faults in it.
    pub planted: Vec<Planted>,
    /// The time that every source has reached.
    pub end: i64,
}

impl History {
    /// Lets the platform live to its end.
    pub fn simulate(parameters: SimulationParameters) -> History {
        let mut simulation = Simulation::new(parameters);
        let (mut records, mut planted) = (Vec::new(), Vec::new());
        while let Some(record) = simulation.next() {
            planted.extend(simulation.take_planted());
            records.push(record);
        }
        let end = simulation.end().expect("it has ended");
        History {
            records,
            planted,
            end,
        }
    }

    /// What was committed up to a moment, and the word of every source that this was all.
    pub fn as_of(&self, moment: i64) -> Vec<Delivered> {
        let mut records: Vec<Delivered> = self
            .records
            .iter()
            .filter(|record| record.record.committed_at() <= moment)
            .copied()
            .collect();
        let arrival = records
            .last()
            .map_or(moment, |last| last.arrival.max(moment));
        let word = |source| Delivered {
            arrival,
            source,
            record: Record::Heartbeat(moment),
        };
        records.extend(Source::ALL.map(word));
        records
    }

    /// What an audit finds in a snapshot that was taken at a moment.
    pub fn audited(
        &self,
        catalog: &Arc<Catalog>,
        rules: &[Arc<Rule>],
        moment: i64,
    ) -> BTreeSet<Found> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut writer =
            SnapshotWriter::create(folder.path(), &Table::ALL, Some(moment)).expect("a snapshot");
        for record in &self.records {
            writer.write(record).expect("a row");
        }
        writer.finish(self.end).expect("the snapshot is whole");
        let snapshot =
            Snapshot::open(&folder.path().display().to_string(), &[]).expect("the snapshot opens");
        let options = AuditOptions::default();
        let report = audit(catalog, rules, &Arc::new(snapshot), &options, &|_| ())
            .expect("it can be judged");
        assert!(
            report.could_not_judge.is_empty(),
            "{:?}",
            report.could_not_judge
        );
        report.findings.iter().map(Found::of).collect()
    }

    /// What the independent auditor finds for sure as of a moment.
    pub fn truth(&self, moment: i64) -> BTreeSet<Found> {
        let mut ledger = Ledger::default();
        for record in &self.records {
            if record.record.committed_at() <= moment {
                ledger.apply(&record.record);
            }
        }
        let violations = ledger.violations(moment).into_iter();
        violations
            .filter(|violation| violation.is_certain(moment))
            .map(|violation| Found {
                rule: violation.rule.to_owned(),
                amount: absolute(&violation.amount_text()),
                key: violation.key,
            })
            .collect()
    }
}

/// A finding by what two ways must agree on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The rule's id.
    pub rule: String,
    /// The values of its key columns.
    pub key: Vec<String>,
    /// Money at risk, without sign and trailing zeros.
    pub amount: String,
}

impl Found {
    /// The same of a finding that was told.
    pub fn of(finding: &Finding) -> Found {
        Found {
            rule: finding.rule.clone(),
            key: finding.key.iter().map(|(_, value)| value.clone()).collect(),
            amount: absolute(finding.amount.as_deref().unwrap_or("0")),
        }
    }
}

/// A decimal without its sign and without zeros that say nothing.
pub fn absolute(amount: &str) -> String {
    let amount = amount.trim_start_matches('-');
    match amount.contains('.') {
        true => amount
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        false => amount.to_owned(),
    }
}

/// Writes records as one change log.
pub fn write_log(path: &Path, records: &[Delivered]) {
    let mut writer = JsonLinesWriter::default();
    let mut lines = Vec::new();
    for record in records {
        writer.write(&mut lines, record);
    }
    std::fs::write(path, lines).expect("the log is written");
}

/// What came of a run of detection.
pub struct Detected {
    /// Open at its end.
    pub open: Vec<OpenFinding>,
    /// Everything that was told, in order.
    pub messages: Vec<serde_json::Value>,
    /// The longest step of a source's progress from one commit to the next, microseconds.
    pub longest_step: i64,
    /// Records that could not be read.
    pub holes: u64,
    /// How far the archive was behind at the end.
    pub archive: Option<ArchiveStatus>,
    /// Entities that have left state.
    pub forgotten: u64,
}

impl Detected {
    /// The findings open for sure as of a moment.
    pub fn certain(&self, rules: &[Arc<Rule>], moment: i64) -> BTreeSet<Found> {
        self.open
            .iter()
            .filter(|open| open.confirmed)
            .filter(|open| {
                let rule = rules
                    .iter()
                    .find(|rule| rule.id == open.rule)
                    .expect("its rule");
                open.anchor.plus(rule.patience()).0 <= moment
            })
            .map(|open| Found {
                rule: open.rule.clone(),
                key: open.key.clone(),
                amount: absolute(open.amount.as_deref().unwrap_or("0")),
            })
            .collect()
    }

    /// The findings told, of one verdict.
    pub fn told(&self, verdict: Verdict) -> Vec<Finding> {
        let findings = self
            .messages
            .iter()
            .filter(|message| message["schema"] == "centinel/finding/1");
        findings
            .map(|message| serde_json::from_value::<Finding>(message.clone()).expect("a finding"))
            .filter(|finding| finding.verdict == verdict)
            .collect()
    }
}

/// A change log as an input, named as its file is.
pub fn log_file(path: &Path) -> InputOptions {
    InputOptions::File(InputFile {
        name: path.file_name().unwrap_or_default().display().to_string(),
        path: path.into(),
        sources: Vec::new(),
    })
}

/// A file that announces the plans of a source.
pub fn plan_file(path: &Path, source: &str) -> InputOptions {
    InputOptions::File(InputFile {
        name: path.file_name().unwrap_or_default().display().to_string(),
        path: path.into(),
        sources: vec![source.to_owned()],
    })
}

/// How detection is to be run.
pub struct Detection {
    /// What to read.
    pub inputs: Vec<InputOptions>,
    /// Holds the state and the file of findings.
    pub folder: PathBuf,
    /// When reading ends.
    pub until: Until,
    /// When a micro-batch is full.
    pub batch_rows: usize,
    /// Where every change is kept.
    pub archive: Option<ArchiveOptions>,
    /// What the state begins with.
    pub bootstrap: Option<BootstrapOptions>,
    /// Whether entities that are at rest leave state.
    pub forget: bool,
    /// Bytes of documents kept in memory; with none, a document goes as soon as it may.
    pub cache_bytes: usize,
}

impl Detection {
    /// Over one log, to the last line there is.
    pub fn over(log: &Path, folder: &Path) -> Detection {
        Detection {
            inputs: vec![log_file(log)],
            folder: folder.into(),
            until: Until::Now,
            batch_rows: 500,
            archive: None,
            bootstrap: None,
            forget: false,
            cache_bytes: DetectorLimits::default().cache_bytes,
        }
    }

    /// Where findings are written.
    pub fn findings(&self) -> PathBuf {
        self.folder.join("findings.jsonl")
    }

    /// Runs it, and reads what was told since the state began.
    pub fn run(&self, catalog: &Arc<Catalog>, rules: &[Arc<Rule>]) -> Detected {
        self.run_with(catalog, rules, &|_| {})
    }

    /// Runs it with something to be done at each step of a commit.
    pub fn run_with(
        &self,
        catalog: &Arc<Catalog>,
        rules: &[Arc<Rule>],
        at_step: &(dyn Fn(Step) + Sync),
    ) -> Detected {
        self.try_run(catalog, rules, at_step)
            .expect("detection runs")
    }

    /// Runs it, or says why it had to stop.
    pub fn try_run(
        &self,
        catalog: &Arc<Catalog>,
        rules: &[Arc<Rule>],
        at_step: &(dyn Fn(Step) + Sync),
    ) -> Result<Detected, EngineError> {
        let store = FileStore::open(&self.folder.join("state"), 64 << 20);
        let store: Arc<dyn Store> = Arc::new(store.expect("the state opens"));
        let mut detector = Detector::new(
            Arc::clone(catalog),
            rules,
            Arc::clone(&store),
            DetectorLimits {
                forget: self.forget,
                cache_bytes: self.cache_bytes,
                ..DetectorLimits::default()
            },
        )
        .expect("detection begins");
        let mut outlet = LineFile::open(&self.findings()).expect("the file of findings opens");
        let mut last: Vec<Timestamp> = Vec::new();
        let mut longest_step = 0;
        let mut observe = |detector: &Detector, _: &[_]| {
            let now: Vec<Timestamp> = detector.every_progress().collect();
            for (before, after) in last.iter().zip(&now) {
                if *before > Timestamp::MIN && *after < Timestamp::MAX {
                    longest_step = longest_step.max(after.0 - before.0);
                }
            }
            last = now;
        };
        let options = RunOptions {
            inputs: self.inputs.clone(),
            until: self.until,
            limits: Limits {
                max_rows: self.batch_rows,
                ..Limits::default()
            },
            silent_after: Duration::seconds(60),
            archive: self.archive.clone(),
            bootstrap: self.bootstrap.clone(),
            quiet_after: None,
            backlog: Default::default(),
        };
        let surroundings = Surroundings {
            // Far enough that no simulated time lies in its future, and not moving.
            now: &|| Timestamp(1_900_000_000_000_000),
            stop: &|| false,
            observe: &mut observe,
            at_step,
        };
        let report = run(
            &mut detector,
            &mut outlet as &mut dyn Outlet,
            &options,
            surroundings,
        )?;
        let detected = read_detected(&detector, &self.findings());
        Ok(Detected {
            longest_step,
            archive: report.archive,
            ..detected
        })
    }
}

/// Every document must be found by its key under its number, and no key may have two.
fn documents_are_there_once(store: &dyn Store) {
    let all = store
        .documents_after(None, usize::MAX)
        .expect("state is read");
    let keys: Vec<&[u8]> = all.iter().map(|(key, _)| key.as_slice()).collect();
    let found = store.documents(&keys).expect("state is read");
    for (number, (found, (key, bytes))) in found.into_iter().zip(&all).enumerate() {
        let found = found.expect("a document that is there is found");
        let is_it = found.number == number as u64 && *found.bytes == **bytes;
        assert!(is_it, "two documents of {}", String::from_utf8_lossy(key));
    }
    let next = store.next_number().expect("state is read");
    assert_eq!(next, all.len() as u64);
}

/// What is open in state, and what was told since it began.
pub(crate) fn read_detected(detector: &Detector, findings: &Path) -> Detected {
    documents_are_there_once(detector.store().as_ref());
    let told = std::fs::read_to_string(findings).expect("the findings are read");
    let lines = told
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    Detected {
        open: detector.open_findings().expect("state is read"),
        messages: lines.collect(),
        longest_step: 0,
        holes: detector.holes(),
        archive: None,
        forgotten: detector.forgotten(),
    }
}
