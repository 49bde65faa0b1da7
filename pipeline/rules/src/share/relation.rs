//! What subtrees of optimised plans mean, whichever columns are left of them and however they are named.
//!
//! Two plans that add up paid payments by order, one their amounts and one their number, mean columns of one
//! [`Relation`]. Columns that are only moved or renamed make no difference, nor do expressions over columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Fields;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Expr, Join, LogicalPlan, TableScan, TableSource, Volatility,
};
use hashbrown::HashMap;

/// A relation's number. Inputs have smaller ones.
pub(super) type Id = usize;

/// Of what is computed from what is computed: each step may use the one before more than once.
const MOST_NODES: usize = 1_000;
/// The columns of a join: those of its left input with this before their names,
const LEFT: &str = "left ";
/// and those of its right input with this.
const RIGHT: &str = "right ";
/// The columns of an aggregate: its groups by position,
const GROUP: &str = "group ";
/// and its aggregates by position.
const AGGREGATE: &str = "aggregate ";

/// What is computed. All expressions are over the columns of the inputs, by name alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Relation {
    /// Rows of a table, which plans see in these forms; its columns under their names.
    Scan {
        table: String,
        forms: Fields,
        filters: Vec<Expr>,
    },
    /// Some rows of another.
    Filter { input: Id, condition: Expr },
    Join {
        left: Id,
        right: Id,
        on: Vec<(Expr, Expr)>,
        /// Over the columns of the join; of an inner join none, it is a filter above.
        filter: Option<Expr>,
        kind: JoinType,
        nulls: NullEquality,
    },
    /// Whichever aggregates are asked for.
    Aggregate { input: Id, groups: Vec<Expr> },
}

/// What a plan means: for each column of its schema an expression over columns of a relation.
#[derive(Clone, Debug)]
pub(super) struct Meaning {
    pub relation: Id,
    pub columns: Vec<Expr>,
}

/// A plan's node with what it means, if it can be told.
pub(super) struct Node {
    pub meaning: Option<Meaning>,
    /// The join or aggregate that it is, below filters.
    pub core: Option<Id>,
    pub children: Vec<Node>,
}

/// All relations of some plans, each once.
#[derive(Default)]
pub(super) struct Relations {
    known: Vec<Relation>,
    ids: HashMap<Relation, Id>,
    sources: HashMap<Id, Arc<dyn TableSource>>,
    aggregates: HashMap<Id, Vec<Expr>>,
    /// Inner joins that are others of these, filtered.
    pub weaker: HashMap<Id, (Id, Expr)>,
}

impl Relations {
    pub fn relation(&self, id: Id) -> &Relation {
        &self.known[id]
    }

    pub fn ids(&self) -> std::ops::Range<Id> {
        0..self.known.len()
    }

    pub fn source(&self, scan: Id) -> Option<&Arc<dyn TableSource>> {
        self.sources.get(&scan)
    }

    /// What a plan and all below it mean.
    pub fn node(&mut self, plan: &LogicalPlan) -> Node {
        let children: Vec<Node> = plan
            .inputs()
            .into_iter()
            .map(|input| self.node(input))
            .collect();
        let inputs: Option<Vec<&Meaning>> = children
            .iter()
            .map(|child| child.meaning.as_ref())
            .collect();
        let meaning = inputs.and_then(|inputs| self.meaning(plan, &inputs));
        let is_work = matches!(plan, LogicalPlan::Join(_) | LogicalPlan::Aggregate(_));
        let core = meaning
            .as_ref()
            .filter(|meaning| is_work && !meaning.columns.is_empty())
            .map(|meaning| self.below_filters(meaning.relation));
        Node {
            meaning,
            core,
            children,
        }
    }

    /// The inputs of a relation, and which of their columns these columns of it need.
    pub fn needs(&self, id: Id, columns: &BTreeSet<String>) -> Vec<(Id, BTreeSet<String>)> {
        match &self.known[id] {
            Relation::Scan { .. } => Vec::new(),
            Relation::Filter { input, condition } => {
                let mut needed = columns.clone();
                needed.extend(names(condition));
                vec![(*input, needed)]
            }
            Relation::Join {
                left,
                right,
                on,
                filter,
                ..
            } => {
                let mut of_join = columns.clone();
                of_join.extend(filter.iter().flat_map(names));
                let side = |prefix: &str| -> BTreeSet<String> {
                    let of_side = of_join.iter().filter_map(|name| name.strip_prefix(prefix));
                    of_side.map(str::to_owned).collect()
                };
                let (mut of_left, mut of_right) = (side(LEFT), side(RIGHT));
                of_left.extend(on.iter().flat_map(|(left, _)| names(left)));
                of_right.extend(on.iter().flat_map(|(_, right)| names(right)));
                vec![(*left, of_left), (*right, of_right)]
            }
            Relation::Aggregate { input, groups } => {
                let aggregates = self.asked_aggregates(id, columns);
                let all = groups
                    .iter()
                    .chain(aggregates.iter().map(|(_, expr)| *expr));
                vec![(*input, all.flat_map(names).collect())]
            }
        }
    }

    /// The aggregates among these columns, by name.
    pub fn asked_aggregates<'a>(
        &'a self,
        id: Id,
        columns: &BTreeSet<String>,
    ) -> Vec<(String, &'a Expr)> {
        let known = self.aggregates.get(&id).into_iter().flatten().enumerate();
        known
            .map(|(position, expr)| (format!("{AGGREGATE}{position}"), expr))
            .filter(|(name, _)| columns.contains(name))
            .collect()
    }

    fn below_filters(&self, id: Id) -> Id {
        match &self.known[id] {
            Relation::Filter { input, .. } => self.below_filters(*input),
            _ => id,
        }
    }

    fn id(&mut self, relation: Relation) -> Id {
        let next = self.known.len();
        let id = *self.ids.entry(relation.clone()).or_insert(next);
        if id == next {
            self.known.push(relation);
        }
        id
    }

    fn meaning(&mut self, plan: &LogicalPlan, inputs: &[&Meaning]) -> Option<Meaning> {
        match (plan, inputs) {
            (LogicalPlan::TableScan(scan), []) => self.scan(scan),
            (LogicalPlan::SubqueryAlias(_), [input]) => Some((*input).clone()),
            (LogicalPlan::Projection(projection), [input]) => {
                let schema = projection.input.schema();
                let columns = projection.expr.iter().map(|expr| input.over(expr, schema));
                Some(Meaning {
                    relation: input.relation,
                    columns: columns.collect::<Option<_>>()?,
                })
            }
            (LogicalPlan::Filter(filter), [input]) => Some(Meaning {
                relation: self.id(Relation::Filter {
                    input: input.relation,
                    condition: input.over(&filter.predicate, filter.input.schema())?,
                }),
                columns: input.columns.clone(),
            }),
            (LogicalPlan::Join(join), [left, right]) => self.join(join, left, right),
            (LogicalPlan::Aggregate(aggregate), [input]) => self.aggregate(aggregate, input),
            _ => None,
        }
    }

    fn scan(&mut self, scan: &TableScan) -> Option<Meaning> {
        if scan.fetch.is_some() {
            return None;
        }
        let bare = |column: &Column| Some(named(&column.name));
        let mut filters: Vec<Expr> = scan
            .filters
            .iter()
            .map(|filter| translated(filter, &bare))
            .collect::<Option<_>>()?;
        filters.sort_by_cached_key(Expr::to_string);
        let relation = self.id(Relation::Scan {
            table: scan.table_name.to_string(),
            forms: scan.source.schema().fields().clone(),
            filters,
        });
        let source = || Arc::clone(&scan.source);
        self.sources.entry(relation).or_insert_with(source);
        let fields = scan.projected_schema.fields().iter();
        Some(Meaning {
            relation,
            columns: fields.map(|field| named(field.name())).collect(),
        })
    }

    fn join(&mut self, join: &Join, left: &Meaning, right: &Meaning) -> Option<Meaning> {
        // Whether rows without a partner leave nulls in the columns of the left, the right.
        let (nulls_left, nulls_right) = match join.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::LeftAnti => (false, false),
            JoinType::Left => (false, true),
            JoinType::Right => (true, false),
            JoinType::Full => (true, true),
            _ => return None,
        };
        if join.on.is_empty() || join.null_aware {
            return None;
        }
        let (of_left, of_right) = (left.renamed(LEFT)?, right.renamed(RIGHT)?);
        // COALESCE below an outer join is null where there is no partner, above it is not.
        let plain = |columns: &[Expr]| columns.iter().all(|expr| matches!(expr, Expr::Column(_)));
        if (nulls_left && !plain(&of_left)) || (nulls_right && !plain(&of_right)) {
            return None;
        }
        let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
        let on = join.on.iter().map(|(first, second)| {
            Some((
                left.over(first, left_schema)?,
                right.over(second, right_schema)?,
            ))
        });
        let on: Vec<(Expr, Expr)> = on.collect::<Option<_>>()?;
        let either = |column: &Column| {
            let first = left_schema.maybe_index_of_column(column);
            let second = right_schema.maybe_index_of_column(column);
            match (first, second) {
                (Some(index), None) => of_left.get(index).cloned(),
                (None, Some(index)) => of_right.get(index).cloned(),
                _ => None,
            }
        };
        let filter = match &join.filter {
            Some(filter) => Some(translated(filter, &either)?),
            None => None,
        };
        let (below, mut above) = match join.join_type {
            JoinType::Inner => (None, filter),
            _ => (filter, None),
        };
        let mut relation = self.id(Relation::Join {
            left: left.relation,
            right: right.relation,
            on,
            filter: below,
            kind: join.join_type,
            nulls: join.null_equality,
        });
        if let Some((weaker, condition)) = self.weaker.get(&relation) {
            relation = *weaker;
            above = conjunction([condition.clone()].into_iter().chain(above));
        }
        if let Some(condition) = above {
            relation = self.id(Relation::Filter {
                input: relation,
                condition,
            });
        }
        let mut columns = of_left;
        if !matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
            columns.extend(of_right);
        }
        Some(Meaning { relation, columns })
    }

    fn aggregate(&mut self, aggregate: &Aggregate, input: &Meaning) -> Option<Meaning> {
        let schema = aggregate.input.schema();
        let over = |exprs: &[Expr]| -> Option<Vec<Expr>> {
            exprs.iter().map(|expr| input.over(expr, schema)).collect()
        };
        let groups = over(&aggregate.group_expr)?;
        let calls = over(&aggregate.aggr_expr)?;
        // Over no rows at all a single group is one row.
        if !groups.iter().any(|group| names(group).next().is_some()) {
            return None;
        }
        let by = groups.len();
        let relation = self.id(Relation::Aggregate {
            input: input.relation,
            groups,
        });
        let mut columns: Vec<Expr> = (0..by).map(group).collect();
        let known = self.aggregates.entry(relation).or_default();
        for call in calls {
            let position = known.iter().position(|same| *same == call);
            let position = position.unwrap_or_else(|| {
                known.push(call);
                known.len() - 1
            });
            columns.push(named(&format!("{AGGREGATE}{position}")));
        }
        Some(Meaning { relation, columns })
    }
}

impl Meaning {
    /// An expression over a plan's columns as one over the relation's.
    fn over(&self, expr: &Expr, schema: &DFSchema) -> Option<Expr> {
        translated(expr, &|column| {
            let index = schema.maybe_index_of_column(column)?;
            self.columns.get(index).cloned()
        })
    }

    /// The columns as one side of a join.
    fn renamed(&self, prefix: &str) -> Option<Vec<Expr>> {
        let columns = self.columns.iter();
        columns.map(|expr| prefixed(expr, prefix)).collect()
    }
}

/// Names of the columns of an expression.
pub(super) fn names(expr: &Expr) -> impl Iterator<Item = String> {
    let names: BTreeSet<String> = expr
        .column_refs()
        .into_iter()
        .map(|column| column.name.clone())
        .collect();
    names.into_iter()
}

/// A column by its name alone.
pub(super) fn named(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The column of an aggregate that is this group.
pub(super) fn group(position: usize) -> Expr {
    named(&format!("{GROUP}{position}"))
}

/// An expression over one side of a join as one over the join; absent if it cannot be.
pub(super) fn prefixed(expr: &Expr, prefix: &str) -> Option<Expr> {
    translated(expr, &|column| {
        Some(named(&format!("{prefix}{}", column.name)))
    })
}

/// What stands before names of a join's left and right columns.
pub(super) const SIDES: [&str; 2] = [LEFT, RIGHT];

/// An expression with other columns, without aliases. Absent where its value depends on more than its columns:
/// the clock, other rows, another query; and where it would be too long.
fn translated(expr: &Expr, column: &dyn Fn(&Column) -> Option<Expr>) -> Option<Expr> {
    if expr.exists(|part| Ok(depends_on_more(part))).ok()? {
        return None;
    }
    let (mut all, mut nodes) = (true, 0);
    let put = |part: Expr| {
        Ok(match &part {
            Expr::Column(named) => match column(named).filter(|_| nodes < MOST_NODES) {
                Some(other) => {
                    nodes += nodes_of(&other)?;
                    Transformed::yes(other)
                }
                None => {
                    all = false;
                    Transformed::no(part)
                }
            },
            _ => Transformed::no(part),
        })
    };
    let put = expr.clone().transform_up(put).ok()?.data;
    all.then(|| put.unalias_nested().data)
}

fn nodes_of(expr: &Expr) -> Result<usize> {
    let mut nodes = 0;
    expr.apply(|_| {
        nodes += 1;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(nodes)
}

fn depends_on_more(part: &Expr) -> bool {
    match part {
        Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
        Expr::AggregateFunction(call) => call.func.signature().volatility != Volatility::Immutable,
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => false,
        _ => true,
    }
}
