//! Rows of what Centinel keeps → columns of a table that can be asked.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Int64Builder, RecordBatch, RecordBatchOptions,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use centinel_engine::query::{AskedColumn, Feed, MONEY, Room, Tables};
use centinel_model::{Amount, Timestamp};

use crate::findings::one_line;

/// Rows of one batch.
const BATCH_ROWS: usize = 8_192;
/// Bytes of texts after which a batch is given on before it has so many.
const BATCH_BYTES: usize = 8 << 20;

/// A value; none for null.
pub enum Cell {
    Text(Option<String>),
    Whole(Option<i64>),
    Flag(Option<bool>),
    Time(Option<Timestamp>),
    /// An amount in major units, as it was told.
    Money(Option<String>),
}

/// The type of a [`Cell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Whole,
    Flag,
    Time,
    Money,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Text => DataType::Utf8,
            Kind::Whole => DataType::Int64,
            Kind::Flag => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Money => MONEY,
        }
    }
}

/// A column: its name, its type, what it holds, and how a row has it.
pub struct Field<T> {
    name: &'static str,
    kind: Kind,
    told: &'static str,
    cell: fn(&T) -> Result<Cell, String>,
}

impl<T> Field<T> {
    pub fn new(
        name: &'static str,
        kind: Kind,
        told: &'static str,
        cell: fn(&T) -> Result<Cell, String>,
    ) -> Field<T> {
        Field {
            name,
            kind,
            told,
            cell,
        }
    }
}

/// Gives all rows to a taker until that says that it has enough; the first says which columns are asked for, by name.
pub type Source<T> = Box<
    dyn Fn(&[&str], &mut dyn FnMut(T) -> Result<bool, String>) -> Result<(), String> + Send + Sync,
>;

/// Adds a table whose rows come from here.
pub fn add<T: 'static>(
    tables: &mut Tables,
    name: &'static str,
    told: &'static str,
    fields: Vec<Field<T>>,
    source: Source<T>,
) {
    let columns = fields.iter();
    let columns =
        columns.map(|field| AskedColumn::new(field.name, field.kind.data_type(), field.told));
    let columns = columns.collect();
    tables.add(name, told, columns, Arc::new(RowFeed { fields, source }));
}

struct RowFeed<T> {
    fields: Vec<Field<T>>,
    source: Source<T>,
}

impl<T> Feed for RowFeed<T> {
    fn read(
        &self,
        wanted: &[usize],
        _room: &Room,
        out: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), String> {
        let fields: Vec<&Field<T>> = wanted.iter().map(|index| &self.fields[*index]).collect();
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let mut batch = Batch::new(&fields);
        let mut goes_on = true;
        (self.source)(&names, &mut |row| {
            for (builder, field) in batch.builders.iter_mut().zip(&fields) {
                let cell = (field.cell)(&row);
                let put = cell.and_then(|cell| builder.put(cell));
                batch.bytes += put.map_err(|problem| format!("{}: {problem}", field.name))?;
            }
            batch.rows += 1;
            if batch.rows >= BATCH_ROWS || batch.bytes >= BATCH_BYTES {
                goes_on = out(batch.finish()?);
            }
            Ok(goes_on)
        })?;
        if goes_on && batch.rows > 0 {
            out(batch.finish()?);
        }
        Ok(())
    }
}

/// Rows that are gathered.
struct Batch {
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

impl Batch {
    fn new<T>(fields: &[&Field<T>]) -> Batch {
        let of = |field: &&Field<T>| ArrowField::new(field.name, field.kind.data_type(), true);
        Batch {
            schema: Arc::new(Schema::new(fields.iter().map(of).collect::<Vec<_>>())),
            builders: fields.iter().map(|field| Builder::of(field.kind)).collect(),
            rows: 0,
            bytes: 0,
        }
    }

    fn finish(&mut self) -> Result<RecordBatch, String> {
        let rows = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)
            .map_err(|error| error.to_string())
    }
}

enum Builder {
    Text(StringBuilder),
    Whole(Int64Builder),
    Flag(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Money(Decimal128Builder),
}

impl Builder {
    fn of(kind: Kind) -> Builder {
        match kind {
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Whole => Builder::Whole(Int64Builder::new()),
            Kind::Flag => Builder::Flag(BooleanBuilder::new()),
            Kind::Time => Builder::Time(TimestampMicrosecondBuilder::new()),
            Kind::Money => Builder::Money(Decimal128Builder::new().with_data_type(MONEY)),
        }
    }

    /// Appends a value, and returns how long its text is.
    fn put(&mut self, cell: Cell) -> Result<usize, String> {
        match (self, cell) {
            (Builder::Text(builder), Cell::Text(text)) => {
                let bytes = text.as_ref().map_or(0, String::len);
                builder.append_option(text);
                return Ok(bytes);
            }
            (Builder::Whole(builder), Cell::Whole(number)) => builder.append_option(number),
            (Builder::Flag(builder), Cell::Flag(flag)) => builder.append_option(flag),
            (Builder::Time(builder), Cell::Time(time)) => {
                builder.append_option(time.map(|time| time.0));
            }
            (Builder::Money(builder), Cell::Money(amount)) => {
                builder.append_option(amount.as_deref().map(units).transpose()?);
            }
            _ => return Err("the program puts a value of another type into it".into()),
        }
        Ok(0)
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Whole(builder) => Arc::new(builder.finish()),
            Builder::Flag(builder) => Arc::new(builder.finish()),
            Builder::Time(builder) => Arc::new(builder.finish()),
            Builder::Money(builder) => Arc::new(builder.finish()),
        }
    }
}

/// An amount as [`MONEY`] holds it.
fn units(text: &str) -> Result<i128, String> {
    let DataType::Decimal128(precision, scale) = MONEY else {
        return Err("amounts are decimals".into());
    };
    let scale = scale.unsigned_abs();
    let amount = Amount::parse(text, precision, scale).map_err(|error| {
        let short: String = text.chars().take(60).collect();
        format!(
            "the amount `{}` does not fit into DECIMAL({precision},{scale}) ({error}): ask amount_text, which holds it as it \
             was told",
            one_line(&short)
        )
    })?;
    Ok(amount.units)
}

/// A time of a file.
pub fn time(text: &str) -> Result<Cell, String> {
    let time = Timestamp::parse(text);
    let time = time.map_err(|error| format!("it holds no time where one must be: {error}"))?;
    Ok(Cell::Time(Some(time)))
}

/// A time of a file, where there is one.
pub fn time_or_none(text: Option<&str>) -> Result<Cell, String> {
    text.map_or(Ok(Cell::Time(None)), time)
}

/// A text.
pub fn text(text: impl ToString) -> Result<Cell, String> {
    Ok(Cell::Text(Some(text.to_string())))
}

/// A text, where there is one.
pub fn text_or_none<T: ToString>(text: Option<T>) -> Result<Cell, String> {
    Ok(Cell::Text(text.map(|text| text.to_string())))
}

/// A number.
pub fn whole(number: impl TryInto<i64>) -> Result<Cell, String> {
    whole_or_none(Some(number))
}

/// A number, where there is one.
pub fn whole_or_none(number: Option<impl TryInto<i64>>) -> Result<Cell, String> {
    let number = number.map(TryInto::try_into).transpose();
    number
        .map(Cell::Whole)
        .map_err(|_| "a number does not fit into 64 bits".into())
}

/// A value as JSON.
pub fn json(value: &impl serde::Serialize) -> Result<Cell, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    Ok(Cell::Text(Some(text)))
}

/// Key columns and their values as a JSON object, in the rule's order.
pub fn key(key: &[(String, String)]) -> Result<Cell, String> {
    let parts = key.iter().map(|(column, value)| {
        let text = |text: &String| serde_json::to_string(text).map_err(|error| error.to_string());
        Ok(format!("{}:{}", text(column)?, text(value)?))
    });
    let parts: Vec<String> = parts.collect::<Result<_, String>>()?;
    Ok(Cell::Text(Some(format!("{{{}}}", parts.join(",")))))
}
