//! Plans of shared relations, and plans that read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, TableReference};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::logical_plan::TableScanBuilder;
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, JoinConstraint, LogicalPlan, Projection, TableSource,
};

use crate::groups::name;

use super::relation::{Id, Node, Relation, Relations, SIDES, group, named, names, prefixed};

/// Makes plans in which shared relations are tables.
pub(super) struct Rewriter<'a> {
    pub relations: &'a Relations,
    /// The tables of shared relations, as far as they are known.
    pub tables: BTreeMap<Id, (String, Arc<dyn TableSource>)>,
}

impl Rewriter<'_> {
    /// A plan of these columns of a relation, in their order, by which it is computed itself.
    pub fn definition(&self, id: Id, columns: &BTreeSet<String>) -> Result<LogicalPlan> {
        let mut inputs = self
            .relations
            .needs(id, columns)
            .into_iter()
            .map(|(input, needed)| self.plan(input, &needed));
        let mut input = || {
            let none = || Err(DataFusionError::Internal("an input is missing".into()));
            inputs.next().unwrap_or_else(none).map(Arc::new)
        };
        let plan = match self.relations.relation(id) {
            Relation::Scan { table, filters, .. } => {
                let none = || DataFusionError::Internal(format!("`{table}` has no source"));
                let source = self.relations.source(id).ok_or_else(none)?;
                return scan(table, source, columns, filters);
            }
            Relation::Filter { condition, .. } => {
                LogicalPlan::Filter(Filter::try_new(condition.clone(), input()?)?)
            }
            Relation::Join {
                on,
                filter,
                kind,
                nulls,
                ..
            } => {
                let [left, right] = SIDES;
                let on = on.iter().map(|(of_left, of_right)| {
                    Some((prefixed(of_left, left)?, prefixed(of_right, right)?))
                });
                let odd = || DataFusionError::Internal("a join is over what is no column".into());
                LogicalPlan::Join(Join::try_new(
                    Arc::new(side(input()?, left)?),
                    Arc::new(side(input()?, right)?),
                    on.collect::<Option<_>>().ok_or_else(odd)?,
                    filter.clone(),
                    *kind,
                    JoinConstraint::On,
                    *nulls,
                    false,
                )?)
            }
            Relation::Aggregate { groups, .. } => {
                let aggregates = self.relations.asked_aggregates(id, columns);
                let aggregates = aggregates.into_iter();
                let aggregates = aggregates.map(|(name, expr)| expr.clone().alias(name));
                let by = groups.len();
                // As for plans themselves: under names that the input has not.
                let groups = groups.iter().enumerate();
                let groups = groups.map(|(position, expr)| expr.clone().alias(name(position)));
                let aggregate =
                    Aggregate::try_new(input()?, groups.collect(), aggregates.collect())?;
                let plan = LogicalPlan::Aggregate(aggregate);
                let fields = plan.schema().iter().enumerate();
                let renamed = fields.map(|(position, field)| {
                    let column = Expr::Column(Column::from(field));
                    match position < by {
                        true => column.alias(group(position).schema_name().to_string()),
                        false => column,
                    }
                });
                let renamed: Vec<Expr> = renamed.collect();
                LogicalPlan::Projection(Projection::try_new(renamed, Arc::new(plan))?)
            }
        };
        let wanted = columns.iter().map(|name| named(name)).collect();
        Projection::try_new(wanted, Arc::new(plan)).map(LogicalPlan::Projection)
    }

    /// A plan of these columns of a relation, read where it is shared.
    fn plan(&self, id: Id, columns: &BTreeSet<String>) -> Result<LogicalPlan> {
        match self.tables.get(&id) {
            Some((name, source)) => scan(name, source, columns, &[]),
            None => self.definition(id, columns),
        }
    }

    /// The same plan, in which shared relations are read; absent where it has none.
    pub fn rewritten(&self, plan: &LogicalPlan, node: &Node) -> Result<Option<LogicalPlan>> {
        if let (Some(meaning), Some(core)) = (&node.meaning, node.core)
            && self.tables.contains_key(&core)
        {
            let columns = meaning.columns.iter().flat_map(names).collect();
            let input = self.plan(meaning.relation, &columns)?;
            let fields = meaning.columns.iter().zip(plan.schema().iter());
            let renamed = fields.map(|(expr, (qualifier, field))| {
                expr.clone()
                    .alias_qualified(qualifier.cloned(), field.name().as_str())
            });
            let renamed: Vec<Expr> = renamed.collect();
            let plan = Projection::try_new(renamed, Arc::new(input))?;
            return Ok(Some(LogicalPlan::Projection(plan)));
        }
        let children = plan.inputs().into_iter().zip(&node.children);
        let children: Result<Vec<Option<LogicalPlan>>> = children
            .map(|(plan, node)| self.rewritten(plan, node))
            .collect();
        let children = children?;
        if children.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut next = children.into_iter();
        let changed = plan.clone().map_children(|child| {
            Ok(match next.next().flatten() {
                Some(other) => Transformed::yes(other),
                None => Transformed::no(child),
            })
        })?;
        changed.data.recompute_schema().map(Some)
    }
}

/// Columns of a table by their names alone.
fn scan(
    table: &str,
    source: &Arc<dyn TableSource>,
    columns: &BTreeSet<String>,
    filters: &[Expr],
) -> Result<LogicalPlan> {
    let schema = source.schema();
    let name = TableReference::bare(table);
    let positions: Result<Vec<usize>, _> = columns
        .iter()
        .map(|column| schema.index_of(column))
        .collect();
    let scan = TableScanBuilder::new(name.clone(), Arc::clone(source))
        .with_projection(Some(positions?))
        .with_filters(filters.to_vec())
        .build()?;
    let columns = columns
        .iter()
        .map(|column| Expr::Column(Column::new(Some(name.clone()), column)).alias(column.as_str()));
    let columns: Vec<Expr> = columns.collect();
    let plan = Projection::try_new(columns, Arc::new(LogicalPlan::TableScan(scan)))?;
    Ok(LogicalPlan::Projection(plan))
}

/// A plan as one side of a join.
fn side(plan: Arc<LogicalPlan>, prefix: &str) -> Result<LogicalPlan> {
    let fields = plan.schema().fields().iter();
    let renamed = fields.map(|field| {
        let name = field.name();
        named(name).alias(format!("{prefix}{name}"))
    });
    let renamed: Vec<Expr> = renamed.collect();
    Projection::try_new(renamed, plan).map(LogicalPlan::Projection)
}
