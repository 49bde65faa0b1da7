//! A run of detection from its state on, taking over rules and schemas that change meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::detect::{
    Detector, DetectorLimits, Inputs, Quarantine, RunOptions, RunReport, Surroundings, run_on,
};
use centinel_model::{Position, Positions};
use centinel_outlet::{Message, Outlet};
use centinel_rules::Rule;
use centinel_state::{FileStore, Store};

use crate::detect::wall_clock;
use crate::in_force::InForce;
use crate::printer::complain;
use crate::reload::{Loaded, Reload, Watched};
use crate::self_check::SOURCE;
use crate::sweep_told::SweepTold;

/// Pages of the state's own cache.
const STORE_CACHE_BYTES: usize = 256 << 20;

/// Everything a run of detection needs.
pub struct Detection {
    pub catalog: Arc<Catalog>,
    pub rules: Vec<Arc<Rule>>,
    /// Whether findings of rules that are not among them close.
    pub rules_may_retire: bool,
    /// Whether entities that are at rest leave state.
    pub forget: bool,
    /// Whether what is only suspected is told, for a breaker that holds by it.
    pub suspicions: bool,
    /// State kept in memory.
    pub cache_bytes: usize,
    pub state: PathBuf,
    pub options: RunOptions,
    /// Where rules and schemas are looked for while the run lasts.
    pub reload: Option<Watched>,
    /// Shows the rules and schemas in force to those who stand beside.
    pub in_force: InForce,
    /// By which people settle records that could not be read, while it runs.
    pub quarantine: Quarantine,
}

/// A run that has ended.
pub struct Ended {
    pub detector: Detector,
    /// The rules in force at the end.
    pub rules: Vec<Arc<Rule>>,
    pub report: RunReport,
}

/// What is in force.
struct Force {
    loaded: Loaded,
    detector: Detector,
    inputs: Inputs,
}

impl Detection {
    /// Runs it to its end.
    pub fn run(
        &self,
        outlet: &mut dyn Outlet,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(&Detector, &[Message]),
    ) -> Result<Ended, EngineError> {
        let store: Arc<dyn Store> = Arc::new(FileStore::open(&self.state, STORE_CACHE_BYTES)?);
        self.in_force.set(&self.catalog, &self.rules);
        let loaded = (Arc::clone(&self.catalog), self.rules.clone());
        // The log of synthetic orders is another one at each start.
        let mut force = self.begin(loaded, &store, Some(SOURCE))?;
        force.inputs.begin()?;
        let reload = self
            .reload
            .clone()
            .map(|watched| Reload::watch(watched, &self.catalog));
        let stopped = || stop.load(Ordering::Relaxed);
        // What is read of a snapshot would be read anew from its beginning.
        let positions = force.detector.positions();
        let begins = self.options.bootstrap.is_some() && positions.0.is_empty();
        let snapshot = AtomicBool::new(begins || in_snapshot(positions));
        let ready = || {
            let reopens = !snapshot.load(Ordering::Relaxed);
            reload
                .as_ref()
                .is_some_and(|reload| reload.is_ready(reopens))
        };
        let mut sweep = SweepTold::default();
        let mut observe = |detector: &Detector, messages: &[Message]| {
            snapshot.store(in_snapshot(detector.positions()), Ordering::Relaxed);
            sweep.tell(detector);
            observe(detector, messages);
        };
        let mut total = RunReport::default();
        loop {
            let surroundings = Surroundings {
                now: &wall_clock,
                stop: &stopped,
                observe: &mut observe,
                at_step: &|_| {},
            };
            let Force {
                detector, inputs, ..
            } = &mut force;
            let report = run_on(
                detector,
                inputs,
                outlet,
                &self.options,
                surroundings,
                &ready,
            )?;
            total.batches += report.batches;
            total.elapsed += report.elapsed;
            total.archive = report.archive;
            total.unheard = report.unheard;
            let next = reload.as_ref().and_then(Reload::take);
            let over = stopped() || force.detector.at_the_end() || !total.unheard.is_empty();
            let Some(next) = next.filter(|_| !over) else {
                return Ok(Ended {
                    detector: force.detector,
                    rules: force.loaded.1,
                    report: total,
                });
            };
            if self.take_over(&mut force, next, &store)
                && let Some(reload) = &reload
            {
                self.in_force.set(&force.loaded.0, &force.loaded.1);
                reload.took_over(&force.loaded.0);
            }
        }
    }

    /// `anew` is the input that is read from its beginning, wherever state stands in one of its name.
    fn begin(
        &self,
        loaded: Loaded,
        store: &Arc<dyn Store>,
        anew: Option<&str>,
    ) -> Result<Force, EngineError> {
        let detector = self.detector(&loaded, store)?;
        let mut positions = detector.positions().clone();
        anew.and_then(|input| positions.0.remove(input));
        let inputs = Inputs::open(&loaded.0, &positions, &self.options)?;
        Ok(Force {
            loaded,
            detector,
            inputs,
        })
    }

    /// Puts other rules and schemas into force, or says why not. Inputs stay open unless the schemas are others. Returns
    /// whether they are in force.
    fn take_over(&self, force: &mut Force, next: Loaded, store: &Arc<dyn Store>) -> bool {
        let what = difference(&force.loaded, &next);
        if what.is_empty() {
            complain("the files say again what is in force");
            return true;
        }
        let same_schemas = Arc::ptr_eq(&force.loaded.0, &next.0);
        let taken = match same_schemas {
            true => self.detector(&next, store).map(|detector| {
                let counters = force.detector.counters;
                force.detector = detector;
                force.detector.counters = counters;
                force.loaded = next;
            }),
            false => self.begin(next, store, None).map(|begun| {
                let counters = force.detector.counters;
                let Force { inputs, .. } = std::mem::replace(force, begun);
                force.inputs.follow_on(inputs);
                force.detector.counters = counters;
            }),
        };
        match &taken {
            Ok(()) => complain(format_args!("taken over: {what}")),
            Err(error) => {
                complain(format_args!("error: {error}"));
                complain("the rules and schemas in force stay in force until this is mended");
            }
        }
        taken.is_ok()
    }

    fn detector(&self, loaded: &Loaded, store: &Arc<dyn Store>) -> Result<Detector, EngineError> {
        let limits = DetectorLimits {
            rules_may_retire: self.rules_may_retire,
            forget: self.forget,
            suspicions: self.suspicions,
            cache_bytes: self.cache_bytes,
            ..DetectorLimits::default()
        };
        let (catalog, rules) = loaded;
        let mut detector = Detector::new(Arc::clone(catalog), rules, Arc::clone(store), limits)?;
        detector.answer(&self.quarantine);
        Ok(detector)
    }
}

/// Whether an input takes a snapshot of its tables, which a start would take from its beginning, or rows are taken in
/// with which the state begins, whose files may fit these schemas only.
fn in_snapshot(positions: &Positions) -> bool {
    let unsettled = |position: &Position| {
        matches!(
            position,
            Position::Binlog {
                committed_at: 0,
                ..
            } | Position::Snapshot { whole: false, .. }
        )
    };
    positions.0.values().any(unsettled)
}

/// What is other than before, for people.
fn difference(before: &Loaded, after: &Loaded) -> String {
    let known = |rules: &[Arc<Rule>], id: &str| -> Option<String> {
        let rule = rules.iter().find(|rule| rule.id == id);
        rule.map(|rule| rule.version.clone())
    };
    let mut parts = Vec::new();
    if !Arc::ptr_eq(&before.0, &after.0) {
        parts.push("schemas".to_owned());
    }
    for rule in &after.1 {
        match known(&before.1, &rule.id) {
            None => parts.push(format!("`{}` is new", rule.id)),
            Some(version) if version != rule.version => {
                parts.push(format!("`{}` changed", rule.id))
            }
            Some(_) => {}
        }
    }
    let gone = before
        .1
        .iter()
        .filter(|rule| known(&after.1, &rule.id).is_none());
    parts.extend(gone.map(|rule| format!("`{}` is gone", rule.id)));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_wait_until_a_snapshot_is_whole() {
        let binlog = |committed_at| Position::Binlog {
            gtids: "0-1-1".into(),
            transactions: 1,
            row: 7,
            committed_at,
        };
        let files = |whole| Position::Snapshot {
            location: "files".into(),
            files: "print".into(),
            rows: 5,
            whole,
        };
        for (position, waits) in [
            (binlog(0), true),
            (binlog(5), false),
            (files(false), true),
            (files(true), false),
        ] {
            let positions = Positions([("input".to_owned(), position)].into());
            assert_eq!(in_snapshot(&positions), waits, "{positions:?}");
        }
    }
}
