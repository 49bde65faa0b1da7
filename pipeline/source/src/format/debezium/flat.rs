//! Rows without their envelope, as `ExtractNewRecordState` leaves them.

use centinel_model::{HoleReason, Operation, TransactionRow};

use super::envelope::{Connector, Source, once, twice};
use super::schema::BlockId;
use super::{Debezium, Row, unknown_form};
use crate::format::output::{Change, Output, Refused};
use crate::format::row::{of_table, refused};
use crate::format::time::committed_at;
use crate::format::{Message, Tables};
use crate::json::{Cursor, Value};
use crate::physical::Physical;
use crate::rows::images_of;
use crate::value::{self, Refusal};

/// What the transform added to a row.
#[derive(Debug, Default)]
struct Added<'a> {
    operation: Option<Operation>,
    deleted: Option<bool>,
    /// Whether a snapshot read the row.
    snapshot: bool,
    source: Source<'a>,
}

impl Debezium {
    pub(super) fn read_flattened(
        &mut self,
        message: &Message<'_>,
        tables: &mut Tables,
        output: &mut Output<'_, '_, '_>,
    ) -> Result<(), Refused> {
        let Some((row, schema)) = self.payload(message.text)? else {
            return Ok(());
        };
        let added = Added::read(row)?;
        let Some(physical) = added.physical(tables)? else {
            return Ok(());
        };
        let layout = output.layout(physical.layout);
        let mut transaction = None;
        self.flat_row(
            (row, &added),
            schema,
            &physical,
            tables,
            output,
            &mut transaction,
        )
        .map_err(|refusal| {
            let refusal = of_table(refusal, layout);
            let mut refused = refused(refusal, physical.layout, layout, &[vec![row]]);
            refused.known.transaction = transaction;
            refused
        })
    }

    /// The row and its schema; none of a tombstone.
    fn payload<'a>(
        &mut self,
        text: &'a str,
    ) -> Result<Option<(&'a str, Option<BlockId>)>, Refused> {
        let mut cursor = Cursor::new(text);
        cursor.begin_object()?;
        let (mut schema, mut payload, mut others) = (None, None, false);
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            match &*key {
                "schema" if cursor.at_object() => schema = self.schemas.read(&mut cursor)?,
                "payload" => once(&mut payload, &key, cursor.value()?)?,
                "schema" => others |= cursor.value()? != Value::Null,
                _ => {
                    others = true;
                    cursor.value()?;
                }
            }
        }
        cursor.end()?;
        // A row may have columns of these names.
        Ok(match payload {
            Some(Value::Null) if !others => None,
            Some(Value::Nested(row)) if !others => Some((row, schema)),
            _ => Some((text, None)),
        })
    }

    fn flat_row(
        &mut self,
        (row, added): (&str, &Added<'_>),
        schema: Option<BlockId>,
        physical: &Physical,
        tables: &mut Tables,
        output: &mut Output<'_, '_, '_>,
        transaction: &mut Option<TransactionRow>,
    ) -> Result<(), Refusal> {
        tables.physical.check(physical)?;
        let operation = added.operation()?;
        let micros = added.source.committed_at.ok_or_else(|| {
            let message =
                "is missing; let the transform add it: add.fields=op,db,table,source.ts_ms,…";
            Refusal::new(HoleReason::MissingColumn, message).of("__source_ts_ms")
        })?;
        let change = Change {
            physical,
            operation,
            version: self.servers.version(&added.source, added.snapshot)?,
            committed_at: committed_at(micros)?,
            last: true,
            origin: self.made_by.of(added.source.origin()),
        };
        *transaction = Some(change.transaction(output.layout(physical.layout)));
        let (before, _) = images_of(operation);
        let layout = output.layout(physical.layout);
        let image = Row {
            cells: &self.cells,
            known: self.schemas.of(schema, layout),
            physical,
        };
        output.change(change, tables, |buffer, tables, layout| {
            image.lose_unfit(&mut tables.lost);
            let buffer = match before {
                true => &mut buffer.before,
                false => &mut buffer.after,
            };
            image.read(row, tables, layout, buffer, |name| name.starts_with("__"))
        })
    }
}

impl<'a> Added<'a> {
    fn read(row: &'a str) -> Result<Added<'a>, Refused> {
        let mut added = Added::default();
        let mut cursor = Cursor::new(row);
        cursor.begin_object()?;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            let value = cursor.value()?;
            let Some(name) = key.strip_prefix("__") else {
                continue;
            };
            match name {
                "op" => {
                    added.snapshot = matches!(value, Value::Text(text) if text.is("r"));
                    once(&mut added.operation, &key, operation(value)?)?;
                }
                "deleted" => {
                    let deleted = match value {
                        Value::Boolean(deleted) => deleted,
                        value => {
                            &*value::text(value).map_err(|refusal| refusal.of(&key))? == "true"
                        }
                    };
                    once(&mut added.deleted, &key, deleted)?;
                }
                // When the connector saw the change, which is not when it was committed.
                "ts_ms" | "ts_us" | "ts_ns" => {}
                name => {
                    let name = name.strip_prefix("source_").unwrap_or(name);
                    added.source.set(name, value);
                }
            }
        }
        if added.source.connector.is_none() {
            added.source.connector = Some(match added.source.lsn {
                Some(_) => Connector::Postgres,
                None => Connector::MySql,
            });
        }
        Ok(added)
    }

    fn physical(&self, tables: &mut Tables) -> Result<Option<Physical>, Refusal> {
        self.source.physical(tables).map_err(|mut refusal| {
            if refusal.reason == HoleReason::UnknownTable {
                refusal.message = format!(
                    "{}; let the transform add it: add.fields=op,db,table,source.ts_ms,server_id,file,pos,row (or schema \
                     and lsn for PostgreSQL)",
                    refusal.message
                )
                .into();
            }
            refusal
        })
    }

    /// What happened. An update carries no row before it, so it counts as a row that a snapshot had.
    fn operation(&self) -> Result<Operation, Refusal> {
        match (self.operation, self.deleted) {
            (Some(Operation::Delete), Some(false)) => Err(twice("__op")),
            (Some(Operation::Delete), _) | (_, Some(true)) => Ok(Operation::Delete),
            (Some(operation), _) => Ok(operation),
            (None, Some(false)) => Ok(Operation::Snapshot),
            (None, None) => Err(unknown_form(
                "`__op` is missing, so that it is not known what happened; let the transform add it: add.fields=op,…, or \
                 correct the topic's format",
            )),
        }
    }
}

fn operation(value: Value<'_>) -> Result<Operation, Refusal> {
    match &*value::text(value).map_err(|refusal| refusal.of("__op"))? {
        "c" => Ok(Operation::Insert),
        "u" | "r" => Ok(Operation::Snapshot),
        "d" => Ok(Operation::Delete),
        _ => Err(unknown_form("`__op` is none of c, u, d, r")),
    }
}
