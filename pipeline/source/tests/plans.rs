//! The end of a file of plans says how far the plans were read; the end of another file says nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use centinel_catalog::{Catalog, TableKind};
use centinel_model::{SourceId, Timestamp};
use centinel_source::{Input, InputFile, LogFile, Reading, Until};
use common::*;

const PLANS: SourceId = SourceId(3);
const SECOND: i64 = 1_000_000;

/// The small catalog, with announced changes of payments.
fn catalog_with_plans() -> Catalog {
    let mut catalog = catalog();
    let mut planned = catalog.table(PAYMENT_COMPLETED).clone();
    planned.name = "payment_planned".into();
    planned.kind = TableKind::Events;
    planned.source = PLANS;
    planned.plans_for = Some(PAYMENT);
    catalog.tables.push(planned);
    catalog.sources.push("repair-plans".into());
    catalog
}

fn plan(number: u64) -> String {
    format!(
        "{{\"event\":\"payment_planned\",\"message_id\":\"m{number}\",\"committed_at\":\"{NOW}\",\
         \"after\":{{\"order_no\":\"O1\",\"amount\":\"1.00\"}}}}\n"
    )
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plans.jsonl");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn open(path: &Path, source: &str, until: Until) -> LogFile {
    let file = InputFile {
        name: "plans".into(),
        path: path.into(),
        sources: vec![source.into()],
    };
    LogFile::open(&catalog_with_plans(), &file, None, until).unwrap()
}

fn after(seconds: i64) -> Timestamp {
    Timestamp(Timestamp::parse(NOW).unwrap().0 + seconds * SECOND)
}

/// What is read: how many events, and the progress told with them, in seconds.
#[derive(Debug, PartialEq)]
enum Read {
    Chunk(usize, Option<i64>),
    Nothing,
    End,
}

fn read(log: &mut LogFile, seconds: i64) -> Read {
    match log.read(after(seconds)).unwrap() {
        Reading::Nothing => Read::Nothing,
        Reading::End => Read::End,
        Reading::Chunk(chunk) => {
            let progress = chunk.progress.first().map(|(source, time)| {
                assert_eq!(*source, PLANS);
                (time.0 - after(0).0) / SECOND
            });
            assert!(chunk.progress.len() < 2);
            assert_eq!(chunk.input, "plans");
            assert!(chunk.holes.is_empty(), "{:?}", chunk.holes);
            Read::Chunk(chunk.lines.len(), progress)
        }
    }
}

#[test]
fn the_end_of_a_file_of_plans_is_progress() {
    let (_folder, path) = file(&(plan(1) + &plan(2)));
    let mut log = open(&path, "repair-plans", Until::Stopped);
    assert_eq!(read(&mut log, 10), Read::Chunk(2, None));
    assert_eq!(read(&mut log, 10), Read::Chunk(0, Some(8)));
    // Not more often than each second.
    assert_eq!(read(&mut log, 10), Read::Nothing);
    assert_eq!(read(&mut log, 11), Read::Chunk(0, Some(9)));
    // What was announced meanwhile stands before the next word.
    append(&path, &plan(3));
    assert_eq!(read(&mut log, 15), Read::Chunk(1, None));
    assert_eq!(read(&mut log, 15), Read::Chunk(0, Some(13)));
}

#[test]
fn a_line_on_its_way_holds_the_progress_back() {
    let (_folder, path) = file(&plan(1)[..20]);
    let mut log = open(&path, "repair-plans", Until::Stopped);
    assert_eq!(read(&mut log, 10), Read::Nothing);
    assert_eq!(read(&mut log, 100), Read::Nothing);
    append(&path, &plan(1)[20..]);
    assert_eq!(read(&mut log, 200), Read::Chunk(1, None));
    assert_eq!(read(&mut log, 200), Read::Chunk(0, Some(198)));
}

#[test]
fn a_file_of_plans_that_is_followed_may_come_go_and_come_back() {
    let (_folder, path) = file("");
    std::fs::remove_file(&path).unwrap();
    let mut log = open(&path, "repair-plans", Until::Stopped);
    assert_eq!(read(&mut log, 10), Read::Nothing);
    append(&path, &plan(1));
    assert_eq!(read(&mut log, 20), Read::Chunk(1, None));
    assert_eq!(read(&mut log, 20), Read::Chunk(0, Some(18)));
    let beside = path.with_extension("away");
    std::fs::rename(&path, &beside).unwrap();
    assert_eq!(read(&mut log, 30), Read::Nothing);
    append(&beside, &plan(2));
    std::fs::rename(&beside, &path).unwrap();
    assert_eq!(read(&mut log, 40), Read::Chunk(1, None));
    assert_eq!(read(&mut log, 40), Read::Chunk(0, Some(38)));
    // Another file in its place is refused, as ever.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read(&mut log, 50), Read::Nothing);
    append(&path, &(plan(7) + &plan(8) + &plan(9)));
    let refused = log.read(after(60)).unwrap_err().to_string();
    assert!(refused.contains("it was replaced"), "{refused}");
}

#[test]
fn a_file_that_is_read_to_its_end_says_so_once() {
    for until in [Until::Now, Until::End] {
        let (_folder, path) = file(&plan(1));
        let mut log = open(&path, "repair-plans", until);
        assert_eq!(read(&mut log, 10), Read::Chunk(1, None));
        assert_eq!(read(&mut log, 10), Read::Chunk(0, Some(8)));
        assert_eq!(read(&mut log, 60), Read::End);
    }
    // What is to be there must be there.
    let (_folder, path) = file("");
    std::fs::remove_file(&path).unwrap();
    let file = InputFile {
        name: "plans".into(),
        path,
        sources: vec!["repair-plans".into()],
    };
    for until in [Until::Now, Until::End] {
        assert!(LogFile::open(&catalog_with_plans(), &file, None, until).is_err());
    }
}

/// What writes another source's lines may be late: its end says nothing.
#[test]
fn the_end_of_another_file_says_nothing() {
    let (_folder, path) = file(&(insert(1) + "\n"));
    let mut log = open(&path, "payment-db", Until::Stopped);
    assert_eq!(read(&mut log, 10), Read::Chunk(1, None));
    assert_eq!(read(&mut log, 20), Read::Nothing);
    std::fs::remove_file(&path).unwrap();
    assert!(log.read(after(30)).is_err());
}
