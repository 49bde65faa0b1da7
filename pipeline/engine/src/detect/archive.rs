//! What the archive is told of each commit.

use std::collections::BTreeMap;

use centinel_catalog::Catalog;
use centinel_model::{HoleReason, MicroBatch, SourceId, TableChanges, Timestamp};
use centinel_outlet::archive::{
    ARCHIVE_FACT, Archive, ArchiveError, ArchiveOptions, Reached, Unread,
};
use centinel_state::Commit;

use super::bootstrap;
use super::detector::Detector;
use super::messages::read_hole;
use crate::EngineError;

/// Takes up the archive of a state. A state has one from its first change on, or none.
pub(super) fn open(
    detector: &Detector,
    options: Option<&ArchiveOptions>,
    now: Timestamp,
) -> Result<Option<Archive>, EngineError> {
    let standing = detector.store.fact(ARCHIVE_FACT)?;
    let refuse = |what: &str| Err(EngineError::Unsupported(what.into()));
    match (options, standing) {
        (None, None) => Ok(None),
        (None, Some(_)) => refuse(
            "this state keeps an archive, and changes that it reads now would be missing there: say where it is \
             (--archive)",
        ),
        (Some(_), None) if !detector.positions.0.is_empty() => refuse(
            "this state has read changes that are in no archive: an archive begins with a new state that reads its \
             inputs from their beginning",
        ),
        (Some(options), standing) => {
            let earlier = match detector.shapes.replaced() {
                Some(shape) => {
                    let nothing = MicroBatch::default();
                    let reached = reached(detector, &[], &Commit::default(), &nothing)?;
                    Some((
                        shape.clone(),
                        Reached {
                            moved: true,
                            ..reached
                        },
                    ))
                }
                None => None,
            };
            let archive = Archive::open(
                &detector.catalog,
                options,
                standing.as_deref(),
                earlier,
                now,
            );
            archive.map(Some).map_err(failed)
        }
    }
}

pub(super) fn failed(error: ArchiveError) -> EngineError {
    match error {
        ArchiveError::Refused(_) => EngineError::Unsupported(error.to_string()),
        ArchiveError::Failed(_) => EngineError::Archive(error.to_string()),
    }
}

/// Does `work` while the micro-batch goes into the spool.
pub(super) fn beside<T>(
    archive: &mut Archive,
    batch: &MicroBatch,
    work: impl FnOnce() -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    if batch.tables.is_empty() {
        archive.append(batch).map_err(failed)?;
        return work();
    }
    let of_snapshot = bootstrap::for_archive(batch);
    let batch = of_snapshot.as_ref().unwrap_or(batch);
    std::thread::scope(|scope| {
        let spool = std::thread::Builder::new().name("spool".into());
        let spooling = spool
            .spawn_scoped(scope, || archive.append(batch))
            .map_err(|error| EngineError::Archive(format!("no thread for the archive: {error}")))?;
        let done = work();
        let died = |_| Err(ArchiveError::Failed("the thread that spools died".into()));
        spooling.join().unwrap_or_else(died).map_err(failed)?;
        done
    })
}

/// What a commit reaches. `before` is how far each source had been read before its micro-batch.
pub(super) fn reached(
    detector: &Detector,
    before: &[Timestamp],
    commit: &Commit,
    batch: &MicroBatch,
) -> Result<Reached, EngineError> {
    let catalog = &detector.catalog;
    let known = |time: &Timestamp| (Timestamp(0)..=Timestamp::LATEST).contains(time);
    let mut unread = Vec::new();
    for (_, kept) in &commit.holes {
        let (hole, _) = read_hole(kept)?;
        if hole.settled.is_some() {
            // It was told when it came.
            continue;
        }
        let table = hole.table.as_ref().and_then(|name| catalog.table_id(name));
        let after = match (hole.reason, table) {
            // No rule reads a table that no schema describes.
            (HoleReason::UnknownTable, _) => continue,
            // It may be about any row that is known.
            (HoleReason::Contradiction, _) => None,
            (_, Some(table)) => Some(before[usize::from(catalog.table(table).source.0)]),
            (_, None) => before.iter().min().copied(),
        };
        unread.push(Unread {
            table: hole.table,
            count: 1,
            after: after.filter(known).map(|time| time.to_string()),
            columns: Vec::new(),
        });
    }
    let lacking = batch
        .tables
        .iter()
        .flat_map(|changes| lacking(catalog, changes));
    unread.extend(lacking);
    let progress: BTreeMap<String, Timestamp> = (0..detector.progress.len() as u16)
        .map(SourceId)
        .map(|source| (source, detector.progress[usize::from(source.0)]))
        .filter(|(_, time)| known(time))
        .map(|(source, time)| (catalog.source(source).to_owned(), time))
        .collect();
    Ok(Reached {
        positions: detector.positions.clone(),
        progress,
        horizons: detector
            .horizons
            .by_source()
            .map(|(source, time)| (source.to_owned(), time))
            .collect(),
        table_horizons: detector
            .horizons
            .by_table()
            .map(|(table, horizon)| (table.to_owned(), (horizon.time(), horizon.rows_read())))
            .collect(),
        unread,
        moved: !batch.is_empty(),
    })
}

/// The changes that lack columns, by these; of each kind since when.
fn lacking(catalog: &Catalog, changes: &TableChanges) -> Vec<Unread> {
    let mut kinds: BTreeMap<&[usize], (u64, Timestamp)> = BTreeMap::new();
    for (index, columns) in &changes.lost {
        let at = changes.committed_at[*index as usize];
        let (count, since) = kinds.entry(&**columns).or_insert((0, at));
        (*count, *since) = (*count + 1, at.min(*since));
    }
    let table = catalog.table(changes.table);
    let kinds = kinds.into_iter();
    let unread = kinds.map(|(columns, (count, since))| Unread {
        table: Some(table.name.clone()),
        count,
        // Just before the first of them.
        after: Some(Timestamp((since.0 - 1).max(0)).to_string()),
        columns: columns
            .iter()
            .map(|column| table.columns[*column].name.clone())
            .collect(),
    });
    unread.collect()
}

/// Puts into a commit how far the archive is with it.
pub(super) fn tell(
    archive: &mut Archive,
    reached: Reached,
    now: Timestamp,
    seal: bool,
    commit: &mut Commit,
) -> Result<(), EngineError> {
    let fact = archive.fact(reached, now, seal).map_err(failed)?;
    commit.facts.push((ARCHIVE_FACT.into(), fact));
    Ok(())
}
