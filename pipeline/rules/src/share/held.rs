//! Which parts are worth it for the rules that are asked over one slice, and how long they are held.

use datafusion::error::DataFusionError;

use super::{SharedPlan, Sharing};
use crate::slot::Slot;

/// Parts while rules are asked over one slice. The slot holds their rows.
pub(crate) struct Held<'a> {
    sharing: &'a Sharing,
    slot: &'a Slot,
    /// By rule: whether it is to be answered with parts.
    with_parts: Vec<bool>,
    /// By part: how many rules that read it are yet to be asked.
    readers: Vec<usize>,
    /// Parts that failed over this slice.
    failed: Vec<bool>,
    /// Rules that were answered with parts.
    pub answered: u64,
}

impl<'a> Held<'a> {
    /// A rule is answered with parts if one of them is read twice by the wanted rules.
    pub fn new(sharing: &'a Sharing, slot: &'a Slot, wanted: &dyn Fn(usize) -> bool) -> Held<'a> {
        let parts = sharing.parts.len();
        let plan = |rule: usize| sharing.plans[rule].as_ref().filter(|_| wanted(rule));
        let mut times = vec![0; parts];
        for plan in (0..sharing.plans.len()).filter_map(plan) {
            for (part, reads) in &plan.reads {
                times[*part] += reads;
            }
        }
        let pays = |plan: &SharedPlan| plan.reads.keys().any(|part| times[*part] > 1);
        let with_parts = (0..sharing.plans.len())
            .map(|rule| plan(rule).is_some_and(pays))
            .collect();
        let mut held = Held {
            sharing,
            slot,
            with_parts,
            readers: vec![0; parts],
            failed: vec![false; parts],
            answered: 0,
        };
        for rule in 0..sharing.plans.len() {
            for part in held.reads(rule) {
                held.readers[part] += 1;
            }
        }
        held
    }

    /// The plan of a rule with parts, if it is to be answered with them and none has failed.
    pub fn plan(&self, rule: usize) -> Option<&'a SharedPlan> {
        let plan = self.sharing.plans.get(rule)?.as_ref()?;
        let well = self.with_parts[rule] && !plan.reads.keys().any(|part| self.failed[*part]);
        well.then_some(plan)
    }

    /// A rule was asked: what only it still wanted is let go.
    pub fn asked(&mut self, rule: usize) {
        let parts = self.reads(rule);
        for part in &parts {
            self.readers[*part] -= 1;
        }
        self.slot
            .drop_parts(|part| parts.contains(&part) && self.readers[part] == 0);
    }

    /// A part could not be made.
    pub fn fail(&mut self, part: usize) {
        self.failed[part] = true;
    }

    /// Lets all parts go, where memory was exhausted; whether there were any. They are not made again over
    /// this slice.
    pub fn give_way(&mut self, error: &DataFusionError) -> bool {
        let exhausted = matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
        if exhausted {
            self.failed.fill(true);
        }
        exhausted && self.slot.drop_parts(|_| true)
    }

    fn reads(&self, rule: usize) -> Vec<usize> {
        let with_parts = self.with_parts.get(rule).copied().unwrap_or_default();
        let plan = self.sharing.plans.get(rule).and_then(Option::as_ref);
        let plan = plan.filter(|_| with_parts);
        plan.iter()
            .flat_map(|plan| plan.reads.keys().copied())
            .collect()
    }
}
