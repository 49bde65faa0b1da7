//! Groups by what is computed: it is computed first, under a name that nothing else has.
//!
//! The SQL engine tells the groups of one aggregate from the columns of another by names that hide casts: it takes
//! `CAST(amount AS …)` for `amount`, by which the rows below are grouped already, and leaves out other groups
//! as if they followed from it. Rows that differ in these alone would become one, and a violation would be missed.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};

/// The same plan, in which all groups are columns.
pub(crate) fn computed_first(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) if is_concerned(&aggregate) => {
            computed_below(aggregate).map(Transformed::yes)
        }
        _ => Ok(Transformed::no(node)),
    })
    .data()
}

fn is_concerned(aggregate: &Aggregate) -> bool {
    let groups = &aggregate.group_expr;
    let is_odd = |group: &Expr| matches!(group, Expr::GroupingSet(_)) || group.contains_outer();
    groups.iter().any(is_computed) && !groups.iter().any(is_odd)
}

fn is_computed(group: &Expr) -> bool {
    !matches!(group, Expr::Column(_))
}

fn computed_below(aggregate: Aggregate) -> Result<LogicalPlan> {
    let Aggregate {
        input,
        group_expr,
        aggr_expr,
        schema,
        ..
    } = aggregate;
    let columns = input.schema().columns().into_iter();
    let mut below: Vec<Expr> = columns.map(Expr::Column).collect();
    let mut groups = Vec::with_capacity(group_expr.len());
    for (position, group) in group_expr.into_iter().enumerate() {
        if is_computed(&group) {
            let name = name(position);
            groups.push(Expr::Column(Column::new_unqualified(name.as_str())));
            below.push(group.unalias().alias(name));
        } else {
            groups.push(group);
        }
    }
    let below = LogicalPlan::Projection(Projection::try_new(below, input)?);
    let grouped = Aggregate::try_new(Arc::new(below), groups, aggr_expr)?;
    let grouped = LogicalPlan::Aggregate(grouped);
    let names = grouped.schema().iter().zip(schema.iter());
    let named = names.map(|(field, (qualifier, named))| {
        Expr::Column(Column::from(field)).alias_qualified(qualifier.cloned(), named.name().as_str())
    });
    let named: Vec<Expr> = named.collect();
    Projection::try_new(named, Arc::new(grouped)).map(LogicalPlan::Projection)
}

/// What the group at this position is called; no column of a rule has a space in its name.
pub(crate) fn name(position: usize) -> String {
    format!("by {position}")
}
