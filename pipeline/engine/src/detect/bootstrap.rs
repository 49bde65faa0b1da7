//! Cold start: a new state begins with the rows of a Parquet snapshot, before anything of its inputs.
//!
//! Rows become `snapshot` changes and go in micro-batches through all that changes go through. Their version is the
//! lowest there is, so that whatever a source says of a row replaces it ([`overlap`](super::overlap)). Each
//! micro-batch carries how far it came, and a crash resumes there. The snapshot's cut is each table's horizon.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::TimestampMicrosecondType;
use centinel_batch::Limits;
use centinel_catalog::{Catalog, EntityPath, Table, TableKind};
use centinel_model::{
    HorizonOf, Images, LostColumns, MicroBatch, Operation, Position, Positions, TableChanges,
    TableId, Timestamp, Version,
};
use centinel_source::{Backlog, Unit};
use sha2::{Digest, Sha256};

use super::backlog::{SharedBacklog, Standing};
use super::detector::Detector;
use crate::EngineError;
use crate::audit::{Input, Snapshot, TableInput};

/// Under which name positions know the snapshot; no file and no source is called so.
pub(super) const BOOTSTRAP: &str = "(bootstrap)";
/// By which it is said when a snapshot was taken.
const AS_OF: &str = "--bootstrap-as-of TIME, or `bootstrap_as_of` in the configuration";
/// The version of a row of the snapshot: none is lower.
pub(super) const LOWEST: Version = Version {
    epoch: 0,
    sequence: 0,
    ordinal: 0,
};

/// The snapshot with which a new state begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// A folder or URL as for an audit ([`Snapshot::open`]).
    pub location: String,
    /// Options of the object store, such as the environment's variables.
    pub store_options: Vec<(String, String)>,
    /// As of when the snapshot was taken, where its manifest does not say it.
    pub as_of: Option<Timestamp>,
}

/// A snapshot that is being taken in.
pub(super) struct Bootstrap {
    catalog: Arc<Catalog>,
    location: String,
    /// In the order in which they are read.
    tables: Vec<Opened>,
    horizons: Vec<(HorizonOf, Timestamp)>,
    files: String,
    /// Rows that state has.
    done: u64,
    limits: Limits,
    backlog: SharedBacklog,
}

struct Opened {
    table: TableId,
    cut: Timestamp,
    input: TableInput,
}

/// Opens the snapshot where state left it; none when there is nothing to take in.
pub(super) fn open(
    detector: &Detector,
    options: Option<&BootstrapOptions>,
    limits: Limits,
    backlog: &SharedBacklog,
) -> Result<Option<Bootstrap>, EngineError> {
    let refuse = |problem: String| Err(EngineError::Unsupported(problem));
    let known = match detector.positions.0.get(BOOTSTRAP) {
        None => None,
        Some(Position::Snapshot {
            location,
            files,
            rows,
            whole,
        }) => Some((location, files, *rows, *whole)),
        Some(_) => {
            let what = "what it began with is no snapshot";
            return Err(EngineError::Damaged(what.into()));
        }
    };
    let (options, known) = match (options, known) {
        (None, None | Some((.., true))) => return Ok(None),
        (None, Some((location, _, rows, false))) => {
            return refuse(format!(
                "this state begins with the snapshot {location}, of which {rows} rows were read and more are to come: \
                 name it again (--bootstrap), or start with a new state folder"
            ));
        }
        (Some(options), Some((location, ..))) if !same_place(location, shown(options)) => {
            return refuse(format!(
                "this state began with the snapshot {location}: name that one, or start with a new state folder"
            ));
        }
        (Some(_), Some((.., true))) => return Ok(None),
        (Some(_), None) if !detector.positions.0.is_empty() => {
            return refuse(
                "this state has read changes already, and a snapshot is what a state begins with: start with a new \
                 state folder, or leave --bootstrap out"
                    .into(),
            );
        }
        (Some(options), known) => (options, known),
    };
    let mut bootstrap = Bootstrap::begin(&detector.catalog, options, limits, backlog)?;
    if let Some((location, files, rows, _)) = known {
        if *files != bootstrap.files {
            return refuse(format!(
                "the files of {location} are not those with which this state began: put them back, or start with a \
                 new state folder"
            ));
        }
        bootstrap.done = rows;
    }
    Ok(Some(bootstrap))
}

fn shown(options: &BootstrapOptions) -> &str {
    options.location.trim_end_matches('/')
}

impl Bootstrap {
    fn begin(
        catalog: &Arc<Catalog>,
        options: &BootstrapOptions,
        limits: Limits,
        backlog: &SharedBacklog,
    ) -> Result<Bootstrap, EngineError> {
        let Looked {
            tables,
            absent,
            problems,
        } = Looked::at(catalog, options)?;
        if !problems.is_empty() {
            let (location, problems) = (shown(options), problems.join("\n"));
            return Err(EngineError::Input(format!(
                "a state cannot begin with the snapshot {location}:\n{problems}"
            )));
        }
        let cuts = tables.iter().map(|opened| opened.cut);
        let latest = cuts.max().unwrap_or(Timestamp::MIN);
        // Nothing says that what it does not hold will be read from its beginning.
        let read = tables.iter();
        let read = read.map(|opened| (HorizonOf::Snapshot(opened.table), opened.cut));
        let absent = absent.into_iter();
        let absent = absent.map(|table| (HorizonOf::Table(table), latest));
        Ok(Bootstrap {
            catalog: Arc::clone(catalog),
            location: shown(options).to_owned(),
            horizons: read.chain(absent).collect(),
            files: fingerprint(catalog, &tables),
            tables,
            done: 0,
            limits,
            backlog: backlog.clone(),
        })
    }

    /// Gives out micro-batches until all rows are; false when nobody takes them any more.
    pub fn give(self, each: &mut dyn FnMut(MicroBatch) -> bool) -> Result<bool, EngineError> {
        let total: u64 = self.tables.iter().map(|opened| opened.input.rows).sum();
        let mut given = Given {
            bootstrap: &self,
            total,
            rows: self.done,
            skip: self.done,
            each,
            stopped: false,
        };
        if self.done == total && !given.hand_on(Vec::new(), 0) {
            return Ok(false);
        }
        for opened in &self.tables {
            for part in 0..opened.input.parts() {
                let (_, rows) = opened.input.describe(part);
                if given.skip >= rows {
                    given.skip -= rows;
                    continue;
                }
                let lacking: LostColumns = opened.input.lacking(part).into();
                let read = opened
                    .input
                    .read(part, &mut |rows| given.take(opened, &lacking, &rows));
                if given.stopped {
                    return Ok(false);
                }
                read.map_err(|problem| {
                    EngineError::Input(format!("{}: {problem}", self.location))
                })?;
            }
        }
        match given.rows == total {
            true => Ok(true),
            false => Err(EngineError::Input(format!(
                "{}: its files promise {total} rows and hold {}: take the snapshot again",
                self.location, given.rows
            ))),
        }
    }
}

/// What a check of such a snapshot found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootstrapChecked {
    /// What keeps a state from beginning with it.
    pub problems: Vec<String>,
    /// Tables and events of the schemas that it does not hold.
    pub absent: Vec<String>,
}

/// Whether a new state could begin with a snapshot: where it lies, when it was taken, and whether its files fit the
/// schemas. Rows are not read. Not for use within an asynchronous runtime: it blocks.
pub fn check_bootstrap(catalog: &Arc<Catalog>, options: &BootstrapOptions) -> BootstrapChecked {
    match Looked::at(catalog, options) {
        Ok(looked) => BootstrapChecked {
            problems: looked.problems,
            absent: looked
                .absent
                .into_iter()
                .map(|table| catalog.table(table).name.clone())
                .collect(),
        },
        Err(EngineError::Snapshot(problems)) => BootstrapChecked {
            problems,
            ..BootstrapChecked::default()
        },
        Err(error) => BootstrapChecked {
            problems: vec![error.to_string()],
            ..BootstrapChecked::default()
        },
    }
}

/// A snapshot's tables.
struct Looked {
    tables: Vec<Opened>,
    absent: Vec<TableId>,
    problems: Vec<String>,
}

impl Looked {
    fn at(catalog: &Arc<Catalog>, options: &BootstrapOptions) -> Result<Looked, EngineError> {
        let snapshot = Arc::new(Snapshot::open(&options.location, &options.store_options)?);
        let mut looked = Looked {
            tables: Vec::new(),
            absent: Vec::new(),
            problems: Vec::new(),
        };
        for table in in_order(catalog) {
            match open_table(catalog, table, &snapshot, options.as_of) {
                Ok(Some(opened)) => looked.tables.push(opened),
                Ok(None) => looked.absent.push(table),
                Err(found) => looked.problems.extend(found),
            }
        }
        if looked.tables.is_empty() && looked.problems.is_empty() {
            let problem = "it holds no table of the schemas: name the folder in which <table>.parquet or <table>/ lie";
            looked.problems.push(problem.into());
        }
        Ok(looked)
    }
}

/// Whether two texts name one place; a folder may be written in several ways.
fn same_place(known: &str, given: &str) -> bool {
    let folder = |text: &str| {
        let path = text.strip_prefix("file://").unwrap_or(text);
        let is_path = !path.contains("://");
        let whole = |path| std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        whole(path).ok().filter(|_| is_path)
    };
    known == given || folder(known).is_some_and(|known| Some(known) == folder(given))
}

/// Tables that others link to come before those, so that few rows wait.
fn in_order(catalog: &Catalog) -> Vec<TableId> {
    let linked = |table: &TableId| {
        let paths = &catalog.table(*table).entities;
        paths
            .iter()
            .any(|path| matches!(path, EntityPath::Through { .. }))
    };
    let is_read = |table: &TableId| !matches!(catalog.table(*table).kind, TableKind::History(_));
    let (last, mut tables): (Vec<_>, Vec<_>) =
        catalog.table_ids().filter(is_read).partition(linked);
    tables.extend(last);
    tables
}

fn open_table(
    catalog: &Arc<Catalog>,
    id: TableId,
    snapshot: &Arc<Snapshot>,
    as_of: Option<Timestamp>,
) -> Result<Option<Opened>, Vec<String>> {
    let table = catalog.table(id);
    let said = |problem: String| vec![format!("{}: {problem}", table.name)];
    if !snapshot.has(&table.name).map_err(said)? {
        return match snapshot.promised_rows(&table.name) {
            None | Some(0) => Ok(None),
            Some(rows) => Err(said(format!(
                "manifest.json promises {rows} rows, and there is no such file: put it back"
            ))),
        };
    }
    let own = snapshot.cut(&[table.name.as_str()]);
    let cut = match (as_of, own) {
        (Some(as_of), Ok(Some(own))) if as_of != own => {
            return Err(said(format!(
                "manifest.json says that it was taken at {own}: leave --bootstrap-as-of out"
            )));
        }
        (Some(as_of), _) => as_of,
        (None, Ok(Some(own))) => own,
        (None, Ok(None)) => {
            let problem = format!("no manifest.json tells when it was taken; say it ({AS_OF})");
            return Err(said(problem));
        }
        (None, Err(problem)) => {
            return Err(said(format!(
                "{problem}; mend it there, or say it ({AS_OF})"
            )));
        }
    };
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let input = Input::Snapshot(Arc::clone(snapshot)).open_lacking(catalog, id, &all)?;
    Ok(Some(Opened {
        table: id,
        cut,
        input,
    }))
}

fn fingerprint(catalog: &Catalog, tables: &[Opened]) -> String {
    let mut hash = Sha256::new();
    for opened in tables {
        hash.update(&catalog.table(opened.table).name);
        hash.update(opened.cut.0.to_le_bytes());
        for part in 0..opened.input.parts() {
            let (text, rows) = opened.input.describe(part);
            hash.update(text);
            hash.update([0]);
            hash.update(rows.to_le_bytes());
        }
    }
    let digest = hash.finalize();
    digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What was given out so far.
struct Given<'g> {
    bootstrap: &'g Bootstrap,
    total: u64,
    rows: u64,
    /// Rows of the next part that state has.
    skip: u64,
    each: &'g mut dyn FnMut(MicroBatch) -> bool,
    stopped: bool,
}

impl Given<'_> {
    /// Some rows of one table, in as many micro-batches as the limits want.
    fn take(
        &mut self,
        opened: &Opened,
        lacking: &LostColumns,
        rows: &RecordBatch,
    ) -> Result<(), String> {
        let known = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let known = known.min(rows.num_rows());
        self.skip -= known as u64;
        let Limits {
            max_rows,
            max_bytes,
            ..
        } = self.bootstrap.limits;
        let row_bytes = (rows.get_array_memory_size() / rows.num_rows().max(1)).max(1) as u64;
        let most = usize::try_from(max_bytes / row_bytes).unwrap_or(usize::MAX);
        let most = most.min(max_rows).max(1);
        let table = self.bootstrap.catalog.table(opened.table);
        let mut place = known;
        while place < rows.num_rows() {
            let count = most.min(rows.num_rows() - place);
            let part = rows.slice(place, count);
            let changes = changes_of(table, opened, lacking, &part)
                .map_err(|problem| format!("{}: {problem}", table.name))?;
            place += count;
            if !self.hand_on(vec![changes], row_bytes * count as u64) {
                return Err("nobody wants its rows any more".into());
            }
        }
        Ok(())
    }

    fn hand_on(&mut self, tables: Vec<TableChanges>, bytes: u64) -> bool {
        let own = self.bootstrap;
        self.rows += tables
            .iter()
            .map(|changes| changes.len() as u64)
            .sum::<u64>();
        let position = Position::Snapshot {
            location: own.location.clone(),
            files: own.files.clone(),
            rows: self.rows,
            whole: self.rows >= self.total,
        };
        let backlog = Backlog {
            read: self.rows,
            left: self.total.saturating_sub(self.rows),
            unit: Unit::Records,
        };
        let standing = Standing {
            backlog: Some(backlog),
            newest: Timestamp::MIN,
        };
        own.backlog.show(BOOTSTRAP, standing);
        let wanted = (self.each)(MicroBatch {
            tables,
            horizons: own.horizons.clone(),
            positions: Positions([(BOOTSTRAP.to_owned(), position)].into()),
            bytes,
            ..MicroBatch::default()
        });
        self.stopped |= !wanted;
        wanted
    }
}

/// Rows as changes that a snapshot had; its file lacks some columns.
fn changes_of(
    table: &Table,
    opened: &Opened,
    lacking: &LostColumns,
    rows: &RecordBatch,
) -> Result<TableChanges, String> {
    let count = rows.num_rows();
    let lacks = (0..count as u32).filter(|_| !lacking.is_empty());
    let mut columns = Vec::with_capacity(table.columns.len());
    for (index, (column, found)) in table.columns.iter().zip(rows.columns()).enumerate() {
        let may_lack = column.nullable || table.changed_at == Some(index);
        if !may_lack && found.null_count() > 0 {
            return Err(format!(
                "column {} holds nulls; mend the data, or declare it nullable",
                column.name
            ));
        }
        let stored = cast(found, &column.storage_type()).map_err(|error| error.to_string())?;
        columns.push(stored);
    }
    let changed = table.changed_at.and_then(|column| {
        let column = columns[column].as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(column.clone())
    });
    // What the snapshot has was committed when it was taken.
    let committed = |row: usize| match &changed {
        Some(changed) if changed.is_valid(row) => {
            Timestamp(changed.value(row)).clamp(Timestamp(0), opened.cut)
        }
        _ => opened.cut,
    };
    let schema = table.storage_schema();
    let after = RecordBatch::try_new(Arc::clone(&schema), columns);
    Ok(TableChanges {
        table: opened.table,
        operations: vec![Operation::Snapshot; count],
        versions: vec![LOWEST; count],
        committed_at: (0..count).map(committed).collect(),
        before: Images {
            rows: RecordBatch::new_empty(schema),
            row: vec![None; count],
        },
        after: Images {
            rows: after.map_err(|error| error.to_string())?,
            row: (0..count as u32).map(Some).collect(),
        },
        lost: lacks.map(|row| (row, Arc::clone(lacking))).collect(),
        origins: Vec::new(),
    })
}

/// The micro-batch as it goes into the archive: rows of the snapshot stand there as of its cut, in one hour, not
/// in all the hours of their history. None where it is none of the snapshot's.
pub(super) fn for_archive(batch: &MicroBatch) -> Option<MicroBatch> {
    batch.positions.0.contains_key(BOOTSTRAP).then(|| {
        let mut batch = batch.clone();
        for changes in &mut batch.tables {
            let own = HorizonOf::Snapshot(changes.table);
            let cut = batch.horizons.iter().find(|(of, _)| *of == own);
            if let Some((_, cut)) = cut {
                changes.committed_at.fill(*cut);
            }
        }
        batch
    })
}
