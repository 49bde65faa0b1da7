//! The SQL engine as rules see it: the same functions and options wherever they run.

use std::sync::Arc;

use datafusion::common::config::Dialect;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::RulesError;
use crate::as_of::AsOf;

/// Rows of a record batch within a plan; slices are meant to be smaller, so that a table is one batch.
const BATCH_ROWS: usize = 65_536;
/// Dense entity ids below this are joined by direct address whatever their density.
const DIRECT_ADDRESS_RANGE: usize = 1 << 18;

/// A session for whole-table queries: register the tables under their names and in their rule types
/// ([`centinel_catalog::Table::rule_schema`]), entity keys as normalised text, then ask
/// [`crate::Rule::violations_over`]. Rows without an entity belong to no slice: leave them out.
pub struct Session {
    context: SessionContext,
    clock: AsOf,
}

impl Session {
    /// At most `memory_bytes` for all queries together, spilling to temporary files beyond it;
    /// `threads` partitions for each query.
    pub fn new(memory_bytes: usize, threads: usize) -> Result<Session, RulesError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory_bytes)))
            .build_arc()?;
        let clock = AsOf::default();
        let context = context(runtime, threads.max(1), &clock)?;
        Ok(Session { context, clock })
    }

    /// Where tables are registered.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// What `as_of()` returns in this session.
    pub fn clock(&self) -> &AsOf {
        &self.clock
    }
}

/// A runtime with this much memory and no files to spill to: a slice fits in memory or is not judged.
pub(crate) fn bounded_runtime(memory_bytes: usize) -> Result<Arc<RuntimeEnv>, RulesError> {
    let no_files = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    Ok(RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory_bytes)))
        .with_disk_manager_builder(no_files)
        .build_arc()?)
}

/// Gives a context the functions by which rules look into JSON.
///
/// # Errors
/// Where it refuses them.
pub fn register_json_functions(context: &mut SessionContext) -> Result<(), RulesError> {
    Ok(datafusion_functions_json::register_all(context)?)
}

/// A context with the options and functions of rules.
pub(crate) fn context(
    runtime: Arc<RuntimeEnv>,
    threads: usize,
    clock: &AsOf,
) -> Result<SessionContext, RulesError> {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false);
    let options = config.options_mut();
    // Otherwise `amount * 0.006` is a float.
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.collect_spans = true;
    options.sql_parser.dialect = Dialect::Generic;
    // Filters that change while a plan runs would survive into its next run.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.execution.perfect_hash_join_small_build_threshold = DIRECT_ADDRESS_RANGE;
    let mut context = SessionContext::new_with_config_rt(config, runtime);
    register_json_functions(&mut context)?;
    context.register_udf(clock.function());
    // It makes sums wider than what they are compared with: such a plan fails on its first row.
    context.remove_optimizer_rule("single_distinct_aggregation_to_group_by");
    for table_function in ["generate_series", "range"] {
        context.deregister_udtf(table_function);
    }
    Ok(context)
}
