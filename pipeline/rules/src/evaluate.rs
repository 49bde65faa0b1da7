//! Many rules of one entity over slices, with plans made once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use centinel_catalog::Catalog;
use centinel_model::{EntityId, Timestamp};
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
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
use crate::share::held::Held;
use crate::share::{SharedPlan, Sharing};
use crate::slice::{Slice, SliceLayout};
use crate::slot::Slot;
use crate::violations::Violations;
use crate::{RulesError, plan, session};

/// A part may have this many rows for each row of the slice. One that multiplies rows is cheaper for each
/// rule alone, which filters them as they come.
const MOST_MULTIPLIED: usize = 2;

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
    sharing: Sharing,
    /// How many answers came by what rules share.
    answered_together: u64,
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
    /// How long that took, by the clock on the wall; what rules share counts for the first that needs it.
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
        let (mut compiled, mut plans) = (Vec::new(), Vec::new());
        for rule in rules {
            let (rule, plan) = compile(catalog, rule, entity, &layout, &slot, &engine)?;
            compiled.push(rule);
            plans.push(plan);
        }
        // Each rule has a plan of its own, so what cannot be shared is no error.
        let sharing = Sharing::of(&plans, &slot, &engine).unwrap_or_default();
        Ok(Evaluator {
            spent: vec![Spent::default(); compiled.len()],
            layout,
            rules: compiled,
            sharing,
            answered_together: 0,
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
        let mut held = Held::new(&self.sharing, &self.slot, wanted);
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
                    let outcome = self.judge(index, compiled, slice, &mut held);
                    spent[index].evaluations += 1;
                    spent[index].time += begun.elapsed();
                    outcome
                }
            })
            .collect();
        self.slot.set(None);
        self.spent = spent;
        self.answered_together += held.answered;
        outcomes
    }

    /// The same rules, each by its own plan, so that both ways can be compared.
    pub fn unshared(mut self) -> Evaluator {
        self.sharing = Sharing::default();
        self
    }

    /// How many joins and groups its rules compute together, once for each slice.
    pub fn shared_parts(&self) -> usize {
        self.sharing.parts.len()
    }

    /// How many of its answers were computed with these, so far.
    pub fn answered_together(&self) -> u64 {
        self.answered_together
    }

    fn judge(
        &self,
        index: usize,
        compiled: &Compiled,
        slice: &Slice,
        held: &mut Held<'_>,
    ) -> RuleOutcome {
        let until = Instant::now() + self.limits.deadline;
        let outcome = self
            .answer(index, compiled, held, until)
            .and_then(|rows| Violations::of_slice(&compiled.rule, rows, slice, &self.slot));
        match outcome {
            Ok(violations) => RuleOutcome::Violations(violations),
            Err(error) => RuleOutcome::CouldNotJudge(reason(&compiled.rule, &error)),
        }
    }

    /// The rows of a rule: with parts where that is worth it, otherwise and where it fails by its own plan. So
    /// what is wrong with a part is no rule's trouble. What a rule computes of rows that its joins then leave out
    /// may fail when it is asked alone, and is not computed with parts: its answer is the same.
    fn answer(
        &self,
        index: usize,
        compiled: &Compiled,
        held: &mut Held<'_>,
        until: Instant,
    ) -> Result<RecordBatch> {
        if let Some(shared) = held.plan(index) {
            let rows = self
                .make_parts(shared, held, until)
                .and_then(|()| self.rows(&shared.plan, &compiled.context, until));
            held.asked(index);
            match rows {
                Ok(rows) => {
                    held.answered += 1;
                    return Ok(rows);
                }
                Err(error) => held.give_way(&error),
            };
        } else {
            held.asked(index);
        }
        let alone = || self.rows(&compiled.plan, &compiled.context, until);
        match alone() {
            Err(error) if held.give_way(&error) => alone(),
            rows => rows,
        }
    }

    /// Makes the parts of a plan that are not there yet.
    fn make_parts(&self, shared: &SharedPlan, held: &mut Held<'_>, until: Instant) -> Result<()> {
        for number in shared.reads.keys().copied() {
            if self.slot.has_part(number) {
                continue;
            }
            self.make_part(number, until)
                .inspect_err(|_| held.fail(number))?;
        }
        Ok(())
    }

    fn make_part(&self, number: usize, until: Instant) -> Result<()> {
        let part = &self.sharing.parts[number];
        let memory = MemoryConsumer::new("part").register(part.context.memory_pool());
        let plan = reset_plan_states(Arc::clone(&part.plan))?;
        let most = MOST_MULTIPLIED * self.slot.row_count();
        let rows = collect_within(plan, Arc::clone(&part.context), most, Some(&memory));
        let rows = self.in_time(rows, until)?;
        self.slot.keep_part(number, rows, memory);
        Ok(())
    }

    fn rows(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        context: &Arc<TaskContext>,
        until: Instant,
    ) -> Result<RecordBatch> {
        let plan = reset_plan_states(Arc::clone(plan))?;
        self.in_time(collect(plan, Arc::clone(context), self.limits.rows), until)
    }

    fn in_time(
        &self,
        rows: impl Future<Output = Result<RecordBatch>>,
        until: Instant,
    ) -> Result<RecordBatch> {
        let within = async { tokio::time::timeout_at(until.into(), rows).await };
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
    collect_within(plan, context, most, None).await
}

/// As [`collect`]; what is collected takes of this memory.
async fn collect_within(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    most: usize,
    memory: Option<&MemoryReservation>,
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
        if let Some(memory) = memory {
            memory.try_grow(get_record_batch_memory_size(&batch))?;
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
) -> Result<(Compiled, (LogicalPlan, SessionState)), RulesError> {
    let compiled = |forms: &Forms| -> Result<_, RulesError> {
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
        let compares = only_compares_keys(&plans.optimised);
        Ok(((compiled, (plans.optimised, state)), compares))
    };
    // A rule that looks into a key does not plan, or not as hoped, over numbers.
    for forms in [Forms::numbered(catalog, &rule), Forms::dense(entity)] {
        if let Ok((plan, true)) = compiled(&forms) {
            return Ok(plan);
        }
    }
    Ok(compiled(&Forms::text(entity))?.0)
}
