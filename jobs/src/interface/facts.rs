//! What detection left for those who ask, after its last commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::detect::{Detector, HistoryReader, InputOptions, SourceFacts};
use centinel_interface::{Problem, RuleStatus, SourceStatus};
use centinel_model::{Position, Timestamp};
use centinel_rules::{Rule, Spent};
use centinel_trace::History;

/// Shared with the thread of detection.
pub struct Facts {
    /// By input that is no source itself: the sources whose lines it holds; all where none is named.
    files: BTreeMap<String, Vec<String>>,
    shown: Mutex<Option<Shown>>,
}

/// What was left last.
struct Shown {
    catalog: Arc<Catalog>,
    reader: Arc<HistoryReader>,
    sources: Vec<SourceStatus>,
    rules: Vec<Arc<Rule>>,
    said: Vec<RuleStatus>,
    /// Counted by earlier detectors of this process, whose rules or schemas were others.
    before: Before,
}

#[derive(Clone, Debug, Default)]
struct Before {
    changes: BTreeMap<String, u64>,
    rules: BTreeMap<String, (u64, u64)>,
}

const NOT_YET: &str = "detection has not committed anything since its start: ask again in a second";

impl Facts {
    pub fn new(inputs: &[InputOptions]) -> Facts {
        let files = inputs.iter().filter_map(|input| match input {
            InputOptions::File(file) => Some((file.name.clone(), file.sources.clone())),
            _ => None,
        });
        Facts {
            files: files.collect(),
            shown: Mutex::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Shown>> {
        // What a thread that died left behind is still what was last left.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what there is to say now.
    pub fn observe(&self, detector: &Detector) {
        let rules: Vec<(&Arc<Rule>, Spent)> = detector.rules().collect();
        let (reader, counted) = match self.lock().as_ref() {
            Some(before) if before.is_of(detector, &rules) => {
                (Arc::clone(&before.reader), before.before.clone())
            }
            Some(before) => (Arc::new(detector.history_reader()), before.counted()),
            None => (Arc::new(detector.history_reader()), Before::default()),
        };
        let shown = Shown {
            catalog: Arc::clone(detector.catalog()),
            reader,
            sources: self.sources_of(detector, &counted),
            said: said(detector, &rules, &counted),
            rules: rules
                .into_iter()
                .map(|(rule, _)| Arc::clone(rule))
                .collect(),
            before: counted,
        };
        *self.lock() = Some(shown);
    }

    fn sources_of(&self, detector: &Detector, counted: &Before) -> Vec<SourceStatus> {
        let catalog = detector.catalog();
        let mut sources: Vec<SourceStatus> = catalog
            .sources
            .iter()
            .zip(detector.source_facts())
            .zip(detector.every_progress())
            .map(
                |((name, SourceFacts { changes, behind }), progress)| SourceStatus {
                    name: name.clone(),
                    progress: (progress > Timestamp::MIN).then(|| progress.to_string()),
                    behind: *behind,
                    tables: tables_of(catalog, name),
                    positions: self.positions_of(detector, name),
                    changes: counted.changes.get(name).copied().unwrap_or(0) + changes,
                    quarantined: detector.waiting_holes_of(name),
                },
            )
            .collect();
        sources.sort_by(|left, right| left.name.cmp(&right.name));
        sources
    }

    fn positions_of(&self, detector: &Detector, source: &str) -> Vec<String> {
        let positions = detector.positions().0.iter();
        let own = positions.filter(|(input, _)| match self.files.get(*input) {
            Some(sources) => sources.is_empty() || sources.iter().any(|name| name == source),
            None => {
                let rest = input.strip_prefix(source);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        });
        own.map(|(input, position)| format!("{input}: {}", place(position)))
            .collect()
    }

    /// All sources, by name; none before the first commit.
    pub fn sources(&self) -> Vec<SourceStatus> {
        let shown = self.lock();
        shown
            .as_ref()
            .map_or(Vec::new(), |shown| shown.sources.clone())
    }

    /// All rules, by id; none before the first commit.
    pub fn rules(&self) -> Vec<RuleStatus> {
        let shown = self.lock();
        shown
            .as_ref()
            .map_or(Vec::new(), |shown| shown.said.clone())
    }

    /// What state has of one entity.
    pub fn history(&self, entity: &str, key: &str) -> Result<Option<History>, Problem> {
        let reader = self.lock().as_ref().map(|shown| Arc::clone(&shown.reader));
        let reader = reader.ok_or_else(|| Problem::Unavailable(NOT_YET.into()))?;
        reader.read(entity, key).map_err(|error| match error {
            EngineError::Unsupported(what) => Problem::NotFound(what),
            other => Problem::Unavailable(other.to_string()),
        })
    }
}

impl Shown {
    /// Whether this was left by the detector that has these rules.
    fn is_of(&self, detector: &Detector, rules: &[(&Arc<Rule>, Spent)]) -> bool {
        let mut pairs = self.rules.iter().zip(rules);
        self.rules.len() == rules.len()
            && pairs.all(|(old, (new, _))| Arc::ptr_eq(old, new))
            && Arc::ptr_eq(&self.catalog, detector.catalog())
    }

    /// What was counted up to now, for a detector that counts anew.
    fn counted(&self) -> Before {
        let mut counted = self.before.clone();
        for source in &self.sources {
            let name = source.name.clone();
            counted.changes.insert(name, source.changes);
        }
        for rule in &self.said {
            let spent = (rule.evaluations, rule.microseconds);
            counted.rules.insert(rule.id.clone(), spent);
        }
        counted
    }
}

fn tables_of(catalog: &Catalog, source: &str) -> Vec<String> {
    let tables = catalog.tables.iter();
    let own = tables.filter(|table| catalog.source(table.source) == source);
    own.map(|table| table.name.clone()).collect()
}

fn said(detector: &Detector, rules: &[(&Arc<Rule>, Spent)], counted: &Before) -> Vec<RuleStatus> {
    let (catalog, open) = (detector.catalog(), detector.open());
    let suspended = match detector.drifts() {
        0 => BTreeMap::new(),
        _ => detector.suspended(),
    };
    let mut said: Vec<RuleStatus> = rules
        .iter()
        .map(|(rule, spent)| {
            let open = open.get(&rule.id).copied().unwrap_or_default();
            let (evaluations, microseconds) =
                counted.rules.get(&rule.id).copied().unwrap_or_default();
            let micros = u64::try_from(spent.time.as_micros()).unwrap_or(u64::MAX);
            RuleStatus {
                id: rule.id.clone(),
                title: rule.title.clone(),
                version: rule.version.clone(),
                severity: rule.severity.to_string(),
                status: rule.status.as_str().into(),
                owner: rule.owner.clone(),
                tags: rule.tags.clone(),
                runbook: rule.runbook.clone(),
                path: rule.path.clone(),
                tables: (rule.reads.iter())
                    .map(|used| catalog.table(used.table).name.clone())
                    .collect(),
                evaluations: evaluations + spent.evaluations,
                microseconds: microseconds.saturating_add(micros),
                open: [open.suspected, open.confirmed, open.undetermined]
                    .map(|count| u64::try_from(count).unwrap_or(0)),
                suspended: suspended.get(&rule.id).cloned(),
            }
        })
        .collect();
    said.sort_by(|left, right| left.id.cmp(&right.id));
    said
}

/// Where reading stands, as a person would write it.
fn place(position: &Position) -> String {
    match position {
        Position::File { offset, .. } => format!("byte {offset}"),
        Position::Partition { next, .. } => format!("offset {next}"),
        Position::Binlog { gtids, .. } => format!("GTIDs {gtids}"),
        Position::Snapshot { location, rows, .. } => format!("row {rows} of {location}"),
    }
}
