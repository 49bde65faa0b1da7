use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{Catalog, EntityPath, Table, TableKind};

impl Catalog {
    /// SHA-256 of [`Catalog::storage_shape`], as 64 hexadecimal digits. Rows written under one fingerprint are
    /// read under another by way of their [`Shape`](crate::Shape) only.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.storage_shape())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Everything that shapes stored rows, as text of one fact in each line, in order of id:
    ///
    /// ```text
    /// shape/1
    /// source settlement-db
    /// entity order key=order_no normalise=trim,upper
    /// table settlement rows source=settlement-db
    ///   column settlement_no text
    ///   key settlement_no
    ///   entity order direct by=order_no
    ///   entity order through=settlement by=settlement_no
    /// ```
    ///
    /// A shard column and a zone stand there too, as `shard <column>` and `zone <seconds>`. What only changes
    /// how rows are judged or shown is not in it: money units, nullability, sensitivity, states, spans, limits;
    /// nor is where rows and messages are read from.
    pub fn storage_shape(&self) -> String {
        let mut text = String::from("shape/1\n");
        for source in &self.sources {
            line(&mut text, format_args!("source {source}"));
        }
        for entity in &self.entities {
            let steps: Vec<_> = entity.normalise.iter().map(|step| step.name()).collect();
            line(
                &mut text,
                format_args!(
                    "entity {} key={} normalise={}",
                    entity.name,
                    entity.key.join(","),
                    steps.join(",")
                ),
            );
        }
        for table in &self.tables {
            self.shape_of(&mut text, table);
        }
        text
    }

    fn shape_of(&self, text: &mut String, table: &Table) {
        let kind = match table.kind {
            TableKind::Rows => "rows",
            TableKind::Events => "events",
            TableKind::History(_) => "history",
        };
        line(
            text,
            format_args!(
                "table {} {kind} source={}",
                table.name,
                self.source(table.source)
            ),
        );
        for column in &table.columns {
            line(
                text,
                format_args!("  column {} {}", column.name, column.kind),
            );
        }
        line(
            text,
            format_args!("  key {}", names(table, &table.primary_key)),
        );
        if let Some(shard) = table.shard {
            line(text, format_args!("  shard {}", names(table, &[shard])));
        }
        if let Some(seconds) = table.zone_seconds.filter(|seconds| *seconds != 0) {
            line(text, format_args!("  zone {seconds}"));
        }
        for path in &table.entities {
            let entity = &self.entity(path.entity()).name;
            let by = names(table, path.columns());
            match path {
                EntityPath::Direct { .. } => {
                    line(text, format_args!("  entity {entity} direct by={by}"))
                }
                EntityPath::Through { target, .. } => {
                    line(
                        text,
                        format_args!(
                            "  entity {entity} through={} by={by}",
                            self.table(*target).name
                        ),
                    );
                }
            }
        }
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("writing to a string cannot fail");
}

fn names(table: &Table, columns: &[usize]) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|column| table.columns[*column].name.as_str())
        .collect();
    names.join(",")
}
