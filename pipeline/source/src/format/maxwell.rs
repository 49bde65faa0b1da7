//! Messages of Maxwell: one row in each, its values as JSON.

use std::borrow::Cow;

use centinel_catalog::ColumnType;
use centinel_model::{HoleReason, Operation, Origin, Timestamp, TransactionRow, Version};

use super::canal::replayed;
use super::ddl::{Effect, effect_of_kind};
use super::made_by::{MadeBy, statement};
use super::mysql::{binlog_place, cell_of_text};
use super::number::plain_digits;
use super::output::{Change, Output, Refused};
use super::row::{emptied, lose_other_kind, of_table, refused};
use super::time::{Unit, committed_at, since_1970};
use super::{Message, Partition, Tables};
use crate::column::Cell;
use crate::json::{Cursor, Value};
use crate::physical::Physical;
use crate::rows::{ColumnLayout, ImageBuffer, Layout, images_of};
use crate::value::{self, Refusal};

/// Reads Maxwell's messages.
#[derive(Debug, Default)]
pub(super) struct Maxwell {
    /// The first server that was seen.
    server: Option<u64>,
    made_by: MadeBy,
}

/// What a message says.
#[derive(Debug, Default)]
struct Envelope<'a> {
    database: Option<Cow<'a, str>>,
    table: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    /// In seconds, of a change of rows.
    committed_at: Option<&'a str>,
    last: bool,
    ordinal: Option<u32>,
    position: Option<Cow<'a, str>>,
    server: Option<u64>,
    data: Option<&'a str>,
    old: Option<&'a str>,
    /// The transaction's number, and its GTID where the server has them.
    number: Option<u64>,
    gtid: Option<Cow<'a, str>>,
    thread: Option<u64>,
    query: Option<Cow<'a, str>>,
}

impl Maxwell {
    pub(super) fn read(
        &mut self,
        message: &Message<'_>,
        tables: &mut Tables,
        partition: &mut Partition,
        output: &mut Output<'_, '_, '_>,
    ) -> Result<(), Refused> {
        let envelope = Envelope::read(message.text)?;
        let unknown = |message| Refused::from(Refusal::new(HoleReason::UnknownForm, message));
        let Some(kind) = envelope.kind.as_deref() else {
            let message =
                "`type` is missing: the message is none of Maxwell; correct the topic's format";
            return Err(unknown(message));
        };
        let database = envelope.database.as_deref().unwrap_or("");
        if kind == "database-drop" && tables.physical.reads_of(database) {
            let message =
                "a database whose tables are read was dropped; compare its tables with an audit";
            return Err(Refusal::new(HoleReason::Unobservable, message).into());
        }
        let table = envelope.table.as_deref().unwrap_or("");
        let Some(physical) = tables.physical.find(database, table) else {
            return Ok(());
        };
        let layout = output.layout(physical.layout);
        let operation = match kind {
            "insert" => Operation::Insert,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            "bootstrap-insert" => Operation::Snapshot,
            "bootstrap-start" | "bootstrap-complete" => return Ok(()),
            kind => {
                return match effect_of_kind(kind) {
                    Effect::Empties => Err(emptied(&physical, output, kind)),
                    Effect::Alters => {
                        tables.notes.altered(physical.layout, layout);
                        Ok(())
                    }
                    Effect::Nothing
                        if kind.starts_with("table-") || kind.starts_with("database-") =>
                    {
                        Ok(())
                    }
                    Effect::Nothing => Err(unknown(
                        "`type` names no change of Maxwell that is known here",
                    )),
                };
            }
        };
        let mut transaction = None;
        let offset = message.offset;
        let row = self.row(
            (&envelope, operation, offset),
            &physical,
            tables,
            partition,
            output,
            &mut transaction,
        );
        row.map_err(|refusal| {
            let images = envelope.images(operation);
            let refusal = of_table(refusal, layout);
            let mut refused = refused(refusal, physical.layout, layout, &images);
            refused.known.transaction = transaction;
            refused
        })
    }

    fn row(
        &mut self,
        (envelope, operation, offset): (&Envelope<'_>, Operation, u64),
        physical: &Physical,
        tables: &mut Tables,
        partition: &mut Partition,
        output: &mut Output<'_, '_, '_>,
        transaction: &mut Option<TransactionRow>,
    ) -> Result<(), Refusal> {
        tables.physical.check(physical)?;
        self.check_server(envelope.server)?;
        let seconds = envelope.committed_at.ok_or_else(|| {
            Refusal::new(HoleReason::MissingColumn, "is missing or not a number").of("ts")
        })?;
        let committed_at = since_1970(seconds, Unit::Seconds)
            .and_then(committed_at)
            .map_err(|refusal| refusal.of("ts"))?;
        let (version, suspected) = partition.version(envelope, operation, offset, committed_at)?;
        let change = Change {
            physical,
            operation,
            version,
            committed_at,
            last: true,
            origin: self.made_by.of(envelope.origin()),
        };
        let layout = output.layout(physical.layout);
        *transaction = Some(change.transaction(layout));
        let missing =
            |name: &str, message| Refusal::new(HoleReason::MissingColumn, message).of(name);
        let data = envelope.data.ok_or_else(|| missing("data", "is missing"))?;
        let old = (operation == Operation::Update).then(|| {
            let message = "is missing, so that it is not known what the row was before; set \
                           binlog_row_image=FULL on the server";
            envelope.old.ok_or_else(|| missing("old", message))
        });
        let old = old.transpose()?;
        output.change(change, tables, |buffer, tables, layout| {
            let (before, after) = images_of(operation);
            if let Some(old) = old {
                read(old, physical, layout, &mut buffer.before, false, tables)?;
            }
            if before {
                read(data, physical, layout, &mut buffer.before, true, tables)?;
                whole(physical, layout, &mut buffer.before, tables)?;
            }
            if after {
                read(data, physical, layout, &mut buffer.after, false, tables)?;
                whole(physical, layout, &mut buffer.after, tables)?;
            }
            Ok(())
        })?;
        if suspected {
            return Err(replayed());
        }
        partition.newest = partition.newest.max(Some(committed_at));
        Ok(())
    }

    /// Refuses changes of a second server, whose positions cannot be compared with those of the first.
    fn check_server(&mut self, server: Option<u64>) -> Result<(), Refusal> {
        let Some(server) = server else {
            return Ok(());
        };
        if *self.server.get_or_insert(server) == server {
            return Ok(());
        }
        let message = "the change is of another server than those before, whose positions cannot be compared with its \
                       own; read it from a topic of its own, with a state of its own";
        Err(Refusal::new(HoleReason::Contradiction, message))
    }
}

impl Partition {
    /// The version of a row, and whether it may be an old one again.
    fn version(
        &mut self,
        envelope: &Envelope<'_>,
        operation: Operation,
        offset: u64,
        committed_at: Timestamp,
    ) -> Result<(Version, bool), Refusal> {
        // Of rows that share their place, the later one in the partition is the later one. A transaction's
        // last row has no number.
        let ordinal = match (envelope.ordinal, envelope.last) {
            (Some(ordinal), _) => ordinal,
            (None, true) => u32::MAX,
            (None, false) => offset as u32 & (u32::MAX >> 1),
        };
        let version = |sequence, ordinal| Version {
            epoch: 0,
            sequence,
            ordinal,
        };
        if let Some(position) = &envelope.position {
            let place = position.rsplit_once(':').and_then(|(file, place)| {
                let place: u64 = place.parse().ok()?;
                Some(binlog_place(file, place))
            });
            let place = place.unwrap_or_else(|| {
                let message = "is not a place in a binary log, such as binlog.000003:154";
                Err(Refusal::new(HoleReason::WrongType, message).of("position"))
            })?;
            self.require_positions(true)?;
            let suspected = self
                .newest_position
                .is_some_and(|(newest, at)| place < newest && committed_at > at);
            if self
                .newest_position
                .is_none_or(|(newest, _)| newest < place)
            {
                self.newest_position = Some((place, committed_at));
            }
            return Ok((version(place, ordinal), suspected));
        }
        if operation == Operation::Snapshot {
            // What the rows of a bootstrap say gives way to every change of them.
            return Ok((version(0, offset as u32), false));
        }
        self.require_positions(false)?;
        Ok((version(offset, 0), self.goes_back(committed_at)))
    }

    /// Refuses changes that carry their place beside such that do not: they cannot be put in one order.
    fn require_positions(&mut self, there: bool) -> Result<(), Refusal> {
        if *self.positioned.get_or_insert(there) == there {
            return Ok(());
        }
        let message = "is in some messages of this partition and not in others, so that they cannot be put in order; set \
                       output_binlog_position=true before the first message";
        Err(Refusal::new(HoleReason::MissingColumn, message).of("position"))
    }
}

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Result<Envelope<'a>, Refused> {
        let mut envelope = Envelope::default();
        let mut weighty = 0;
        let mut cursor = Cursor::new(text);
        cursor.begin_object()?;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            let value = cursor.value()?;
            let nested = match value {
                Value::Nested(text) => Some(text),
                _ => None,
            };
            let text = || value::text(value).ok();
            match &*key {
                "database" => envelope.database = text(),
                "table" => envelope.table = text(),
                "type" => envelope.kind = text(),
                "ts" => {
                    envelope.committed_at = match value {
                        Value::Number(number) => Some(number),
                        _ => None,
                    }
                }
                "commit" => envelope.last = value == Value::Boolean(true),
                "xoffset" => envelope.ordinal = value::integer(value).ok(),
                "position" => envelope.position = text(),
                "xid" => envelope.number = value::integer(value).ok(),
                "gtid" => envelope.gtid = text(),
                "thread_id" => envelope.thread = value::integer(value).ok(),
                "query" => envelope.query = text(),
                "server_id" => envelope.server = value::integer(value).ok(),
                "data" | "old" => {
                    let (field, bit) = match &*key {
                        "data" => (&mut envelope.data, 1),
                        _ => (&mut envelope.old, 2),
                    };
                    if weighty & bit != 0 {
                        let message = "stands twice in the message";
                        return Err(Refusal::new(HoleReason::Malformed, message).of(&key).into());
                    }
                    weighty |= bit;
                    *field = nested;
                }
                _ => {}
            }
        }
        cursor.end()?;
        Ok(envelope)
    }

    /// Who made the change.
    fn origin(&self) -> Origin {
        let number = || self.number.map(|number| number.to_string());
        Origin {
            transaction: self.gtid.as_deref().map(str::to_owned).or_else(number),
            thread: self.thread,
            account: None,
            statement: self.query.as_deref().and_then(statement),
        }
    }

    /// The images that tell which entities the row belongs to.
    fn images(&self, operation: Operation) -> Vec<Vec<&'a str>> {
        let data: Vec<&str> = self.data.into_iter().collect();
        match operation {
            Operation::Update => {
                let old = self.old.into_iter().chain(self.data).collect();
                vec![old, data]
            }
            _ => vec![data],
        }
    }
}

fn read(
    object: &str,
    physical: &Physical,
    layout: &Layout,
    image: &mut ImageBuffer,
    missing: bool,
    tables: &mut Tables,
) -> Result<(), Refusal> {
    let Tables { notes, lost, .. } = tables;
    image.read_foreign(
        &mut Cursor::new(object),
        layout,
        missing,
        |column, value| {
            let takes = takes(layout.columns[column].kind, value);
            match !takes && lose_other_kind(lost, column, value, layout) {
                true => Ok(Cell::Null),
                false => cell(value, &layout.columns[column], layout.zone),
            }
        },
        |name| notes.extra_column(physical.layout, layout, name),
    )
}

fn whole(
    physical: &Physical,
    layout: &Layout,
    image: &mut ImageBuffer,
    tables: &mut Tables,
) -> Result<(), Refusal> {
    if let (Some(column), Some(shard)) = (layout.shard, &physical.shard) {
        image.set(column, Cell::Text((**shard).into()), layout)?;
    }
    // Maxwell can be told to leave out what is null.
    tables.check_whole(physical.layout, layout, image, false)
}

/// Whether Maxwell writes the values of such a column in this form.
fn takes(kind: ColumnType, value: Value<'_>) -> bool {
    match (kind, value) {
        (_, Value::Null) | (ColumnType::Json, _) => true,
        (ColumnType::Text, Value::Nested(list)) => list.starts_with('['),
        (ColumnType::Text | ColumnType::Timestamp | ColumnType::Date, Value::Text(_)) => true,
        (ColumnType::Integer | ColumnType::Boolean, Value::Number(_) | Value::Boolean(_)) => true,
        (ColumnType::Decimal { .. }, Value::Number(_) | Value::Text(_)) => true,
        _ => false,
    }
}

/// The value as its column takes it.
fn cell<'a>(
    value: Value<'a>,
    column: &ColumnLayout,
    zone: Option<i64>,
) -> Result<Cell<'a>, Refusal> {
    match (column.kind, value) {
        (ColumnType::Decimal { .. }, Value::Number(number)) => {
            Ok(Cell::Number(plain_digits(number).unwrap_or(number.into())))
        }
        (ColumnType::Integer, Value::Boolean(truth)) => Ok(Cell::Integer(i128::from(truth))),
        (ColumnType::Boolean, Value::Number(number)) => Ok(Cell::Number(number.into())),
        (ColumnType::Timestamp | ColumnType::Date | ColumnType::Decimal { .. }, Value::Text(_)) => {
            cell_of_text(value::text(value)?, column, zone)
        }
        (ColumnType::Text, Value::Nested(list)) if list.starts_with('[') => {
            set(list).map(|text| Cell::Text(text.into()))
        }
        _ => Ok(Cell::Json(value)),
    }
}

/// A SET column comes as a list; MySQL shows it with commas.
fn set(list: &str) -> Result<String, Refusal> {
    let mut members = Vec::new();
    let mut cursor = Cursor::new(list);
    cursor.begin_list()?;
    let mut first = true;
    while cursor.next_item(first)? {
        first = false;
        members.push(value::text(cursor.value()?)?);
    }
    Ok(members.join(","))
}
