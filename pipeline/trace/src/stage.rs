//! The rows of every system as they were after a step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::form::{RowStep, Trace, What};

/// One system after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemAt {
    /// Its name.
    pub system: String,
    /// Its rows, by table and primary key; those that were deleted are not among them.
    pub rows: Vec<RowAt>,
}

/// One row after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowAt {
    /// The table or event.
    pub table: String,
    /// Whether it is an event.
    pub event: bool,
    /// The primary key.
    pub primary_key: String,
    /// The step that made it what it is.
    pub stage: u32,
    /// Whether that step was made by hand.
    pub by_hand: bool,
    /// Its columns, in their order.
    pub cells: Vec<Cell>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The column.
    pub column: String,
    /// The value; none for null.
    pub value: Option<String>,
    /// Set for money: the value is in major units of this currency.
    pub currency: Option<String>,
    /// Whether this very step changed it.
    pub changed: bool,
}

impl Trace {
    /// Every system's rows as they were after this step, in the order of [`Trace::systems`]; none of them before the first
    /// (stage 0). Systems without a row are there, too, so that lanes stay where they are.
    pub fn state_at(&self, stage: u32) -> Vec<SystemAt> {
        let mut newest: BTreeMap<(&str, &str, &str), (u32, bool, &RowStep)> = BTreeMap::new();
        for step in self.steps.iter().take_while(|step| step.stage <= stage) {
            let What::Row(row) = &step.what else {
                continue;
            };
            let name = (
                step.lane.as_str(),
                row.table.as_str(),
                row.primary_key.as_str(),
            );
            // A row gives way only to a higher version, whatever the times say; of one version the row counts, not its leaving.
            let known = newest.get(&name).map(|(_, _, known)| rank(known));
            if known.is_none_or(|known| known <= rank(row)) {
                newest.insert(name, (step.stage, step.by_hand, row));
            }
        }
        let systems = self.systems.iter().map(|system| {
            let rows = newest
                .iter()
                .filter(|((lane, ..), (_, _, row))| lane == system && row.operation != "delete");
            let rows = rows.map(|(_, (made, by_hand, row))| row_at(*made, *by_hand, row, stage));
            SystemAt {
                system: system.clone(),
                rows: rows.collect(),
            }
        });
        systems.collect()
    }
}

fn rank(row: &RowStep) -> (crate::VersionOf, bool) {
    (row.version, row.operation != "delete")
}

fn row_at(made: u32, by_hand: bool, row: &RowStep, stage: u32) -> RowAt {
    let cells = row.columns.iter().map(|column| Cell {
        column: column.column.clone(),
        value: column.after.clone(),
        currency: column.currency.clone(),
        changed: made == stage && column.changed,
    });
    RowAt {
        table: row.table.clone(),
        event: row.event,
        primary_key: row.primary_key.clone(),
        stage: made,
        by_hand,
        cells: cells.collect(),
    }
}
