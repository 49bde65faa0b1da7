//! Which statements may be asked: one, and one that reads.

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::GenericDialect;

use super::error::{QueryError, said, wrong};

/// A question is written by hand.
const LONGEST: usize = 64 << 10;
/// Expressions and subqueries nested deeper are refused.
const MOST_NESTED: usize = 50;

/// Reads one statement.
pub(super) fn parse(text: &str) -> Result<Statement, QueryError> {
    if text.len() > LONGEST {
        return Err(QueryError::Wrong(format!(
            "the query has {} bytes: write at most {LONGEST}",
            text.len()
        )));
    }
    let parsed = DFParserBuilder::new(text)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(MOST_NESTED)
        .build()
        .and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| wrong(&error))?;
    match (statements.pop_front(), statements.len()) {
        (None, _) => Err(QueryError::Wrong(
            "there is no query: write one, such as SELECT count(*) FROM findings".into(),
        )),
        (Some(statement), 0) => check(statement),
        (Some(_), more) => Err(QueryError::Wrong(format!(
            "these are {} statements: ask one at a time",
            more + 1
        ))),
    }
}

fn check(statement: Statement) -> Result<Statement, QueryError> {
    let fits = match &statement {
        Statement::Statement(inner) => reads(inner),
        Statement::Explain(explain) => {
            matches!(&*explain.statement, Statement::Statement(inner) if reads(inner))
        }
        _ => false,
    };
    match fits {
        true => Ok(statement),
        false => Err(refused(&name_of(&statement.to_string()))),
    }
}

fn refused(what: &str) -> QueryError {
    QueryError::Wrong(format!(
        "{what} is refused: a query only reads; write one SELECT, WITH … SELECT, EXPLAIN, DESCRIBE or SHOW TABLES"
    ))
}

/// The words with which a statement begins.
fn name_of(text: &str) -> String {
    let words = text.split_whitespace().take(2);
    let words = words.take_while(|word| word.chars().all(|letter| letter.is_ascii_alphabetic()));
    let name = words.collect::<Vec<_>>().join(" ").to_uppercase();
    match name.is_empty() {
        true => "this statement".into(),
        false => format!("`{name}`"),
    }
}

fn reads(statement: &SqlStatement) -> bool {
    match statement {
        SqlStatement::Query(query) => query_reads(query),
        SqlStatement::Explain { statement, .. } => reads(statement),
        SqlStatement::ExplainTable { .. }
        | SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. } => true,
        _ => false,
    }
}

fn query_reads(query: &Query) -> bool {
    let parts = query.with.iter().flat_map(|with| &with.cte_tables);
    parts.map(|part| &part.query).all(|part| query_reads(part)) && body_reads(&query.body)
}

fn body_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => query_reads(query),
        SetExpr::SetOperation { left, right, .. } => body_reads(left) && body_reads(right),
        SetExpr::Values(_) | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

/// Refuses a plan that would do more than read, whatever its text looked like.
pub(super) fn check_plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    let only_reads = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan);
    only_reads.map_err(|error| refused(&format!("this statement ({})", said(&error))))
}
