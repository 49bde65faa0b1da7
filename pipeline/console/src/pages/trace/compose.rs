//! Everything that is known of one entity, asked of all who know something, as one line of time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use centinel_interface::Problem as Asked;
use centinel_trace::{FindingEntry, Parts, Trace, compose};

use crate::Console;
use crate::language::{Text, text};
use crate::problem::Problem;
use crate::visit::Person;

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
    let name = (entity.to_owned(), key.to_owned());
    let (wanted, of) = name.clone();
    let entries = console
        .findings
        .read(move |store| store.traced(&wanted, &of))
        .await?;
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
    let trace = compose(entity, key, parts);
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
