//! Which number the document of a key has. Two trees hold it, so that a commit touches few pages of either.
//!
//! Keys may come in any order. Put straight into one large tree, each new key would cost a page of its own to write. So
//! it goes into a small tree of *fresh* numbers first, and each commit moves a stretch of neighbouring keys from there
//! into the large tree of *settled* ones, where many of a stretch share a page. A key stands in one of the two.

use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction,
};

use crate::StateError;

const SETTLED: TableDefinition<&[u8], u64> = TableDefinition::new("document_numbers");
const FRESH: TableDefinition<&[u8], u64> = TableDefinition::new("fresh_document_numbers");

/// Makes the tables where they are not.
pub(crate) fn create_tables(transaction: &WriteTransaction) -> Result<(), StateError> {
    transaction.open_table(SETTLED).map_err(StateError::store)?;
    transaction.open_table(FRESH).map_err(StateError::store)?;
    Ok(())
}

/// The numbers as of one moment.
pub(crate) struct Numbers {
    settled: redb::ReadOnlyTable<&'static [u8], u64>,
    fresh: redb::ReadOnlyTable<&'static [u8], u64>,
}

impl Numbers {
    pub(crate) fn open(transaction: &ReadTransaction) -> Result<Numbers, StateError> {
        Ok(Numbers {
            settled: transaction.open_table(SETTLED).map_err(StateError::store)?,
            fresh: transaction.open_table(FRESH).map_err(StateError::store)?,
        })
    }

    pub(crate) fn of(&self, key: &[u8]) -> Result<Option<u64>, StateError> {
        let known = self.settled.get(key).map_err(StateError::store)?;
        if let Some(number) = known {
            return Ok(Some(number.value()));
        }
        let number = self.fresh.get(key).map_err(StateError::store)?;
        Ok(number.map(|number| number.value()))
    }
}

/// Where the next move begins. It is not kept over a start of the program: it decides how quick commits are, nothing else.
#[derive(Debug, Default)]
pub(crate) struct NextMove(Mutex<Vec<u8>>);

impl NextMove {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The numbers within a transaction.
pub(crate) struct NumberWriter<'t> {
    settled: Table<'t, &'static [u8], u64>,
    fresh: Table<'t, &'static [u8], u64>,
    added: u64,
}

impl<'t> NumberWriter<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<NumberWriter<'t>, StateError> {
        Ok(NumberWriter {
            settled: transaction.open_table(SETTLED).map_err(StateError::store)?,
            fresh: transaction.open_table(FRESH).map_err(StateError::store)?,
            added: 0,
        })
    }

    /// Gives a number to a key that has none.
    pub(crate) fn add(&mut self, key: &[u8], number: u64) -> Result<(), StateError> {
        let before = self.fresh.insert(key, number).map_err(StateError::store)?;
        if before.is_some() {
            return Err(StateError::corrupt("a document has two numbers"));
        }
        self.added += 1;
        Ok(())
    }

    /// Moves a stretch of fresh numbers to the settled ones, as many as keep the pages that a commit writes fewest.
    pub(crate) fn settle(&mut self, next_move: &NextMove) -> Result<(), StateError> {
        // With F fresh keys of which each commit adds and moves a, a move passes over a / 2F of all keys (those just
        // ahead of it have waited longest, so they lie twice as dense). A commit then writes about F fresh entries and
        // the a S / 2F settled ones among which the stretch lies: least where F is the root of a S / 2.
        let settled = self.settled.len().map_err(StateError::store)?;
        let wanted = (settled.saturating_mul(self.added) / 2).isqrt();
        let fresh = self.fresh.len().map_err(StateError::store)?;
        // A burst leaves more than a quiet stream wants; it goes a little at a time.
        let most = self.added.saturating_mul(2).saturating_add(64);
        let count = fresh.saturating_sub(wanted).min(most);
        if count == 0 {
            return Ok(());
        }
        let mut from = next_move.lock();
        let stretch = self
            .fresh
            .range::<&[u8]>(from.as_slice()..)
            .map_err(StateError::store)?
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .map(|entry| {
                let (key, number) = entry.map_err(StateError::store)?;
                Ok((key.value().to_vec(), number.value()))
            })
            .collect::<Result<Vec<(Vec<u8>, u64)>, StateError>>()?;
        let Some((last, _)) = stretch.last() else {
            from.clear();
            return Ok(());
        };
        for (key, number) in &stretch {
            self.settled
                .insert(key.as_slice(), number)
                .map_err(StateError::store)?;
        }
        self.fresh
            .retain_in::<&[u8], _>(from.as_slice()..=last.as_slice(), |_, _| false)
            .map_err(StateError::store)?;
        // The next key behind the last one.
        from.clone_from(last);
        from.push(0);
        Ok(())
    }
}

#[cfg(test)]
#[path = "numbers_tests.rs"]
mod tests;
