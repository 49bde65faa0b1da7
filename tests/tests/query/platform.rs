//! A platform whose log detection has read to its end, with a state and an archive.

use std::path::PathBuf;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_engine::query::{OpenArchive, Tables};
use centinel_outlet::archive::{ArchiveOptions, Location};
use centinel_tests::{Detection, all_rules, schemas};

use crate::log::{self, Change};
use crate::small;

/// Primary keys of the platform's tables, as the schemas say.
pub const KEYS: [(&str, &str); 11] = [
    ("accounting_entry", "entry_no"),
    ("accounting_entry_booked", "message_id"),
    ("billing", "bill_no"),
    ("cash_out", "cash_out_no"),
    ("cash_out_sent", "message_id"),
    ("payment", "payment_no"),
    ("payment_completed", "message_id"),
    ("refund", "refund_no"),
    ("refund_completed", "message_id"),
    ("settlement", "settlement_no"),
    ("settlement_completed", "message_id"),
];

/// Columns of personal data.
pub const SENSITIVE: [(&str, &[&str]); 4] = [
    ("payment", &["payer_account", "card_no"]),
    ("cash_out", &["bank_card"]),
    ("refund", &[]),
    ("settlement", &[]),
];

pub fn is_sensitive(table: &str, column: &str) -> bool {
    let of = SENSITIVE.iter().find(|(name, _)| *name == table);
    of.is_some_and(|(_, columns)| columns.contains(&column))
}

pub struct Platform {
    pub folder: tempfile::TempDir,
    pub catalog: Arc<Catalog>,
    pub changes: Vec<Change>,
}

impl Platform {
    pub fn detected() -> Platform {
        let folder = tempfile::tempdir().unwrap();
        let catalog = schemas();
        let log = small("faulty");
        std::fs::create_dir(folder.path().join("archive")).unwrap();
        let platform = Platform {
            changes: log::read(&log),
            catalog,
            folder,
        };
        let detection = Detection {
            archive: Some(ArchiveOptions {
                // Several segments.
                segment_bytes: 100_000,
                ..ArchiveOptions::new(
                    platform.archive().display().to_string(),
                    platform.state().join("archive"),
                )
            }),
            ..Detection::over(&log, platform.folder.path())
        };
        detection.run(&platform.catalog, &all_rules(&platform.catalog));
        platform
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    pub fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        tables.add_state(&self.catalog, &self.state()).unwrap();
        let place = self.archive().display().to_string();
        let open: OpenArchive = Arc::new(move || Location::open(&place, &[]));
        tables.add_archive(&self.catalog, &open).unwrap();
        tables
    }
}
