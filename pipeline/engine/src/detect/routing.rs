//! Changes → records, each with the document it belongs to.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use centinel_catalog::{Catalog, EntityPath, Table};
use centinel_model::{EntityId, MicroBatch, Operation, TableChanges, TableId, Timestamp, Version};
use centinel_rules::Rule;
use centinel_state::{Record, RowEncoder, key_text, write_lost};

use super::history::Histories;
use super::keys::{DocumentKind, Documents};
use crate::EngineError;

/// A record whose parts lie in the batch's arena, and the document it goes to.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Number of the document; at first that of the link for rows that reach their entity through one.
    pub document: u32,
    table: TableId,
    primary_key: Range<u32>,
    version: Version,
    operation: Operation,
    committed_at: Timestamp,
    image: Range<u32>,
    lost: Range<u32>,
}

/// What a change says about the entity of a link's target row.
#[derive(Clone, Debug)]
pub struct TargetChange {
    /// Number of the link's document.
    pub link: u32,
    /// The version that says so.
    pub version: Version,
    /// Whether the row's entity is another than before, or the row is new or gone.
    pub moves: bool,
    /// The entity's key from this version on; none when the row is gone or has none.
    pub entity_key: Option<String>,
}

/// All records of a micro-batch.
#[derive(Default)]
pub struct Routed {
    arena: Vec<u8>,
    /// In the order of delivery by table.
    pub arrivals: Vec<Arrival>,
    /// In the order of delivery by table.
    pub target_changes: Vec<TargetChange>,
}

impl Routed {
    /// The record itself.
    pub fn record(&self, arrival: &Arrival) -> Record<'_> {
        Record {
            table: arrival.table,
            primary_key: self.bytes(&arrival.primary_key),
            version: arrival.version,
            operation: arrival.operation,
            committed_at: arrival.committed_at,
            image: self.bytes(&arrival.image),
            lost: self.bytes(&arrival.lost),
        }
    }

    fn bytes(&self, range: &Range<u32>) -> &[u8] {
        &self.arena[range.start as usize..range.end as usize]
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Range<u32> {
        let start = self.arena.len() as u32;
        write(&mut self.arena);
        start..self.arena.len() as u32
    }
}

/// Which entities are kept, and which tables are targets of links to them.
pub struct Router {
    histories: Histories,
    entities: Vec<EntityId>,
    /// By table: the entities for which other tables link to it.
    targets: Vec<Vec<EntityId>>,
}

impl Router {
    /// A router for the entities that the loaded rules judge.
    pub fn new(
        catalog: &Catalog,
        rules: &[Arc<Rule>],
        entities: &[EntityId],
    ) -> Result<Router, EngineError> {
        let mut targets = vec![Vec::new(); catalog.tables.len()];
        for table in &catalog.tables {
            for path in table
                .entities
                .iter()
                .filter(|path| entities.contains(&path.entity()))
            {
                let EntityPath::Through { entity, target, .. } = path else {
                    continue;
                };
                let direct = catalog.table(*target).path_to(*entity);
                if !matches!(direct, Some(EntityPath::Direct { .. })) {
                    return Err(EngineError::Unsupported(format!(
                        "table `{}` reaches `{}` through `{}`, which is linked itself: detection follows one link; \
                         give `{}` the entity's key",
                        table.name,
                        catalog.entity(*entity).name,
                        catalog.table(*target).name,
                        catalog.table(*target).name
                    )));
                }
                if !targets[usize::from(target.0)].contains(entity) {
                    targets[usize::from(target.0)].push(*entity);
                }
            }
        }
        Ok(Router {
            histories: Histories::new(catalog, rules),
            entities: entities.to_vec(),
            targets,
        })
    }

    /// Turns the changes of a micro-batch into records and numbers the documents they go to.
    pub fn route(
        &self,
        catalog: &Catalog,
        batch: &MicroBatch,
        documents: &mut Documents,
    ) -> Result<Routed, EngineError> {
        let mut routed = Routed::default();
        let histories = self.histories.of(catalog, batch);
        let histories = histories.map_err(|error| EngineError::Damaged(error.to_string()))?;
        for changes in batch.tables.iter().chain(&histories) {
            let table = catalog.table(changes.table);
            let targets = &self.targets[usize::from(changes.table.0)];
            for entity in targets {
                target_changes(table, changes, *entity, documents, &mut routed);
            }
            let paths: Vec<&EntityPath> = table
                .entities
                .iter()
                .filter(|path| self.entities.contains(&path.entity()))
                .collect();
            if !paths.is_empty() {
                records(table, changes, &paths, documents, &mut routed)?;
            }
        }
        if routed.arena.len() > u32::MAX as usize {
            return Err(EngineError::Unsupported(
                "a micro-batch of more than 4 GiB: lower the limits of a micro-batch".into(),
            ));
        }
        Ok(routed)
    }
}

/// The kind of document that a path leads to first.
fn kind_of(path: &EntityPath) -> DocumentKind {
    match path {
        EntityPath::Direct { entity, .. } => DocumentKind::Entity(*entity),
        EntityPath::Through { entity, target, .. } => DocumentKind::Link {
            target: *target,
            entity: *entity,
        },
    }
}

/// Writes a key's text into `text`; false where one of its columns is null.
fn read_key(rows: &RecordBatch, columns: &[usize], row: Option<u32>, text: &mut String) -> bool {
    text.clear();
    row.is_some_and(|row| key_text(rows, columns, row as usize, text).is_some())
}

fn records(
    table: &Table,
    changes: &TableChanges,
    paths: &[&EntityPath],
    documents: &mut Documents,
    routed: &mut Routed,
) -> Result<(), EngineError> {
    let encoder = RowEncoder::new(&changes.after.rows)?;
    let before_encoder = RowEncoder::new(&changes.before.rows)?;
    let (mut text, mut before_text) = (String::new(), String::new());
    let mut lacking = changes.lost.iter().peekable();
    for index in 0..changes.len() {
        let lost = match lacking.next_if(|(lacks, _)| *lacks as usize == index) {
            Some((_, columns)) => routed.put(|arena| write_lost(columns, arena)),
            None => 0..0,
        };
        let (before, after) = (changes.before.row[index], changes.after.row[index]);
        let new_key = read_key(&changes.after.rows, &table.primary_key, after, &mut text)
            .then(|| routed.put(|arena| arena.extend_from_slice(text.as_bytes())));
        let old_key = match read_key(
            &changes.before.rows,
            &table.primary_key,
            before,
            &mut before_text,
        ) {
            true if new_key.is_some() && text == before_text => new_key.clone(),
            true => Some(routed.put(|arena| arena.extend_from_slice(before_text.as_bytes()))),
            false => None,
        };
        let image = match after {
            Some(row) => routed.put(|arena| encoder.encode(row as usize, arena)),
            None => 0..0,
        };
        let arrival = |document, primary_key, (image, lost), operation| Arrival {
            document,
            table: changes.table,
            primary_key,
            version: changes.versions[index],
            operation,
            committed_at: changes.committed_at[index],
            image,
            lost,
        };
        for path in paths {
            let kind = kind_of(path);
            let new = read_key(&changes.after.rows, path.columns(), after, &mut text)
                .then(|| documents.number(kind, &text));
            let old = read_key(&changes.before.rows, path.columns(), before, &mut text)
                .then(|| documents.number(kind, &text));
            let current = after.and(new).zip(new_key.clone());
            if let Some((document, key)) = current.clone() {
                routed.arrivals.push(arrival(
                    document,
                    key,
                    (image.clone(), lost.clone()),
                    changes.operations[index],
                ));
            }
            // The row left this document, or this primary key: a tombstone of the same version. Under a link it
            // carries the row before, which says by which link it came, so that it can follow that link.
            if let Some((document, key)) = old.zip(old_key.clone())
                && current != Some((document, key.clone()))
            {
                let image = match (path, before) {
                    (EntityPath::Through { .. }, Some(row)) => {
                        routed.put(|arena| before_encoder.encode(row as usize, arena))
                    }
                    _ => 0..0,
                };
                routed
                    .arrivals
                    .push(arrival(document, key, (image, 0..0), Operation::Delete));
            }
        }
    }
    Ok(())
}

fn target_changes(
    table: &Table,
    changes: &TableChanges,
    entity: EntityId,
    documents: &mut Documents,
    routed: &mut Routed,
) {
    let Some(path) = table.path_to(entity) else {
        return;
    };
    let kind = DocumentKind::Link {
        target: changes.table,
        entity,
    };
    let (mut name, mut old_name, mut key, mut old_key) =
        (String::new(), String::new(), String::new(), String::new());
    for index in 0..changes.len() {
        let (before, after) = (changes.before.row[index], changes.after.row[index]);
        let version = changes.versions[index];
        let named = read_key(&changes.after.rows, &table.primary_key, after, &mut name);
        let was_named = read_key(
            &changes.before.rows,
            &table.primary_key,
            before,
            &mut old_name,
        );
        let keyed = read_key(&changes.after.rows, path.columns(), after, &mut key);
        let was_keyed = read_key(&changes.before.rows, path.columns(), before, &mut old_key);
        if named {
            let same_row = was_named && name == old_name;
            let moves = !(same_row && keyed == was_keyed && (!keyed || key == old_key));
            let entity_key = keyed.then(|| key.clone());
            let link = documents.number(kind, &name);
            routed.target_changes.push(TargetChange {
                link,
                version,
                moves,
                entity_key,
            });
        }
        if was_named && !(named && name == old_name) {
            let link = documents.number(kind, &old_name);
            routed.target_changes.push(TargetChange {
                link,
                version,
                moves: true,
                entity_key: None,
            });
        }
    }
}
