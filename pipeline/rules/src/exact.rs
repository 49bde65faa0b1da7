//! Money is exact: no float anywhere in a rule's plan, no sum that can wrap, no average.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue, Span};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

/// Sums have ten digits more than what they add up: ten thousand million rows cannot exceed them.
const MOST_SUMMED_DIGITS: u8 = 28;
/// Whole numbers that stand in the rule itself may be summed up to this size.
const LARGEST_COUNTED: i64 = 1_000_000;

/// Something inexact in a plan.
pub(crate) struct Inexact {
    pub problem: String,
    pub remedy: &'static str,
    pub span: Option<Span>,
    /// A column that it is made from.
    pub column: Option<String>,
}

/// The first inexact expression of an analysed plan, looking from the leaves up.
pub(crate) fn inexact(plan: &LogicalPlan) -> Option<Inexact> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        // The deepest is the cause, those above it only pass it on.
        found = of_node(node).or(found.take());
        Ok(TreeNodeRecursion::Continue)
    });
    match walked {
        Ok(_) => found,
        Err(error) => Some(Inexact {
            problem: format!("the types of the rule cannot be told: {error}"),
            remedy: "write it more simply",
            span: None,
            column: None,
        }),
    }
}

fn of_node(node: &LogicalPlan) -> Option<Inexact> {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    for expr in node.expressions() {
        let mut found = None;
        let walked = expr.apply(|inner| {
            // The deepest that has a place.
            if let Some(inexact) = of_expr(inner, &schema)
                && (inexact.column.is_some() || found.is_none())
            {
                found = Some(inexact);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        if walked.is_ok() && found.is_some() {
            return found;
        }
    }
    None
}

fn of_expr(expr: &Expr, schema: &DFSchema) -> Option<Inexact> {
    let span = expr
        .column_refs()
        .iter()
        .filter_map(|column| column.spans.first())
        .min_by_key(|span| (span.start.line, span.start.column));
    let inexact = |problem: String, remedy| {
        Some(Inexact {
            problem,
            remedy,
            span,
            column: expr
                .column_refs()
                .iter()
                .map(|column| column.name.clone())
                .min(),
        })
    };
    match expr {
        Expr::AggregateFunction(call) => {
            if let Some((problem, remedy)) = aggregate(call.func.name(), &call.params.args, schema)
            {
                return inexact(problem, remedy);
            }
        }
        Expr::WindowFunction(call) => {
            let WindowFunction { fun, params } = &**call;
            if let Some((problem, remedy)) = aggregate(fun.name(), &params.args, schema) {
                return inexact(problem, remedy);
            }
        }
        _ => {}
    }
    match expr.get_type(schema) {
        Ok(DataType::Float16 | DataType::Float32 | DataType::Float64) => inexact(
            format!("`{expr}` is a floating-point number, which cannot hold money exactly"),
            "keep decimals: cast to DECIMAL(20, 2) before the function, or write 0.006 instead of 6e-3",
        ),
        Ok(DataType::Decimal256(..)) => inexact(
            format!("`{expr}` has more than 38 digits"),
            "cast its parts to decimals of fewer digits, such as DECIMAL(20, 2)",
        ),
        _ => None,
    }
}

fn aggregate(name: &str, arguments: &[Expr], schema: &DFSchema) -> Option<(String, &'static str)> {
    let [argument] = arguments else { return None };
    let kind = argument.get_type(schema).ok()?;
    match (name, kind) {
        ("avg", _) => Some((
            format!("AVG({argument}) rounds"),
            "compare SUM(x) with the wanted average times COUNT(x)",
        )),
        ("sum", DataType::Decimal128(digits, _)) if digits > MOST_SUMMED_DIGITS => Some((
            format!(
                "SUM over `{argument}`, a decimal of {digits} digits, wraps around silently when it overflows"
            ),
            "cast it to fewer digits first: SUM(CAST(… AS DECIMAL(20, 2)))",
        )),
        ("sum", kind) if kind.is_integer() && !is_small(argument) => Some((
            format!(
                "SUM over `{argument}`, a whole number, wraps around silently when it overflows"
            ),
            "cast it first: SUM(CAST(… AS DECIMAL(20, 0)))",
        )),
        _ => None,
    }
}

/// Whether a whole number is one of some small ones that stand in the rule: `CASE WHEN … THEN 1 ELSE 0 END`.
fn is_small(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Int64(value), _) => {
            value.is_none_or(|value| (-LARGEST_COUNTED..=LARGEST_COUNTED).contains(&value))
        }
        Expr::Cast(cast) => is_small(&cast.expr) && cast.field.data_type().is_integer(),
        Expr::Case(case) => {
            case.when_then_expr.iter().all(|(_, then)| is_small(then))
                && case.else_expr.as_deref().is_none_or(is_small)
        }
        _ => false,
    }
}
