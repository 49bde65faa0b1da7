//! What is known of one local relation, and how it passes through expressions and joins.

use centinel_model::TableId;
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, WindowFrameUnits, WindowFunctionDefinition};

use super::Refusal;

/// What a value names, so that rows with equal values belong to one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The entity itself.
    Entity,
    /// A row of this table, which is on the way to the entity.
    Row(TableId),
}

/// Columns (rising positions) that together name the entity in every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cover {
    pub columns: Vec<usize>,
    pub class: Class,
}

/// What is known of a local relation.
#[derive(Clone, Debug, Default)]
pub(super) struct Relation {
    pub covers: Vec<Cover>,
    /// Columns without repeated values.
    pub unique: Vec<usize>,
}

impl Relation {
    /// Records that these columns of a table name something, if one column does and it is read.
    pub fn name(
        &mut self,
        columns: &[usize],
        class: Class,
        position: impl Fn(usize) -> Option<usize>,
    ) {
        if let [column] = columns
            && let Some(position) = position(*column)
        {
            let cover = Cover {
                columns: vec![position],
                class,
            };
            if !self.covers.contains(&cover) {
                self.covers.push(cover);
            }
        }
    }

    /// The cover whose value an expression returns: a column, or a COALESCE of all columns of a cover.
    pub fn cover_of(&self, expr: &Expr, schema: &DFSchema) -> Option<Cover> {
        let arguments = coalesced(bare(expr))?;
        let positions: Option<Vec<usize>> = arguments
            .iter()
            .map(|column| schema.maybe_index_of_column(column))
            .collect();
        let mut positions = positions?;
        let first = positions.first().copied()?;
        positions.sort_unstable();
        positions.dedup();
        self.covers
            .iter()
            .find(|cover| cover.columns == [first] || cover.columns == positions)
            .cloned()
    }

    /// Whether an expression is made from a column that names the entity.
    pub fn hides_key(&self, expr: &Expr, schema: &DFSchema) -> bool {
        expr.column_refs().iter().any(|column| {
            schema
                .maybe_index_of_column(column)
                .is_some_and(|index| self.covers.iter().any(|cover| cover.columns == [index]))
        })
    }

    /// The relation whose columns are these expressions over this one's.
    pub fn through(&self, exprs: &[Expr], schema: &DFSchema) -> Relation {
        let mut covers = Vec::new();
        let plain: Vec<Option<usize>> = exprs
            .iter()
            .map(|expr| match bare(expr) {
                Expr::Column(column) => schema.maybe_index_of_column(column),
                _ => None,
            })
            .collect();
        for cover in &self.covers {
            let moved: Option<Vec<usize>> = cover
                .columns
                .iter()
                .map(|column| plain.iter().position(|kept| *kept == Some(*column)))
                .collect();
            if let Some(mut columns) = moved {
                columns.sort_unstable();
                covers.push(Cover {
                    columns,
                    class: cover.class,
                });
            }
        }
        for (position, expr) in exprs.iter().enumerate() {
            if let Some(cover) = self.cover_of(expr, schema) {
                covers.push(Cover {
                    columns: vec![position],
                    class: cover.class,
                });
            }
        }
        let unique = (0..plain.len())
            .filter(|position| plain[*position].is_some_and(|from| self.unique.contains(&from)))
            .collect();
        Relation { covers, unique }
    }

    /// Both sides' columns. A side is given where its rows cannot be missing. By each pair of equal keys one
    /// of the two is there in any case.
    pub fn joined(
        left: Option<&Relation>,
        right: Option<&Relation>,
        pairs: &[(Cover, Cover)],
        width: usize,
    ) -> Relation {
        let shifted = |cover: &Cover| Cover {
            columns: cover.columns.iter().map(|column| column + width).collect(),
            class: cover.class,
        };
        let mut covers: Vec<Cover> = left.map(|side| side.covers.clone()).unwrap_or_default();
        covers.extend(right.iter().flat_map(|side| &side.covers).map(shifted));
        covers.extend(pairs.iter().map(|(one, other)| Cover {
            columns: [one.columns.clone(), shifted(other).columns].concat(),
            class: one.class,
        }));
        Relation {
            covers,
            unique: Vec::new(),
        }
    }

    /// Refuses window functions that depend on an order which rows may share.
    pub fn settled_order(&self, call: &WindowFunction, schema: &DFSchema) -> Result<(), Refusal> {
        let name = call.fun.name();
        let total = call
            .params
            .order_by
            .iter()
            .any(|sort| match bare(&sort.expr) {
                Expr::Column(column) => schema
                    .maybe_index_of_column(column)
                    .is_some_and(|index| self.unique.contains(&index)),
                _ => false,
            });
        let by_rows = call.params.window_frame.units != WindowFrameUnits::Range
            && !(call.params.window_frame.start_bound.is_unbounded()
                && call.params.window_frame.end_bound.is_unbounded());
        let settled = match &call.fun {
            WindowFunctionDefinition::AggregateUDF(_) => is_plain(name) && (total || !by_rows),
            WindowFunctionDefinition::WindowUDF(_) => {
                total || matches!(name, "rank" | "dense_rank" | "percent_rank" | "cume_dist")
            }
        };
        if settled {
            return Ok(());
        }
        Err(Refusal::new(format!(
            "{name}() over this window depends on the order of rows that may tie: order by the table's primary key last"
        )))
    }
}

/// Aggregates whose result does not depend on the order of rows.
pub(super) fn is_plain(name: &str) -> bool {
    matches!(
        name,
        "sum" | "count" | "min" | "max" | "bool_and" | "bool_or" | "bit_and" | "bit_or" | "bit_xor"
    )
}

pub(super) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

/// The columns of a COALESCE (which the optimiser writes as a CASE), or a lone column.
fn coalesced(expr: &Expr) -> Option<Vec<&Column>> {
    match expr {
        Expr::Column(column) => Some(vec![column]),
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            call.args.iter().map(Expr::try_as_col).collect()
        }
        Expr::Case(case) if case.expr.is_none() => {
            let mut columns = Vec::new();
            for (when, then) in &case.when_then_expr {
                match &**when {
                    Expr::IsNotNull(tested) if tested == then => columns.push(then.try_as_col()?),
                    _ => return None,
                }
            }
            let last = coalesced(case.else_expr.as_deref()?)?;
            columns.extend(last);
            Some(columns)
        }
        _ => None,
    }
}
