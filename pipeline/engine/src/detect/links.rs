//! Rows that reach their entity through a row of another table.
//!
//! Each target row has a link document: the entity that it names, with the version that said so, and
//! the rows that wait because it has not come yet. When the target comes or names another entity, the
//! rows move.

use std::sync::Arc;

use centinel_catalog::{Catalog, EntityPath};
use centinel_model::{EntityId, TableId, Version};
use centinel_state::{Record, RowDecoder, StoredDocument, put_varint, take_u64};

use super::bootstrap::LOWEST;
use super::keys::{DocumentKind, Documents};
use super::routing::TargetChange;
use crate::EngineError;

/// What a link document knows of its target row; kept in the place of an entity's verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The version that said so; none when the target has not been seen.
    pub version: Option<Version>,
    /// The entity's key; none when the target has not come, is gone, or has a null key.
    pub entity_key: Option<String>,
    /// Whether rows have waited for it too long.
    pub overdue: bool,
    /// Whether that was told as undetermined, because of a doubt that may end.
    pub unsure: bool,
    /// How many messages were told of that.
    pub told: u64,
    /// How many of these only made sure what was told before.
    pub made_sure: u64,
}

/// The marks of a link document.
const OVERDUE: u64 = 1;
const UNSURE: u64 = 2;
/// How many bits they are.
const MARKS: u32 = 2;

impl Target {
    /// Reads what [`Target::write`] wrote; no bytes are a target not seen.
    pub fn read(mut bytes: &[u8]) -> Result<Target, EngineError> {
        if bytes.is_empty() {
            return Ok(Target::default());
        }
        let (marks, told) = (take_u64(&mut bytes)?, take_u64(&mut bytes)?);
        let mut target = Target {
            overdue: marks & OVERDUE != 0,
            unsure: marks & UNSURE != 0,
            made_sure: marks >> MARKS,
            told,
            ..Target::default()
        };
        if take_u64(&mut bytes)? == 0 {
            return Ok(target);
        }
        target.version = Some(Version {
            epoch: take_u64(&mut bytes)? as u32,
            sequence: take_u64(&mut bytes)?,
            ordinal: take_u64(&mut bytes)? as u32,
        });
        if take_u64(&mut bytes)? != 0 {
            target.entity_key = Some(String::from_utf8_lossy(bytes).into_owned());
        }
        Ok(target)
    }

    /// Varints of the marks (whether it is overdue, whether that was unsure, and above these two bits how many messages
    /// made it sure), the messages told, whether there is a version and the version, whether
    /// there is a key; then the key.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let marks = (u128::from(self.made_sure) << MARKS)
            | u128::from(self.unsure) << 1
            | u128::from(self.overdue);
        put_varint(&mut out, marks);
        put_varint(&mut out, u128::from(self.told));
        put_varint(&mut out, u128::from(self.version.is_some()));
        if let Some(version) = self.version {
            put_varint(&mut out, u128::from(version.epoch));
            put_varint(&mut out, u128::from(version.sequence));
            put_varint(&mut out, u128::from(version.ordinal));
            put_varint(&mut out, u128::from(self.entity_key.is_some()));
            out.extend_from_slice(self.entity_key.as_deref().unwrap_or_default().as_bytes());
        }
        out
    }

    /// Takes in what a change says. A change that leaves the entity as it was only counts when nothing is
    /// known yet: versions need not be stored for it, because any other answer would be contradicted by
    /// its image before. Returns whether anything is different now.
    pub fn apply(&mut self, change: &TargetChange) -> bool {
        // A source may give the lowest version, too, which rows of a first snapshot have.
        let lowest = Some(change.version) == self.version && change.version == LOWEST;
        let newer = lowest || self.version.is_none_or(|known| known < change.version);
        if !newer || (!change.moves && self.version.is_some()) {
            return false;
        }
        let other = self.version != Some(change.version) || self.entity_key != change.entity_key;
        self.version = Some(change.version);
        self.entity_key = change.entity_key.clone();
        other
    }
}

/// Rows that leave one document for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Number of the document that they leave.
    pub from: u32,
    /// Number of the document that they go to.
    pub to: u32,
    /// The link that they name.
    pub link: u32,
}

/// A link document after this micro-batch.
pub struct ResolvedLink {
    /// What it knows now.
    pub target: Target,
    /// Whether that is different from what is stored.
    pub changed: bool,
    /// The entity's document, if there is one.
    pub document: Option<u32>,
}

/// Brings one link up to the changes of its target row, and says which rows move. `stored` is the link
/// document as stored.
pub fn resolve(
    link: u32,
    stored: Option<&[u8]>,
    changes: &[&TargetChange],
    documents: &mut Documents,
    moves: &mut Vec<Move>,
) -> Result<ResolvedLink, EngineError> {
    let entity = match DocumentKind::read(documents.key(link)) {
        Some((DocumentKind::Link { entity, .. }, _)) => entity,
        _ => {
            return Err(EngineError::Damaged(
                "a link document has the key of another kind".into(),
            ));
        }
    };
    let mut target = match stored {
        Some(bytes) => Target::read(StoredDocument::read(bytes)?.verdicts)?,
        None => Target::default(),
    };
    let before = target.clone();
    let mut changed = false;
    for change in changes {
        changed |= target.apply(change);
    }
    let mut place = |key: &Option<String>| {
        key.as_ref()
            .map(|key| documents.number(DocumentKind::Entity(entity), key))
    };
    let (from, document) = (place(&before.entity_key), place(&target.entity_key));
    if from != document {
        moves.push(Move {
            from: from.unwrap_or(link),
            to: document.unwrap_or(link),
            link,
        });
    }
    Ok(ResolvedLink {
        target,
        changed,
        document,
    })
}

/// Says which records of an entity's document came there through a link.
pub struct LinkReader {
    /// By table: the columns that name the target row, for each entity and target.
    columns: Vec<Vec<(EntityId, TableId, Vec<usize>)>>,
}

impl LinkReader {
    /// Knows the links of the catalog.
    pub fn new(catalog: &Catalog) -> LinkReader {
        let columns = catalog
            .tables
            .iter()
            .map(|table| {
                table
                    .entities
                    .iter()
                    .filter_map(|path| match path {
                        EntityPath::Through {
                            entity,
                            columns,
                            target,
                        } => Some((*entity, *target, columns.clone())),
                        EntityPath::Direct { .. } => None,
                    })
                    .collect()
            })
            .collect();
        LinkReader { columns }
    }

    /// Whether the record names this link.
    pub fn names(
        &self,
        catalog: &Catalog,
        record: &Record<'_>,
        link: &[u8],
    ) -> Result<bool, EngineError> {
        let Some((DocumentKind::Link { target, entity }, name)) = DocumentKind::read(link) else {
            return Ok(false);
        };
        if record.image.is_empty() {
            return Ok(false);
        }
        for (for_entity, through, columns) in &self.columns[usize::from(record.table.0)] {
            if (*for_entity, *through) != (entity, target) {
                continue;
            }
            let table = catalog.table(record.table);
            let mut decoder = RowDecoder::new(table, columns);
            decoder.decode(record.image)?;
            let fields: Vec<_> = columns
                .iter()
                .map(|column| {
                    let column = &table.columns[*column];
                    arrow::datatypes::Field::new(&column.name, column.rule_type(), true)
                })
                .collect();
            let schema = Arc::new(arrow::datatypes::Schema::new(fields));
            let rows = arrow::array::RecordBatch::try_new(schema, decoder.finish())
                .map_err(|error| EngineError::Damaged(error.to_string()))?;
            let mut text = String::new();
            let all: Vec<usize> = (0..columns.len()).collect();
            return Ok(
                centinel_state::key_text(&rows, &all, 0, &mut text).is_some() && text == name,
            );
        }
        Ok(false)
    }
}
