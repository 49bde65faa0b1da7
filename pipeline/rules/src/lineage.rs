//! Where the values of a plan's columns come from.

use centinel_catalog::Catalog;
use centinel_model::TableId;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan};

/// What is known of one column of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Every value that is not null stands in this column of this table.
    pub column: Option<(TableId, usize)>,
    /// Derives from a sensitive column.
    pub sensitive: bool,
}

/// The origins of a plan's columns, in the order of its schema.
pub(crate) fn origins(plan: &LogicalPlan, catalog: &Catalog) -> Vec<Origin> {
    let width = plan.schema().fields().len();
    let found = match plan {
        LogicalPlan::TableScan(scan) => of_scan(scan, catalog),
        LogicalPlan::Projection(node) => of_exprs(&node.expr, &node.input, catalog),
        LogicalPlan::Aggregate(node) => {
            let mut found = of_exprs(&node.group_expr, &node.input, catalog);
            found.extend(of_exprs(&node.aggr_expr, &node.input, catalog));
            found
        }
        LogicalPlan::Window(node) => {
            let mut found = origins(&node.input, catalog);
            found.extend(of_exprs(&node.window_expr, &node.input, catalog));
            found
        }
        LogicalPlan::Filter(node) => origins(&node.input, catalog),
        LogicalPlan::SubqueryAlias(node) => origins(&node.input, catalog),
        LogicalPlan::Sort(node) => origins(&node.input, catalog),
        LogicalPlan::Join(node) => {
            let (left, right) = (origins(&node.left, catalog), origins(&node.right, catalog));
            match node.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti => left,
                JoinType::RightSemi | JoinType::RightAnti => right,
                JoinType::LeftMark => [left, vec![Origin::default()]].concat(),
                JoinType::RightMark => [right, vec![Origin::default()]].concat(),
                _ => [left, right].concat(),
            }
        }
        LogicalPlan::Union(node) => node
            .inputs
            .iter()
            .map(|input| origins(input, catalog))
            .reduce(|left, right| {
                left.iter()
                    .zip(&right)
                    .map(|pair| both(*pair.0, *pair.1))
                    .collect()
            })
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    if found.len() == width {
        return found;
    }
    // A shape that is not known: whatever went in may have come out anywhere.
    let sensitive = plan.inputs().iter().any(|input| {
        origins(input, catalog)
            .iter()
            .any(|origin| origin.sensitive)
    });
    let unknown = Origin {
        column: None,
        sensitive,
    };
    vec![unknown; width]
}

fn both(left: Origin, right: Origin) -> Origin {
    Origin {
        column: left.column.filter(|_| left.column == right.column),
        sensitive: left.sensitive || right.sensitive,
    }
}

fn of_scan(scan: &datafusion::logical_expr::TableScan, catalog: &Catalog) -> Vec<Origin> {
    let Some(id) = catalog.table_id(scan.table_name.table()) else {
        return Vec::new();
    };
    let columns = &catalog.table(id).columns;
    let origin = |index: usize| Origin {
        column: Some((id, index)),
        sensitive: columns[index].sensitive,
    };
    match &scan.projection {
        Some(projection) => projection.iter().map(|index| origin(*index)).collect(),
        None => (0..columns.len()).map(origin).collect(),
    }
}

fn of_exprs(exprs: &[Expr], input: &LogicalPlan, catalog: &Catalog) -> Vec<Origin> {
    let below = origins(input, catalog);
    exprs
        .iter()
        .map(|expr| of_expr(expr, input.schema(), &below))
        .collect()
}

/// The origin of an expression's value over columns of known origin.
pub(crate) fn of_expr(expr: &Expr, schema: &DFSchema, below: &[Origin]) -> Origin {
    match expr {
        Expr::Alias(alias) => of_expr(&alias.expr, schema, below),
        Expr::Column(column) => schema
            .maybe_index_of_column(column)
            .and_then(|index| below.get(index).copied())
            .unwrap_or_default(),
        // The least and the greatest of some values is one of them.
        Expr::AggregateFunction(call) if matches!(call.func.name(), "min" | "max") => call
            .params
            .args
            .first()
            .map(|argument| of_expr(argument, schema, below))
            .unwrap_or_default(),
        _ => Origin {
            column: None,
            sensitive: expr.column_refs().iter().any(|column| {
                schema
                    .maybe_index_of_column(column)
                    .and_then(|index| below.get(index))
                    .is_some_and(|origin| origin.sensitive)
            }),
        },
    }
}
