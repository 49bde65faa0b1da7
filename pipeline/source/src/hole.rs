//! Lines that could not be read, with as much as can be said of them.

use centinel_catalog::ColumnType;
use centinel_model::{EntityId, EntityKey, Hole, HoleReason, Position};

use crate::json::{Cursor, NotJson, Value};
use crate::rows::Layout;
use crate::value::{self, Refusal};

/// How many bytes of a record a hole keeps.
pub(crate) const KEPT_BYTES: usize = 1 << 20;

/// Where a bad line stands.
pub(crate) struct Place<'a> {
    pub(crate) input: &'a str,
    pub(crate) first_line: &'a str,
    pub(crate) offset: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) bytes_total: u64,
}

pub(crate) fn make(place: Place<'_>, refusal: Refusal, layout: Option<&Layout>) -> Hole {
    let entities = layout.map(|layout| entities(place.bytes, refusal.reason, layout));
    Hole {
        input: place.input.to_owned(),
        position: Position::File {
            offset: place.offset,
            first_line: place.first_line.to_owned(),
        },
        reason: refusal.reason,
        message: refusal.message.into_owned(),
        bytes: place.bytes[..place.bytes.len().min(KEPT_BYTES)].to_vec(),
        bytes_total: place.bytes_total,
        table: layout.map(|layout| layout.table),
        source: layout.map(|layout| layout.source),
        entities: entities.unwrap_or_default(),
    }
}

/// The entities that a refused record belongs to. Of a torn line none: it may be what is left of two.
fn entities(line: &[u8], reason: HoleReason, layout: &Layout) -> Vec<(EntityId, EntityKey)> {
    let torn = matches!(
        reason,
        HoleReason::Malformed | HoleReason::InvalidUtf8 | HoleReason::TooLong
    );
    let images = std::str::from_utf8(line)
        .ok()
        .filter(|_| !torn)
        .and_then(|line| images(line).ok());
    let images = images.unwrap_or_default();
    let mut found = Vec::new();
    for direct in &layout.direct {
        // Either both images of an update tell the key, or the entity counts as unknown.
        let keys: Option<Vec<EntityKey>> = images
            .iter()
            .map(|image| key_in(image, direct, layout).ok().flatten())
            .collect();
        found.extend(
            keys.unwrap_or_default()
                .into_iter()
                .map(|key| (direct.0, key)),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// The row images of a line, as they were written; none unless the line is JSON as a whole.
fn images(line: &str) -> Result<Vec<&str>, NotJson> {
    let mut images = Vec::new();
    let mut images_wanted = 1;
    let mut cursor = Cursor::new(line);
    cursor.begin_object()?;
    let mut first = true;
    while cursor.next_member(first)? {
        first = false;
        let key = cursor.key()?;
        match (&*key, cursor.value()?) {
            ("before" | "after", Value::Nested(image)) => images.push(image),
            ("op", Value::Text(operation)) if operation.content()? == "update" => images_wanted = 2,
            _ => {}
        }
    }
    cursor.end()?;
    Ok(if images.len() == images_wanted {
        images
    } else {
        Vec::new()
    })
}

type Direct = (EntityId, centinel_catalog::Entity, Vec<usize>);

/// The normalised key in one image, or `None` where a part of it is missing or of a wrong type.
fn key_in(image: &str, direct: &Direct, layout: &Layout) -> Result<Option<EntityKey>, NotJson> {
    let (_, entity, columns) = direct;
    let mut parts: Vec<Option<String>> = vec![None; columns.len()];
    let mut cursor = Cursor::new(image);
    cursor.begin_object()?;
    let mut first = true;
    while cursor.next_member(first)? {
        first = false;
        let key = cursor.key()?;
        let value = cursor.value()?;
        for (part, column) in parts.iter_mut().zip(columns) {
            let column = &layout.columns[*column];
            if column.name != *key {
                continue;
            }
            if part.is_some() {
                return Ok(None);
            }
            *part = match column.kind {
                ColumnType::Integer => value::integer::<i64>(value)
                    .ok()
                    .map(|number| number.to_string()),
                ColumnType::Text => value::text(value)
                    .ok()
                    .map(|text| entity.normalise(&text).into_owned()),
                _ => None,
            };
        }
    }
    let parts: Option<Vec<String>> = parts.into_iter().collect();
    Ok(parts.map(|parts| EntityKey::from(parts.join(KEY_SEPARATOR).as_str())))
}

/// Stands between the columns of a key of several.
const KEY_SEPARATOR: &str = "\u{1f}";
