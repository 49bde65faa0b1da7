//! Rows that could not be read, with as much as can be said of them.

use centinel_catalog::ColumnType;
use centinel_model::{EntityId, EntityKey, Hole, HoleReason, Position, SourceId};

use super::binding::Bound;
use crate::column::Cell;
use crate::hole::{KEPT_BYTES, KEY_SEPARATOR};
use crate::rows::Layout;
use crate::value::{self, Refusal};

/// Where it stands.
pub(super) struct Place<'a> {
    pub(super) input: &'a str,
    pub(super) source: SourceId,
    pub(super) position: Position,
}

/// A hole for a row, a table, or without one for the source.
pub(super) fn make(
    place: Place<'_>,
    refusal: Refusal,
    layout: Option<&Layout>,
    bytes: &[u8],
    entities: Vec<(EntityId, EntityKey)>,
) -> Hole {
    Hole {
        input: place.input.to_owned(),
        position: place.position,
        reason: refusal.reason,
        message: refusal.message.into_owned(),
        bytes: bytes[..bytes.len().min(KEPT_BYTES)].to_vec(),
        bytes_total: bytes.len() as u64,
        table: layout.map(|layout| layout.table),
        source: Some(place.source),
        since: None,
        entities,
    }
}

/// The entities that the row's images name by their own columns; none of a kind unless all images tell.
pub(super) fn entities(
    images: &[&[u8]],
    bound: &Bound,
    layout: &Layout,
) -> Vec<(EntityId, EntityKey)> {
    let mut found = Vec::new();
    let keys_of: Vec<Vec<Option<String>>> = images
        .iter()
        .map(|image| texts(image, bound, layout))
        .collect();
    for (id, entity, columns) in &layout.direct {
        let keys = keys_of.iter().map(|texts| {
            let parts = columns.iter().map(|column| {
                let text = texts[*column].as_deref()?;
                Some(match layout.columns[*column].kind {
                    ColumnType::Text => entity.normalise(text).into_owned(),
                    _ => text.to_owned(),
                })
            });
            let parts: Option<Vec<String>> = parts.collect();
            Some(EntityKey::from(parts?.join(KEY_SEPARATOR).as_str()))
        });
        let keys: Option<Vec<EntityKey>> = keys.collect();
        found.extend(keys.unwrap_or_default().into_iter().map(|key| (*id, key)));
    }
    found.sort();
    found.dedup();
    found
}

/// The values of the columns that can be keys, by the schema's column.
fn texts(image: &[u8], bound: &Bound, layout: &Layout) -> Vec<Option<String>> {
    let mut texts = vec![None; layout.columns.len()];
    let read = bound.cells(image, |column, cell| {
        texts[column] = cell
            .ok()
            .and_then(|cell| text(cell, layout.columns[column].kind));
        Ok(())
    });
    // An image that is cut short tells nothing.
    if read.is_err() {
        texts.fill(None);
    }
    texts
}

fn text(cell: Cell<'_>, kind: ColumnType) -> Option<String> {
    match (cell, kind) {
        (Cell::Null, _) => None,
        (cell, ColumnType::Integer) => value::integer_of(cell)
            .ok()
            .map(|number| number.to_string()),
        (cell, ColumnType::Text) => value::text_of(cell).ok().map(|text| text.into_owned()),
        _ => None,
    }
}

/// A statement or a table that hides what happened to its rows.
pub(super) fn unobservable(message: String) -> Refusal {
    Refusal::new(HoleReason::Unobservable, message)
}
