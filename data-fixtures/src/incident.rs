//! An incident: for an hour the settlement system takes fen for yuan, on a platform that is healthy otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::key::Key;
use crate::parameters::SimulationParameters;
use crate::record::{Change, Delivered, Record};
use crate::row::{Row, Settlement, SettlementKind, Status};
use crate::simulation::Simulation;
use crate::table::Table;
use crate::text::SECOND;
use crate::write::{SnapshotError, SnapshotWriter, sql};

/// The database into which its rows are loaded.
pub const DATABASE: &str = "incident";
/// The tables that it shows.
pub const TABLES: [Table; 3] = [Table::Payment, Table::Refund, Table::Settlement];

const HOUR: i64 = 3_600 * SECOND;
const HOURS: i64 = 3;
/// Of the platform's orders, one in so many is shown: enough to see, few enough to read.
const SHOWN: u64 = 45;

/// The platform's rows after the incident, before any cash-out.
#[derive(Clone, Debug)]
pub struct Incident {
    /// What every row was meant to be, in order of table and key.
    healthy: BTreeMap<(Table, Key), Row>,
    start: i64,
    end: i64,
}

impl Incident {
    /// Three hours of a platform that takes an order a second; the second of them goes wrong.
    pub fn simulate(seed: u64) -> Incident {
        let parameters = SimulationParameters {
            seed,
            orders: (HOURS * HOUR / SECOND).unsigned_abs(),
            orders_per_second: 1,
            heartbeat_every: 60 * SECOND,
            refund_share: 2_500,
            refund_within: HOUR,
            ..SimulationParameters::default()
        };
        let start = parameters.start;
        let mut simulation = Simulation::new(parameters);
        let mut healthy = BTreeMap::new();
        for delivered in simulation.by_ref() {
            let Some(row) = delivered.record.row() else {
                continue;
            };
            let of_order = match row {
                Row::Payment(row) => row.order_no,
                Row::Refund(row) => row.order_no,
                // Nothing has been cashed out yet.
                Row::Settlement(row) if row.cash_out_no.is_none() => row.order_no,
                _ => continue,
            };
            if of_order.number().is_multiple_of(SHOWN) {
                healthy.insert((row.table(), row.primary_key()), *row);
            }
        }
        let end = simulation.end().unwrap_or(start);
        Incident {
            healthy,
            start,
            end,
        }
    }

    /// What every row was meant to be.
    pub fn healthy(&self) -> impl Iterator<Item = &Row> {
        self.healthy.values()
    }

    /// The rows as they are: settlements of payments in the hour a hundredfold, those of refunds right.
    pub fn rows(&self) -> Vec<Row> {
        let rows = self.healthy.values();
        rows.map(|row| match row {
            Row::Settlement(row) if self.is_hit(row) => Row::Settlement(Settlement {
                amount: row.amount * 100,
                ..*row
            }),
            other => *other,
        })
        .collect()
    }

    /// Whether this settlement went wrong.
    pub fn is_hit(&self, row: &Settlement) -> bool {
        let hour = self.start + HOUR..self.start + 2 * HOUR;
        let settled_in_it = row.settled_at.is_some_and(|at| hour.contains(&at));
        row.kind == SettlementKind::Payment && row.status == Status::Settled && settled_in_it
    }

    /// Writes `snapshot/` and `load.sql`, which hold the same rows.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, folder: &Path) -> Result<(), SnapshotError> {
        let rows = self.rows();
        let mut snapshot = SnapshotWriter::create(&folder.join("snapshot"), &TABLES, None)?;
        for row in &rows {
            snapshot.write(&Delivered {
                arrival: self.end,
                source: row.table().source(),
                record: Record::Change(Change {
                    epoch: 1,
                    sequence: 1,
                    ordinal: 0,
                    last: true,
                    committed_at: self.end,
                    before: None,
                    after: *row,
                    closes: true,
                    by_hand: false,
                }),
            })?;
        }
        snapshot.finish(self.end)?;
        let path: PathBuf = folder.join("load.sql");
        let text = sql::load(DATABASE, &TABLES, &rows);
        std::fs::write(&path, text).map_err(|source| SnapshotError::File { path, source })
    }
}
