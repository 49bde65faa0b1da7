//! Records that could not be read: kept, told, and what they may concern put in doubt.

use centinel_catalog::EntityPath;
use centinel_model::{
    EntityKey, Hole, HoleReason, MicroBatch, Position, SourceId, TableId, Timestamp,
};
use centinel_state::Commit;

use super::detector::Detector;
use super::doubts::Whose;
use super::keys::{DocumentKind, document_key};
use super::messages::{HoleMessage, kept_hole, line_of};
use crate::EngineError;

impl Detector {
    /// Keeps and tells what could not be read. `before` is how far each source had been read before.
    pub(super) fn take_in_holes(
        &mut self,
        batch: &MicroBatch,
        before: &[Timestamp],
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let newest = batch
            .tables
            .iter()
            .flat_map(|changes| changes.committed_at.iter().max().copied())
            .chain(self.progress.iter().copied())
            .max()
            .unwrap_or(Timestamp(0))
            .max(Timestamp(0));
        for hole in &batch.holes {
            if !self.doubts.is_new(hole) {
                continue;
            }
            let number = self.keep_and_tell(hole, newest, commit)?;
            let numbered = (number, hole);
            // Without a word of its own input: as far as the source had been read before this micro-batch.
            let read_before = |source: SourceId| before[usize::from(source.0)];
            let from = hole
                .since
                .or(hole.source.map(read_before))
                .or(before.iter().min().copied())
                .unwrap_or(newest);
            let from = from.max(Timestamp(0));
            match hole.table {
                // No rule reads a table that no schema describes.
                None if hole.reason == HoleReason::UnknownTable => {}
                Some(table) if !self.is_linked(table) => {
                    self.doubts.span(numbered, from, newest, Whose::Waiting);
                    for entity in self.groups.iter().map(|group| group.entity) {
                        if self.catalog.table(table).path_to(entity).is_none() {
                            continue;
                        }
                        let own = hole.entities.iter().filter(|(named, _)| *named == entity);
                        let keys: Vec<_> = own
                            .map(|(entity, key)| {
                                document_key(DocumentKind::Entity(*entity), key.as_str())
                            })
                            .collect();
                        match keys.is_empty() {
                            true => {
                                self.doubts
                                    .span(numbered, from, newest, Whose::Entity(entity.0))
                            }
                            false => self.doubts.name(number, table, keys),
                        }
                    }
                }
                _ => self.doubts.span(numbered, from, newest, Whose::Anyone),
            }
        }
        self.doubts.progress(&self.progress);
        self.doubts.forget_before(&self.positions);
        Ok(())
    }

    /// Keeps a record that could not be read, and tells it unless many like it were told; gives its number. `now` is the
    /// newest time of any source.
    fn keep_and_tell(
        &mut self,
        hole: &Hole,
        now: Timestamp,
        commit: &mut Commit,
    ) -> Result<u64, EngineError> {
        self.count_unread(hole);
        self.doubts.count += 1;
        let mut message = HoleMessage::new(self.doubts.count, hole, &self.catalog);
        if let Some(table) = &message.table {
            *self.doubts.waiting.entry(table.clone()).or_default() += 1;
        }
        let (alike, tell) = self.doubts.alike.next(hole, now);
        message.alike = alike;
        commit
            .holes
            .push((self.doubts.count, kept_hole(&message, &hole.bytes)?));
        if tell {
            self.send(line_of(&message)?, commit);
        }
        Ok(self.doubts.count)
    }

    /// A version that is known came again with other content: which of them is true nobody can say.
    pub(super) fn tell_contradiction(
        &mut self,
        document: &[u8],
        tables: u128,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let arrived = |table: &TableId| tables & (1 << table.0) != 0;
        let tables: Vec<TableId> = self.catalog.table_ids().filter(arrived).collect();
        let entities = match DocumentKind::read(document) {
            Some((DocumentKind::Entity(entity), key)) => vec![(entity, EntityKey::from(key))],
            _ => Vec::new(),
        };
        let hole = Hole {
            input: "state".into(),
            position: Position::File { offset: 0, first_line: String::new() },
            reason: HoleReason::Contradiction,
            message: "a version of a row, or a message id, that is known came again with other content: the source has \
                      begun to number anew and must raise its epoch, or it was changed by hand"
                .into(),
            bytes: Vec::new(),
            bytes_total: 0,
            since: None,
            table: tables.first().copied(),
            source: None,
            entities,
        };
        let newest = self.progress.iter().max().copied();
        let number = self.keep_and_tell(&hole, newest.unwrap_or(Timestamp::MIN), commit)?;
        for table in tables {
            self.doubts.name(number, table, vec![document.to_vec()]);
        }
        Ok(())
    }

    /// Whether rows of this table reach an entity through another row: then no key says all.
    fn is_linked(&self, table: TableId) -> bool {
        let paths = &self.catalog.table(table).entities;
        paths
            .iter()
            .any(|path| matches!(path, EntityPath::Through { .. }))
    }
}
