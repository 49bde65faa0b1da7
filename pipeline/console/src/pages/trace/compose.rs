//! Everything that is known of one entity, asked of all who know something, as one line of time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use centinel_findings::{Entry, Filter, FindingsError, MOST_ENTRIES, Order, Store, What};
use centinel_interface::Problem as Asked;
use centinel_trace::{FindingEntry, Parts, PersonStep, Trace, compose};

use crate::Console;
use crate::language::{Text, text};
use crate::problem::Problem;
use crate::visit::Person;

/// Findings of one entity whose histories are told.
const MOST_FINDINGS: usize = 100;
/// Steps that are kept for sliders, of all traces together.
const MOST_KEPT: usize = 60_000;

/// A trace, and who of those that know something could not be asked.
pub struct Told {
    /// The entity's name and its key.
    pub name: (String, String),
    /// The line of time.
    pub trace: Trace,
    /// What is missing, and why.
    pub missing: Vec<(Text, String)>,
}

/// The traces that pages show: a slider moves over the line of time that its page has, not over a newer one.
#[derive(Default)]
pub struct Kept(Mutex<VecDeque<Arc<Told>>>);

impl Kept {
    fn put(&self, told: Arc<Told>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|known| known.name != told.name);
        kept.push_back(told);
        let mut steps: usize = kept.iter().map(|known| known.trace.steps.len()).sum();
        while steps > MOST_KEPT && kept.len() > 1 {
            steps -= kept.pop_front().map_or(0, |known| known.trace.steps.len());
        }
    }

    fn get(&self, entity: &str, key: &str, steps: usize) -> Option<Arc<Told>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |told: &&Arc<Told>| {
            told.name.0 == entity && told.name.1 == key && told.trace.steps.len() == steps
        };
        kept.iter().find(is_it).cloned()
    }
}

/// The trace as it is now; or, for a slider, the one of so many steps that its page shows, while it is kept.
pub async fn told(
    console: &Console,
    person: &Person,
    (entity, key): (&str, &str),
    of: Option<usize>,
) -> Result<Arc<Told>, Problem> {
    if let Some(kept) = of.and_then(|steps| console.traces.get(entity, key, steps)) {
        return Ok(kept);
    }
    let mut missing = Vec::new();
    let mut parts = Parts::default();
    match console.detection.history(entity, key).await {
        Ok(history) => parts.histories.push(history),
        Err(Asked::NotFound(_)) => {}
        Err(problem) => {
            let what = text(
                "No rows: detection was not reached",
                "没有行数据：检测服务不可用",
            );
            missing.push((what, problem.to_string()));
        }
    }
    let (entries, cut) = findings(console, entity, key).await?;
    if cut {
        let what = text("Not all findings are here", "异常未全部列出");
        missing.push((what, format!("{MOST_FINDINGS} / {MOST_ENTRIES}")));
    }
    let ids: BTreeSet<String> = entries.iter().map(id_of).collect();
    parts.findings = entries;
    match console
        .breaker
        .about(person.token(), entity, key, &ids)
        .await
    {
        Ok(about) => {
            parts.breaker = about.entries;
            if about.cut {
                let what = text(
                    "Older trips and holds may be missing",
                    "可能缺少较早的熔断与拦截",
                );
                missing.push((what, String::new()));
            }
        }
        Err(crate::breaker::BreakerProblem::SignedOut) => return Err(Problem::SignedOut),
        Err(problem) => {
            let what = text(
                "Nothing of the breaker: it was not reached",
                "没有熔断数据：熔断服务不可用",
            );
            missing.push((what, problem.to_string()));
        }
    }
    let (name, trace) = {
        let name = (entity.to_owned(), key.to_owned());
        let trace = compose(entity, key, parts);
        (name, trace)
    };
    let told = Arc::new(Told {
        name,
        trace,
        missing,
    });
    console.traces.put(told.clone());
    Ok(told)
}

fn id_of(entry: &FindingEntry) -> String {
    match entry {
        FindingEntry::Told { finding, .. } => finding.finding_id.0.clone(),
        FindingEntry::Person { step, .. } => step.finding_id.clone(),
    }
}

/// What was told of the entity's findings and done with them; and whether there is more.
async fn findings(
    console: &Console,
    entity: &str,
    key: &str,
) -> Result<(Vec<FindingEntry>, bool), FindingsError> {
    let (entity, key) = (entity.to_owned(), key.to_owned());
    let look = move |store: &Store| {
        let filter = Filter {
            entity_key: Some(key),
            ..Filter::default()
        };
        let page = store.page(&filter, Order::Time, None, MOST_FINDINGS)?;
        let mut cut = page.next.is_some();
        let mut entries = Vec::new();
        for row in page.rows.iter().filter(|row| row.finding.entity == entity) {
            let id = &row.finding.finding_id.0;
            let history = store.history(id, 0, MOST_ENTRIES)?;
            cut |= history.len() == MOST_ENTRIES;
            let named = |entry| entry_of(entry, id, &row.finding.rule);
            entries.extend(history.into_iter().map(named));
        }
        Ok((entries, cut))
    };
    console.findings.read(look).await
}

fn entry_of(entry: Entry, finding_id: &str, rule: &str) -> FindingEntry {
    let (act, text) = match entry.what {
        What::Told { finding } => {
            return FindingEntry::Told {
                at: entry.at,
                finding,
            };
        }
        What::Acknowledged { reason } => ("acknowledged", reason),
        What::Resolved { reason } => ("resolved", Some(reason)),
        What::FalseAlarm { reason } => ("false_alarm", Some(reason)),
        What::Reopened { reason } => ("reopened", Some(reason)),
        What::Worse { reason } => ("worse", Some(reason)),
        What::Assigned { owner } => ("assigned", owner),
        What::Note { text } => ("note", Some(text)),
    };
    FindingEntry::Person {
        at: entry.at,
        by: entry.by,
        step: PersonStep {
            finding_id: finding_id.to_owned(),
            rule: rule.to_owned(),
            act: act.to_owned(),
            text,
        },
    }
}
