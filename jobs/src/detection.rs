//! A run of detection from its state on, taking over rules and schemas that change meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use centinel_catalog::Catalog;
use centinel_engine::EngineError;
use centinel_engine::detect::{Detector, DetectorLimits, RunOptions, RunReport, Surroundings};
use centinel_outlet::{Message, Outlet};
use centinel_rules::Rule;
use centinel_state::{FileStore, Store};

use crate::detect::wall_clock;
use crate::folders::Folders;
use crate::printer::complain;
use crate::reload;

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
    pub state: PathBuf,
    pub options: RunOptions,
    /// Where rules and schemas are looked for while the run lasts.
    pub reload: Option<Reload>,
}

/// Where changed rules and schemas come from.
#[derive(Clone, Debug)]
pub struct Reload {
    pub folders: Folders,
    /// Rules to run; all when it is empty.
    pub only: Vec<String>,
}

/// A run that has ended.
pub struct Ended {
    pub detector: Detector,
    /// The rules in force at the end.
    pub rules: Vec<Arc<Rule>>,
    pub report: RunReport,
}

impl Detection {
    /// Runs it to its end.
    pub fn run(
        &self,
        outlet: &mut dyn Outlet,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(&Detector, &[Message]),
    ) -> Result<Ended, EngineError> {
        let (mut catalog, mut rules) = (Arc::clone(&self.catalog), self.rules.clone());
        let mut store = self.open(&catalog)?;
        let mut detector = self.detector(&catalog, &rules, &store)?;
        let reload = self.reload.as_ref().map(|reload| {
            reload::Reload::watch(reload.folders.clone(), reload.only.clone(), &rules)
        });
        let ready = || reload.as_ref().is_some_and(reload::Reload::is_ready);
        let mut total = RunReport::default();
        loop {
            let surroundings = Surroundings {
                now: &wall_clock,
                stop: &|| stop.load(Ordering::Relaxed) || ready(),
                observe: &mut *observe,
                at_step: &|_| {},
            };
            let run = centinel_engine::detect::run;
            let report = run(&mut detector, &store, outlet, &self.options, surroundings)?;
            total.batches += report.batches;
            total.elapsed += report.elapsed;
            total.archive = report.archive;
            let changed = reload.as_ref().and_then(reload::Reload::take);
            let Some((new_catalog, new_rules)) = changed.filter(|_| !stop.load(Ordering::Relaxed))
            else {
                return Ok(Ended {
                    detector,
                    rules,
                    report: total,
                });
            };
            // The state is let go before it is opened anew, which checks that the schemas still fit it.
            drop(detector);
            drop(store);
            let taken_over = self.open(&new_catalog).and_then(|store| {
                let detector = self.detector(&new_catalog, &new_rules, &store)?;
                Ok((store, detector))
            });
            match taken_over {
                Ok(taken_over) => {
                    (store, detector) = taken_over;
                    (catalog, rules) = (new_catalog, new_rules);
                    complain("rules and schemas taken over; what is in state is looked at again");
                }
                Err(error) => {
                    complain(format_args!(
                        "error: {error}; the rules and schemas in force stay in force"
                    ));
                    store = self.open(&catalog)?;
                    detector = self.detector(&catalog, &rules, &store)?;
                }
            }
        }
    }

    fn open(&self, catalog: &Catalog) -> Result<Arc<dyn Store>, EngineError> {
        let store = FileStore::open(&self.state, &catalog.fingerprint(), STORE_CACHE_BYTES)?;
        Ok(Arc::new(store))
    }

    fn detector(
        &self,
        catalog: &Arc<Catalog>,
        rules: &[Arc<Rule>],
        store: &Arc<dyn Store>,
    ) -> Result<Detector, EngineError> {
        let limits = DetectorLimits {
            rules_may_retire: self.rules_may_retire,
            forget: self.forget,
            ..DetectorLimits::default()
        };
        Detector::new(Arc::clone(catalog), rules, Arc::clone(store), limits)
    }
}
