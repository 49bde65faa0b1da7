//! Many rules of one entity over slices, with plans made once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use centinel_catalog::Catalog;
use centinel_model::{EntityId, Timestamp};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::StreamExt;
use futures::executor::block_on;
use tokio::runtime::Runtime;

use crate::as_of::AsOf;
use crate::dense::only_compares_keys;
use crate::forms::Forms;
use crate::leaf::SliceTable;
use crate::rule::Rule;
use crate::slice::{Slice, SliceLayout};
use crate::slot::Slot;
use crate::violations::Violations;
use crate::{RulesError, plan, session};

/// What one rule may use over one slice.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of joins and groups of one rule.
    pub memory_bytes: usize,
    /// Time for one rule, looked at between batches of its answer: it stops rules that return more and
    /// more, not one long step within the plan.
    pub deadline: Duration,
    /// Rows that one rule may return.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: 1 << 30,
            deadline: Duration::from_secs(60),
            rows: 1_000_000,
        }
    }
}

/// What came of one rule over one slice.
#[derive(Debug)]
pub enum RuleOutcome {
    /// Was not wanted.
    Skipped,
    /// Was answered; no rows is good.
    Violations(Violations),
    /// Could not be answered for any entity of the slice, for this reason. Never to be taken for clean.
    CouldNotJudge(String),
}

/// Answers rules of one entity over slices. Not for use within an asynchronous runtime: evaluation blocks.
pub struct Evaluator {
    layout: SliceLayout,
    rules: Vec<Compiled>,
    slot: Slot,
    runtime: Runtime,
    limits: Limits,
    /// By rule.
    spent: Vec<Spent>,
}

/// What answering one rule took so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Slices that it was asked about.
    pub evaluations: u64,
    /// How long that took, by the clock on the wall.
    pub time: Duration,
}

struct Compiled {
    rule: Arc<Rule>,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    clock: AsOf,
}

impl Evaluator {
    /// Plans these rules, all of this entity and all local, within the default limits.
    pub fn new(
        catalog: &Catalog,
        rules: Vec<Arc<Rule>>,
        entity: EntityId,
    ) -> Result<Evaluator, RulesError> {
        Evaluator::with_limits(catalog, rules, entity, Limits::default())
    }

    /// Plans these rules, all of this entity and all local.
    pub fn with_limits(
        catalog: &Catalog,
        rules: Vec<Arc<Rule>>,
        entity: EntityId,
        limits: Limits,
    ) -> Result<Evaluator, RulesError> {
        if let Some(rule) = rules
            .iter()
            .find(|rule| rule.entity != entity || !rule.locality.is_local())
        {
            let name = &catalog.entity(entity).name;
            return Err(RulesError::Other(format!(
                "{} is not local to {name}",
                rule.id
            )));
        }
        let layout = SliceLayout::new(catalog, &rules, entity);
        let slot = Slot::default();
        let engine = session::bounded_runtime(limits.memory_bytes)?;
        let rules: Result<Vec<Compiled>, RulesError> = rules
            .into_iter()
            .map(|rule| compile(catalog, rule, entity, &layout, &slot, &engine))
            .collect();
        let rules = rules?;
        Ok(Evaluator {
            spent: vec![Spent::default(); rules.len()],
            layout,
            rules,
            slot,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()?,
            limits,
        })
    }

    /// What a slice must hold.
    pub fn layout(&self) -> &SliceLayout {
        &self.layout
    }

    /// The rules, in the order of outcomes.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter().map(|compiled| &compiled.rule)
    }

    /// What each rule took so far, in the order of outcomes.
    pub fn spent(&self) -> &[Spent] {
        &self.spent
    }

    /// The plan that a rule runs by, for a person; empty beyond the last rule.
    pub(crate) fn shown_plan(&self, rule: usize) -> String {
        let plan = self.rules.get(rule).map(|compiled| &compiled.plan);
        plan.map(|plan| displayable(plan.as_ref()).indent(false).to_string())
            .unwrap_or_default()
    }

    /// Answers the wanted rules (by index) over a slice, each as of its own time.
    pub fn evaluate(
        &mut self,
        slice: &Slice,
        as_of: &dyn Fn(usize) -> Timestamp,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Vec<RuleOutcome> {
        self.slot.set(Some(slice.clone()));
        let mut spent = std::mem::take(&mut self.spent);
        let outcomes = self
            .rules
            .iter()
            .enumerate()
            .map(|(index, compiled)| match wanted(index) {
                false => RuleOutcome::Skipped,
                true => {
                    compiled.clock.set(as_of(index));
                    let begun = Instant::now();
                    let outcome = self.judge(compiled, slice);
                    spent[index].evaluations += 1;
                    spent[index].time += begun.elapsed();
                    outcome
                }
            })
            .collect();
        self.slot.set(None);
        self.spent = spent;
        outcomes
    }

    fn judge(&self, compiled: &Compiled, slice: &Slice) -> RuleOutcome {
        let outcome = self
            .run(compiled)
            .and_then(|rows| Violations::of_slice(&compiled.rule, rows, slice, &self.slot));
        match outcome {
            Ok(violations) => RuleOutcome::Violations(violations),
            Err(error) => RuleOutcome::CouldNotJudge(reason(&compiled.rule, &error)),
        }
    }

    fn run(&self, compiled: &Compiled) -> Result<RecordBatch> {
        let plan = reset_plan_states(Arc::clone(&compiled.plan))?;
        let rows = collect(plan, Arc::clone(&compiled.context), self.limits.rows);
        let within = async { tokio::time::timeout(self.limits.deadline, rows).await };
        self.runtime.block_on(within).unwrap_or_else(|_| {
            let seconds = self.limits.deadline.as_secs_f64();
            Err(DataFusionError::Execution(format!(
                "it took longer than {seconds} s"
            )))
        })
    }
}

/// What went wrong, in one line.
pub(crate) fn reason(rule: &Rule, error: &DataFusionError) -> String {
    if rule.reads_sensitive {
        return "the SQL engine failed; its words are withheld, because the rule reads sensitive columns and they \
                might quote one"
            .into();
    }
    let said = error.strip_backtrace();
    said.lines().next().unwrap_or_default().to_owned()
}

/// All rows of a plan in one batch, or an error where there are more than `most`.
pub(crate) async fn collect(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    most: usize,
) -> Result<RecordBatch> {
    let schema = plan.schema();
    let mut stream = execute_stream(plan, context)?;
    let (mut batches, mut rows) = (Vec::new(), 0);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        if rows > most {
            return Err(DataFusionError::Execution(format!(
                "it returns more than {most} rows"
            )));
        }
        batches.push(batch);
        // Here the deadline is looked at.
        tokio::task::yield_now().await;
    }
    Ok(concat_batches(&schema, &batches)?)
}

fn compile(
    catalog: &Catalog,
    rule: Arc<Rule>,
    entity: EntityId,
    layout: &SliceLayout,
    slot: &Slot,
    engine: &Arc<RuntimeEnv>,
) -> Result<Compiled, RulesError> {
    let compiled = |forms: &Forms| -> Result<(Compiled, bool), RulesError> {
        let clock = AsOf::default();
        let context = session::context(Arc::clone(engine), 1, &clock)?;
        for id in catalog.table_ids() {
            let table = SliceTable::new(slot, layout, catalog, id, forms);
            context.register_table(catalog.table(id).name.as_str(), Arc::new(table))?;
        }
        let plans = block_on(plan::plan_text(&context, &rule.text))?;
        let state = context.state();
        let physical = state
            .query_planner()
            .create_physical_plan(&plans.optimised, &state);
        let physical = block_on(physical)?;
        let compiled = Compiled {
            rule: Arc::clone(&rule),
            plan: physical,
            context: context.task_ctx(),
            clock,
        };
        Ok((compiled, only_compares_keys(&plans.optimised)))
    };
    // A rule that looks into a key does not plan, or not as hoped, over numbers.
    for forms in [Forms::numbered(catalog, &rule), Forms::dense(entity)] {
        if let Ok((plan, true)) = compiled(&forms) {
            return Ok(plan);
        }
    }
    Ok(compiled(&Forms::text(entity))?.0)
}
