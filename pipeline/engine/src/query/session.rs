//! The SQL engine as a query sees it: nothing but the tables, functions that compute, and limits.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::optimizer::Optimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::ask::QueryLimits;
use super::sum::exact_sum;
use super::tables::Tables;

const CATALOG: &str = "centinel";
const SCHEMA: &str = "public";
/// What a sort may need beside its rows to write them to files: at most, and as a share of all memory.
const SPILL_BYTES: usize = 10 << 20;
const SPILL_SHARE: usize = 16;
/// It adds sums up once more, whose type then is another than it takes for granted.
const NOT_USED: &str = "single_distinct_aggregation_to_group_by";

/// A session over these tables.
pub(super) fn session(tables: &Tables, limits: &QueryLimits) -> Result<SessionContext> {
    let files = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![limits.folder.clone()]))
        .with_max_temp_directory_size(limits.file_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
        .with_disk_manager_builder(files)
        .build_arc()?;
    let threads = limits.threads.max(1);
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_collect_statistics(false)
        .with_information_schema(true)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    let options = config.options_mut();
    // Otherwise `amount * 0.006` is a float.
    options.sql_parser.parse_float_as_decimal = true;
    // One that never ends would grow a text without end.
    options.execution.enable_recursive_ctes = false;
    options.execution.sort_spill_reservation_bytes =
        SPILL_BYTES.min(limits.memory_bytes / threads / SPILL_SHARE);
    let rules = Optimizer::new().rules.into_iter();
    let rules = rules.filter(|rule| rule.name() != NOT_USED).collect();
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_optimizer_rules(rules)
        .build();
    let mut context = SessionContext::new_with_state(state);
    for name in context.state().table_functions().keys() {
        // They read files, or make rows without end.
        context.deregister_udtf(name);
    }
    centinel_rules::register_json_functions(&mut context)
        .map_err(|error| datafusion::error::DataFusionError::External(error.into()))?;
    context.register_udaf(exact_sum());
    let catalog = MemoryCatalogProvider::new();
    for name in [SCHEMA, "state", "archive"] {
        let schema = MemorySchemaProvider::new();
        let own = Some(name).filter(|name| *name != SCHEMA);
        for table in tables.all().iter().filter(|table| table.schema == own) {
            schema.register_table(table.name.clone(), Arc::clone(&table.provider))?;
        }
        catalog.register_schema(name, Arc::new(schema))?;
    }
    context.register_catalog(CATALOG, Arc::new(catalog));
    Ok(context)
}
