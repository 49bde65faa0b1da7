//! What can be said of records that could not be read.

use centinel_catalog::ColumnType;
use centinel_model::{EntityId, EntityKey, HoleReason};

use crate::column::Cell;
use crate::json::{Cursor, NotJson, Text, Value};
use crate::rows::Layout;
use crate::value;

/// How many bytes of a record a hole keeps.
pub(crate) const KEPT_BYTES: usize = 1 << 20;

/// Whether such a record may be what is left of two, so that nothing in it can be relied on.
pub(crate) fn torn(reason: HoleReason) -> bool {
    matches!(
        reason,
        HoleReason::Malformed | HoleReason::InvalidUtf8 | HoleReason::TooLong
    )
}

/// The entities that a refused line of the project's own form belongs to.
pub(crate) fn entities_of_line(line: Option<&str>, layout: &Layout) -> Vec<(EntityId, EntityKey)> {
    let images = line.and_then(|line| images(line).ok()).unwrap_or_default();
    let images: Vec<KeyValues> = images
        .iter()
        .map(|image| KeyValues::read(&[image], layout))
        .collect();
    entities(&images, layout)
}

/// The entities that these images lead to. Either every one of them tells the key, or the entity counts as
/// unknown.
pub(crate) fn entities(images: &[KeyValues], layout: &Layout) -> Vec<(EntityId, EntityKey)> {
    let mut found = Vec::new();
    for (id, entity, columns) in &layout.direct {
        let keys: Option<Vec<EntityKey>> = images
            .iter()
            .map(|image| {
                let parts = columns.iter().map(|column| {
                    let text = image.0[*column].as_deref()?;
                    Some(match layout.columns[*column].kind {
                        ColumnType::Text => entity.normalise(text).into_owned(),
                        _ => text.to_owned(),
                    })
                });
                let parts: Vec<String> = parts.collect::<Option<_>>()?;
                Some(EntityKey::from(parts.join(KEY_SEPARATOR).as_str()))
            })
            .collect();
        found.extend(keys.unwrap_or_default().into_iter().map(|key| (*id, key)));
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

/// The values of text and whole-number columns in one image, by column; none where one is missing, stands
/// twice or is of another type.
#[derive(Clone, Debug)]
pub(crate) struct KeyValues(Vec<Option<String>>);

impl KeyValues {
    /// An image of which nothing is known.
    pub(crate) fn nothing(layout: &Layout) -> KeyValues {
        KeyValues(vec![None; layout.columns.len()])
    }

    /// Reads an image that several objects make up; what an earlier one names goes before a later one.
    pub(crate) fn read(objects: &[&str], layout: &Layout) -> KeyValues {
        let mut values = KeyValues::nothing(layout);
        let mut named = vec![0_u8; layout.columns.len()];
        for object in objects {
            let earlier: Vec<bool> = named.iter().map(|count| *count > 0).collect();
            if values
                .read_object(object, layout, &earlier, &mut named)
                .is_err()
            {
                return KeyValues::nothing(layout);
            }
        }
        for (value, count) in values.0.iter_mut().zip(named) {
            if count > 1 {
                *value = None;
            }
        }
        values
    }

    fn read_object(
        &mut self,
        object: &str,
        layout: &Layout,
        earlier: &[bool],
        named: &mut [u8],
    ) -> Result<(), NotJson> {
        let mut cursor = Cursor::new(object);
        cursor.begin_object()?;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            let value = cursor.value()?;
            if let Some(column) = layout.find_column(&key)
                && !earlier[column]
            {
                named[column] = named[column].saturating_add(1);
                self.set(column, value, layout);
            }
        }
        Ok(())
    }

    /// Sets the value of one column from what the column would take.
    pub(crate) fn set_cell(&mut self, column: usize, cell: Option<Cell<'_>>) {
        self.0[column] = cell.and_then(|cell| match cell {
            Cell::Text(text) => Some(text.into_owned()),
            Cell::Json(value @ Value::Text(_)) => {
                value::text(value).ok().map(|text| text.into_owned())
            }
            cell => value::integer_of(cell)
                .ok()
                .map(|number| number.to_string()),
        });
    }

    /// Sets the value of one column.
    fn set(&mut self, column: usize, value: Value<'_>, layout: &Layout) {
        let digits = |text: Text<'_>| {
            let text = text.content().ok()?;
            text.parse::<i64>().ok().map(|number| number.to_string())
        };
        self.0[column] = match (layout.columns[column].kind, value) {
            (ColumnType::Integer, Value::Text(text)) => digits(text),
            (ColumnType::Integer, value) => value::integer::<i64>(value)
                .ok()
                .map(|number| number.to_string()),
            (ColumnType::Text, value) => value::text(value).ok().map(|text| text.into_owned()),
            _ => None,
        };
    }
}

/// Stands between the columns of a key of several.
pub(crate) const KEY_SEPARATOR: &str = "\u{1f}";
