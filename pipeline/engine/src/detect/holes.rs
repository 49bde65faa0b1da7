//! Which verdicts a record that could not be read puts in doubt.

use std::collections::{BTreeMap, BTreeSet};

use centinel_catalog::{Conversion, EntityPath};
use centinel_model::{
    Duration, EntityId, EntityKey, Hole, HoleReason, MicroBatch, Position, Positions, SourceId,
    TableId, Timestamp,
};
use centinel_state::Commit;
use serde::{Deserialize, Serialize};

use super::alike::Alike;
use super::detector::Detector;
use super::keys::{DocumentKind, document_key};
use super::messages::{HoleMessage, kept_hole, line_of};
use crate::EngineError;

/// Holes within this span of each other are kept as one.
const JOINED_WITHIN: Duration = Duration::seconds(60);
/// More named entities than this are kept as a span of their table instead.
const NAMED_LIMIT: usize = 10_000;
/// Of more spans than this, the two of one kind that are nearest to each other become one: that doubts more, never less.
const SPAN_LIMIT: usize = 1_000;

/// Everything in doubt. Persisted as one fact, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubts {
    /// How many records could not be read, ever: the number of the last one.
    pub count: u64,
    spans: Vec<Span>,
    /// Spans whose end is not known yet: nothing has told how far the source stood after the hole.
    running: Vec<Running>,
    named: Vec<(Vec<u8>, u16)>,
    /// Places of holes and their tables, by input, that may be read a second time: where reading resumes
    /// stands before.
    recent: BTreeMap<String, BTreeSet<(u64, u32, Option<u16>)>>,
    /// The number of the shape that numbers of tables, sources and entities are of.
    #[serde(default)]
    shape: u32,
    /// How many of each kind there were of late.
    #[serde(default)]
    pub alike: Alike,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    /// None when not even the table could be read.
    table: Option<u16>,
    from: i64,
    until: i64,
    whose: Whose,
    /// Whether a whole stretch of records is gone.
    #[serde(default)]
    gap: bool,
}

impl Span {
    /// Spans of other kinds cannot become one.
    fn kind(&self) -> (Option<u16>, Whose, bool) {
        (self.table, self.whose, self.gap)
    }

    fn order(&self) -> ((Option<u16>, Whose, bool), i64) {
        (self.kind(), self.from)
    }

    fn widen(&mut self, other: &Span) {
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
    }
}

impl AsRef<Span> for Span {
    fn as_ref(&self) -> &Span {
        self
    }
}

impl AsRef<Span> for Running {
    fn as_ref(&self) -> &Span {
        &self.span
    }
}

/// Of spans in their order, the second of the two of one kind between which least time lies.
fn nearest<S: AsRef<Span>, K: PartialEq>(spans: &[S], kind: impl Fn(&S) -> K) -> Option<usize> {
    let apart = |second: &usize| {
        let (first, second) = (spans[second - 1].as_ref(), spans[*second].as_ref());
        second.from.saturating_sub(first.until)
    };
    (1..spans.len())
        .filter(|second| kind(&spans[second - 1]) == kind(&spans[*second]))
        .min_by_key(apart)
}

/// When an entity came into being and was last changed, as far as is known.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// The oldest commit time of its rows.
    pub oldest: Timestamp,
    /// The newest commit time in the tables that a rule reads.
    pub newest: Timestamp,
}

/// What a lost row may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Whose {
    /// Nobody knows.
    Anyone,
    /// An entity of this kind, by id.
    Entity(u16),
    /// Rows that name it and wait for it.
    Waiting,
}

impl Whose {
    fn followed(self, conversion: &Conversion) -> Option<Whose> {
        match self {
            Whose::Entity(entity) => {
                let entity = conversion.entities.get(usize::from(entity)).copied()??;
                Some(Whose::Entity(entity.0))
            }
            Whose::Anyone | Whose::Waiting => Some(self),
        }
    }
}

/// The key of a document under the later numbers.
fn followed_key(document: &[u8], conversion: &Conversion) -> Option<Vec<u8>> {
    let entity = |entity: EntityId| conversion.entities.get(usize::from(entity.0)).copied()?;
    let (kind, text) = DocumentKind::read(document)?;
    let kind = match kind {
        DocumentKind::Entity(known) => DocumentKind::Entity(entity(known)?),
        DocumentKind::Link {
            target,
            entity: known,
        } => DocumentKind::Link {
            target: conversion.tables.get(usize::from(target.0))?.as_ref()?.to,
            entity: entity(known)?,
        },
    };
    Some(document_key(kind, text))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    span: Span,
    /// None when it is not known; then all sources must have spoken.
    source: Option<u16>,
}

impl Doubts {
    /// What was in doubt under an earlier shape is so under the one of this number. What was about tables that are
    /// gone concerns no rule any more.
    pub fn follow(&mut self, conversion: Option<&Conversion>, shape: u32) {
        self.shape = shape;
        let Some(conversion) = conversion else {
            return;
        };
        let table = |table: u16| {
            conversion
                .tables
                .get(usize::from(table))?
                .as_ref()
                .map(|table| table.to.0)
        };
        // None: gone; a table that was not known stays so.
        let or_any = |known: Option<u16>| known.map_or(Some(None), |known| table(known).map(Some));
        let follow = |span: &mut Span| {
            let (Some(table), Some(whose)) = (or_any(span.table), span.whose.followed(conversion))
            else {
                return false;
            };
            (span.table, span.whose) = (table, whose);
            true
        };
        self.spans.retain_mut(follow);
        self.running.retain_mut(|running| {
            let source = running.source.map(|source| {
                conversion
                    .sources
                    .get(usize::from(source))
                    .copied()
                    .flatten()
            });
            running.source = source.flatten().map(|source| source.0);
            source != Some(None) && follow(&mut running.span)
        });
        let named = self.named.iter().filter_map(|(document, known)| {
            Some((followed_key(document, conversion)?, table(*known)?))
        });
        self.named = named.collect();
        self.named.sort_unstable();
        for places in self.recent.values_mut() {
            let known = std::mem::take(places).into_iter();
            let known = known.filter_map(|(place, row, table)| Some((place, row, or_any(table)?)));
            places.extend(known);
        }
    }

    /// The number of the shape that its numbers are of.
    pub fn shape(&self) -> u32 {
        self.shape
    }

    /// Whether this hole has not been told before.
    pub fn is_new(&mut self, hole: &Hole) -> bool {
        let (place, row) = hole.position.place();
        let table = hole.table.map(|table| table.0);
        let known = self.recent.entry(hole.input.clone()).or_default();
        known.insert((place, row, table))
    }

    /// Forgets holes that will not be read again.
    pub fn forget_before(&mut self, positions: &Positions) {
        self.recent.retain(|input, places| {
            if let Some(position) = positions.0.get(input) {
                *places = places.split_off(&(position.place().0, 0, None));
            }
            !places.is_empty()
        });
    }

    /// A record of this table could not be read; its entities' documents are known. Too many are a span of
    /// all time instead.
    pub fn name(&mut self, table: TableId, documents: Vec<Vec<u8>>) {
        if self.named.len() + documents.len() > NAMED_LIMIT {
            let table = Some(table.0);
            return self.add(Span {
                table,
                from: 0,
                until: i64::MAX,
                whose: Whose::Anyone,
                gap: false,
            });
        }
        for document in documents {
            let entry = (document, table.0);
            if let Err(place) = self.named.binary_search(&entry) {
                self.named.insert(place, entry);
            }
        }
    }

    /// A record could not be read. Its source had been read up to `from`; how far it stood after the record
    /// will be told by its next progress.
    pub fn span(&mut self, hole: &Hole, from: Timestamp, until: Timestamp, whose: Whose) {
        let table = hole.table.map(|table| table.0);
        let (from, until) = (from.0.min(until.0), until.0.max(from.0));
        let span = Span {
            table,
            from,
            until,
            whose,
            gap: hole.reason == HoleReason::Gap,
        };
        let source = hole.source.map(|source| source.0);
        // Of ten thousand that come before their source speaks again, one is enough.
        let same = |known: &&mut Running| {
            let of = |span: &Span| (span.table, span.whose, span.gap, span.from);
            known.source == source && of(&known.span) == of(&span)
        };
        match self.running.iter_mut().find(same) {
            Some(known) => known.span.until = known.span.until.max(span.until),
            None => self.running.push(Running { span, source }),
        }
        if self.running.len() > SPAN_LIMIT {
            let order = |running: &Running| (running.source, running.span.order());
            self.running.sort_unstable_by_key(order);
            let kind = |running: &Running| (running.source, running.span.kind());
            if let Some(second) = nearest(&self.running, kind) {
                let running = self.running.remove(second);
                self.running[second - 1].span.widen(&running.span);
            }
        }
    }

    /// Ends the spans whose sources have spoken since. Until then they reach as far as anything has been read.
    pub fn progress(&mut self, progress: &[Timestamp]) {
        for mut running in std::mem::take(&mut self.running) {
            let told = match running.source {
                Some(source) => progress[usize::from(source)].0,
                None => progress.iter().map(|time| time.0).min().unwrap_or(i64::MIN),
            };
            let after = if running.source.is_some() {
                running.span.from
            } else {
                running.span.until
            };
            running.span.until = running.span.until.max(told);
            match told > after {
                true => self.add(running.span),
                false => self.running.push(running),
            }
        }
    }

    fn add(&mut self, span: Span) {
        let near = self.spans.iter_mut().find(|known| {
            (known.table, known.whose, known.gap) == (span.table, span.whose, span.gap)
                && span.from <= known.until.saturating_add(JOINED_WITHIN.0)
                && span.until >= known.from.saturating_sub(JOINED_WITHIN.0)
        });
        match near {
            Some(known) => known.widen(&span),
            None => self.spans.push(span),
        }
        if self.spans.len() > SPAN_LIMIT {
            self.spans.sort_unstable_by_key(Span::order);
            if let Some(second) = nearest(&self.spans, Span::kind) {
                let span = self.spans.remove(second);
                self.spans[second - 1].widen(&span);
            }
        }
    }

    fn any_span(&self, concerns: impl Fn(&Span) -> bool, life: Life, patience: Duration) -> bool {
        let begun = |span: &Span| life.newest.0 >= span.from.saturating_sub(patience.0);
        // Of a single record, rows that come later show that the entity went on. Where a stretch is gone, it may have
        // held anything of what lived through it.
        let over = |span: &Span| {
            let last = if span.gap { life.oldest } else { life.newest };
            last.0 > span.until.saturating_add(patience.0)
        };
        self.spans
            .iter()
            .any(|span| concerns(span) && begun(span) && !over(span))
            || self
                .running
                .iter()
                .any(|running| concerns(&running.span) && begun(&running.span))
    }

    /// Whether the row of `target` that others wait for may be one that could not be read. `life` is that of the
    /// rows that wait.
    pub fn concern_waiting(&self, target: TableId, life: Life, patience: Duration) -> bool {
        let reads = |span: &Span| span.table.is_none_or(|table| table == target.0);
        self.any_span(reads, life, patience)
    }

    /// Whether a missing row may change what a rule over `tables` (bit by table id) says of this
    /// entity.
    pub fn concern(&self, document: &[u8], tables: u128, life: Life, patience: Duration) -> bool {
        let reads = |table: u16| tables & (1 << table) != 0;
        let first = self
            .named
            .partition_point(|(named, _)| named.as_slice() < document);
        let named = self.named[first..]
            .iter()
            .take_while(|(named, _)| named == document)
            .any(|(_, table)| reads(*table));
        let kind = match DocumentKind::read(document) {
            Some((DocumentKind::Entity(entity), _)) => Some(entity.0),
            _ => None,
        };
        let concerns = |span: &Span| {
            let own = match span.whose {
                Whose::Anyone => true,
                Whose::Entity(entity) => kind == Some(entity),
                Whose::Waiting => false,
            };
            own && span.table.is_none_or(reads)
        };
        named || self.any_span(concerns, life, patience)
    }
}

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
            self.keep_and_tell(hole, newest, commit)?;
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
                    self.doubts.span(hole, from, newest, Whose::Waiting);
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
                            true => self
                                .doubts
                                .span(hole, from, newest, Whose::Entity(entity.0)),
                            false => self.doubts.name(table, keys),
                        }
                    }
                }
                _ => self.doubts.span(hole, from, newest, Whose::Anyone),
            }
        }
        self.doubts.progress(&self.progress);
        self.doubts.forget_before(&self.positions);
        Ok(())
    }

    /// Keeps a record that could not be read, and tells it unless many like it were told. `now` is the newest time
    /// of any source.
    fn keep_and_tell(
        &mut self,
        hole: &Hole,
        now: Timestamp,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        self.count_unread(hole);
        self.doubts.count += 1;
        let mut message = HoleMessage::new(self.doubts.count, hole, &self.catalog);
        let (alike, tell) = self.doubts.alike.next(hole, now);
        message.alike = alike;
        commit
            .holes
            .push((self.doubts.count, kept_hole(&message, hole)?));
        if tell {
            self.send(line_of(&message)?, commit);
        }
        Ok(())
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
        for table in &tables {
            self.doubts.name(*table, vec![document.to_vec()]);
        }
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
        self.keep_and_tell(&hole, newest.unwrap_or(Timestamp::MIN), commit)
    }

    /// Whether rows of this table reach an entity through another row: then no key says all.
    fn is_linked(&self, table: TableId) -> bool {
        let paths = &self.catalog.table(table).entities;
        paths
            .iter()
            .any(|path| matches!(path, EntityPath::Through { .. }))
    }
}

#[cfg(test)]
#[path = "holes_tests.rs"]
mod tests;
