//! Files are read in whole lines, once, and a file that was changed is refused.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use centinel_model::{HoleReason, Position, Timestamp};
use centinel_source::{Decoder, FileInput, InputError, RawChunk, ReadLimits};
use common::*;
use proptest::prelude::*;

const SMALL: ReadLimits = ReadLimits {
    chunk_bytes: 16,
    max_line_bytes: 64,
};

fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn append(path: &Path, content: &[u8]) {
    OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(content)
        .unwrap();
}

fn open(path: &Path, resume: Option<&Position>) -> Result<FileInput, InputError> {
    FileInput::open(path, "log", resume, SMALL)
}

fn read_all(input: &mut FileInput, until_end: bool) -> Vec<RawChunk> {
    std::iter::from_fn(|| input.next_chunk(until_end).unwrap()).collect()
}

fn bytes(chunks: &[RawChunk]) -> Vec<u8> {
    chunks
        .iter()
        .flat_map(|chunk| chunk.bytes.clone())
        .collect()
}

#[test]
fn a_line_is_given_out_when_it_is_whole_or_at_the_end() {
    let (_folder, path) = file(b"one\ntw");
    let mut input = open(&path, None).unwrap();
    assert_eq!(bytes(&read_all(&mut input, false)), b"one\n");
    append(&path, b"o\nthree");
    assert_eq!(bytes(&read_all(&mut input, false)), b"two\n");
    let end = read_all(&mut input, true);
    assert_eq!((end[0].offset, &end[0].bytes[..]), (8, &b"three"[..]));
    let resumed = input.position();
    append(&path, b"\nfour\n");
    assert_eq!(
        bytes(&read_all(&mut open(&path, Some(&resumed)).unwrap(), true)),
        b"four\n"
    );
}

#[test]
fn an_only_line_without_end_is_known_again() {
    let (_folder, path) = file(b"one");
    let mut input = open(&path, None).unwrap();
    assert_eq!(bytes(&read_all(&mut input, true)), b"one");
    let mut again = open(&path, Some(&input.position())).unwrap();
    assert_eq!(again.next_chunk(true).unwrap(), None);
    append(&path, b"\ntwo\n");
    assert_eq!(bytes(&read_all(&mut again, true)), b"two\n");
}

#[test]
fn a_truncated_or_replaced_file_is_refused() {
    let (_folder, path) = file(b"one\ntwo\n");
    let mut input = open(&path, None).unwrap();
    read_all(&mut input, true);
    let position = input.position();

    fs::write(&path, b"one\n").unwrap();
    assert!(matches!(
        open(&path, Some(&position)),
        Err(InputError::Truncated {
            length: 4,
            offset: 8,
            ..
        })
    ));
    assert!(matches!(
        input.next_chunk(false),
        Err(InputError::Truncated { .. })
    ));
    fs::write(&path, b"another\ntwo\n").unwrap();
    assert!(matches!(
        open(&path, Some(&position)),
        Err(InputError::Replaced { .. })
    ));
    assert!(matches!(
        input.next_chunk(false),
        Err(InputError::Replaced { .. })
    ));
    fs::write(&path, b"one\ntwofold\n").unwrap();
    let error = open(&path, Some(&position)).unwrap_err();
    assert!(matches!(
        error,
        InputError::NotAtLineStart { offset: 8, .. }
    ));
    assert!(error.to_string().contains("put the old file back"));
    assert!(matches!(
        open(Path::new("/nowhere"), None),
        Err(InputError::Unreadable { .. })
    ));
}

#[test]
fn a_line_of_50_mb_is_a_hole_between_its_neighbours() {
    let mut content = format!("{}\n", insert(1)).into_bytes();
    content.resize(content.len() + 50_000_000, b'x');
    content.extend_from_slice(format!("\n{}\n", insert(2)).as_bytes());
    let (_folder, path) = file(&content);
    let mut input = FileInput::open(&path, "log", None, ReadLimits::default()).unwrap();
    let decoder = Decoder::new(&catalog());
    let mut rows = Vec::new();
    let mut holes = Vec::new();
    while let Some(chunk) = input.next_chunk(false).unwrap() {
        assert!(chunk.bytes.len() <= ReadLimits::default().max_line_bytes);
        let decoded = decoder
            .decode(chunk, Timestamp::parse(NOW).unwrap())
            .unwrap();
        rows.extend(
            decoded
                .tables
                .iter()
                .flat_map(|table| table.versions.iter().map(|v| v.sequence)),
        );
        holes.extend(decoded.holes);
    }
    assert_eq!(rows, [1, 2]);
    assert_eq!((holes.len(), holes[0].reason), (1, HoleReason::TooLong));
    assert_eq!(
        (holes[0].bytes.len(), holes[0].bytes_total),
        (1 << 20, 50_000_001)
    );
    let (offset, _) = input.position().place();
    assert_eq!(offset, content.len() as u64);
}

#[test]
fn a_line_above_the_limit_that_is_still_being_written_waits() {
    let (_folder, path) = file(&[b'x'; 100]);
    let mut input = open(&path, None).unwrap();
    assert_eq!(input.next_chunk(false).unwrap(), None);
    append(&path, b"\nok\n");
    let chunks = read_all(&mut input, false);
    assert_eq!((chunks[0].oversized, chunks[0].offset), (Some(101), 0));
    assert_eq!(
        (&chunks[1].bytes[..], chunks[1].offset),
        (&b"ok\n"[..], 101)
    );
}

proptest! {
    #[test]
    fn every_byte_is_given_out_once_and_in_order(
        lines in proptest::collection::vec("[a-z]{0,90}", 0..20), ended in any::<bool>(), resume_at in 0usize..20,
    ) {
        let mut content = lines.join("\n");
        if ended {
            content.push('\n');
        }
        let (_folder, path) = file(content.as_bytes());
        let mut input = open(&path, None).unwrap();
        let mut expected = 0;
        let mut read = 0;
        while let Some(chunk) = input.next_chunk(true).unwrap() {
            prop_assert_eq!(chunk.offset, expected);
            let length = chunk.oversized.unwrap_or(chunk.bytes.len() as u64);
            let end = (expected + length) as usize;
            prop_assert!(content.as_bytes()[expected as usize..end].starts_with(&chunk.bytes[..chunk.bytes.len().min(64)]));
            prop_assert!(end == content.len() || content.as_bytes()[end - 1] == b'\n');
            expected += length;
            read += 1;
            if read == resume_at {
                input = open(&path, Some(&input.position())).unwrap();
            }
        }
        prop_assert_eq!(expected, content.len() as u64);
    }
}
