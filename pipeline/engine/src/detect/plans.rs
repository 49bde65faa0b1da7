//! Announced plans: when the time of one is over and everything has been judged that could speak against it, that is
//! told, so that silence is not taken for success.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use centinel_model::{Duration, MicroBatch, TableChanges, Timestamp};
use centinel_state::Commit;
use serde::{Deserialize, Serialize};

use super::detector::Detector;
use super::messages::{PlanMessage, line_of};
use crate::EngineError;

/// The fact that holds the plans that wait for their end, in JSON.
pub(super) const PLANS_FACT: &str = "plans";
/// Plans that wait at a time; of more nothing is told.
const MOST_WAITING: usize = 10_000;

/// Until when each plan is to be carried out, by its id, in microseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plans(BTreeMap<String, i64>);

impl Plans {
    /// Takes in what was announced of one table.
    fn take_in(&mut self, announced: &TableChanges) {
        let rows = &announced.after.rows;
        let (Some(plans), Some(ends)) = (
            rows.column_by_name("plan_id")
                .and_then(|plans| plans.as_string_opt::<i32>()),
            rows.column_by_name("due_at")
                .and_then(|ends| ends.as_primitive_opt::<TimestampMicrosecondType>()),
        ) else {
            return;
        };
        for row in announced.after.row.iter().flatten() {
            let (plan, end) = (plans.value(*row as usize), ends.value(*row as usize));
            let has_room = self.0.len() < MOST_WAITING;
            match self.0.get_mut(plan) {
                // Approved once more, it has more time.
                Some(known) => *known = end.max(*known),
                None if has_room => {
                    self.0.insert(plan.to_owned(), end);
                }
                None => {}
            }
        }
    }

    /// Those whose time was over so long ago that nothing about them can still come.
    fn ended(&mut self, clock: Timestamp, patience: Duration) -> Vec<(String, Timestamp)> {
        let ended = self
            .0
            .extract_if(.., |_, end| clock >= Timestamp(*end).plus(patience));
        ended.map(|(plan, end)| (plan, Timestamp(end))).collect()
    }
}

impl Detector {
    pub(super) fn take_in_plans(&mut self, batch: &MicroBatch) {
        for changes in &batch.tables {
            if self.catalog.table(changes.table).plans_for.is_some() {
                self.plans.take_in(changes);
            }
        }
    }

    /// Tells which plans have ended. To be called when everything was judged that is due by now: the findings about them
    /// are told before.
    pub(super) fn tell_ended_plans(&mut self, commit: &mut Commit) -> Result<(), EngineError> {
        let rules = || self.groups.iter().flat_map(|group| &group.rules);
        let patience = rules().map(|judged| judged.patience.total()).max();
        let clock = self.clock(self.needed_sources());
        for (plan, until) in self.plans.ended(clock, patience.unwrap_or(Duration::ZERO)) {
            self.send(line_of(&PlanMessage::new(plan, until))?, commit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_ends_once_and_with_its_last_approval() {
        let mut plans = Plans([("a".to_owned(), 10), ("b".to_owned(), 20)].into());
        assert_eq!(plans.ended(Timestamp(14), Duration(5)), []);
        let ended = plans.ended(Timestamp(15), Duration(5));
        assert_eq!(ended, [("a".to_owned(), Timestamp(10))]);
        assert_eq!(plans.ended(Timestamp(24), Duration(5)), []);
        let ended = plans.ended(Timestamp::MAX, Duration(5));
        assert_eq!(ended, [("b".to_owned(), Timestamp(20))]);
    }
}
