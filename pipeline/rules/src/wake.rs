//! When `as_of()` alone can break a rule.
//!
//! A rule that uses `as_of()` must be monotone in it: as time passes, rows may only be added to its answer. It
//! is where each use is a condition that becomes true and stays true, above nothing that takes rows away
//! when rows are added.

use centinel_catalog::{Catalog, ColumnType};
use centinel_model::{Duration, TableId};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, Operator};

use crate::as_of::AS_OF;
use crate::lineage::{Origin, of_expr, origins};

/// For each row of `table` of an entity, the rule may newly break at the value of `column` plus `offset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeBound {
    /// The table or event.
    pub table: TableId,
    /// Index of a timestamp column of it.
    pub column: usize,
    /// How long after that time.
    pub offset: Duration,
}

const REMEDY: &str = "write `column < as_of() - INTERVAL '…'` in WHERE, or name a `since` column in the head instead";

/// Whether the plan uses `as_of()` anywhere.
pub(crate) fn uses_as_of(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found = found || node.expressions().iter().any(has_as_of);
        Ok(TreeNodeRecursion::Continue)
    });
    found || walked.is_err()
}

/// All bounds of an optimised plan, or why they cannot be told.
pub(crate) fn time_bounds(plan: &LogicalPlan, catalog: &Catalog) -> Result<Vec<TimeBound>, String> {
    let mut bounds = Vec::new();
    walk(plan, catalog, true, &mut bounds)?;
    bounds.dedup();
    Ok(bounds)
}

fn has_as_of(expr: &Expr) -> bool {
    expr.exists(|inner| {
        Ok(match inner {
            Expr::ScalarFunction(call) => call.func.name() == AS_OF,
            Expr::Exists(exists) => uses_as_of(&exists.subquery.subquery),
            Expr::InSubquery(within) => uses_as_of(&within.subquery.subquery),
            Expr::ScalarSubquery(subquery) => uses_as_of(&subquery.subquery),
            _ => false,
        })
    })
    .unwrap_or(true)
}

fn walk(
    plan: &LogicalPlan,
    catalog: &Catalog,
    adds: bool,
    bounds: &mut Vec<TimeBound>,
) -> Result<(), String> {
    let timed: Vec<Expr> = plan.expressions().into_iter().filter(has_as_of).collect();
    let conditions_add = match plan {
        LogicalPlan::Filter(_) => true,
        LogicalPlan::Join(join) => join.join_type == JoinType::Inner,
        _ => false,
    };
    if !timed.is_empty() && !conditions_add {
        return Err(format!(
            "as_of() stands where its effect over time cannot be told: {REMEDY}"
        ));
    }
    if !timed.is_empty() && !adds {
        return Err(format!(
            "as_of() stands below an aggregate, a window, or the side of a join whose new rows take violations \
             away: {REMEDY}"
        ));
    }
    let below: Vec<Origin> = match timed.is_empty() {
        true => Vec::new(),
        false => inputs_origins(plan, catalog),
    };
    let schema = match plan {
        LogicalPlan::Filter(filter) => filter.input.schema(),
        _ => plan.schema(),
    };
    for condition in timed
        .iter()
        .flat_map(split_conjunction)
        .filter(|part| has_as_of(part))
    {
        let (column, offset) = bound_of(condition).ok_or_else(|| {
            format!("`{condition}` may turn false again as time passes: {REMEDY}")
        })?;
        let origin = of_expr(column, schema, &below);
        let Some((table, column)) = origin.column.filter(|(table, column)| {
            catalog.table(*table).columns[*column].kind == ColumnType::Timestamp
        }) else {
            return Err(format!(
                "`{condition}` does not compare a timestamp column of a table: {REMEDY}"
            ));
        };
        bounds.push(TimeBound {
            table,
            column,
            offset,
        });
    }
    for (input, adds_too) in plan.inputs().into_iter().zip(polarity(plan)) {
        walk(input, catalog, adds && adds_too, bounds)?;
    }
    Ok(())
}

fn inputs_origins(plan: &LogicalPlan, catalog: &Catalog) -> Vec<Origin> {
    plan.inputs()
        .into_iter()
        .flat_map(|input| origins(input, catalog))
        .collect()
}

/// For each input whether rows added to it can only add rows to the plan.
fn polarity(plan: &LogicalPlan) -> Vec<bool> {
    match plan {
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => vec![true, true],
            JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => vec![true, false],
            JoinType::Right | JoinType::RightAnti | JoinType::RightMark => vec![false, true],
            JoinType::Full => vec![false, false],
        },
        LogicalPlan::Filter(_)
        | LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Union(_) => vec![true; plan.inputs().len()],
        LogicalPlan::Aggregate(aggregate) => vec![aggregate.aggr_expr.is_empty()],
        _ => vec![false; plan.inputs().len()],
    }
}

/// One side of a comparison; spans in microseconds.
enum Side<'a> {
    Now { plus: i64 },
    Column { column: &'a Expr, plus: i64 },
    SinceColumn { column: &'a Expr },
    Span(i64),
}

/// The column after which, and the span after it from which, a condition is true for ever.
fn bound_of(condition: &Expr) -> Option<(&Expr, Duration)> {
    let Expr::BinaryExpr(comparison) = condition else {
        return None;
    };
    let (left, right) = (side(&comparison.left)?, side(&comparison.right)?);
    let (earlier, later, strict) = match comparison.op {
        Operator::Lt => (left, right, true),
        Operator::LtEq => (left, right, false),
        Operator::Gt => (right, left, true),
        Operator::GtEq => (right, left, false),
        _ => return None,
    };
    let (column, offset) = match (earlier, later) {
        (Side::Column { column, plus: back }, Side::Now { plus }) => {
            (column, back.checked_sub(plus)?)
        }
        (Side::Span(span), Side::SinceColumn { column }) => (column, span),
        _ => return None,
    };
    let offset = offset.checked_add(i64::from(strict))?;
    (offset >= 0).then_some((column, Duration(offset)))
}

fn side(expr: &Expr) -> Option<Side<'_>> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == AS_OF => Some(Side::Now { plus: 0 }),
        Expr::Column(_) => Some(Side::Column {
            column: expr,
            plus: 0,
        }),
        Expr::Literal(value, _) => span_of(value).map(Side::Span),
        Expr::Cast(cast) => match side(&cast.expr)? {
            Side::Span(span) if is_span(cast.field.data_type()) => Some(Side::Span(span)),
            Side::SinceColumn { column } if is_span(cast.field.data_type()) => {
                Some(Side::SinceColumn { column })
            }
            _ => None,
        },
        Expr::BinaryExpr(sum) => {
            let sign = match sum.op {
                Operator::Plus => 1,
                Operator::Minus => -1,
                _ => return None,
            };
            match (side(&sum.left)?, side(&sum.right)?) {
                (Side::Now { plus }, Side::Span(span)) => Some(Side::Now {
                    plus: plus.checked_add(span.checked_mul(sign)?)?,
                }),
                (Side::Column { column, plus }, Side::Span(span)) => Some(Side::Column {
                    column,
                    plus: plus.checked_add(span.checked_mul(sign)?)?,
                }),
                (Side::Now { plus: 0 }, Side::Column { column, plus: 0 }) if sign < 0 => {
                    Some(Side::SinceColumn { column })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_span(kind: &arrow::datatypes::DataType) -> bool {
    use arrow::datatypes::{DataType, TimeUnit};
    matches!(
        kind,
        DataType::Interval(_) | DataType::Duration(TimeUnit::Microsecond | TimeUnit::Nanosecond)
    )
}

/// Days are 24 hours, as times are UTC; months have no length.
fn span_of(value: &ScalarValue) -> Option<i64> {
    const DAY: i64 = 86_400_000_000;
    match value {
        ScalarValue::IntervalMonthDayNano(Some(span))
            if span.months == 0 && span.nanoseconds % 1_000 == 0 =>
        {
            i64::from(span.days)
                .checked_mul(DAY)?
                .checked_add(span.nanoseconds / 1_000)
        }
        ScalarValue::IntervalDayTime(Some(span)) => i64::from(span.days)
            .checked_mul(DAY)?
            .checked_add(i64::from(span.milliseconds) * 1_000),
        ScalarValue::DurationSecond(Some(span)) => span.checked_mul(1_000_000),
        ScalarValue::DurationMillisecond(Some(span)) => span.checked_mul(1_000),
        ScalarValue::DurationMicrosecond(Some(span)) => Some(*span),
        ScalarValue::DurationNanosecond(Some(span)) if span % 1_000 == 0 => Some(span / 1_000),
        _ => None,
    }
}
