//! The archive: every change of a table, of the files that may hold what is asked.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use centinel_catalog::Catalog;
use centinel_model::{Duration, TableId};
use centinel_outlet::archive::{CHANGE, COMMITTED_AT, Location};
use chrono::DateTime;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;
use object_store::limit::LimitStore;

use super::tables::OpenArchive;
use crate::archive::{Promised, Segments, are_whole};

/// Under which name plans know the archive's object store.
const STORE: &str = "archive://it/";
/// Requests to the object store that are under way together.
const REQUESTS: usize = 64;
const HOUR: Duration = Duration::seconds(3_600);

/// All archived changes of a table.
pub(super) struct ArchiveTable {
    pub catalog: Arc<Catalog>,
    pub table: TableId,
    pub schema: SchemaRef,
    pub open: OpenArchive,
}

impl fmt::Debug for ArchiveTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ArchiveTable({})", self.name())
    }
}

impl ArchiveTable {
    fn name(&self) -> &str {
        &self.catalog.table(self.table).name
    }

    /// The files that may hold what is asked, each whole and the one that was written.
    async fn files(
        &self,
        location: &Location,
        asked: Option<&Arc<dyn PhysicalExpr>>,
    ) -> std::result::Result<Vec<PartitionedFile>, String> {
        let table = self.catalog.table(self.table);
        let tables = BTreeSet::from([self.table]);
        let segments = Segments::all(location, &self.catalog, &tables, &[]).await?;
        let mut files = segments.promised(table)?;
        if let Some(asked) = asked {
            files = self.pruned(files, asked);
        }
        are_whole(location, table, &files).await?;
        let files = files.iter().map(|promised| {
            PartitionedFile::new_from_meta(ObjectMeta {
                location: location.path(&promised.file.path),
                last_modified: DateTime::UNIX_EPOCH,
                size: promised.file.bytes,
                e_tag: None,
                version: None,
            })
        });
        Ok(files.collect())
    }

    /// Without the files whose hour or numbers tell that nothing in them fits.
    fn pruned<'p>(
        &self,
        files: Vec<Promised<'p>>,
        asked: &Arc<dyn PhysicalExpr>,
    ) -> Vec<Promised<'p>> {
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.schema))
            .build(Arc::clone(asked));
        let Some(predicate) = predicate else {
            return files;
        };
        // What cannot be told from outside is read.
        match predicate.prune(&Outside(&files)) {
            Ok(may_fit) => {
                let files = files.into_iter().zip(may_fit);
                files
                    .filter_map(|(file, fits)| fits.then_some(file))
                    .collect()
            }
            Err(_) => files,
        }
    }
}

#[async_trait]
impl TableProvider for ArchiveTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let failed = |problem: String| {
            DataFusionError::Execution(format!("archive.{}: {problem}", self.name()))
        };
        let location = (self.open)().map_err(failed)?;
        let columns = DFSchema::try_from(Arc::clone(&self.schema))?;
        let asked = conjunction(filters.iter().cloned());
        let asked = asked.map(|asked| state.create_physical_expr(asked, &columns));
        let asked = asked.transpose()?;
        let files = self
            .files(&location, asked.as_ref())
            .await
            .map_err(failed)?;
        if files.is_empty() {
            let all = || (0..self.schema.fields().len()).collect();
            let wanted = projection.cloned().unwrap_or_else(all);
            return Ok(Arc::new(EmptyExec::new(Arc::new(
                self.schema.project(&wanted)?,
            ))));
        }
        let url = ObjectStoreUrl::parse(STORE)?;
        let store = LimitStore::new(Arc::clone(location.store()), REQUESTS);
        state
            .runtime_env()
            .register_object_store(url.as_ref(), Arc::new(store));
        let mut source = ParquetSource::new(Arc::clone(&self.schema));
        if let Some(asked) = asked {
            source = source.with_predicate(asked);
        }
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let scan = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

/// What manifests say of files.
struct Outside<'a, 'p>(&'a [Promised<'p>]);

impl Outside<'_, '_> {
    fn ends(
        &self,
        column: &Column,
        time: impl Fn(&Promised<'_>) -> i64,
        change: impl Fn(&Promised<'_>) -> u64,
    ) -> Option<ArrayRef> {
        let files = self.0.iter();
        match column.name.as_str() {
            COMMITTED_AT => Some(Arc::new(TimestampMicrosecondArray::from_iter_values(
                files.map(time),
            ))),
            CHANGE => Some(Arc::new(UInt64Array::from_iter_values(files.map(change)))),
            _ => None,
        }
    }
}

impl PruningStatistics for Outside<'_, '_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.ends(column, |file| file.hour.0, |file| file.changes.start)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let last = |file: &Promised<'_>| file.changes.end.saturating_sub(1);
        self.ends(column, |file| file.hour.plus(HOUR).0 - 1, last)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let known = [COMMITTED_AT, CHANGE].contains(&column.name.as_str());
        known.then(|| Arc::new(UInt64Array::from(vec![0; self.0.len()])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.0.iter().map(|promised| promised.file.rows);
        Some(Arc::new(UInt64Array::from_iter_values(rows)))
    }

    fn contained(
        &self,
        _: &Column,
        _: &std::collections::HashSet<ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}
