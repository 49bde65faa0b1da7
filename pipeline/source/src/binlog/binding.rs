//! The columns of a physical table, bound by name to those of its schema.

use centinel_model::HoleReason;

use super::bytes::{Bytes, Malformed, bit};
use super::kind::{Clock, Kind};
use super::table_map::MapColumn;
use super::wire::Wire;
use crate::column::Cell;
use crate::physical::Physical;
use crate::rows::{ImageBuffer, Layout};
use crate::shape::{Lost, Why};
use crate::value::Refusal;

/// A watched table as the log has it.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) physical: Physical,
    columns: Vec<BoundColumn>,
    clock: Clock,
    /// Why its rows cannot be read, if they cannot.
    pub(super) refused: Option<Refusal>,
    /// The columns of the schema that its rows come without.
    pub(super) lost: Lost,
    /// Its columns that no schema names.
    pub(super) extra: Vec<String>,
}

#[derive(Clone, Debug)]
struct BoundColumn {
    wire: Wire,
    /// The schema's column that takes it.
    target: Option<usize>,
}

impl Bound {
    pub(super) fn new(columns: Vec<MapColumn>, physical: Physical, layout: &Layout) -> Bound {
        let lost = drifts(&kinds(&columns), layout);
        let refused = refusal(&columns, &lost, layout);
        let names = columns.iter().filter_map(|column| column.name.clone());
        let extra = names.filter(|name| target(layout, name).is_none());
        let extra = extra.collect();
        let columns = columns.into_iter().map(|column| {
            let target = column.name.as_deref().and_then(|name| target(layout, name));
            BoundColumn {
                target: target.filter(|target| !lost.has(*target)),
                wire: column.wire,
            }
        });
        Bound {
            physical,
            columns: columns.collect(),
            clock: clock(layout),
            refused,
            lost,
            extra,
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

fn kinds(columns: &[MapColumn]) -> Vec<(&str, Kind)> {
    let kind = |column: &MapColumn| column.wire.kind();
    let columns = columns.iter();
    columns
        .map(|column| (column.name.as_deref().unwrap_or_default(), kind(column)))
        .collect()
}

/// Why its rows cannot be read: the log says too little, or what places them is lost.
fn refusal(columns: &[MapColumn], lost: &Lost, layout: &Layout) -> Option<Refusal> {
    if columns.iter().any(|column| column.name.is_none()) {
        let message = format!(
            "the log does not name the columns of `{}`; run SET GLOBAL binlog_row_metadata = 'FULL', and \
             write it to the server's configuration",
            layout.name
        );
        return Some(Refusal::new(HoleReason::Unobservable, message));
    }
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
    let (column, why) = lost.iter().find(|(column, _)| layout.places[*column])?;
    let message = format!(
        "{}, and its rows cannot be placed without it; bring the schema and the table to the same form",
        why.sentence(layout, column)
    );
    Some(Refusal::new(HoleReason::Drift, message))
}

/// The columns that the schema wants of these and does not find.
pub(super) fn drifts(there: &[(&str, Kind)], layout: &Layout) -> Lost {
    let mut drifts = Lost::default();
    for (index, column) in layout.columns.iter().enumerate() {
        if Some(index) == layout.shard {
            continue;
        }
        let found = there
            .iter()
            .find(|(name, _)| target(layout, name) == Some(index));
        let why = match found {
            None => Some(Why::Missing),
            Some((_, kind)) => kind.misfit(column.kind).map(Why::OtherType),
        };
        if let Some(why) = why {
            drifts.add(index, why);
        }
    }
    drifts
}
