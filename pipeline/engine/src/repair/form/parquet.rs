//! Parquet with the columns of [`COLUMNS`], all of them text.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use centinel_catalog::{Catalog, open_file};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::super::change::{Changes, Mistake};
use super::cells::{COLUMNS, Cell, Gathered};

/// Reads a whole file.
pub fn read(catalog: &Catalog, path: &Path) -> Result<Changes, Vec<Mistake>> {
    let refuse = |problem: String, remedy: &str| vec![Mistake::new("", problem, remedy)];
    let unreadable =
        |error: String| refuse(format!("cannot be read: {error}"), "name a Parquet file");
    let file = open_file(path).map_err(|error| unreadable(error.to_string()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| unreadable(error.to_string()))?;
    for field in reader.schema().fields() {
        if !COLUMNS.contains(&field.name().as_str()) {
            return Err(refuse(
                format!("`{}` is not known", field.name()),
                "keep the columns table, operation, key, column, old, new",
            ));
        }
    }
    let reader = reader
        .build()
        .map_err(|error| unreadable(error.to_string()))?;
    let mut gathered = Gathered::default();
    let mut first = 1;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        let mut columns = Vec::with_capacity(COLUMNS.len());
        for name in COLUMNS {
            let found = batch.column_by_name(name).ok_or_else(|| {
                refuse(
                    format!("there is no column `{name}`"),
                    "write the columns table, operation, key, column, old, new",
                )
            })?;
            let text = match found.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
                DataType::Dictionary(_, values) => values.is_string(),
                _ => false,
            };
            if !text {
                return Err(refuse(
                    format!("column `{name}` is {}", found.data_type()),
                    "write all columns as text, so that no digit is lost",
                ));
            }
            columns
                .push(cast(found, &DataType::Utf8).map_err(|error| unreadable(error.to_string()))?);
        }
        for row in 0..batch.num_rows() {
            if gathered.is_full() {
                break;
            }
            let values = std::array::from_fn(|index| {
                let texts = columns[index].as_string::<i32>();
                texts.is_valid(row).then(|| texts.value(row).to_owned())
            });
            let place = format!("row {}", first + row);
            gathered.push(catalog, Cell { place, values });
        }
        first += batch.num_rows();
    }
    gathered.finish(catalog)
}
