//! Simple SQL evaluated over a snapshot, to the changes of rows that a MariaDB would make: statement by statement, a
//! later one seeing what an earlier one did. What may come out otherwise there is refused.
//!
//! Statements name rows by the row alone (no joins, no queries), so each row lives through all statements by itself:
//! one pass over a table is enough for all of its statements ([`scan`]).

mod condition;
mod cursor;
mod expression;
mod parse;
mod scan;
mod token;
mod values;

use centinel_catalog::Catalog;

use super::change::{Changes, MOST_CHANGES, Mistake};
use super::reader::Reader;
use parse::{Parser, Statement};

/// The statements of a file.
#[derive(Debug)]
pub struct Script {
    statements: Vec<Statement>,
}

impl Script {
    /// Reads statements, or tells the first mistake.
    pub fn parse(catalog: &Catalog, text: &str) -> Result<Script, Vec<Mistake>> {
        let tokens = token::tokens(text).map_err(|mistake| vec![mistake])?;
        let statements = Parser::new(catalog, &tokens)
            .statements()
            .map_err(|mistake| vec![mistake])?;
        match statements.is_empty() {
            false => Ok(Script { statements }),
            true => Err(vec![Mistake::new(
                "",
                "the file has no statement",
                "write UPDATE … SET … WHERE, INSERT INTO … VALUES or DELETE FROM … WHERE",
            )]),
        }
    }

    /// What the statements change, over the rows of a snapshot.
    pub(super) fn evaluate(&self, reader: &Reader<'_>) -> Result<Changes, ScriptError> {
        let mut tables: Vec<_> = self.statements.iter().map(|each| each.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let mut changes = Changes::default();
        for table in tables {
            let own = self.statements.iter().filter(|each| each.table == table);
            changes
                .rows
                .extend(scan::scan(reader, table, own.collect())?);
        }
        if changes.rows.is_empty() {
            return Err(ScriptError::Refused(vec![Mistake::new(
                "",
                "the statements change no row of the snapshot",
                "look at their WHERE, and at the age of the snapshot",
            )]));
        }
        if changes.rows.len() > MOST_CHANGES {
            return Err(ScriptError::Refused(vec![Mistake::new(
                "",
                format!("the statements change {} rows", changes.rows.len()),
                format!("plan at most {MOST_CHANGES} at a time"),
            )]));
        }
        Ok(changes)
    }
}

/// Why statements have no changes.
#[derive(Debug)]
pub enum ScriptError {
    /// They cannot be evaluated faithfully.
    Refused(Vec<Mistake>),
    /// The snapshot cannot be read.
    Unreadable(String),
}
