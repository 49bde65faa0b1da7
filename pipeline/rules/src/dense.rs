//! Whether a rule only compares entity keys with each other, so that numbers may stand for them.
//!
//! The plan is made over keys of type [`DENSE`], which no column and no expression has otherwise: wherever
//! that type goes, a key goes. Within the rows of one entity every key is the entity's or null, so joins,
//! groups, comparisons, null tests, MIN and MAX are the same for text and for numbers that are one-to-one.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator};

/// The type of dense entity ids. DataFusion joins integers of a small range by direct address.
pub(crate) const DENSE: DataType = DataType::UInt32;

/// Whether keys are only compared with keys in this plan, made over dense keys.
pub(crate) fn only_compares_keys(plan: &LogicalPlan) -> bool {
    let mut only = true;
    let walked = plan.apply(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        only = only
            && node
                .expressions()
                .iter()
                .all(|expr| harmless(expr, &schema));
        Ok(TreeNodeRecursion::Continue)
    });
    only && walked.is_ok()
}

fn is_key(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|kind| kind == DENSE)
}

fn harmless(expr: &Expr, schema: &DFSchema) -> bool {
    let key = |part: &Expr| is_key(part, schema);
    let well = |part: &Expr| harmless(part, schema);
    match expr {
        Expr::Column(_) => true,
        Expr::Literal(value, _) => value.is_null() || value.data_type() != DENSE,
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
            let about_keys = matches!(call.func.name(), "count" | "min" | "max");
            (about_keys || !arguments.iter().any(key))
                && arguments.iter().all(well)
                && call.params.filter.as_deref().is_none_or(well)
                && call.params.order_by.iter().all(|sort| well(&sort.expr))
        }
        Expr::WindowFunction(call) => {
            let parameters = &call.params;
            let about_keys = matches!(call.fun.name(), "count" | "min" | "max");
            (about_keys || !parameters.args.iter().any(key))
                && parameters.args.iter().all(well)
                && parameters.partition_by.iter().all(well)
                && parameters.order_by.iter().all(|sort| well(&sort.expr))
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
