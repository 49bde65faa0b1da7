//! The columns of a physical table, bound by name to those of its schema.

use std::sync::Arc;

use centinel_catalog::ColumnType;
use centinel_model::HoleReason;

use super::bytes::{Bytes, Malformed, bit};
use super::kind::{Clock, Kind};
use super::table_map::MapColumn;
use super::wire::Wire;
use crate::column::Cell;
use crate::physical::Physical;
use crate::rows::{ImageBuffer, Layout};
use crate::value::Refusal;

/// A watched table as the log has it.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) physical: Physical,
    columns: Vec<BoundColumn>,
    clock: Clock,
    /// Why its rows cannot be read, if they cannot.
    pub(super) refused: Option<Refusal>,
}

#[derive(Clone, Debug)]
struct BoundColumn {
    wire: Wire,
    /// The schema's column that takes it.
    target: Option<usize>,
}

impl Bound {
    pub(super) fn new(columns: Vec<MapColumn>, physical: Physical, layout: &Layout) -> Bound {
        let refused = refusal(&columns, layout);
        let columns = columns.into_iter().map(|column| BoundColumn {
            target: column.name.as_deref().and_then(|name| target(layout, name)),
            wire: column.wire,
        });
        Bound {
            physical,
            columns: columns.collect(),
            clock: clock(layout),
            refused,
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Takes the bytes of one row image.
    pub(super) fn take<'a>(&self, bytes: &mut Bytes<'a>) -> Result<&'a [u8], Malformed> {
        let whole = bytes.0;
        let nulls = bytes.take(self.columns.len().div_ceil(8))?;
        for (index, column) in self.columns.iter().enumerate() {
            if !bit(nulls, index) {
                column.wire.take(bytes)?;
            }
        }
        Ok(&whole[..whole.len() - bytes.0.len()])
    }

    /// Gives the schema's columns of one row image to `each`, by their index; stops at its first refusal.
    pub(super) fn cells<'a>(
        &'a self,
        image: &'a [u8],
        mut each: impl FnMut(usize, Result<Cell<'a>, Refusal>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let malformed =
            |Malformed| Refusal::new(HoleReason::Malformed, "the row image is cut short");
        let mut bytes = Bytes(image);
        let nulls = bytes
            .take(self.columns.len().div_ceil(8))
            .map_err(malformed)?;
        for (index, column) in self.columns.iter().enumerate() {
            let cell = match bit(nulls, index) {
                true => Ok(Cell::Null),
                false => {
                    let value = column.wire.take(&mut bytes).map_err(malformed)?;
                    match column.target {
                        Some(_) => column.wire.cell(value, self.clock),
                        None => continue,
                    }
                }
            };
            if let Some(target) = column.target {
                each(target, cell)?;
            }
        }
        Ok(())
    }

    /// Reads one row image into the columns of a new row.
    pub(super) fn read(
        &self,
        image: &[u8],
        into: &mut ImageBuffer,
        layout: &Layout,
    ) -> Result<(), Refusal> {
        if let (Some(column), Some(shard)) = (layout.shard, &self.physical.shard) {
            into.set(column, Cell::Text(shard.as_ref().into()), layout)?;
        }
        self.cells(image, |target, cell| {
            let cell = cell.map_err(|refusal| refusal.of(&layout.columns[target].name))?;
            into.set(target, cell, layout)
        })
    }
}

/// The zone of the table's times; UTC unless its schema says otherwise.
pub(super) fn clock(layout: &Layout) -> Clock {
    Clock {
        ahead: layout.zone.unwrap_or(0),
    }
}

/// The schema's column that takes the values of a database's column: names differ in case at most.
pub(super) fn target(layout: &Layout, name: &str) -> Option<usize> {
    let columns = layout.columns.iter().enumerate();
    let mut alike = columns.filter(|(_, column)| column.name.eq_ignore_ascii_case(name));
    alike
        .find(|(index, _)| Some(*index) != layout.shard)
        .map(|(index, _)| index)
}

fn refusal(columns: &[MapColumn], layout: &Layout) -> Option<Refusal> {
    if columns.iter().any(|column| column.name.is_none()) {
        let message = format!(
            "the log does not name the columns of `{}`; run SET GLOBAL binlog_row_metadata = 'FULL', and \
             write it to the server's configuration",
            layout.name
        );
        return Some(Refusal::new(HoleReason::Unobservable, message));
    }
    let there: Vec<(&str, Kind)> = columns
        .iter()
        .map(|column| {
            (
                column.name.as_deref().unwrap_or_default(),
                column.wire.kind(),
            )
        })
        .collect();
    let unknown = columns.iter().find_map(|column| match column.wire {
        Wire::Unknown(kind) => Some((column.name.as_deref().unwrap_or_default(), kind)),
        _ => None,
    });
    if let Some((name, kind)) = unknown {
        let message = format!(
            "`{}` has the column `{name}` of type {kind}, whose length in the log is not known; \
             run ALTER TABLE … FORCE if it is a time from before MySQL 5.6, else change its type",
            layout.name
        );
        return Some(Refusal::new(HoleReason::Drift, message));
    }
    let drifts = drifts(&there, layout);
    let first = drifts.first()?;
    let more = match drifts.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let message = format!("{first}{more}; bring the schema and the table to the same form");
    Some(Refusal::new(HoleReason::Drift, message))
}

/// What the schema wants of these columns and does not find, a sentence for each.
pub(super) fn drifts(there: &[(&str, Kind)], layout: &Layout) -> Vec<String> {
    let mut drifts = Vec::new();
    for (index, column) in layout.columns.iter().enumerate() {
        if Some(index) == layout.shard {
            continue;
        }
        let found = there
            .iter()
            .find(|(name, _)| target(layout, name) == Some(index));
        match found {
            None => drifts.push(format!("`{}` has no column `{}`", layout.name, column.name)),
            Some((_, kind)) => {
                if let Some(why) = kind.misfit(column.kind) {
                    let wanted = wanted(column.kind);
                    drifts.push(format!(
                        "column `{}` of `{}`, {wanted} in its schema, {why}",
                        column.name, layout.name
                    ));
                }
            }
        }
    }
    drifts
}

fn wanted(kind: ColumnType) -> Arc<str> {
    kind.to_string().into()
}
