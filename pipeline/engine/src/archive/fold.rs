//! All changes of a table up to a moment → its rows at that moment.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use centinel_catalog::Table;
use centinel_model::Timestamp;
use centinel_outlet::archive::{
    CHANGE, COMMITTED_AT, DELETE, EPOCH, Location, OPERATION, ORDINAL, SEQUENCE, archive_schema,
    before,
};
use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Operator, binary_expr, ident, lit};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::TryStreamExt;
use object_store::limit::LimitStore;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use url::Url;

use crate::audit::AuditOptions;

/// Under which name the plans know the archive's object store.
const STORE: &str = "archive://it/";
/// What a sort may need beside its rows to write them to files: at most, and as a share of all memory.
const SPILL_BYTES: usize = 10 << 20;
const SPILL_SHARE: usize = 16;
/// A batch may take this share of a thread's memory, for rows of about this size.
const BATCH_SHARE: usize = 64;
const ROW_BYTES: usize = 1 << 10;
const BATCH_ROWS: (usize, usize) = (64, 8_192);
/// Requests to the object store that are under way together.
const REQUESTS: usize = 64;
const ALIVE: &str = "_alive";
const RANK: &str = "_rank";

/// Folds tables, within a limit of memory; rows beyond it wait in temporary files.
pub(super) struct Fold {
    context: SessionContext,
    location: Location,
    at: Timestamp,
}

impl Fold {
    pub fn new(location: &Location, at: Timestamp, options: &AuditOptions) -> Result<Fold> {
        Fold::reading(location, at, options, false)
    }

    /// Where `few` rows are wanted, other columns are read only of those.
    pub fn reading(
        location: &Location,
        at: Timestamp,
        options: &AuditOptions,
        few: bool,
    ) -> Result<Fold> {
        let threads = options.threads.max(1);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes)))
            .build_arc()?;
        let mut config = SessionConfig::new()
            .with_target_partitions(threads)
            .with_batch_size(batch_rows(options.memory_bytes / threads))
            .with_collect_statistics(false)
            .with_information_schema(false);
        let execution = &mut config.options_mut().execution;
        execution.sort_spill_reservation_bytes =
            SPILL_BYTES.min(options.memory_bytes / threads / SPILL_SHARE);
        execution.parquet.schema_force_view_types = false;
        execution.parquet.pushdown_filters = few;
        let context = SessionContext::new_with_config_rt(config, runtime);
        let url = Url::parse(STORE).map_err(|error| DataFusionError::External(error.into()))?;
        // A plan looks at all its files at once.
        let store = LimitStore::new(Arc::clone(location.store()), REQUESTS);
        context.register_object_store(&url, Arc::new(store));
        let location = location.clone();
        Ok(Fold {
            context,
            location,
            at,
        })
    }

    /// Writes the rows of a table to `<folder>/<table>.parquet`; how many there are.
    pub async fn table(&self, table: &Table, files: &[String], folder: &Path) -> Result<u64> {
        let path = folder.join(format!("{}.parquet", table.name));
        let mut out = Writer::create(&path, table.storage_schema())?;
        if files.is_empty() {
            return out.finish();
        }
        let rows = self.rows(table, files).await?;
        let mut stream = rows.execute_stream().await?;
        while let Some(batch) = stream.try_next().await? {
            let columns = batch.columns().to_vec();
            let batch = arrow::array::RecordBatch::try_new(Arc::clone(&out.schema), columns)?;
            out.rows += batch.num_rows() as u64;
            out.writer.write(&batch)?;
        }
        out.finish()
    }

    async fn rows(&self, table: &Table, files: &[String]) -> Result<DataFrame> {
        let changes = self.changes(table, files).await?;
        let at = ScalarValue::TimestampMicrosecond(Some(self.at.0), None);
        newest(
            table,
            versions(table, changes.filter(ident(COMMITTED_AT).lt_eq(lit(at)))?)?,
        )
    }

    /// All changes in these files.
    pub async fn changes(&self, table: &Table, files: &[String]) -> Result<DataFrame> {
        let schema = archive_schema(table).map_err(DataFusionError::Execution)?;
        let options = ParquetReadOptions {
            schema: Some(&schema),
            ..ParquetReadOptions::default()
        };
        let urls = files.iter().map(|name| self.url(name));
        let urls: Vec<String> = urls.collect::<Result<_>>()?;
        self.context.read_parquet(urls, options).await
    }

    /// Under which URL the plans find an object of the archive.
    fn url(&self, name: &str) -> Result<String> {
        let wrong = |error: url::ParseError| DataFusionError::External(error.into());
        let mut url = Url::parse(STORE).map_err(wrong)?;
        let path = self.location.path(name);
        let segments = url.path_segments_mut();
        let segments = segments.map(|mut segments| {
            segments
                .clear()
                .extend(path.parts().map(|part| part.as_ref().to_owned()));
        });
        segments.map_err(|()| DataFusionError::Execution(format!("{STORE} has no path")))?;
        Ok(url.into())
    }
}

/// Fewer rows at a time where there is little memory: none of them waits in a file before it was read.
fn batch_rows(memory_bytes: usize) -> usize {
    let (least, most) = BATCH_ROWS;
    (memory_bytes / BATCH_SHARE / ROW_BYTES).clamp(least, most)
}

/// Column `index` of the table, while its rows are folded.
fn column(index: usize) -> String {
    format!("c{index}")
}

/// Each change as what it makes of a row: a version of the row after, and of the row before a tombstone where
/// that is gone or has another key now.
fn versions(table: &Table, changes: DataFrame) -> Result<DataFrame> {
    let own = |alive: bool| {
        let names = [EPOCH, SEQUENCE, ORDINAL, CHANGE];
        let place = names.map(ident).into_iter();
        place.chain([lit(alive).alias(ALIVE)])
    };
    let columns = || table.columns.iter().enumerate();
    let after = columns().map(|(index, known)| ident(&known.name).alias(column(index)));
    let alive = changes
        .clone()
        .filter(ident(OPERATION).not_eq(lit(DELETE)))?
        .select(after.chain(own(true)).collect::<Vec<Expr>>())?;

    let mut gone: Option<Expr> = None;
    let mut known: Vec<Expr> = Vec::new();
    for index in &table.primary_key {
        let name = &table.columns[*index].name;
        let (old, new) = (ident(before(name)), ident(name));
        known.push(old.clone().is_not_null());
        let other = binary_expr(old, Operator::IsDistinctFrom, new);
        gone = Some(gone.map_or(other.clone(), |gone| gone.or(other)));
    }
    let gone = known
        .into_iter()
        .fold(gone, |gone, known| Some(gone?.and(known)));
    let Some(gone) = gone else {
        return Err(DataFusionError::Execution("it has no primary key".into()));
    };
    let mut old = Vec::new();
    for (index, known) in columns() {
        let value = match table.primary_key.contains(&index) {
            true => ident(before(&known.name)),
            false => lit(ScalarValue::try_new_null(&known.storage_type())?),
        };
        old.push(value.alias(column(index)));
    }
    old.extend(own(false));
    alive.union(changes.filter(gone)?.select(old)?)
}

/// Of each row the highest version, unless it is a tombstone. Of one version the row counts, not its leaving; of
/// one version with two contents the one that came first.
fn newest(table: &Table, versions: DataFrame) -> Result<DataFrame> {
    let keys = table.primary_key.iter().map(|index| ident(column(*index)));
    let order = [
        ident(EPOCH).sort(false, false),
        ident(SEQUENCE).sort(false, false),
        ident(ORDINAL).sort(false, false),
        ident(ALIVE).sort(false, false),
        ident(CHANGE).sort(true, false),
    ];
    let rank = row_number()
        .partition_by(keys.collect())
        .order_by(order.to_vec())
        .build()?
        .alias(RANK);
    let columns = table.columns.iter().enumerate();
    let columns = columns.map(|(index, known)| ident(column(index)).alias(&known.name));
    versions
        .window(vec![rank])?
        .filter(ident(RANK).eq(lit(1_u64)).and(ident(ALIVE)))?
        .select(columns.collect::<Vec<Expr>>())
}

struct Writer {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    rows: u64,
}

impl Writer {
    fn create(path: &Path, schema: SchemaRef) -> Result<Writer> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .build();
        let file = File::create(path)?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
        Ok(Writer {
            writer,
            schema,
            rows: 0,
        })
    }

    fn finish(self) -> Result<u64> {
        self.writer.close()?;
        Ok(self.rows)
    }
}
