use std::path::Path;

use centinel_catalog::{Catalog, Diagnostic};

/// A right folder: a table with everything, a table linked to it, an event.
const FILES: [(&str, &str); 4] = [
    ("entities.yaml", ENTITIES),
    ("entry.yaml", ENTRY),
    ("settled.yaml", SETTLED),
    ("settlement.yaml", SETTLEMENT),
];

const ENTITIES: &str = "\
centinel: entities/1
entities:
  order: { key: [order_no], normalise: [trim, upper], max_rows: 500 }
  batch: { key: [batch_no, batch_day] }
";

const ENTRY: &str = "\
centinel: schema/1
table: entry
system: accounting
source: accounting-db
primary_key: [entry_no]
entities:
  order: { through: settlement, by: [settlement_no] }
columns:
  entry_no: text
  settlement_no: text
  position: integer
  currency: text
  amount: { type: \"decimal(18,2)\", money: { currency: { column: currency }, unit: major } }
  detail: json
";

const SETTLED: &str = "\
centinel: schema/1
event: settled
system: settlement
source: business-events
entities:
  order: [order_no]
columns:
  order_no: text
  occurred_at: timestamp
changed_at: occurred_at
";

const SETTLEMENT: &str = "\
centinel: schema/1
table: settlement
system: settlement
source: settlement-db
primary_key: [settlement_no]
entities:
  order: [order_no]
  batch: [batch_no, batch_day]
columns:
  settlement_no: text
  order_no: text
  batch_no: { type: text, nullable: true }
  batch_day: { type: integer, nullable: true }
  amount: { type: integer, money: { currency: CNY, unit: minor } }
  rate: decimal(9,6)
  payer: { type: text, sensitive: true }
  status: text
  updated_at: timestamp
state: { column: status, values: [CREATED, SETTLED], final: [SETTLED] }
changed_at: updated_at
lookback: 30d
link_patience: 5m
";

/// The right folder, to be made wrong.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn empty() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn right() -> Folder {
        let folder = Folder::empty();
        for (name, text) in FILES {
            folder.write(name, text);
        }
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    /// Replaces the one place where a text stands in a file.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap();
        assert_eq!(
            text.matches(old).count(),
            1,
            "`{old}` must stand once in {name}"
        );
        self.write(name, text.replace(old, new));
    }

    pub fn load(&self) -> Result<Catalog, Vec<Diagnostic>> {
        centinel_catalog::load(self.path())
    }

    pub fn mistakes(&self) -> Vec<Diagnostic> {
        self.load().err().unwrap_or_default()
    }
}
