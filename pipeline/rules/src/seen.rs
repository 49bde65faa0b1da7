//! What a rule sees of the schemas.

use std::fmt::Write;

use centinel_catalog::{Catalog, Currency, EntityPath};
use sha2::{Digest, Sha256};

use crate::Rule;

impl Rule {
    /// Stands for everything of the schemas that its answers depend on beside the rows: names, types and units of the
    /// columns that it reads, how their tables reach the entity, how large that may be. The first 16 hexadecimal
    /// digits of a SHA-256.
    pub fn seen_version(&self, catalog: &Catalog) -> String {
        let digest = Sha256::digest(self.seen(catalog));
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn seen(&self, catalog: &Catalog) -> String {
        let entity = catalog.entity(self.entity);
        let mut text = format!("{} {}\n", entity.name, entity.max_rows);
        for used in &self.reads {
            let table = catalog.table(used.table);
            let name = |column: usize| &table.columns[column].name;
            let _ = writeln!(text, "{}", table.name);
            if let Some(path) = table.path_to(self.entity) {
                let through = match path {
                    EntityPath::Direct { .. } => "",
                    EntityPath::Through { target, .. } => &catalog.table(*target).name,
                };
                let by: Vec<_> = path.columns().iter().map(|column| name(*column)).collect();
                let _ = writeln!(text, " {through} {by:?}");
            }
            for column in used.columns.iter().map(|column| &table.columns[*column]) {
                let currency = column.money.as_ref().map(|money| match &money.currency {
                    Currency::Fixed(code) => code,
                    Currency::Column(name) => name,
                });
                let (kind, nullable) = (column.rule_type(), column.nullable);
                let _ = writeln!(text, " {} {kind} {nullable} {currency:?}", column.name);
            }
        }
        text
    }
}
