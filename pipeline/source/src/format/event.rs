//! Business events that are published as JSON of the platform's own making.

use std::borrow::Cow;

use centinel_catalog::{Catalog, ColumnType, MessageField, MessageMapping, TableKind, TimeForm};
use centinel_model::{HoleReason, Timestamp};

use super::Message;
use super::output::{Output, Refused};
use super::row::lose_other_kind;
use super::time::{Unit, committed_at, since_1970, without_zone};
use crate::chunk::Known;
use crate::column::Cell;
use crate::hole::{self, KeyValues};
use crate::json::{Cursor, NotJson, Value};
use crate::rows::{ColumnLayout, Layout};
use crate::shape::{Lost, Why};
use crate::value::{self, Refusal};

/// Reads the messages of one event.
#[derive(Debug)]
pub(super) struct JsonEvents {
    /// The event's id.
    layout: usize,
    mapping: MessageMapping,
    paths: Step,
    /// How many values the paths lead to: one for each column, and the time of publishing.
    values: usize,
}

/// The members of one object that paths lead through.
#[derive(Debug, Default)]
struct Step {
    members: Vec<(String, Step)>,
    /// The values that end here: columns, or the time of publishing behind the last one.
    ends: Vec<usize>,
}

/// One value of a message.
#[derive(Clone, Copy, Debug)]
enum Found<'a> {
    Json(Value<'a>),
    /// Of a header or the key.
    Text(&'a str),
    /// The message's own time.
    Time(Timestamp),
}

impl Found<'_> {
    fn is_null(&self) -> bool {
        matches!(self, Found::Json(Value::Null))
    }
}

impl JsonEvents {
    pub(super) fn new(catalog: &Catalog, event: &str) -> Result<JsonEvents, String> {
        let id = catalog.table_id(event);
        let table = id.map(|id| (usize::from(id.0), catalog.table(id)));
        let Some((layout, table)) = table.filter(|(_, table)| table.kind == TableKind::Events)
        else {
            return Err(format!(
                "no schema describes an event `{event}`; correct its name, or add a schema with `event: {event}`"
            ));
        };
        let Some(mapping) = table.message.clone() else {
            return Err(format!(
                "the schema of `{event}` does not say how its messages are read"
            ));
        };
        let mut paths = Step::default();
        let fields = mapping.columns.iter().chain([&mapping.committed_at]);
        for (value, field) in fields.enumerate() {
            if let MessageField::Path(names) = field {
                paths.add(names, value);
            }
        }
        Ok(JsonEvents {
            layout,
            values: mapping.columns.len() + 1,
            mapping,
            paths,
        })
    }

    pub(super) fn read(
        &self,
        message: &Message<'_>,
        output: &mut Output<'_, '_, '_>,
    ) -> Result<(), Refused> {
        let layout = output.layout(self.layout);
        let mut found = vec![None; self.values];
        let read = self
            .collect(message, &mut found)
            .and_then(|()| self.event(&found, output));
        read.map_err(|refusal| {
            let mut known = Known {
                layout: Some(self.layout),
                ..Known::default()
            };
            if !hole::torn(refusal.reason) {
                known.entities = hole::entities(&[keys(&found, layout)], layout);
            }
            Refused {
                refusal,
                known: Box::new(known),
            }
        })
    }

    /// Finds the values that the mapping names.
    fn collect<'a>(
        &self,
        message: &Message<'a>,
        found: &mut [Option<Found<'a>>],
    ) -> Result<(), Refusal> {
        self.paths.collect(message.text, found)?;
        let fields = self
            .mapping
            .columns
            .iter()
            .chain([&self.mapping.committed_at]);
        for (value, field) in found.iter_mut().zip(fields) {
            let text = match field {
                MessageField::Path(_) => continue,
                MessageField::Time => {
                    *value = message.written_at.map(Found::Time);
                    continue;
                }
                MessageField::Key => message.key,
                MessageField::Header(name) => {
                    let mut headers = message.headers.iter();
                    let header = headers.find(|(header, _)| *header == name.as_bytes());
                    header.map(|(_, value)| *value)
                }
            };
            let text = text.map(std::str::from_utf8).transpose().map_err(|_| {
                Refusal::new(HoleReason::InvalidUtf8, format!("`{field}` is not UTF-8"))
            })?;
            *value = text.map(Found::Text);
        }
        Ok(())
    }

    fn event(
        &self,
        found: &[Option<Found<'_>>],
        output: &mut Output<'_, '_, '_>,
    ) -> Result<(), Refusal> {
        let time = self.mapping.time;
        let (published, columns) = match found.split_last() {
            Some((published, columns)) => (published.filter(|found| !found.is_null()), columns),
            None => (None, found),
        };
        let Some(published) = published else {
            let message = format!(
                "`{}` is missing, where the schema says that the time of publishing stands",
                self.mapping.committed_at
            );
            return Err(Refusal::new(HoleReason::MissingColumn, message));
        };
        let published = match micros(published, time, output.layout(self.layout).zone) {
            Ok(micros) => committed_at(micros)?,
            Err(refusal) => return Err(refusal.of(&self.mapping.committed_at.to_string())),
        };
        output.event(self.layout, published, |buffer, layout| {
            let mut lost = self.lost(columns, layout);
            for (index, value) in columns.iter().enumerate() {
                let Some(value) = value.filter(|found| !found.is_null()) else {
                    continue;
                };
                if let Found::Json(json) = value
                    && !takes(layout.columns[index].kind, json)
                    && lose_other_kind(&mut lost, index, json, layout)
                {
                    continue;
                }
                let cell = cell(value, &layout.columns[index], time, layout.zone);
                let cell = cell.map_err(|refusal| {
                    refusal.of(&format!(
                        "{} ({})",
                        layout.columns[index].name, self.mapping.columns[index]
                    ))
                })?;
                buffer.after.set(index, cell, layout)?;
            }
            Ok(lost)
        })
    }

    /// The columns without which a message comes though it must have them. A null that stands there is a mistake of
    /// the message, not another shape.
    fn lost(&self, found: &[Option<Found<'_>>], layout: &Layout) -> Lost {
        let mut lost = Lost::default();
        for (index, column) in layout.columns.iter().enumerate() {
            if found[index].is_none() && !column.nullable && !layout.places[index] {
                lost.add(index, Why::Missing);
            }
        }
        lost
    }
}

/// Whether a column can take a value of this form.
fn takes(kind: ColumnType, value: Value<'_>) -> bool {
    match (kind, value) {
        (_, Value::Null) | (ColumnType::Json, _) => true,
        (ColumnType::Boolean, value) => matches!(value, Value::Boolean(_)),
        (_, value) => matches!(value, Value::Text(_) | Value::Number(_)),
    }
}

impl Step {
    fn add(&mut self, names: &[String], value: usize) {
        let Some((name, rest)) = names.split_first() else {
            return self.ends.push(value);
        };
        let known = self.members.iter().position(|(member, _)| member == name);
        let member = known.unwrap_or_else(|| {
            self.members.push((name.clone(), Step::default()));
            self.members.len() - 1
        });
        self.members[member].1.add(rest, value);
    }

    fn collect<'a>(&self, text: &'a str, found: &mut [Option<Found<'a>>]) -> Result<(), Refusal> {
        let mut cursor = Cursor::new(text);
        cursor.begin_object().map_err(not_an_object)?;
        self.members(&mut cursor, found)?;
        cursor.end().map_err(not_an_object)
    }

    fn members<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        found: &mut [Option<Found<'a>>],
    ) -> Result<(), Refusal> {
        let mut named = vec![false; self.members.len()];
        let mut first = true;
        while cursor.next_member(first).map_err(not_an_object)? {
            first = false;
            let key = cursor.key().map_err(not_an_object)?;
            let value = cursor.value().map_err(not_an_object)?;
            let member = self.members.iter().position(|(name, _)| *name == *key);
            let Some(member) = member else { continue };
            if std::mem::replace(&mut named[member], true) {
                let message = "stands twice in the message";
                return Err(Refusal::new(HoleReason::Malformed, message).of(&key));
            }
            let step = &self.members[member].1;
            for end in &step.ends {
                found[*end] = Some(Found::Json(value));
            }
            if let Value::Nested(text) = value
                && !step.members.is_empty()
                && text.starts_with('{')
            {
                step.collect(text, found)?;
            }
        }
        Ok(())
    }
}

fn not_an_object(_: NotJson) -> Refusal {
    Refusal::new(
        HoleReason::Malformed,
        "the message is not one whole JSON object",
    )
}

/// What the values say of entity keys.
fn keys(found: &[Option<Found<'_>>], layout: &Layout) -> KeyValues {
    let mut keys = KeyValues::nothing(layout);
    for (index, value) in found.iter().take(layout.columns.len()).enumerate() {
        if let Some(value) = value {
            let text = cell(*value, &layout.columns[index], TimeForm::default(), None);
            keys.set_cell(index, text.ok());
        }
    }
    keys
}

/// The value as its column takes it. Numbers of identifiers are often text and the other way round, so both are
/// taken where nothing is lost.
fn cell<'a>(
    found: Found<'a>,
    column: &ColumnLayout,
    time: TimeForm,
    zone: Option<i64>,
) -> Result<Cell<'a>, Refusal> {
    if column.kind == ColumnType::Timestamp {
        return micros(found, time, zone).map(Cell::Timestamp);
    }
    let value = match found {
        Found::Json(value) => value,
        Found::Time(time) => return Ok(Cell::Timestamp(time.0)),
        Found::Text(text) => {
            return Ok(match column.kind {
                ColumnType::Integer | ColumnType::Decimal { .. } | ColumnType::Boolean => {
                    Cell::Number(text.into())
                }
                _ => Cell::Text(text.into()),
            });
        }
    };
    Ok(match (column.kind, value) {
        (ColumnType::Integer, Value::Text(_)) => Cell::Number(value::text(value)?),
        (ColumnType::Text, Value::Number(number)) => {
            if number
                .bytes()
                .any(|byte| !(byte.is_ascii_digit() || byte == b'-'))
            {
                let message = "is neither text nor a whole number";
                return Err(Refusal::new(HoleReason::WrongType, message));
            }
            Cell::Text(number.into())
        }
        _ => Cell::Json(value),
    })
}

/// A time in the form that the schema says, in microseconds since 1970.
fn micros(found: Found<'_>, time: TimeForm, zone: Option<i64>) -> Result<i64, Refusal> {
    let wrong = || {
        let message = "is not a time in the form that `time` of its schema's `json` says";
        Refusal::new(HoleReason::WrongType, message)
    };
    let unit = match time {
        TimeForm::Rfc3339 => None,
        TimeForm::Seconds => Some(Unit::Seconds),
        TimeForm::Millis => Some(Unit::Millis),
        TimeForm::Micros => Some(Unit::Micros),
    };
    let text = match (found, unit) {
        (Found::Time(time), _) => return Ok(time.0),
        (Found::Text(text), _) => Cow::Borrowed(text),
        (Found::Json(Value::Number(number)), Some(_)) => Cow::Borrowed(number),
        (Found::Json(value @ Value::Text(_)), _) => value::text(value)?,
        (Found::Json(_), _) => return Err(wrong()),
    };
    if let Some(unit) = unit {
        return since_1970(&text, unit).map_err(|refusal| match refusal.reason {
            HoleReason::WrongType => wrong(),
            _ => refusal,
        });
    }
    match (without_zone(&text), zone) {
        (Some(micros), Some(zone)) => Ok(micros.saturating_sub(zone)),
        (Some(_), None) => {
            let message =
                "is a time without a zone; say in its schema which: `times: { zone: \"+08:00\" }`";
            Err(Refusal::new(HoleReason::WrongType, message))
        }
        (None, _) => value::timestamp_text(&text).map(|time| time.0),
    }
}
