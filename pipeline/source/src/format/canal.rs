//! Flat messages of Canal: one message is one statement's rows of one table, all values in text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use centinel_model::{HoleReason, Operation, Origin, Timestamp, Version};

use super::ddl::{Effect, effect_of_kind};
use super::made_by::MadeBy;
use super::mysql::{cell_of_text, misfit};
use super::output::{Change, Output, Refused};
use super::row::{emptied, of_table, refused};
use super::time::{Unit, committed_at, since_1970};
use super::{Message, Partition, Tables};
use crate::column::Cell;
use crate::json::{Cursor, NotJson, Value};
use crate::physical::Physical;
use crate::rows::{ImageBuffer, Layout, images_of};
use crate::shape::{Lost, Why};
use crate::value::{self, Refusal};

/// Reads Canal's messages. They carry no place in the binary log, so the place in the partition orders them,
/// and the topic must be partitioned by primary key.
#[derive(Debug, Default)]
pub(super) struct Canal {
    /// By table id: the types as they stood in the last message, and the columns that they do not fit.
    types: HashMap<usize, (Box<str>, Arc<Lost>)>,
    made_by: MadeBy,
}

/// What a message says.
#[derive(Debug, Default)]
struct Envelope<'a> {
    database: Option<Cow<'a, str>>,
    table: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    is_ddl: bool,
    executed_at: Option<i64>,
    /// Types by column.
    types: Option<&'a str>,
    data: Option<&'a str>,
    old: Option<&'a str>,
    /// Where the server has GTIDs.
    gtid: Option<Cow<'a, str>>,
}

impl Canal {
    pub(super) fn read(
        &mut self,
        message: &Message<'_>,
        tables: &mut Tables,
        partition: &mut Partition,
        output: &mut Output<'_, '_, '_>,
    ) -> Result<(), Refused> {
        let envelope = Envelope::read(message.text)?;
        let missing = |name| {
            let message = "is missing: the message is no flat message of Canal; correct the topic's format, or set \
                           canal.mq.flatMessage=true";
            Refusal::new(HoleReason::UnknownForm, message).of(name)
        };
        let kind = envelope.kind.as_deref().ok_or_else(|| missing("type"))?;
        let database = envelope.database.as_deref();
        let database = database.ok_or_else(|| missing("database"))?;
        let table = envelope.table.as_deref().unwrap_or("");
        let Some(physical) = tables.physical.find(database, table) else {
            return Ok(());
        };
        let layout = output.layout(physical.layout);
        let operation = match kind {
            "INSERT" => Operation::Insert,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            // Of forks that begin with a snapshot.
            "INIT-INSERT" => Operation::Snapshot,
            kind => {
                return match effect_of_kind(kind) {
                    Effect::Empties => Err(emptied(&physical, output, kind)),
                    Effect::Alters => {
                        tables.notes.altered(physical.layout, layout);
                        Ok(())
                    }
                    Effect::Nothing if envelope.is_ddl || kind == "QUERY" => Ok(()),
                    Effect::Nothing => Err(Refusal::new(
                        HoleReason::UnknownForm,
                        "`type` names no change of Canal that is known here",
                    )
                    .into()),
                };
            }
        };
        let whole = |refusal: Refusal| refused(refusal, physical.layout, layout, &[]);
        tables.physical.check(&physical).map_err(whole)?;
        let executed_at = envelope.executed_at.ok_or_else(|| {
            let message = "is missing or not a number of milliseconds";
            whole(Refusal::new(HoleReason::MissingColumn, message).of("es"))
        })?;
        let executed_at = committed_at(executed_at).map_err(whole)?;
        let rows = envelope.rows(operation).map_err(whole)?;
        let origin = Origin {
            transaction: envelope.gtid.as_deref().map(str::to_owned),
            ..Origin::default()
        };
        let origin = self.made_by.of(origin).cloned();
        let change = Change {
            physical: &physical,
            operation,
            version: Version {
                epoch: 0,
                sequence: message.offset,
                ordinal: 0,
            },
            committed_at: executed_at,
            last: false,
            origin: origin.as_ref(),
        };
        let row = Row {
            physical: &physical,
            unfit: self.unfit(envelope.types, physical.layout, layout),
        };
        let mut doubts = Doubts::default();
        let suspected = partition.goes_back(executed_at);
        for (index, (data, old)) in rows.iter().enumerate() {
            let mut change = change;
            change.version.ordinal = index as u32;
            change.last = index + 1 == rows.len();
            let read = output.change(change, tables, |buffer, tables, layout| {
                row.unfit
                    .iter()
                    .for_each(|(column, why)| tables.lost.add(column, why.clone()));
                let (before, after) = images_of(operation);
                if let Some(old) = old {
                    row.read(old, tables, layout, &mut buffer.before, Read::Changed)?;
                }
                if before {
                    row.read(data, tables, layout, &mut buffer.before, Read::Rest)?;
                }
                if after {
                    row.read(data, tables, layout, &mut buffer.after, Read::Whole)?;
                }
                Ok(())
            });
            let refusal = read.err();
            if refusal.is_some() || suspected {
                let mut images = vec![vec![*data]];
                images.extend(old.map(|old| vec![old, data]));
                doubts.add(refusal, images);
            }
        }
        if suspected {
            doubts.add(Some(replayed()), Vec::new());
        } else if doubts.refusal.is_none() {
            partition.newest = partition.newest.max(Some(executed_at));
        }
        match doubts.refusal {
            None => Ok(()),
            Some(refusal) => {
                let refusal = of_table(refusal, layout);
                let mut refused = refused(refusal, physical.layout, layout, &doubts.images);
                let mut transaction = change.transaction(layout);
                transaction.last = true;
                refused.known.transaction = Some(transaction);
                Err(refused)
            }
        }
    }

    /// The columns that the database's types do not fit. Mostly they are those of the message before.
    fn unfit(&mut self, types: Option<&str>, index: usize, layout: &Layout) -> Arc<Lost> {
        let Some(types) = types else {
            return Arc::default();
        };
        if let Some((known, unfit)) = self.types.get(&index)
            && **known == *types
        {
            return Arc::clone(unfit);
        }
        let mut unfit = Lost::default();
        // Types that cannot be read say nothing.
        let _ = read_types(types, layout, &mut unfit);
        let unfit = Arc::new(unfit);
        self.types.insert(index, (types.into(), Arc::clone(&unfit)));
        unfit
    }
}

/// What is wrong with a message, and the images of the rows that it concerns.
#[derive(Default)]
struct Doubts<'a> {
    refusal: Option<Refusal>,
    images: Vec<Vec<&'a str>>,
}

impl<'a> Doubts<'a> {
    fn add(&mut self, refusal: Option<Refusal>, images: Vec<Vec<&'a str>>) {
        self.images.extend(images);
        if self.refusal.is_none() {
            self.refusal = refusal;
        }
    }
}

/// What a change that may be an old one again is told as.
pub(super) fn replayed() -> Refusal {
    let message = "the change is older than one before it in this partition: the tool may have delivered a stretch \
                   again, or rows of one key went to several partitions; partition the topic by primary key";
    Refusal::new(HoleReason::ReplaySuspected, message)
}

impl Partition {
    /// Whether a change was made more than a second before one that was read already.
    pub(super) fn goes_back(&self, committed_at: Timestamp) -> bool {
        const TOLERANCE: i64 = 1_000_000;
        let newest = self.newest.map_or(i64::MIN, |newest| newest.0);
        committed_at.0 < newest.saturating_sub(TOLERANCE)
    }
}

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Result<Envelope<'a>, Refused> {
        let mut envelope = Envelope::default();
        let mut named: [bool; 3] = [false; 3];
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
                "isDdl" => envelope.is_ddl = value == Value::Boolean(true),
                "es" => {
                    envelope.executed_at = match value {
                        Value::Number(number) => since_1970(number, Unit::Millis).ok(),
                        _ => None,
                    }
                }
                "gtid" => envelope.gtid = text().filter(|gtid| !gtid.is_empty()),
                "mysqlType" => envelope.types = nested,
                "data" => envelope.data = nested,
                "old" => envelope.old = nested,
                _ => continue,
            }
            let weighty = ["data", "old", "table"];
            if let Some(index) = weighty.iter().position(|name| *name == key)
                && std::mem::replace(&mut named[index], true)
            {
                let message = "stands twice in the message";
                return Err(Refusal::new(HoleReason::Malformed, message).of(&key).into());
            }
        }
        cursor.end()?;
        Ok(envelope)
    }

    /// The rows: each as it is or, where it was deleted, was; and for updates what of it was otherwise before.
    fn rows(&self, operation: Operation) -> Result<Vec<(&'a str, Option<&'a str>)>, Refusal> {
        let data = objects(self.data).map_err(|refusal| refusal.of("data"))?;
        if data.is_empty() {
            let message = "has no rows";
            return Err(Refusal::new(HoleReason::MissingColumn, message).of("data"));
        }
        if operation != Operation::Update {
            return Ok(data.into_iter().map(|data| (data, None)).collect());
        }
        let old = objects(self.old).map_err(|refusal| refusal.of("old"))?;
        if old.len() != data.len() {
            let message = "does not have as many rows as `data`, so that it is not known what the rows were before; set \
                           binlog_row_image=FULL on the server";
            return Err(Refusal::new(HoleReason::MissingColumn, message).of("old"));
        }
        Ok(data
            .into_iter()
            .zip(old)
            .map(|(data, old)| (data, Some(old)))
            .collect())
    }
}

fn read_types(types: &str, layout: &Layout, unfit: &mut Lost) -> Result<(), NotJson> {
    let mut cursor = Cursor::new(types);
    cursor.begin_object()?;
    let mut first = true;
    while cursor.next_member(first)? {
        first = false;
        let key = cursor.key()?;
        let Value::Text(name) = cursor.value()? else {
            continue;
        };
        let Some(column) = layout.find_column(&key) else {
            continue;
        };
        let why = misfit(&name.content()?, layout.columns[column].kind);
        if let Some(why) = why.filter(|_| !layout.places[column]) {
            unfit.add(column, Why::OtherType(why));
        }
    }
    Ok(())
}

/// The objects of a list.
fn objects(list: Option<&str>) -> Result<Vec<&str>, Refusal> {
    let wrong = || Refusal::new(HoleReason::MissingColumn, "is not a list of rows");
    let mut cursor = Cursor::new(list.ok_or_else(wrong)?);
    cursor.begin_list().map_err(|_| wrong())?;
    let mut objects = Vec::new();
    let mut first = true;
    while cursor.next_item(first)? {
        first = false;
        if !cursor.at_object() {
            return Err(wrong());
        }
        let Value::Nested(object) = cursor.value()? else {
            return Err(wrong());
        };
        objects.push(object);
    }
    Ok(objects)
}

/// Which part of an image is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// All of it.
    Whole,
    /// The columns that changed, as they were.
    Changed,
    /// Those that did not.
    Rest,
}

/// Reads the images of one message's rows.
struct Row<'r> {
    physical: &'r Physical,
    /// The columns that the database's types do not fit.
    unfit: Arc<Lost>,
}

impl Row<'_> {
    fn read(
        &self,
        object: &str,
        tables: &mut Tables,
        layout: &Layout,
        image: &mut ImageBuffer,
        part: Read,
    ) -> Result<(), Refusal> {
        let index = self.physical.layout;
        let notes = &mut tables.notes;
        image.read_foreign(
            &mut Cursor::new(object),
            layout,
            part == Read::Rest,
            |column, value| match self.unfit.has(column) {
                true => Ok(Cell::Null),
                false => cell(value, column, layout),
            },
            |name| notes.extra_column(index, layout, name),
        )?;
        if part == Read::Changed {
            return Ok(());
        }
        if let (Some(column), Some(shard)) = (layout.shard, &self.physical.shard) {
            image.set(column, Cell::Text((**shard).into()), layout)?;
        }
        tables.check_whole(index, layout, image, true)
    }
}

fn cell<'a>(value: Value<'a>, column: usize, layout: &Layout) -> Result<Cell<'a>, Refusal> {
    match value {
        Value::Null => Ok(Cell::Null),
        Value::Text(text) => {
            let text = text.content().map_err(|_| {
                Refusal::new(
                    HoleReason::Malformed,
                    "has an escape that names no character",
                )
            })?;
            cell_of_text(text, &layout.columns[column], layout.zone)
        }
        _ => Err(Refusal::new(
            HoleReason::WrongType,
            "is not text, as all values of Canal are",
        )),
    }
}
