//! What the rules of one evaluator share: joins and groups that several of them compute are computed once for
//! each slice, with the columns that any of them needs. "Paid payments by order" stands in many rules.
//!
//! Each such relation becomes a *part*: a plan of its own, and a table to the plans that read it. A rule keeps
//! its own plan too, for when a part fails, or when nobody else asks for it.

mod choose;
pub(crate) mod held;
mod relation;
mod rewrite;
mod weaken;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::physical_plan::ExecutionPlan;
use futures::executor::block_on;

use crate::as_of::AsOf;
use crate::leaf::PartTable;
use crate::slot::Slot;
use crate::{RulesError, session};

use relation::{Id, Node, Relations};
use rewrite::Rewriter;

/// What some rules share. Parts count from 0; a part reads parts of smaller numbers only.
#[derive(Default)]
pub(crate) struct Sharing {
    pub parts: Vec<Part>,
    /// By rule; absent where it shares nothing.
    pub plans: Vec<Option<SharedPlan>>,
}

/// Something that is computed once for each slice.
pub(crate) struct Part {
    pub plan: Arc<dyn ExecutionPlan>,
    pub context: Arc<TaskContext>,
}

/// How a rule is answered with parts.
pub(crate) struct SharedPlan {
    pub plan: Arc<dyn ExecutionPlan>,
    /// The parts that must be ready, those that they read among them, and how often each is read.
    pub reads: BTreeMap<usize, usize>,
}

impl Sharing {
    /// Finds what these optimised plans have in common, each with the state that it was made in. What cannot be
    /// planned in parts after all stays as it is: every rule has a plan of its own.
    pub fn of(
        plans: &[(LogicalPlan, SessionState)],
        slot: &Slot,
        engine: &Arc<RuntimeEnv>,
    ) -> Result<Sharing, RulesError> {
        let mut relations = Relations::default();
        for (plan, _) in plans {
            relations.node(plan);
        }
        relations.weaker = weaken::weaker(&relations);
        let nodes: Vec<Node> = plans.iter().map(|(plan, _)| relations.node(plan)).collect();
        let shared = choose::shared(&relations, &nodes);
        let wanted = choose::wanted(&relations, &nodes, &shared);
        let context = session::context(Arc::clone(engine), 1, &AsOf::default())?;
        let mut maker = Maker {
            rewriter: Rewriter {
                relations: &relations,
                tables: BTreeMap::new(),
            },
            within: Vec::new(),
            state: context.state(),
            slot,
        };
        let mut parts = Vec::new();
        for (id, columns) in wanted {
            if let Ok(plan) = maker.part(id, &columns) {
                let context = context.task_ctx();
                parts.push(Part { plan, context });
            }
        }
        let plans = plans.iter().zip(&nodes);
        let plans = plans.map(|((plan, state), node)| maker.shared_plan(plan, node, state));
        Ok(Sharing {
            plans: plans.map(|plan| plan.ok().flatten()).collect(),
            parts,
        })
    }
}

struct Maker<'a> {
    rewriter: Rewriter<'a>,
    /// By part: how often it reads others.
    within: Vec<BTreeMap<usize, usize>>,
    state: SessionState,
    slot: &'a Slot,
}

impl Maker<'_> {
    /// Plans the next part. Those within it come before it.
    fn part(&mut self, id: Id, columns: &BTreeSet<String>) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.rewriter.definition(id, columns)?;
        let optimiser = Optimizer::with_rules(vec![
            Arc::new(PushDownFilter::new()),
            Arc::new(CommonSubexprEliminate::new()),
            Arc::new(OptimizeProjections::new()),
        ]);
        let plan = optimiser.optimize(plan, &self.state, |_, _| {})?;
        let reads = self.reads(&plan)?;
        let plan = physical(&plan, &self.state)?;
        let number = self.within.len();
        let table = PartTable {
            slot: self.slot.clone(),
            part: number,
            schema: plan.schema(),
        };
        let source = provider_as_source(Arc::new(table));
        self.rewriter.tables.insert(id, (part_name(number), source));
        self.within.push(reads);
        Ok(plan)
    }

    /// The plan of a rule with parts, if it has any.
    fn shared_plan(
        &self,
        plan: &LogicalPlan,
        node: &Node,
        state: &SessionState,
    ) -> Result<Option<SharedPlan>> {
        let Some(plan) = self.rewriter.rewritten(plan, node)? else {
            return Ok(None);
        };
        let optimiser = Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]);
        let plan = optimiser.optimize(plan, state, |_, _| {})?;
        Ok(Some(SharedPlan {
            reads: self.reads(&plan)?,
            plan: physical(&plan, state)?,
        }))
    }

    /// How often a plan reads parts, by itself and by the parts that it reads.
    fn reads(&self, plan: &LogicalPlan) -> Result<BTreeMap<usize, usize>> {
        let mut reads: BTreeMap<usize, usize> = BTreeMap::new();
        plan.apply(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let name = scan.table_name.table();
                if let Some(part) = (0..self.within.len()).find(|part| part_name(*part) == name) {
                    *reads.entry(part).or_default() += 1;
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let own: Vec<usize> = reads.keys().copied().collect();
        for inner in own.iter().flat_map(|part| self.within[*part].keys()) {
            *reads.entry(*inner).or_default() += 1;
        }
        Ok(reads)
    }
}

fn physical(plan: &LogicalPlan, state: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
    let planner = state.query_planner();
    block_on(planner.create_physical_plan(plan, state))
}

/// The name under which plans read a part; no table has a space in its name.
fn part_name(number: usize) -> String {
    format!("part {number}")
}
