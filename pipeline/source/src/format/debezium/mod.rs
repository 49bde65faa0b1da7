//! Row changes as Debezium writes them in JSON, with or without a schema beside each message. Those in Avro are
//! read as the JSON that stands for them.

mod cell;
mod envelope;
mod flat;
mod options;
mod schema;
mod version;

use centinel_model::{HoleReason, Operation, TransactionRow};

use self::cell::{Cells, takes};
use self::envelope::{Envelope, Operator};
use self::schema::{Known, Schemas};
use self::version::Servers;
use super::ddl::{Effect, effect_of_statement};
use super::made_by::MadeBy;
use super::output::{Change, Output, Refused};
use super::row::{emptied, lose_other_kind, of_table, refused};
use super::{Message, Tables};
use crate::column::Cell;
use crate::json::Cursor;
use crate::physical::Physical;
use crate::rows::{ImageBuffer, Layout, images_of};
use crate::shape::Lost;
use crate::value::Refusal;

pub use self::options::{DebeziumOptions, Decimals, IntegerTimes};

/// Reads Debezium's messages.
#[derive(Debug)]
pub(super) struct Debezium {
    flattened: bool,
    cells: Cells,
    servers: Servers,
    schemas: Schemas,
    made_by: MadeBy,
}

impl Debezium {
    pub(super) fn new(options: DebeziumOptions) -> Result<Debezium, String> {
        Ok(Debezium {
            flattened: options.flattened,
            cells: Cells {
                decimals: options.decimals,
                times: options.times,
            },
            servers: Servers::new(options.servers)?,
            schemas: Schemas::default(),
            made_by: MadeBy::default(),
        })
    }

    pub(super) fn read(
        &mut self,
        message: &Message<'_>,
        tables: &mut Tables,
        output: &mut Output<'_, '_, '_>,
    ) -> Result<(), Refused> {
        let mut envelope = Envelope::default();
        let mut cursor = Cursor::new(message.text);
        // A converter writes a tombstone as null, too.
        if cursor.skip(b"null") {
            cursor.end()?;
            return Ok(());
        }
        if self.flattened {
            return self.read_flattened(message, tables, output);
        }
        envelope.read(&mut cursor, &mut self.schemas)?;
        cursor.end()?;
        if envelope.says_nothing() {
            return Ok(());
        }
        if let Some(statement) = envelope.statement() {
            return ddl(&envelope, statement, tables, output);
        }
        let operator = envelope.operator()?;
        if operator == Operator::Message {
            return Ok(());
        }
        let Some(physical) = envelope.source.physical(tables)? else {
            return Ok(());
        };
        if operator == Operator::Truncate {
            return Err(emptied(&physical, output, "TRUNCATE"));
        }
        let layout = output.layout(physical.layout);
        let mut transaction = None;
        self.row(
            &envelope,
            operator,
            &physical,
            tables,
            output,
            &mut transaction,
        )
        .map_err(|refusal| {
            let images = envelope.images(operator);
            let mut refused = refused(of_table(refusal, layout), physical.layout, layout, &images);
            refused.known.transaction = transaction;
            refused
        })
    }

    fn row(
        &mut self,
        envelope: &Envelope<'_>,
        operator: Operator,
        physical: &Physical,
        tables: &mut Tables,
        output: &mut Output<'_, '_, '_>,
        transaction: &mut Option<TransactionRow>,
    ) -> Result<(), Refusal> {
        tables.physical.check(physical)?;
        let operation = match operator {
            Operator::Create => Operation::Insert,
            Operator::Update => Operation::Update,
            Operator::Delete => Operation::Delete,
            _ => Operation::Snapshot,
        };
        let version = self
            .servers
            .version(&envelope.source, operator == Operator::Read)?;
        let change = Change {
            physical,
            operation,
            version,
            committed_at: envelope.committed_at()?,
            last: true,
            origin: self.made_by.of(envelope.source.origin()),
        };
        *transaction = Some(change.transaction(output.layout(physical.layout)));
        let (before, after) = images_of(operation);
        let before = before.then(|| envelope.before()).transpose()?;
        let after = after.then(|| envelope.after()).transpose()?;
        let layout = output.layout(physical.layout);
        let row = Row {
            cells: &self.cells,
            known: self.schemas.of(envelope.schema, layout),
            physical,
        };
        output.change(change, tables, |buffer, tables, layout| {
            row.lose_unfit(&mut tables.lost);
            let mut image = |text: Option<&str>, image: &mut ImageBuffer| match text {
                Some(text) => row.read(text, tables, layout, image, |_| false),
                None => Ok(()),
            };
            image(before, &mut buffer.before)?;
            image(after, &mut buffer.after)
        })
    }
}

/// Reads the images of one row.
struct Row<'r> {
    cells: &'r Cells,
    /// What the schema beside the message says of the columns.
    known: Option<&'r Known>,
    physical: &'r Physical,
}

impl Row<'_> {
    /// Loses the columns that cannot take what the schema beside the message says of them.
    fn lose_unfit(&self, lost: &mut Lost) {
        let unfit = self.known.iter().flat_map(|known| known.unfit.iter());
        unfit.for_each(|(column, why)| lost.add(column, why.clone()));
    }

    /// Reads one image; `ours` says of a member that no column is named after whether the tool added it.
    fn read(
        &self,
        text: &str,
        tables: &mut Tables,
        layout: &Layout,
        image: &mut ImageBuffer,
        ours: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let index = self.physical.layout;
        let Tables { notes, lost, .. } = tables;
        let mut count = 0;
        image.read_foreign(
            &mut Cursor::new(text),
            layout,
            false,
            |column, value| {
                count += 1;
                let kind = self.known.and_then(|known| known.kinds[column]);
                let other = match kind {
                    Some(_) => lost.has(column),
                    None => {
                        let takes = takes(layout.columns[column].kind, value);
                        !takes && lose_other_kind(lost, column, value, layout)
                    }
                };
                if other {
                    return Ok(Cell::Null);
                }
                self.cells
                    .cell(value, &layout.columns[column], kind, layout.zone)
            },
            |name| {
                if !ours(name) {
                    notes.extra_column(index, layout, name);
                }
            },
        )?;
        if let (Some(column), Some(shard)) = (layout.shard, &self.physical.shard) {
            image.set(column, Cell::Text((**shard).into()), layout)?;
            count += 1;
        }
        if count < layout.columns.len() {
            tables.check_whole(index, layout, image, true)?;
        }
        Ok(())
    }
}

/// A message of a topic of schema changes.
fn ddl(
    envelope: &Envelope<'_>,
    statement: &str,
    tables: &mut Tables,
    output: &mut Output<'_, '_, '_>,
) -> Result<(), Refused> {
    let effect = effect_of_statement(statement);
    if effect == Effect::Nothing {
        return Ok(());
    }
    let Some(physical) = envelope.source.physical(tables)? else {
        return Ok(());
    };
    if effect == Effect::Empties {
        return Err(emptied(&physical, output, "TRUNCATE or DROP"));
    }
    let layout = output.layout(physical.layout);
    tables.notes.altered(physical.layout, layout);
    Ok(())
}

/// A message that is of another form.
fn unknown_form(message: &'static str) -> Refusal {
    Refusal::new(HoleReason::UnknownForm, message)
}
