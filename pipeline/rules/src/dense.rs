//! Whether a rule only compares keys with each other, so that numbers may stand for them.
//!
//! The plan is made over entity keys of type [`DENSE`] and other keys of type [`NUMBER`], which no column and
//! no harmless expression has otherwise: wherever such a type goes, a key goes. Joins, groups, comparisons and
//! null tests are the same for text and for numbers that are one-to-one. Within the rows of one entity every
//! entity key is the entity's or null, so for those MIN, MAX and order are the same too.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator};

use crate::forms::{DENSE, NUMBER};

/// Whether keys are only compared with keys in this plan, made over numbers.
pub(crate) fn only_compares_keys(plan: &LogicalPlan) -> bool {
    let mut only = true;
    let walked = plan.apply(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        let sorts = matches!(node, LogicalPlan::Sort(_));
        only = only
            && node
                .expressions()
                .iter()
                .all(|expr| harmless(expr, &schema) && !(sorts && is_of(expr, &NUMBER, &schema)));
        Ok(TreeNodeRecursion::Continue)
    });
    only && walked.is_ok()
}

fn is_of(expr: &Expr, kind: &DataType, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|found| found == *kind)
}

fn is_key(expr: &Expr, schema: &DFSchema) -> bool {
    is_of(expr, &DENSE, schema) || is_of(expr, &NUMBER, schema)
}

fn harmless(expr: &Expr, schema: &DFSchema) -> bool {
    let key = |part: &Expr| is_key(part, schema);
    let well = |part: &Expr| harmless(part, schema);
    // Numbers have another order than the texts that they stand for.
    let number = |part: &Expr| is_of(part, &NUMBER, schema);
    match expr {
        Expr::Column(_) => true,
        Expr::Literal(value, _) => value.is_null() || !key(expr),
        Expr::Alias(alias) => well(&alias.expr),
        Expr::IsNull(part) | Expr::IsNotNull(part) => well(part),
        Expr::BinaryExpr(binary) if key(&binary.left) || key(&binary.right) => {
            let compares = matches!(
                binary.op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            );
            let (left, right) = (&binary.left, &binary.right);
            compares && key(left) && key(right) && well(left) && well(right)
        }
        Expr::Case(case) if key(expr) => {
            let conditions = case
                .when_then_expr
                .iter()
                .all(|(when, then)| well(when) && well(then));
            case.expr.is_none() && conditions && case.else_expr.as_deref().is_none_or(well)
        }
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => call.args.iter().all(well),
        Expr::AggregateFunction(call) => {
            let arguments = &call.params.args;
            takes(call.func.name(), arguments, schema)
                && arguments.iter().all(well)
                && call.params.filter.as_deref().is_none_or(well)
                && call
                    .params
                    .order_by
                    .iter()
                    .all(|sort| well(&sort.expr) && !number(&sort.expr))
        }
        Expr::WindowFunction(call) => {
            let parameters = &call.params;
            takes(call.fun.name(), &parameters.args, schema)
                && parameters.args.iter().all(well)
                && parameters.partition_by.iter().all(well)
                && parameters
                    .order_by
                    .iter()
                    .all(|sort| well(&sort.expr) && !number(&sort.expr))
                && parameters.filter.as_deref().is_none_or(well)
        }
        // What else makes a key makes it from something that is none.
        other if key(other) => false,
        other => {
            let mut only = true;
            let walked = other.apply_children(|part| {
                only = only && !key(part) && well(part);
                Ok(TreeNodeRecursion::Continue)
            });
            only && walked.is_ok()
        }
    }
}

/// Whether an aggregate function gives the same for these keys as for their texts.
fn takes(function: &str, arguments: &[Expr], schema: &DFSchema) -> bool {
    let any_is = |kind| arguments.iter().any(|part| is_of(part, kind, schema));
    let orders = matches!(function, "min" | "max");
    function == "count" || ((orders || !any_is(&DENSE)) && !any_is(&NUMBER))
}
