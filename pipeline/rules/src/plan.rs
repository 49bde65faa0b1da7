//! SQL text → logical plans.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use crate::groups;

/// Expressions and subqueries nested deeper are refused.
const MOST_NESTED: usize = 50;

/// The plans of one rule.
pub(crate) struct Plans {
    /// With all types made explicit, subqueries where they were written.
    pub analysed: LogicalPlan,
    /// What runs: subqueries turned into joins, conditions moved.
    pub optimised: LogicalPlan,
}

/// All statements of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<SqlStatement>, ParserError> {
    Parser::new(&GenericDialect {})
        .with_recursion_limit(MOST_NESTED)
        .try_with_sql(text)?
        .parse_statements()
}

/// Plans one statement over the tables of a context.
pub(crate) async fn plan(context: &SessionContext, statement: SqlStatement) -> Result<Plans> {
    let state = context.state();
    let statement = Statement::Statement(Box::new(statement));
    let plan = state.statement_to_plan(statement).await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    let analysed = state.analyzer().execute_and_check(
        plan.clone(),
        &Arc::clone(state.config_options()),
        |_, _| {},
    )?;
    let optimised = state.optimize(&groups::computed_first(plan)?)?;
    Ok(Plans {
        analysed,
        optimised,
    })
}

/// Plans a text that was checked before.
pub(crate) async fn plan_text(context: &SessionContext, text: &str) -> Result<Plans> {
    let statement = parse(text)
        .ok()
        .and_then(|mut statements| statements.pop())
        .ok_or_else(|| DataFusionError::Plan("the rule's text is not one statement".into()))?;
    plan(context, statement).await
}
