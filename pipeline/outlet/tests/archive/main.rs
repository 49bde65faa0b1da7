//! The archive holds each committed change once, whatever fails on the way.
#![allow(clippy::unwrap_used, clippy::panic)]

mod harness;
mod store_away;

use centinel_outlet::archive::{Archive, ArchiveError, COMMITTED_AT, Manifest};
use harness::{HOUR, Keeper, NOW, changes, options, schemas};

#[test]
fn each_change_stands_once_in_its_table_and_hour() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let mut keeper = Keeper::default();
    {
        let mut archive = keeper.open(&options);
        keeper.commit(
            &mut archive,
            &changes("payment", &[(1, HOUR - 1), (2, HOUR)]),
            false,
        );
        keeper.commit(&mut archive, &changes("refund", &[(1, 5 * HOUR)]), false);
        // Spooled, and then the process dies before the commit.
        archive.append(&changes("payment", &[(9, HOUR)])).unwrap();
    }
    let mut archive = keeper.open(&options);
    keeper.commit(&mut archive, &changes("payment", &[(3, HOUR + 5)]), true);
    keeper.finish(&mut archive);
    keeper.commit(&mut archive, &changes("payment", &[(4, 2 * HOUR)]), true);
    keeper.finish(&mut archive);
    drop(archive);

    let kept = harness::kept(folder.path());
    let numbers: Vec<u64> = kept.iter().map(|row| row.change).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let rows: Vec<(&str, &str)> = kept
        .iter()
        .map(|row| (row.table.as_str(), row.key.as_str()))
        .collect();
    let expected = [
        ("payment", "1"),
        ("payment", "2"),
        ("refund", "1"),
        ("payment", "3"),
        ("payment", "4"),
    ];
    assert_eq!(rows, expected);
    let paths: Vec<&str> = kept.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "table=payment/date=1970-01-01/hour=00/000000000001.parquet",
            "table=payment/date=1970-01-01/hour=01/000000000001.parquet",
            "table=refund/date=1970-01-01/hour=05/000000000001.parquet",
            "table=payment/date=1970-01-01/hour=01/000000000001.parquet",
            "table=payment/date=1970-01-01/hour=02/000000000002.parquet",
        ],
        "by {COMMITTED_AT}"
    );
    let manifests = harness::manifests(folder.path());
    let spans: Vec<(u64, u64, u64)> = manifests
        .iter()
        .map(|manifest| (manifest.number, manifest.first_change, manifest.changes))
        .collect();
    assert_eq!(spans, [(1, 1, 4), (2, 5, 1)]);
    assert_eq!(manifests[0].files[1].hour, "1970-01-01T01:00:00Z");
    assert!(
        harness::spooled(&options).is_empty(),
        "state knows that they are archived"
    );
}

#[test]
fn what_was_archived_and_not_recorded_is_written_again_alike() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let mut keeper = Keeper::default();
    let mut archive = keeper.open(&options);
    keeper.commit(
        &mut archive,
        &changes("payment", &[(1, 1), (2, HOUR)]),
        true,
    );
    archive.wait(&|| false);
    drop(archive);
    let first = harness::objects(folder.path());
    assert_eq!(
        first.len(),
        4,
        "two files, the manifest and whose it is: {:?}",
        first.keys()
    );
    assert!(
        !harness::spooled(&options).is_empty(),
        "no commit has told state"
    );

    let mut archive = keeper.open(&options);
    archive.wait(&|| false);
    assert_eq!(harness::objects(folder.path()), first);
    keeper.finish(&mut archive);
    assert!(harness::spooled(&options).is_empty());
}

#[test]
fn segments_end_by_size_and_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.segment_bytes = 1;
    let mut keeper = Keeper::default();
    let mut archive = keeper.open(&options);
    for number in 1..=3 {
        keeper.commit(&mut archive, &changes("payment", &[(number, 1)]), false);
    }
    keeper.finish(&mut archive);
    assert_eq!(harness::manifests(folder.path()).len(), 3);
    drop(archive);

    options.segment_bytes = 1 << 30;
    let mut archive = keeper.open(&options);
    keeper.commit(&mut archive, &changes("payment", &[(4, 1)]), false);
    assert!(!archive.is_due(NOW));
    keeper.now = NOW.plus(options.segment_age);
    assert!(archive.is_due(keeper.now));
    keeper.commit(&mut archive, &Default::default(), false);
    assert!(!archive.is_due(keeper.now));
    keeper.finish(&mut archive);
    let changes: u64 = harness::manifests(folder.path())
        .iter()
        .map(|manifest| manifest.changes)
        .sum();
    assert_eq!(changes, 4);
}

#[test]
fn two_states_do_not_share_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let mine = options(folder.path());
    let mut keeper = Keeper::default();
    let mut archive = keeper.open(&mine);
    keeper.commit(&mut archive, &changes("payment", &[(1, 1)]), true);
    keeper.finish(&mut archive);

    let mut other = options(folder.path());
    other.spool = folder.path().join("other");
    let refused = Archive::open(&schemas(), &other, None, None, NOW).err();
    assert!(
        matches!(refused, Some(ArchiveError::Refused(_))),
        "{refused:?}"
    );

    // The first one is told to write where there is none of it.
    let mut moved = options(folder.path());
    moved.location = folder.path().join("elsewhere").display().to_string();
    let mut archive = keeper.open(&moved);
    keeper.commit(&mut archive, &changes("payment", &[(2, 1)]), true);
    archive.wait(&|| false);
    let told = archive.append(&changes("payment", &[(3, 1)])).unwrap_err();
    assert!(told.to_string().contains("holds no archive"), "{told}");
    drop(archive);
    let archive = keeper.open(&mine);
    archive.wait(&|| false);
    assert_eq!(harness::kept(folder.path()).len(), 2);
}

#[test]
fn a_spool_that_lost_bytes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let mut keeper = Keeper::default();
    let mut archive = keeper.open(&options);
    keeper.commit(&mut archive, &changes("payment", &[(1, 1)]), false);
    drop(archive);
    let file = harness::spooled(&options).pop().unwrap();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let refused = Archive::open(&schemas(), &options, keeper.fact.as_deref(), None, NOW).err();
    assert!(
        matches!(refused, Some(ArchiveError::Failed(_))),
        "{refused:?}"
    );

    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    std::fs::write(&file, &damaged).unwrap();
    let mut archive = keeper.open(&options);
    keeper.commit(&mut archive, &Default::default(), true);
    archive.wait(&|| false);
    assert!(archive.status().trouble.unwrap().contains("damaged"));
    assert_eq!(harness::manifests(folder.path()), Vec::<Manifest>::new());
}
