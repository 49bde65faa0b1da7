//! Holes are settled: what they brought in doubt is judged anew, and what became of them stays with them.

use centinel_state::Commit;

use super::detector::{Detector, read_fact};
use super::messages::{SETTLED_SCHEMA, SettledMessage, Settlement, kept_hole, line_of, read_hole};
use super::stretches::Stretches;
use crate::EngineError;

/// The numbers of all holes that are settled. Persisted as one fact, in JSON.
const SETTLED_FACT: &str = "settled";
/// In so many stretches they may lie: then no more are settled but such as close a gap.
const MOST_PARTS: usize = 100_000;

/// Which holes are settled.
#[derive(Debug, Default)]
pub(super) struct Settled {
    numbers: Stretches,
    /// To be settled with the next micro-batch.
    next: Vec<(u64, Settlement)>,
    /// To be judged with it, because a doubt has ended.
    documents: Vec<Vec<u8>>,
}

impl Settled {
    pub fn read(store: &dyn centinel_state::Store) -> Result<Settled, EngineError> {
        let numbers: Option<Stretches> = read_fact(store, SETTLED_FACT)?;
        Ok(Settled {
            numbers: numbers.unwrap_or_default(),
            ..Settled::default()
        })
    }

    /// Documents to be judged, each once.
    pub fn take_documents(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.documents)
    }
}

impl Detector {
    /// How many records that could not be read are not settled.
    pub fn waiting_holes(&self) -> u64 {
        self.doubts.count.saturating_sub(self.settled.numbers.len())
    }

    /// How many of these are of tables and events of this source.
    pub fn waiting_holes_of(&self, source: &str) -> u64 {
        let own = |table: &str| {
            let table = self
                .catalog
                .table_id(table)
                .map(|id| self.catalog.table(id));
            table.is_some_and(|table| self.catalog.source(table.source) == source)
        };
        let waiting = self.doubts.waiting.iter();
        waiting
            .filter(|(table, _)| own(table))
            .map(|(_, count)| count)
            .sum()
    }

    /// Whether this hole is settled, or will be with the next micro-batch.
    pub(super) fn is_settled(&self, number: u64) -> bool {
        let mut next = self.settled.next.iter();
        self.settled.numbers.contains(number) || next.any(|(known, _)| *known == number)
    }

    /// Whether there is room for one more.
    pub(super) fn can_settle(&self, number: u64) -> bool {
        let numbers = &self.settled.numbers;
        let beside = numbers.contains(number - 1) || numbers.contains(number + 1);
        beside || numbers.parts() + self.settled.next.len() < MOST_PARTS
    }

    /// Settles a hole with the next micro-batch.
    pub(super) fn settle(&mut self, number: u64, settlement: Settlement) {
        self.settled.next.push((number, settlement));
    }

    /// Settles what is to be settled: kept with the holes, told, and what is not in doubt any more is judged with this
    /// micro-batch or looked at again after it.
    pub(super) fn take_in_settled(&mut self, commit: &mut Commit) -> Result<(), EngineError> {
        let mut next = std::mem::take(&mut self.settled.next);
        if next.is_empty() {
            return Ok(());
        }
        next.sort_unstable_by_key(|(number, _)| *number);
        for (number, settlement) in next {
            let kept = self.store.holes(number, 1)?;
            let kept = kept.first().filter(|(known, _)| *known == number);
            let Some((_, kept)) = kept else {
                return Err(EngineError::Damaged(format!("hole {number} is not there")));
            };
            let (mut message, record) = read_hole(kept)?;
            let waiting = &mut self.doubts.waiting;
            if let Some(count) = message
                .table
                .as_ref()
                .and_then(|table| waiting.get_mut(table))
            {
                *count = count.saturating_sub(1);
            }
            waiting.retain(|_, count| *count > 0);
            message.settled = Some(settlement.clone());
            commit.holes.push((number, kept_hole(&message, record)?));
            let told = SettledMessage {
                schema: SETTLED_SCHEMA.into(),
                number,
                settlement,
            };
            self.send(line_of(&told)?, commit);
            self.settled.numbers.insert(number);
        }
        let numbers = serde_json::to_vec(&self.settled.numbers);
        let numbers = numbers.map_err(|error| EngineError::Damaged(error.to_string()))?;
        commit.facts.push((SETTLED_FACT.into(), numbers));
        let ended = self.doubts.end(&self.settled.numbers);
        self.settled.documents.extend(ended.documents);
        if ended.others {
            self.register.look_again();
        }
        Ok(())
    }
}
