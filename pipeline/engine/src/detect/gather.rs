//! Each document's records brought together: stored ones, those that arrived, those that moved along a link.

use std::sync::Arc;

use centinel_model::{EntityId, Timestamp};
use centinel_state::{Commit, Kept, Merged, Record, StoredDocument, Wake, merge, trim_history};
use hashbrown::{HashMap, HashSet};

use super::detector::Detector;
use super::drift::keep_together;
use super::entities::Work;
use super::keys::{DocumentKind, Documents};
use super::links::{Move, ResolvedLink, resolve};
use super::memory::Written;
use super::overlap::give_way;
use super::routing::{Routed, TargetChange};
use crate::EngineError;

/// Documents as stored, by number.
#[derive(Default)]
pub(super) struct Loaded(Vec<Option<Kept>>);

/// What one micro-batch brings.
pub(super) struct Arrived<'b> {
    pub routed: &'b Routed,
    pub documents: &'b Documents,
    pub loaded: &'b Loaded,
    /// By the number of the link's document.
    pub links: HashMap<u32, ResolvedLink>,
    pub moves: Vec<Move>,
    /// Documents whose time has come.
    pub woken: HashSet<u32>,
    /// Entities that seem to be at rest.
    pub resting: HashSet<u32>,
}

/// One document's records, together.
pub(super) struct Together<'b> {
    number: u32,
    /// Its number in the store; none for one that comes.
    pub stored_as: Option<u64>,
    pub records: Vec<Record<'b>>,
    pub verdicts: &'b [u8],
    pub wakes: Vec<Wake>,
    /// The newest commit time of records that were forgotten.
    pub forgotten: Option<Timestamp>,
    /// Tables of which something arrived, bit by table id.
    tables: u128,
    merged: Merged,
    /// Whether rows left it along a link.
    left: bool,
}

impl Together<'_> {
    /// Whether it is other than stored.
    pub fn has_news(&self) -> bool {
        self.merged.added + self.merged.completed > 0 || self.left
    }
}

impl Loaded {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn push(&mut self, document: Option<Kept>) {
        self.0.push(document);
    }

    pub fn set(&mut self, number: u32, document: Option<Kept>) {
        self.0[number as usize] = document;
    }

    /// The document's bytes.
    pub fn get(&self, number: u32) -> Option<&[u8]> {
        Some(&self.kept(number)?.bytes)
    }

    /// The document's number in the store.
    pub fn stored_as(&self, number: u32) -> Option<u64> {
        Some(self.kept(number)?.number)
    }

    fn kept(&self, number: u32) -> Option<&Kept> {
        // One that was never asked for is a mistake, and not a document that comes.
        self.0[number as usize].as_ref()
    }
}

/// Brings the links of this micro-batch up to date, and sends what arrived under them on to its entities.
pub(super) fn resolve_links(
    routed: &mut Routed,
    documents: &mut Documents,
    loaded: &Loaded,
) -> Result<(HashMap<u32, ResolvedLink>, Vec<Move>), EngineError> {
    let changes = std::mem::take(&mut routed.target_changes);
    let mut by_link: HashMap<u32, Vec<&TargetChange>> = HashMap::new();
    for change in &changes {
        by_link.entry(change.link).or_default().push(change);
    }
    let (mut links, mut moves) = (HashMap::new(), Vec::new());
    for link in 0..documents.len() as u32 {
        let kind = DocumentKind::read(documents.key(link));
        if matches!(kind, Some((DocumentKind::Link { .. }, _))) {
            let changes = by_link.get(&link).map_or(&[][..], Vec::as_slice);
            links.insert(
                link,
                resolve(link, loaded.get(link), changes, documents, &mut moves)?,
            );
        }
    }
    for arrival in &mut routed.arrivals {
        let link = links.get(&arrival.document);
        arrival.document = link
            .and_then(|link| link.document)
            .unwrap_or(arrival.document);
    }
    Ok((links, moves))
}

impl Detector {
    /// Brings all documents' records together: link documents are written at once, entities are given back
    /// by group, to be judged.
    pub(super) fn gather<'b>(
        &mut self,
        arrived: &Arrived<'b>,
        commit: &mut Commit,
    ) -> Result<Vec<Vec<Work<'b>>>, EngineError> {
        let mut works: Vec<Vec<Work<'b>>> = self.groups.iter().map(|_| Vec::new()).collect();
        for together in self.merge(arrived)? {
            self.counters.repeated += together.merged.repeated as u64;
            let key = arrived.documents.key(together.number);
            if together.merged.contradicting > 0 {
                self.tell_contradiction(key, together.tables, commit)?;
            }
            match DocumentKind::read(key) {
                Some((DocumentKind::Entity(entity), _)) => {
                    let number = together.number;
                    let rests =
                        arrived.resting.contains(&number) && !arrived.woken.contains(&number);
                    if rests && self.forget(key, &together, commit)? {
                        continue;
                    }
                    self.take_entity(entity, together, arrived, &mut works);
                }
                Some((DocumentKind::Link { .. }, _)) => {
                    self.take_link(key, together, arrived, commit)?
                }
                None => {
                    let what = "a document has an unknown kind of key";
                    return Err(EngineError::Damaged(what.into()));
                }
            }
        }
        works.iter_mut().for_each(|works| keep_together(works));
        Ok(works)
    }

    fn merge<'b>(&self, arrived: &Arrived<'b>) -> Result<Vec<Together<'b>>, EngineError> {
        let documents = arrived.documents;
        let mut stored: Vec<StoredDocument<'b>> = (0..documents.len() as u32)
            .map(|number| match arrived.loaded.get(number) {
                Some(bytes) => StoredDocument::read(bytes),
                None => Ok(StoredDocument::default()),
            })
            .collect::<Result<_, _>>()?;
        let mut coming: Vec<Vec<Record<'b>>> = vec![Vec::new(); documents.len()];
        for arrival in &arrived.routed.arrivals {
            coming[arrival.document as usize].push(arrived.routed.record(arrival));
        }
        let mut left = HashSet::new();
        for each in &arrived.moves {
            left.insert(each.from);
            let mut stay = Vec::new();
            for record in std::mem::take(&mut stored[each.from as usize].records) {
                let link = documents.key(each.link);
                let goes =
                    each.from == each.link || self.links.names(&self.catalog, &record, link)?;
                match goes {
                    true => coming[each.to as usize].push(record),
                    false => stay.push(record),
                }
            }
            stored[each.from as usize].records = stay;
        }
        let begun_with_snapshot = self.horizons.any_rows_read();
        let together =
            stored
                .into_iter()
                .zip(coming)
                .enumerate()
                .map(|(index, (stored, mut coming))| {
                    let mut records = stored.records;
                    let tables = coming
                        .iter()
                        .fold(0, |tables, record| tables | 1u128 << record.table.0);
                    let older = match begun_with_snapshot {
                        true => give_way(&self.catalog, &self.horizons, &mut records, &mut coming),
                        false => 0,
                    };
                    let completes = |known: &Record<'_>, arrived: &Record<'_>| {
                        self.shapes.completes(known, arrived)
                    };
                    let mut merged = merge(&mut records, &mut coming, &completes);
                    merged.repeated += older;
                    trim_history(&mut records, self.limits.history_per_row);
                    Together {
                        number: index as u32,
                        stored_as: arrived.loaded.stored_as(index as u32),
                        records,
                        verdicts: stored.verdicts,
                        wakes: stored.wakes,
                        forgotten: stored.forgotten,
                        tables,
                        merged,
                        left: left.contains(&(index as u32)),
                    }
                });
        Ok(together.collect())
    }

    fn take_entity<'b>(
        &self,
        entity: EntityId,
        together: Together<'b>,
        arrived: &Arrived<'b>,
        works: &mut [Vec<Work<'b>>],
    ) {
        let group = self.groups.iter().position(|group| group.entity == entity);
        let changed = together.has_news();
        let all_asked = together.left || self.shows_beginning(entity, &together);
        let suspended = group.map(|group| self.groups[group].suspended(&together.records));
        let work = Work {
            suspended: suspended.unwrap_or_default(),
            document: together.number,
            stored_as: together.stored_as,
            records: together.records,
            verdicts: together.verdicts,
            wakes: together.wakes,
            touched: if all_asked {
                u128::MAX
            } else {
                together.tables
            },
            woken: arrived.woken.contains(&together.number),
            changed,
            forgotten: together.forgotten,
        };
        // Deliveries repeated change nothing: nothing to judge, nothing to write.
        if let Some(group) = group
            && (work.changed || work.woken)
        {
            works[group].push(work);
        }
    }

    /// Whether the row arrived with which the entity begins, so that it may be known not to begin beyond a horizon.
    fn shows_beginning(&self, entity: EntityId, together: &Together<'_>) -> bool {
        let begins = self.catalog.entity(entity).begins_with;
        self.horizons.any() && begins.is_some_and(|table| together.tables & (1 << table.0) != 0)
    }

    fn take_link(
        &mut self,
        key: &Arc<[u8]>,
        together: Together<'_>,
        arrived: &Arrived<'_>,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let link = arrived.links.get(&together.number);
        let mut target = link.map(|link| link.target.clone()).unwrap_or_default();
        let before = (target.overdue, target.told);
        let wake = self.judge_waiting(key, &mut target, &together.records, commit)?;
        let wakes: Vec<Wake> = wake.into_iter().collect();
        let changed = together.merged.added + together.merged.completed > 0
            || together.left
            || link.is_some_and(|link| link.changed)
            || ((target.overdue, target.told), &wakes) != (before, &together.wakes);
        if changed {
            let known = target.write();
            let written = Written {
                key,
                stored_as: together.stored_as,
                verdicts: &known,
                wakes: &wakes,
                records: &together.records,
                forgotten: None,
            };
            self.write(&written, &together.wakes, commit);
        }
        Ok(())
    }
}
