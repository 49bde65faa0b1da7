//! The envelope around a row's images.

use std::borrow::Cow;

use centinel_model::{HoleReason, Origin, Timestamp};

use super::schema::{BlockId, Schemas};
use super::unknown_form;
use crate::format::Tables;
use crate::format::made_by::statement;
use crate::format::output::Refused;
use crate::format::time::committed_at;
use crate::json::{Cursor, NotJson, Value};
use crate::physical::Physical;
use crate::value::{self, Refusal};

/// What happened, in one letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Create,
    Update,
    Delete,
    Read,
    Truncate,
    Message,
}

/// The database that a connector reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connector {
    /// MySQL and MariaDB.
    MySql,
    Postgres,
    Other,
}

/// What a message says.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) schema: Option<BlockId>,
    payload: bool,
    /// Whether its payload is null.
    tombstone: bool,
    operator: Option<Result<Operator, Refusal>>,
    before: Option<Value<'a>>,
    after: Option<Value<'a>>,
    pub(super) source: Source<'a>,
    sourced: bool,
    /// When the connector saw it.
    seen_at: Option<i64>,
    /// Statement of a schema change.
    ddl: Option<Cow<'a, str>>,
    /// Whether it tells the beginning or end of a transaction.
    status: bool,
    /// How many members it has that messages about transactions have.
    marks: usize,
    /// How many other members it has that say something.
    others: usize,
}

/// Where a change comes from.
#[derive(Debug, Default)]
pub(super) struct Source<'a> {
    pub(super) connector: Option<Connector>,
    pub(super) database: Option<Cow<'a, str>>,
    pub(super) schema: Option<Cow<'a, str>>,
    pub(super) table: Option<Cow<'a, str>>,
    pub(super) server_id: Option<u64>,
    pub(super) file: Option<Cow<'a, str>>,
    pub(super) pos: Option<u64>,
    pub(super) row: Option<u32>,
    pub(super) lsn: Option<u64>,
    /// When it was committed, in microseconds since 1970.
    pub(super) committed_at: Option<i64>,
    pub(super) precise: bool,
    gtid: Option<Cow<'a, str>>,
    /// The transaction's number, of PostgreSQL.
    transaction_number: Option<u64>,
    /// The transaction as the connector calls it, where it tells of transactions.
    transaction: Option<Cow<'a, str>>,
    thread: Option<u64>,
    query: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// Reads the object that comes next: the envelope, or `schema` and `payload` around it.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'a>,
        schemas: &mut Schemas,
    ) -> Result<(), Refused> {
        self.members(cursor, schemas, false)
    }

    fn members(
        &mut self,
        cursor: &mut Cursor<'a>,
        schemas: &mut Schemas,
        inside: bool,
    ) -> Result<(), Refused> {
        cursor.begin_object()?;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            match &*key {
                "before" => once(&mut self.before, &key, cursor.value()?)?,
                "after" => once(&mut self.after, &key, cursor.value()?)?,
                "source" if cursor.at_object() => {
                    if std::mem::replace(&mut self.sourced, true) {
                        return Err(twice(&key).into());
                    }
                    self.source.read(cursor)?;
                }
                "op" => {
                    let operator = operator(cursor.value()?);
                    once(&mut self.operator, &key, operator)?;
                }
                "ts_ms" => {
                    let seen_at = value::integer::<i64>(cursor.value()?).ok();
                    self.seen_at = seen_at.and_then(|millis| millis.checked_mul(1_000));
                }
                "ts_us" | "ts_ns" => drop(cursor.value()?),
                "transaction" => self.source.read_transaction(cursor.value()?)?,
                "schema" if !inside => {
                    let block = schemas.read(cursor)?;
                    self.schema = block;
                }
                "payload" if !inside => {
                    if std::mem::replace(&mut self.payload, true) {
                        return Err(twice(&key).into());
                    }
                    match cursor.at_object() {
                        true => self.members(cursor, schemas, true)?,
                        false if cursor.value()? == Value::Null => self.tombstone = true,
                        false => self.others += 1,
                    }
                }
                "ddl" => {
                    self.ddl = value::text(cursor.value()?).ok();
                    self.others += 1;
                }
                "status" => {
                    let status = value::text(cursor.value()?).ok();
                    self.status = matches!(status.as_deref(), Some("BEGIN" | "END"));
                    self.marks += 1;
                }
                "id" | "event_count" | "data_collections" => {
                    cursor.value()?;
                    self.marks += 1;
                }
                _ => {
                    self.others += 1;
                    cursor.value()?;
                }
            }
        }
        Ok(())
    }

    /// Whether it is a tombstone, a heartbeat of the connector, or tells where transactions end.
    pub(super) fn says_nothing(&self) -> bool {
        let row = self.operator.is_some() || self.sourced || self.before.is_some();
        let beat = self.seen_at.is_some() && self.marks == 0;
        let says_something = row || self.after.is_some() || self.others > 0;
        !says_something && (self.status || beat || self.tombstone)
    }

    /// The statement of a schema change.
    pub(super) fn statement(&self) -> Option<&str> {
        self.ddl
            .as_deref()
            .filter(|_| self.sourced && self.operator.is_none())
    }

    pub(super) fn operator(&self) -> Result<Operator, Refusal> {
        match &self.operator {
            Some(operator) => operator.clone(),
            None => Err(unknown_form(
                "the message is no change of Debezium; correct the topic's format, or say that it is flattened",
            )),
        }
    }

    /// When the change was committed; rows of a snapshot may not say it, so that it is when they were seen.
    pub(super) fn committed_at(&self) -> Result<Timestamp, Refusal> {
        let committed = self.source.committed_at.filter(|micros| *micros > 0);
        match committed.or(self.seen_at) {
            Some(micros) => committed_at(micros),
            None => {
                let message = "is missing: neither the source nor the message says a time";
                Err(Refusal::new(HoleReason::MissingColumn, message).of("ts_ms"))
            }
        }
    }

    pub(super) fn before(&self) -> Result<&'a str, Refusal> {
        let remedy = match self.source.connector {
            Some(Connector::Postgres) => {
                "is missing: the change does not carry the row before it; set REPLICA IDENTITY FULL on the table"
            }
            _ => {
                "is missing: the change does not carry the row before it; set binlog_row_image=FULL on the server, and \
                 keep transforms from removing it"
            }
        };
        image("before", self.before, remedy)
    }

    pub(super) fn after(&self) -> Result<&'a str, Refusal> {
        image(
            "after",
            self.after,
            "is missing in a change that has a row after it",
        )
    }

    /// The images that tell which entities a change belongs to; of one that is not there nothing is known.
    pub(super) fn images(&self, operator: Operator) -> Vec<Vec<&'a str>> {
        let of = |image: Option<Value<'a>>| match image {
            Some(Value::Nested(text)) => vec![text],
            _ => Vec::new(),
        };
        match operator {
            Operator::Create | Operator::Read => vec![of(self.after)],
            Operator::Delete => vec![of(self.before)],
            _ => vec![of(self.before), of(self.after)],
        }
    }
}

fn image<'a>(
    name: &str,
    image: Option<Value<'a>>,
    remedy: &'static str,
) -> Result<&'a str, Refusal> {
    match image {
        Some(Value::Nested(text)) => Ok(text),
        Some(Value::Null) | None => Err(Refusal::new(HoleReason::MissingColumn, remedy).of(name)),
        Some(_) => Err(Refusal::new(HoleReason::WrongType, "is not an object").of(name)),
    }
}

fn operator(value: Value<'_>) -> Result<Operator, Refusal> {
    match &*value::text(value).map_err(|refusal| refusal.of("op"))? {
        "c" => Ok(Operator::Create),
        "u" => Ok(Operator::Update),
        "d" => Ok(Operator::Delete),
        "r" => Ok(Operator::Read),
        "t" => Ok(Operator::Truncate),
        "m" => Ok(Operator::Message),
        _ => Err(unknown_form("`op` is none of c, u, d, r, t, m")),
    }
}

pub(super) fn once<T>(field: &mut Option<T>, name: &str, value: T) -> Result<(), Refusal> {
    match field.replace(value) {
        Some(_) => Err(twice(name)),
        None => Ok(()),
    }
}

pub(super) fn twice(name: &str) -> Refusal {
    Refusal::new(HoleReason::Malformed, "stands twice in the message").of(name)
}

impl<'a> Source<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), NotJson> {
        cursor.begin_object()?;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            let value = cursor.value()?;
            self.set(&key, value);
        }
        Ok(())
    }

    /// Reads what stands beside the row about its transaction.
    fn read_transaction(&mut self, value: Value<'a>) -> Result<(), NotJson> {
        let Value::Nested(text) = value else {
            return Ok(());
        };
        let mut cursor = Cursor::new(text);
        cursor.begin_object()?;
        let mut first = true;
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            let value = cursor.value()?;
            if key == "id" {
                self.transaction = value::text(value).ok();
            }
        }
        Ok(())
    }

    /// Who made the change.
    pub(super) fn origin(&self) -> Origin {
        let number = || self.transaction_number.map(|number| number.to_string());
        let own = || self.transaction.as_deref().map(str::to_owned);
        Origin {
            transaction: self
                .gtid
                .as_deref()
                .map(str::to_owned)
                .or_else(number)
                .or_else(own),
            thread: self.thread,
            account: None,
            statement: self.query.as_deref().and_then(statement),
        }
    }

    /// Takes in one part. What is of another type than it should be counts as missing.
    pub(super) fn set(&mut self, name: &str, value: Value<'a>) {
        match name {
            "connector" => self.connector = value::text(value).ok().map(|name| connector(&name)),
            "db" => self.database = value::text(value).ok(),
            "schema" => self.schema = value::text(value).ok(),
            "table" => self.table = value::text(value).ok(),
            "server_id" => self.server_id = whole(value),
            "file" => self.file = value::text(value).ok(),
            "pos" => self.pos = whole(value),
            "row" => self.row = whole(value),
            "lsn" => self.lsn = whole(value),
            "gtid" => self.gtid = value::text(value).ok(),
            "txId" => self.transaction_number = whole(value),
            "thread" => self.thread = whole(value),
            "query" => self.query = value::text(value).ok(),
            "ts_us" => {
                self.committed_at = whole(value).or(self.committed_at);
                self.precise = true;
            }
            "ts_ms" if !self.precise => {
                let millis: Option<i64> = whole(value);
                self.committed_at = millis.and_then(|millis| millis.checked_mul(1_000));
            }
            _ => {}
        }
    }

    /// The table of the schemas that the change is of, if one reads it.
    pub(super) fn physical(&self, tables: &mut Tables) -> Result<Option<Physical>, Refusal> {
        match self.connector {
            Some(Connector::MySql | Connector::Postgres) => {}
            Some(Connector::Other) => {
                return Err(unknown_form(
                    "the change is of a connector other than MySQL, MariaDB and PostgreSQL, whose order is not known here",
                ));
            }
            None => return Err(unknown_form("`source` names no connector")),
        }
        let missing = |name: &str| {
            let message = "is missing, so that the change's table is not known";
            Refusal::new(HoleReason::UnknownTable, message).of(name)
        };
        let database = self.database.as_deref().ok_or_else(|| missing("db"))?;
        let table = self.table.as_deref().ok_or_else(|| missing("table"))?;
        Ok(match (self.connector, &self.schema) {
            (Some(Connector::Postgres), Some(schema)) => {
                tables.physical.find_in_schema(database, schema, table)
            }
            (Some(Connector::Postgres), None) => return Err(missing("schema")),
            _ => tables.physical.find(database, table),
        })
    }
}

fn connector(name: &str) -> Connector {
    match name {
        "mysql" | "mariadb" => Connector::MySql,
        "postgresql" => Connector::Postgres,
        _ => Connector::Other,
    }
}

/// A whole number, which some converters write as text.
fn whole<T: std::str::FromStr + arrow::datatypes::ArrowNativeType>(value: Value<'_>) -> Option<T> {
    match value {
        Value::Text(text) => text.content().ok()?.parse().ok(),
        value => value::integer(value).ok(),
    }
}
