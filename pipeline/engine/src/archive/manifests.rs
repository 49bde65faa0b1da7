//! The manifests of an archive up to the one that reaches a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use centinel_catalog::{Catalog, Column, Shape, Table};
use centinel_model::{TableId, Timestamp};
use centinel_outlet::archive::{
    ARCHIVE_SCHEMA, IDENTITY_OBJECT, IDENTITY_SCHEMA, Identity, Location, MANIFEST_FOLDER,
    Manifest, ManifestFile, Unread, archive_schema,
};
use centinel_rules::Rule;
use futures::{FutureExt, StreamExt, TryStreamExt};

use super::verify::Promised;

/// Manifests that are asked for at a time.
const ASKED_AT_ONCE: usize = 32;

/// The segments in which everything up to a moment stands, in order.
pub(crate) struct Segments(Vec<Manifest>);

impl Segments {
    /// Reads manifests in order until every source of these tables has been archived up to the moment; an error
    /// where that never comes, or where rows cannot be read under the schemas of today. `kept` names the entities
    /// that are judged.
    pub async fn read(
        location: &Location,
        catalog: &Catalog,
        tables: &BTreeSet<TableId>,
        kept: &[String],
        at: Timestamp,
    ) -> Result<Segments, String> {
        Segments::through(location, catalog, tables, kept, Some(at)).await
    }

    /// Reads all manifests that there are; an error where one is missing, or where rows of these tables cannot be read
    /// under the schemas of today.
    pub async fn all(
        location: &Location,
        catalog: &Catalog,
        tables: &BTreeSet<TableId>,
        kept: &[String],
    ) -> Result<Segments, String> {
        Segments::through(location, catalog, tables, kept, None).await
    }

    async fn through(
        location: &Location,
        catalog: &Catalog,
        tables: &BTreeSet<TableId>,
        kept: &[String],
        at: Option<Timestamp>,
    ) -> Result<Segments, String> {
        let archive = identity(location).await?;
        let last = last_segment(location).await?;
        let sources: BTreeSet<&str> = tables
            .iter()
            .map(|table| catalog.source(catalog.table(*table).source))
            .collect();
        let schemas = Schemas {
            catalog,
            fingerprint: catalog.fingerprint(),
            shape: catalog.shape(),
            tables,
            kept,
        };
        let read = futures::stream::iter(1..=last)
            .map(|number| manifest(location, number))
            .buffered(ASKED_AT_ONCE);
        futures::pin_mut!(read);
        let (mut segments, mut next_change) = (Vec::new(), 1);
        let mut behind = match at {
            Some(at) => lagging(&sources, None, at)?,
            None => Vec::new(),
        };
        while at.is_none() || !behind.is_empty() {
            let Some(manifest) = read.try_next().await? else {
                let Some(at) = at else {
                    break;
                };
                return Err(format!(
                    "{} does not reach {at}: {}",
                    location.shown(),
                    behind.join("; ")
                ));
            };
            check(&manifest, &archive, &schemas, next_change)
                .map_err(|problem| format!("{}: {problem}", Manifest::name(manifest.number)))?;
            next_change = manifest.first_change.saturating_add(manifest.changes);
            if let Some(at) = at {
                behind = lagging(&sources, Some(&manifest), at)?;
            }
            segments.push(manifest);
        }
        Ok(Segments(segments))
    }

    /// The files of a table that may hold changes up to the moment, by their names below the archive's root; each is
    /// there and is the one that was written.
    pub async fn files(
        &self,
        location: &Location,
        table: &Table,
        at: Timestamp,
    ) -> Result<Vec<String>, String> {
        let mut files = self.promised(table)?;
        files.retain(|promised| promised.hour <= at);
        are_whole(location, table, &files).await?;
        Ok(files
            .iter()
            .map(|promised| promised.file.path.clone())
            .collect())
    }

    /// All files of a table; nobody has looked at them yet ([`are_whole`]).
    pub fn promised(&self, table: &Table) -> Result<Vec<Promised<'_>>, String> {
        let mut files = Vec::new();
        for segment in &self.0 {
            let end = segment.first_change.saturating_add(segment.changes);
            let changes = segment.first_change..end;
            let schema = archive_schema(&as_written(table, segment))?;
            for file in &segment.files {
                if file.table == table.name {
                    files.push(Promised {
                        file,
                        hour: Timestamp::parse(&file.hour).map_err(|error| error.to_string())?,
                        changes: changes.clone(),
                        schema: Arc::clone(&schema),
                    });
                }
            }
        }
        Ok(files)
    }

    /// The files of a table that are there, by their names below the archive's root. Of each it is seen that it has the
    /// bytes that it should have; who reads it sees whether it can be read.
    pub async fn files_unread(
        &self,
        location: &Location,
        table: &Table,
    ) -> Result<Vec<String>, String> {
        let listed = location.list(&format!("table={}", table.name)).await?;
        let present: BTreeMap<String, u64> = listed.into_iter().collect();
        let files = self.0.iter().flat_map(|segment| &segment.files);
        let files = files.filter(|file| file.table == table.name);
        files
            .map(|file| is_whole(file, &present).map(|()| file.path.clone()))
            .collect()
    }

    /// The last one; none where nothing was archived yet.
    pub fn last(&self) -> Option<&Manifest> {
        self.0.last()
    }

    /// Why these tables may lack rows as of the moment, where one of them was not read from its beginning.
    pub fn horizon(
        &self,
        catalog: &Catalog,
        tables: &BTreeSet<TableId>,
        at: Timestamp,
    ) -> Option<String> {
        let last = self.0.last()?;
        if let Some(reason) = tables.iter().find_map(|table| self.late(catalog, *table)) {
            return Some(reason);
        }
        tables
            .iter()
            .find_map(|table| horizon(last, catalog, *table, at))
    }

    /// Why a table may lack rows that came into the schemas when its source had been read already.
    fn late(&self, catalog: &Catalog, table: TableId) -> Option<String> {
        let table = catalog.table(table);
        let source = catalog.source(table.source);
        let without = |shape: &Shape| {
            shape.table(&table.name).is_none() && shape.sources.iter().any(|known| known == source)
        };
        let mut shapes = self.0.iter().filter_map(|segment| segment.shape.as_ref());
        shapes.any(without).then(|| {
            format!(
                "`{}` came into the schemas when `{source}` had been read already: what was committed before may be \
                 missing in the archive",
                table.name
            )
        })
    }

    /// Why a rule cannot be judged over the archive: rows that it reads came without a column that it uses, or were
    /// written when it may have had another name.
    pub fn lacking(&self, catalog: &Catalog, rule: &Rule, at: Timestamp) -> Option<String> {
        self.lost(catalog, rule, at)
            .or_else(|| self.renamed(catalog, rule))
    }

    fn renamed(&self, catalog: &Catalog, rule: &Rule) -> Option<String> {
        rule.reads.iter().find_map(|used| {
            let table = catalog.table(used.table);
            let written = self.0.iter().filter_map(|segment| {
                let mut files = segment.files.iter();
                files.find(|file| file.table == table.name)?;
                segment.shape.as_ref()?.table(&table.name)
            });
            let earlier = written.into_iter().find_map(|shape| {
                let had = |name: &str| shape.columns.iter().any(|column| column.name == name);
                let mut columns = used.columns.iter().map(|column| &table.columns[*column]);
                let came = columns.find(|column| !had(&column.name))?;
                let mut columns = shape.columns.iter();
                let went = columns.find(|column| table.column_index(&column.name).is_none())?;
                Some((&came.name, &went.name))
            });
            earlier.map(|(came, went)| {
                format!(
                    "rows of `{}` were archived when it had `{went}` and not `{came}`, which may be the same column under \
                     another name: their nulls there say nothing",
                    table.name
                )
            })
        })
    }

    fn lost(&self, catalog: &Catalog, rule: &Rule, at: Timestamp) -> Option<String> {
        let unread = self.0.iter().flat_map(|segment| &segment.unread);
        let mut unread = unread.filter(|unread| !is_later(unread, at));
        unread.find_map(|unread| {
            let name = unread.table.as_ref()?;
            let id = catalog.table_id(name)?;
            let used = rule.reads.iter().find(|used| used.table == id)?;
            let columns = &catalog.table(id).columns;
            let mut names = used.columns.iter().map(|column| &columns[*column].name);
            let lost = names.find(|name| unread.columns.contains(name))?;
            Some(format!(
                "rows of `{name}` came without `{lost}`, because the platform's table had drifted from its schema"
            ))
        })
    }

    /// What may belong to these tables before the moment and could not be read when it came.
    pub fn unread(
        &self,
        catalog: &Catalog,
        tables: &BTreeSet<TableId>,
        at: Timestamp,
    ) -> Vec<String> {
        let mut counts: BTreeMap<&Option<String>, u64> = BTreeMap::new();
        let unread = self.0.iter().flat_map(|segment| &segment.unread);
        for unread in unread.filter(|unread| unread.columns.is_empty()) {
            let table = unread.table.as_ref();
            let concerns = table.is_none_or(|name| {
                let id = catalog.table_id(name);
                id.is_none_or(|id| tables.contains(&id))
            });
            if concerns && !is_later(unread, at) {
                *counts.entry(&unread.table).or_default() += unread.count;
            }
        }
        let told = counts.into_iter().map(|(table, count)| {
            let whose = table
                .as_ref()
                .map_or("of an unknown table".to_owned(), |table| format!("of {table}"));
            format!(
                "{count} records {whose} could not be read when they came, and are not in the archive: see the \
                 holes that detection told"
            )
        });
        told.collect()
    }
}

/// An error where one of these files of a table is missing, damaged or another than the one that was written.
pub(crate) async fn are_whole(
    location: &Location,
    table: &Table,
    files: &[Promised<'_>],
) -> Result<(), String> {
    let listed = location.list(&format!("table={}", table.name)).await?;
    let present: BTreeMap<String, u64> = listed.into_iter().collect();
    for promised in files {
        is_whole(promised.file, &present)?;
    }
    // Boxed, because a closure over borrowed files is none that may go to another thread.
    let checks: Vec<_> = files
        .iter()
        .map(|promised| promised.check(location).boxed())
        .collect();
    futures::stream::iter(checks)
        .buffered(ASKED_AT_ONCE)
        .try_collect::<()>()
        .await
}

/// The table with the columns that it had when a segment was written.
fn as_written(table: &Table, segment: &Manifest) -> Table {
    let mut written = table.clone();
    let shape = segment.shape.as_ref();
    if let Some(shape) = shape.and_then(|shape| shape.table(&table.name)) {
        let columns = shape.columns.iter().map(|column| Column {
            name: column.name.clone(),
            kind: column.kind,
            nullable: column.nullable,
            sensitive: false,
            money: None,
        });
        written.columns = columns.collect();
    }
    written
}

fn is_whole(file: &ManifestFile, present: &BTreeMap<String, u64>) -> Result<(), String> {
    match present.get(&file.path) {
        Some(size) if *size == file.bytes => Ok(()),
        Some(size) => Err(format!(
            "{} has {size} bytes, its manifest says {}: put the file back that was written",
            file.path, file.bytes
        )),
        None => Err(format!("{} is missing: put it back", file.path)),
    }
}

/// Why a table may lack rows as of a moment. Rows of a snapshot make it whole from then on.
fn horizon(last: &Manifest, catalog: &Catalog, table: TableId, at: Timestamp) -> Option<String> {
    let table = catalog.table(table);
    let name = &table.name;
    let source = catalog.source(table.source);
    let of_source = last.horizons.get(source);
    // A time that cannot be read is as late as can be.
    let time = |text: &str| Timestamp::parse(text).unwrap_or(Timestamp::MAX);
    match last.table_horizons.get(name) {
        Some(own) if own.rows_read && of_source.is_none_or(|text| time(text) <= time(&own.time)) => {
            (at < time(&own.time)).then(|| {
                format!(
                    "the archive begins with a snapshot of {name} that was taken at {}: it tells nothing of before",
                    own.time
                )
            })
        }
        Some(own) => Some(format!(
            "{name} was not read from its beginning: rows of it from before {} may be missing in the archive",
            own.time
        )),
        None => of_source.map(|horizon| {
            format!(
                "`{source}` was not read from its beginning: what it committed before {horizon} may be missing in the \
                 archive"
            )
        }),
    }
}

/// Whether all of these were committed behind a moment.
fn is_later(unread: &Unread, at: Timestamp) -> bool {
    let after = unread.after.as_deref().map(Timestamp::parse);
    after.is_some_and(|after| after.is_ok_and(|after| after >= at))
}

async fn identity(location: &Location) -> Result<String, String> {
    let bytes = location.get(IDENTITY_OBJECT).await?;
    let bytes = bytes.ok_or_else(|| format!("{} holds no archive", location.shown()))?;
    let identity: Identity =
        serde_json::from_slice(&bytes).map_err(|error| damaged(IDENTITY_OBJECT, &error))?;
    match identity.schema == IDENTITY_SCHEMA {
        true => Ok(identity.archive),
        false => Err(format!(
            "{IDENTITY_OBJECT} is of form `{}`, this program reads {IDENTITY_SCHEMA}",
            identity.schema
        )),
    }
}

fn damaged(name: &str, error: &serde_json::Error) -> String {
    format!("{name} cannot be read: {error}: put it back as it was written")
}

/// The greatest number among the manifests, 0 where there are none.
async fn last_segment(location: &Location) -> Result<u64, String> {
    let mut last = 0;
    for (name, _) in location.list(MANIFEST_FOLDER).await? {
        let file = name.rsplit('/').next();
        let number = file.and_then(|file| file.strip_suffix(".json")?.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}

async fn manifest(location: &Location, number: u64) -> Result<Manifest, String> {
    let name = Manifest::name(number);
    let bytes = location.get(&name).await?;
    let bytes =
        bytes.ok_or_else(|| format!("{name} is missing, and later ones are there: put it back"))?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|error| damaged(&name, &error))?;
    match manifest.number == number {
        true => Ok(manifest),
        false => Err(format!(
            "{name} is the manifest of segment {}: put back the one that was written there",
            manifest.number
        )),
    }
}

/// The schemas under which an archive is read.
struct Schemas<'a> {
    catalog: &'a Catalog,
    fingerprint: String,
    shape: Shape,
    tables: &'a BTreeSet<TableId>,
    kept: &'a [String],
}

impl Schemas<'_> {
    /// Whether rows of the segment can be read.
    fn check(&self, manifest: &Manifest) -> Result<(), String> {
        if manifest.schemas == self.fingerprint {
            return Ok(());
        }
        let remedy = "name the schemas of that time (--schemas)";
        let Some(earlier) = &manifest.shape else {
            return Err(format!("it was written under other schemas: {remedy}"));
        };
        let mut why = self.shape.refuses_entities(earlier, self.kept);
        for table in self.tables {
            let name = &self.catalog.table(*table).name;
            if let Some((earlier, later)) = earlier.table(name).zip(self.shape.table(name)) {
                later.refuses(earlier, self.kept, &mut why);
            }
        }
        match why.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "it was written under other schemas, {}: {remedy}",
                why.join("; ")
            )),
        }
    }
}

fn check(
    manifest: &Manifest,
    archive: &str,
    schemas: &Schemas<'_>,
    next_change: u64,
) -> Result<(), String> {
    if manifest.schema != ARCHIVE_SCHEMA {
        return Err(format!(
            "it is of form `{}`, this program reads {ARCHIVE_SCHEMA}",
            manifest.schema
        ));
    }
    if manifest.archive != archive {
        return Err("it belongs to another archive".into());
    }
    schemas.check(manifest)?;
    if manifest.first_change != next_change {
        return Err(format!(
            "it begins with change {}, and {next_change} is the next",
            manifest.first_change
        ));
    }
    Ok(())
}

/// What must be said of sources that have not been archived so far.
fn lagging(
    sources: &BTreeSet<&str>,
    manifest: Option<&Manifest>,
    at: Timestamp,
) -> Result<Vec<String>, String> {
    let mut behind = Vec::new();
    for source in sources {
        let progress = manifest.map(|manifest| manifest.progress_of(source));
        let progress = progress
            .transpose()
            .map_err(|error| format!("the progress of `{source}`: {error}"))?;
        match progress.flatten() {
            Some(progress) if progress >= at => {}
            Some(progress) => behind.push(format!("`{source}` is archived up to {progress}")),
            None => behind.push(format!("`{source}` has never said how far it stands")),
        }
    }
    Ok(behind)
}
