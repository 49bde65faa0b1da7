//! What can be told from the SQL text alone.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use centinel_catalog::Catalog;
use datafusion::logical_expr::Volatility;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, Query, Select, SelectItem, SetExpr, Spanned, Statement, TableFactor,
    Value, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::as_of::AS_OF;
use crate::mistakes::{Mistakes, suggest};
use crate::plan::parse;

const CLOCK_REMEDY: &str =
    "use as_of(), the only clock of rules: the same in detection, audit and tests";

/// The one SELECT of a file, or every reason against it.
pub(crate) fn one_select(
    text: &str,
    context: &SessionContext,
    catalog: &Catalog,
    mistakes: &mut Mistakes<'_>,
) -> Option<Statement> {
    let mut statements = match parse(text) {
        Ok(statements) => statements,
        Err(error) => {
            let said = error.to_string();
            mistakes.add(
                place_in(&said, mistakes),
                said,
                "write one SELECT in standard SQL",
            );
            return None;
        }
    };
    let statement = match (statements.pop(), statements.is_empty()) {
        (None, _) => {
            mistakes.add(
                None,
                "the file holds no SELECT",
                "write one SELECT that returns the bad rows",
            );
            return None;
        }
        (Some(second), false) => {
            let place = place(mistakes, second.span());
            mistakes.add(
                place,
                "more than one statement",
                "keep exactly one SELECT in each file",
            );
            return None;
        }
        (Some(only), true) => only,
    };
    let Statement::Query(query) = &statement else {
        let place = place(mistakes, statement.span());
        mistakes.add(
            place,
            "a rule is one SELECT and changes nothing",
            "write one SELECT that returns the bad rows",
        );
        return None;
    };
    if let Some(order) = &query.order_by {
        let place = place(mistakes, order.span());
        mistakes.add(
            place,
            "ORDER BY of the whole answer has no effect",
            "leave it out",
        );
    }
    let mut names = Names::default();
    let _ = statement.visit(&mut names);
    let mut lint = Lint {
        names: names.0,
        context,
        catalog,
        mistakes,
    };
    let _ = statement.visit(&mut lint);
    Some(statement)
}

/// sqlparser ends its messages with `at Line: 3, Column: 7`.
fn place_in(said: &str, mistakes: &Mistakes<'_>) -> Option<Range<usize>> {
    let (_, at) = said.rsplit_once("Line: ")?;
    let (line, column) = at.split_once(", Column: ")?;
    let digits = |text: &str| {
        text.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    let (line, column) = (digits(line).parse().ok()?, digits(column).parse().ok()?);
    mistakes.range((line, column), (line, column + 1))
}

/// Some statements and names carry no place: then the first line stands for them.
fn place(mistakes: &Mistakes<'_>, span: Span) -> Option<Range<usize>> {
    if span.start.line == 0 {
        return mistakes.statement();
    }
    mistakes.range(
        (span.start.line, span.start.column),
        (span.end.line, span.end.column),
    )
}

/// Names that WITH gives to subqueries.
#[derive(Default)]
struct Names(HashSet<String>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(tables.map(|table| normal(&table.alias.name)));
        ControlFlow::Continue(())
    }
}

/// The name as the planner looks it up.
fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

struct Lint<'a, 'b> {
    names: HashSet<String>,
    context: &'a SessionContext,
    catalog: &'a Catalog,
    mistakes: &'a mut Mistakes<'b>,
}

impl Lint<'_, '_> {
    fn add(&mut self, span: Span, problem: impl Into<String>, remedy: impl Into<String>) {
        let place = place(self.mistakes, span);
        self.mistakes.add(place, problem, remedy);
    }

    fn table(&mut self, name: &datafusion::sql::sqlparser::ast::ObjectName) {
        let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let known = match parts[..] {
            [only] => {
                let only = normal(only);
                self.names.contains(&only) || self.catalog.table_id(&only).is_some()
            }
            _ => false,
        };
        if known {
            return;
        }
        let wrong = parts.last().map(|ident| normal(ident)).unwrap_or_default();
        let tables = self.catalog.tables.iter().map(|table| table.name.as_str());
        let remedy = suggest(&wrong, tables.chain(self.names.iter().map(String::as_str)));
        self.add(
            name.span(),
            format!("`{name}` is not a table or event of the schemas"),
            remedy,
        );
    }

    fn function(&mut self, expr: &Expr, name: &str) {
        let state = self.context.state();
        if let Some(function) = state.scalar_functions().get(name) {
            if name == AS_OF || function.signature().volatility == Volatility::Immutable {
                return;
            }
            let problem = format!("`{name}` does not return the same each time it is asked");
            return self.add(expr.span(), problem, CLOCK_REMEDY);
        }
        if state.aggregate_functions().contains_key(name)
            || state.window_functions().contains_key(name)
        {
            return;
        }
        let known = state
            .scalar_functions()
            .keys()
            .chain(state.aggregate_functions().keys());
        let remedy = suggest(
            name,
            known
                .chain(state.window_functions().keys())
                .map(String::as_str),
        );
        self.add(
            expr.span(),
            format!("there is no function `{name}`"),
            remedy,
        );
    }
}

impl Visitor for Lint<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            if with.recursive {
                self.add(
                    with.span(),
                    "a recursive query may never end",
                    "write the steps out",
                );
            }
            for table in &with.cte_tables {
                let name = normal(&table.alias.name);
                if self.catalog.table_id(&name).is_some() {
                    let problem = format!("`{name}` hides the table of the same name");
                    self.add(
                        table.alias.name.span,
                        problem,
                        "give the subquery another name",
                    );
                }
            }
        }
        if query.limit_clause.is_some() || query.fetch.is_some() {
            let span = query
                .limit_clause
                .as_ref()
                .map_or(query.span(), Spanned::span);
            let span = if span.start.line == 0 {
                query.body.span()
            } else {
                span
            };
            self.add(
                span,
                "LIMIT, OFFSET and FETCH hide bad rows",
                "return all bad rows; evidence is capped where it is shown",
            );
        }
        let extras = !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if extras {
            self.add(
                query.span(),
                "a clause that rules do not have",
                "write one plain SELECT",
            );
        }
        if let SetExpr::Values(_)
        | SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Table(_) = &*query.body
        {
            self.add(
                query.span(),
                "a rule reads tables by SELECT only",
                "write SELECT … FROM …",
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) = item {
                self.add(
                    item.span(),
                    "`*` returns whatever columns a table has by then",
                    "name the columns (SELECT 1 within EXISTS)",
                );
            }
        }
        if select.into.is_some() || select.top.is_some() {
            self.add(
                select.span(),
                "SELECT INTO and TOP are not for rules",
                "return all bad rows",
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                name,
                args: None,
                version: None,
                sample: None,
                ..
            } => self.table(name),
            TableFactor::Derived { sample: None, .. } | TableFactor::NestedJoin { .. } => {}
            other => self.add(
                other.span(),
                "rules read the tables and events of the schemas only, no function or sample in their place",
                "name a table or event",
            ),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(call) => {
                let name = call.name.0.last().and_then(|part| part.as_ident());
                if let Some(name) = name {
                    self.function(expr, &normal(name));
                }
            }
            Expr::Cast { data_type, .. } if is_float(data_type) => self.add(
                expr.span(),
                "a floating-point number cannot hold money exactly",
                "cast to DECIMAL(20, 2)",
            ),
            Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
                self.add(
                    value.span,
                    "a rule has no parameters",
                    "write the value out",
                );
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_float(kind: &DataType) -> bool {
    let name = kind.to_string().to_uppercase();
    name.starts_with("FLOAT") || name.starts_with("DOUBLE") || name.starts_with("REAL")
}
