//! One line: its envelope, and its images into the columns of its table.

use std::borrow::Cow;

use centinel_catalog::TableKind;
use centinel_model::{HoleReason, Operation, Origin, SourceId, Timestamp, TransactionRow, Version};

use crate::column::Cell;
use crate::format::made_by::statement;
use crate::json::{Cursor, Value};
use crate::rows::{Layout, TableBuffer, images_of};
use crate::value::{self, Refusal};

/// What a line's envelope says; fields that were not there are `None`.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    named: bool,
    operation: Option<Operation>,
    epoch: Option<u32>,
    sequence: Option<u64>,
    ordinal: Option<u32>,
    last: Option<bool>,
    committed_at: Option<Timestamp>,
    message_id: bool,
    before: Option<bool>,
    after: Option<bool>,
    origin: Origin,
}

impl Envelope {
    /// The row's transaction, if that much was read.
    pub(crate) fn transaction(&self, source: SourceId) -> Option<TransactionRow> {
        let (epoch, sequence) = (self.epoch?, self.sequence?);
        Some(TransactionRow {
            source,
            epoch,
            sequence,
            last: self.last.unwrap_or(false),
        })
    }
}

/// Reads a change or an event of a known table. On a refusal the envelope holds what came before it.
pub(crate) fn read_row(
    line: &str,
    layout: &Layout,
    buffer: &mut TableBuffer,
    latest: Timestamp,
    envelope: &mut Envelope,
) -> Result<u32, Refusal> {
    let mut cursor = Cursor::new(line);
    cursor.begin_object()?;
    let mut first = true;
    while cursor.next_member(first)? {
        first = false;
        read_member(&mut cursor, layout, buffer, envelope)?;
    }
    cursor.end()?;
    let committed_at = envelope
        .committed_at
        .ok_or_else(|| missing("committed_at"))?;
    sane(committed_at, latest)?;
    let (operation, version) = match layout.kind {
        TableKind::Events => (Operation::Insert, Version::default()),
        TableKind::Rows | TableKind::History(_) => (
            envelope.operation.ok_or_else(|| missing("op"))?,
            version(envelope)?,
        ),
    };
    let (before, after) = images_of(operation);
    check_image("before", before, envelope.before)?;
    check_image("after", after, envelope.after)?;
    let row = buffer.complete(layout, operation, version, committed_at)?;
    let origin = std::mem::take(&mut envelope.origin);
    buffer.made_by_one(origin);
    Ok(row)
}

fn read_member(
    cursor: &mut Cursor<'_>,
    layout: &Layout,
    buffer: &mut TableBuffer,
    envelope: &mut Envelope,
) -> Result<(), Refusal> {
    let key = cursor.key()?;
    match (&*key, layout.kind) {
        ("table", TableKind::Rows) | ("event", TableKind::Events) => {
            cursor.value()?;
            if std::mem::replace(&mut envelope.named, true) {
                return Err(twice(&key));
            }
            Ok(())
        }
        ("op", TableKind::Rows) => parse(&mut envelope.operation, &key, operation(cursor.value()?)),
        ("epoch", TableKind::Rows) => {
            parse(&mut envelope.epoch, &key, value::integer(cursor.value()?))
        }
        ("sequence", TableKind::Rows) => parse(
            &mut envelope.sequence,
            &key,
            value::integer(cursor.value()?),
        ),
        ("ordinal", TableKind::Rows) => {
            parse(&mut envelope.ordinal, &key, value::integer(cursor.value()?))
        }
        ("last", TableKind::Rows) => {
            parse(&mut envelope.last, &key, optional_boolean(cursor.value()?))
        }
        ("transaction", TableKind::Rows) => {
            known(&mut envelope.origin.transaction, &key, cursor.value()?)
        }
        ("account", TableKind::Rows) => known(&mut envelope.origin.account, &key, cursor.value()?),
        ("statement", TableKind::Rows) => {
            known(&mut envelope.origin.statement, &key, cursor.value()?)?;
            let whole = envelope.origin.statement.take();
            envelope.origin.statement = whole.and_then(|text| statement(&text));
            Ok(())
        }
        ("thread", TableKind::Rows) => match cursor.value()? {
            Value::Null => Ok(()),
            thread => parse(&mut envelope.origin.thread, &key, value::integer(thread)),
        },
        ("committed_at", _) => parse(
            &mut envelope.committed_at,
            &key,
            value::timestamp(cursor.value()?),
        ),
        ("message_id", TableKind::Events) => {
            let value = cursor.value()?;
            if std::mem::replace(&mut envelope.message_id, true) {
                return Err(twice(&key));
            }
            layout.message_id.map_or(Ok(()), |column| {
                buffer.after.set(column, Cell::Json(value), layout)
            })
        }
        ("before", TableKind::Rows) => {
            let there = image(cursor, &key, |cursor| buffer.before.read(cursor, layout))?;
            set(&mut envelope.before, &key, there)
        }
        ("after", _) => {
            let there = image(cursor, &key, |cursor| buffer.after.read(cursor, layout))?;
            set(&mut envelope.after, &key, there)
        }
        _ => Err(Refusal::new(
            HoleReason::UnknownForm,
            "the envelope has a field of no known meaning",
        )),
    }
}

/// Reads an image unless it is null; says whether it was there.
fn image<'a>(
    cursor: &mut Cursor<'a>,
    key: &str,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<(), Refusal>,
) -> Result<bool, Refusal> {
    if cursor.at_object() {
        return read(cursor).map(|()| true);
    }
    match cursor.value()? {
        Value::Null => Ok(false),
        _ => Err(Refusal::new(HoleReason::WrongType, "is neither an object nor null").of(key)),
    }
}

fn set<T>(field: &mut Option<T>, key: &str, value: T) -> Result<(), Refusal> {
    if field.replace(value).is_some() {
        Err(twice(key))
    } else {
        Ok(())
    }
}

/// As [`parse`], of a text that may be null.
fn known(field: &mut Option<String>, key: &str, value: Value<'_>) -> Result<(), Refusal> {
    match value {
        Value::Null => Ok(()),
        value => parse(field, key, value::text(value).map(Cow::into_owned)),
    }
}

/// As [`set`], with the refusal of the value said of this field.
fn parse<T>(field: &mut Option<T>, key: &str, value: Result<T, Refusal>) -> Result<(), Refusal> {
    set(field, key, value.map_err(|refusal| refusal.of(key))?)
}

fn operation(value: Value<'_>) -> Result<Operation, Refusal> {
    match &*value::text(value)? {
        "insert" => Ok(Operation::Insert),
        "update" => Ok(Operation::Update),
        "delete" => Ok(Operation::Delete),
        "snapshot" => Ok(Operation::Snapshot),
        _ => Err(Refusal::new(
            HoleReason::UnknownForm,
            "is none of insert, update, delete, snapshot",
        )),
    }
}

fn optional_boolean(value: Value<'_>) -> Result<bool, Refusal> {
    if value == Value::Null {
        Ok(false)
    } else {
        value::boolean(value)
    }
}

fn version(envelope: &Envelope) -> Result<Version, Refusal> {
    Ok(Version {
        epoch: envelope.epoch.ok_or_else(|| missing("epoch"))?,
        sequence: envelope.sequence.ok_or_else(|| missing("sequence"))?,
        ordinal: envelope.ordinal.ok_or_else(|| missing("ordinal"))?,
    })
}

fn check_image(name: &str, wanted: bool, there: Option<bool>) -> Result<(), Refusal> {
    match (wanted, there.unwrap_or(false)) {
        (true, false) => Err(missing(name)),
        (false, true) => Err(Refusal::new(
            HoleReason::Malformed,
            "has no place in a change of this kind",
        )
        .of(name)),
        _ => Ok(()),
    }
}

/// Refuses a commit time in the far future, which would move a source's progress past everything.
pub(crate) fn sane(committed_at: Timestamp, latest: Timestamp) -> Result<(), Refusal> {
    if committed_at <= latest {
        return Ok(());
    }
    let message = "lies more than a day in the future";
    Err(Refusal::new(HoleReason::AbsurdTime, message).of("committed_at"))
}

fn missing(name: &str) -> Refusal {
    Refusal::new(HoleReason::MissingColumn, "is missing or null").of(name)
}

fn twice(name: &str) -> Refusal {
    Refusal::new(HoleReason::Malformed, "stands twice in the line").of(name)
}

/// What a line says it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Form<'a> {
    Table(Cow<'a, str>),
    Event(Cow<'a, str>),
    Heartbeat,
}

/// Finds out what a line is, from its first field where it can, from all of them where it must.
pub(crate) fn form(line: &str) -> Result<Form<'_>, Refusal> {
    let mut cursor = Cursor::new(line);
    cursor.begin_object()?;
    let mut first = true;
    while cursor.next_member(first)? {
        first = false;
        let key = cursor.key()?;
        let value = cursor.value()?;
        let form = match &*key {
            "table" => Form::Table(value::text(value).map_err(|refusal| refusal.of(&key))?),
            "event" => Form::Event(value::text(value).map_err(|refusal| refusal.of(&key))?),
            "heartbeat" => Form::Heartbeat,
            _ => continue,
        };
        return Ok(form);
    }
    cursor.end()?;
    Err(Refusal::new(
        HoleReason::UnknownForm,
        "the line is neither a change, an event nor a heartbeat",
    ))
}

/// Reads a heartbeat: the source's name and the time up to which it has been read.
pub(crate) fn read_heartbeat(line: &str) -> Result<(Cow<'_, str>, Timestamp), Refusal> {
    let mut cursor = Cursor::new(line);
    cursor.begin_object()?;
    let (mut source, mut committed_at) = (None, None);
    let mut first = true;
    while cursor.next_member(first)? {
        first = false;
        let key = cursor.key()?;
        match &*key {
            "heartbeat" => parse(&mut source, &key, value::text(cursor.value()?))?,
            "committed_at" => parse(&mut committed_at, &key, value::timestamp(cursor.value()?))?,
            _ => {
                let message = "the heartbeat has a field of no known meaning";
                return Err(Refusal::new(HoleReason::UnknownForm, message));
            }
        }
    }
    cursor.end()?;
    Ok((
        source.ok_or_else(|| missing("heartbeat"))?,
        committed_at.ok_or_else(|| missing("committed_at"))?,
    ))
}
