//! Which verdicts records that could not be read put in doubt, and which of those records each doubt is of.
//!
//! Each doubt knows the numbers of the records that brought it, perhaps more, never less. It ends when all of these are
//! settled: so a settled record ends what it alone brought, and nothing that another one may still mean.

use std::collections::{BTreeMap, BTreeSet};

use centinel_catalog::Conversion;
use centinel_model::{Duration, EntityId, Hole, Positions, TableId, Timestamp};
use serde::{Deserialize, Serialize};

use super::alike::Alike;
use super::keys::{DocumentKind, document_key};
use super::stretches::Stretches;

/// Holes within this span of each other are kept as one.
const JOINED_WITHIN: Duration = Duration::seconds(60);
/// More named entities than this are kept as a span of their table instead.
const NAMED_LIMIT: usize = 10_000;
/// Of more spans than this, the two of one kind that are nearest to each other become one: that doubts more, never less.
const SPAN_LIMIT: usize = 1_000;
/// A doubt knows the numbers of its holes in so many stretches at most; of more the nearest become one.
const PARTS_LIMIT: usize = 32;

/// Everything in doubt. Persisted as one fact, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubts {
    /// How many records could not be read, ever: the number of the last one.
    pub count: u64,
    spans: Vec<Span>,
    /// Spans whose end is not known yet: nothing has told how far the source stood after the hole.
    running: Vec<Running>,
    /// Entities by document and table, in order.
    #[serde(default)]
    names: Vec<Name>,
    /// The same as earlier programs wrote them; nobody knows of which holes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    named: Vec<(Vec<u8>, u16)>,
    /// Places of holes and their tables, by input, that may be read a second time: where reading resumes
    /// stands before.
    recent: BTreeMap<String, BTreeSet<(u64, u32, Option<u16>)>>,
    /// How many holes wait, by the name of their table; those of states of earlier programs are not among them.
    #[serde(default)]
    pub waiting: BTreeMap<String, u64>,
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
    /// The holes that brought it; none in states of earlier programs.
    #[serde(default)]
    holes: Stretches,
}

/// An entity of which a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    document: Vec<u8>,
    table: u16,
    /// The holes that name it.
    holes: Stretches,
}

impl Name {
    fn order(&self) -> (&[u8], u16) {
        (&self.document, self.table)
    }
}

/// What is not in doubt any more, as far as the settled holes brought it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The documents that were named.
    pub documents: Vec<Vec<u8>>,
    /// Whether it is more than these: nobody knows which.
    pub others: bool,
}

impl Span {
    /// Spans of other kinds cannot become one.
    fn kind(&self) -> (Option<u16>, Whose) {
        (self.table, self.whose)
    }

    fn order(&self) -> ((Option<u16>, Whose), i64) {
        (self.kind(), self.from)
    }

    fn widen(&mut self, other: &Span) {
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
        self.holes.unite(&other.holes);
        self.holes.limit(PARTS_LIMIT);
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
    /// Nothing of it is from before, whether it was read or not.
    pub since: Timestamp,
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
        self.number_what_is_old();
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
        let names = std::mem::take(&mut self.names).into_iter();
        let names = names.filter_map(|name| {
            Some(Name {
                document: followed_key(&name.document, conversion)?,
                table: table(name.table)?,
                holes: name.holes,
            })
        });
        self.names = names.collect();
        self.names
            .sort_unstable_by(|left, right| left.order().cmp(&right.order()));
        for places in self.recent.values_mut() {
            let known = std::mem::take(places).into_iter();
            let known = known.filter_map(|(place, row, table)| Some((place, row, or_any(table)?)));
            places.extend(known);
        }
    }

    /// Of doubts that an earlier program kept, nobody knows which holes brought them: any of those there were.
    fn number_what_is_old(&mut self) {
        let all = Stretches::up_to(self.count);
        let running = self.running.iter_mut().map(|running| &mut running.span);
        for span in self.spans.iter_mut().chain(running) {
            if span.holes.is_empty() {
                span.holes = all.clone();
            }
        }
        for (document, table) in std::mem::take(&mut self.named) {
            self.name_one(table, document, &all);
        }
    }

    /// Ends every doubt of which all holes are among the settled ones.
    pub fn end(&mut self, settled: &Stretches) -> Ended {
        let is_over = |holes: &Stretches| holes.is_within(settled);
        let before = self.spans.len() + self.running.len();
        self.spans.retain(|span| !is_over(&span.holes));
        self.running.retain(|running| !is_over(&running.span.holes));
        let over = self.names.extract_if(.., |name| is_over(&name.holes));
        Ended {
            documents: over.map(|name| name.document).collect(),
            others: self.spans.len() + self.running.len() < before,
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

    /// A record of this table could not be read, which is this hole; its entities' documents are known. Too many are a
    /// span of all time instead.
    pub fn name(&mut self, number: u64, table: TableId, documents: Vec<Vec<u8>>) {
        let holes = Stretches::of(number);
        if self.names.len() + documents.len() > NAMED_LIMIT {
            let table = Some(table.0);
            return self.add(Span {
                table,
                from: 0,
                until: i64::MAX,
                whose: Whose::Anyone,
                holes,
            });
        }
        for document in documents {
            self.name_one(table.0, document, &holes);
        }
    }

    fn name_one(&mut self, table: u16, document: Vec<u8>, holes: &Stretches) {
        let place = (document.as_slice(), table);
        match self.names.binary_search_by(|name| name.order().cmp(&place)) {
            Ok(known) => {
                let known = &mut self.names[known].holes;
                known.unite(holes);
                known.limit(PARTS_LIMIT);
            }
            Err(place) => {
                let holes = holes.clone();
                let name = Name {
                    document,
                    table,
                    holes,
                };
                self.names.insert(place, name);
            }
        }
    }

    /// A record could not be read: a hole and its number. Its source had been read up to `from`; how far it stood after
    /// the record will be told by its next progress.
    pub fn span(
        &mut self,
        (number, hole): (u64, &Hole),
        from: Timestamp,
        until: Timestamp,
        whose: Whose,
    ) {
        let table = hole.table.map(|table| table.0);
        let (from, until) = (from.0.min(until.0), until.0.max(from.0));
        let span = Span {
            table,
            from,
            until,
            whose,
            holes: Stretches::of(number),
        };
        let source = hole.source.map(|source| source.0);
        // Of ten thousand that come before their source speaks again, one is enough.
        let same = |known: &&mut Running| {
            let of = |span: &Span| (span.kind(), span.from);
            known.source == source && of(&known.span) == of(&span)
        };
        match self.running.iter_mut().find(same) {
            Some(known) => known.span.widen(&span),
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
            known.kind() == span.kind()
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
        // That an entity went on says nothing: what is lost may be of anything that lived through the span.
        let over = |span: &Span| life.since.0 > span.until.saturating_add(patience.0);
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
            .names
            .partition_point(|name| name.document.as_slice() < document);
        let named = self.names[first..]
            .iter()
            .take_while(|name| name.document == document)
            .any(|name| reads(name.table));
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
#[cfg(test)]
#[path = "doubts_tests.rs"]
mod tests;
