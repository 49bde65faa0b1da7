//! Detection's file of findings, read on from where it was taken in so far.
//!
//! Detection only ever adds whole lines, and after a crash cuts its file back to what its state knows and writes the same
//! again. So a file that is shorter than what was taken in is waited for, and one that has something else at the mark is
//! another file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use centinel_model::Timestamp;
use sha2::{Digest, Sha256};

use crate::FindingsError;
use crate::store::Store;
use crate::take_in::{Stretch, Taken};

/// Lines longer than this are none of detection's.
pub const LONGEST_LINE: u64 = 16 << 20;
/// A stretch ends behind the line with which it reaches so many bytes,
pub const STRETCH_BYTES: u64 = 8 << 20;
/// or so many lines.
const STRETCH_LINES: usize = 10_000;
/// How often somebody else may be quicker before it is given up.
const MOST_OTHERS: usize = 1_000;

/// How far a file was taken in, and by what it is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which of detection's files it is, from 1.
    pub generation: u64,
    /// The byte behind the last line that was taken in.
    pub position: u64,
    /// How many lines that were.
    pub lines: u64,
    /// SHA-256 of the first line, without its end; empty before there is one.
    pub first_line: String,
    /// Where the last line begins.
    pub last_line_at: u64,
    /// SHA-256 of the last line, without its end.
    pub last_line: String,
}

impl Default for Mark {
    fn default() -> Mark {
        Mark {
            generation: 1,
            position: 0,
            lines: 0,
            first_line: String::new(),
            last_line_at: 0,
            last_line: String::new(),
        }
    }
}

/// What came of reading a file to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caught {
    /// What became of its new lines.
    pub taken: Taken,
    /// So many bytes at its end are a line that is still being written.
    pub unfinished: u64,
    /// The file was cut back: so many bytes that were taken in are not in it now. Detection writes them again.
    pub cut_back: u64,
}

/// A line's fingerprint: its SHA-256 in hexadecimal.
pub(crate) fn fingerprint(line: &[u8]) -> String {
    Sha256::digest(line)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Takes in everything that a file has behind the store's mark, stretch by stretch; `now` is asked for each.
///
/// # Errors
/// [`FindingsError::Replaced`] for another file, [`FindingsError::File`] for one that cannot be read, and what
/// [`Store::take_in`] fails with. Stretches that were taken in before stay.
pub fn follow(
    store: &mut Store,
    path: &Path,
    now: &dyn Fn() -> Timestamp,
) -> Result<Caught, FindingsError> {
    follow_while(store, path, now, &|| true)
}

/// The same, stretch by stretch as long as `go_on` says so.
///
/// # Errors
/// As [`follow`].
pub fn follow_while(
    store: &mut Store,
    path: &Path,
    now: &dyn Fn() -> Timestamp,
    go_on: &dyn Fn() -> bool,
) -> Result<Caught, FindingsError> {
    let (mut caught, mut others) = (Caught::default(), 0);
    while go_on() {
        let mark = store.mark()?;
        let (stretch, at_the_end) = read_stretch(path, &mark, STRETCH_BYTES)?;
        caught.unfinished = at_the_end.unfinished;
        caught.cut_back = at_the_end.cut_back;
        if stretch.lines.is_empty() {
            break;
        }
        match store.take_in(&stretch, now()) {
            Ok(taken) => caught.taken = caught.taken.plus(taken),
            // Somebody else takes in the same file: what is left begins behind that.
            Err(FindingsError::Changed(_)) if others < MOST_OTHERS => others += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(caught)
}

/// Reads whole lines from the mark on, until they have `most` bytes; and what is behind them, if they are all. One that
/// is longer than that is a stretch by itself.
///
/// # Errors
/// As [`follow`].
pub fn read_stretch(
    path: &Path,
    mark: &Mark,
    most: u64,
) -> Result<(Stretch, Caught), FindingsError> {
    let fail = |problem: std::io::Error| FindingsError::file(path, problem);
    let mut at_the_end = Caught::default();
    let mut stretch = Stretch {
        generation: mark.generation,
        from: mark.position,
        lines: Vec::new(),
    };
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(FindingsError::file(path, "it is no file"));
    }
    let file = File::open(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    if !is_known(&mut reader, path, mark, length)? {
        at_the_end.cut_back = mark.position.saturating_sub(length);
        return Ok((stretch, at_the_end));
    }
    reader.seek(SeekFrom::Start(mark.position)).map_err(fail)?;
    let mut bytes = 0;
    while bytes < most && stretch.lines.len() < STRETCH_LINES {
        match whole_line(&mut reader, path, mark.position + bytes)? {
            Ok(line) => {
                bytes += line.len() as u64 + 1;
                stretch.lines.push(line);
            }
            Err(unfinished) => {
                at_the_end.unfinished = unfinished;
                break;
            }
        }
    }
    Ok((stretch, at_the_end))
}

/// Whether the file goes on at the mark; false where it is shorter, as far as it goes the same.
fn is_known(
    reader: &mut BufReader<File>,
    path: &Path,
    mark: &Mark,
    length: u64,
) -> Result<bool, FindingsError> {
    if mark.position == 0 {
        return Ok(true);
    }
    let fail = |problem: std::io::Error| FindingsError::file(path, problem);
    let replaced = |what: &str| FindingsError::Replaced {
        file: path.display().to_string(),
        what: what.into(),
    };
    // A file of which not even the first line is there yet may become the same again.
    if let Ok(first) = whole_line(reader, path, 0)?
        && fingerprint(&first) != mark.first_line
    {
        return Err(replaced("its first line is another one"));
    }
    if length < mark.position {
        return Ok(false);
    }
    reader
        .seek(SeekFrom::Start(mark.last_line_at))
        .map_err(fail)?;
    let mut last = vec![0; (mark.position - mark.last_line_at) as usize];
    match reader.read_exact(&mut last) {
        Ok(()) => {}
        // It was cut back just now.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(fail(error)),
    }
    match last.split_last() {
        Some((b'\n', line)) if fingerprint(line) == mark.last_line => Ok(true),
        _ => Err(replaced("the last line that was taken in is another one")),
    }
}

/// The next line without its end; or how many bytes there are of one that has no end yet.
fn whole_line(
    reader: &mut BufReader<File>,
    path: &Path,
    at: u64,
) -> Result<Result<Vec<u8>, u64>, FindingsError> {
    let mut line = Vec::new();
    let read = reader
        .by_ref()
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line);
    read.map_err(|problem| FindingsError::file(path, problem))?;
    match line.pop() {
        Some(b'\n') => Ok(Ok(line)),
        Some(_) if line.len() as u64 + 1 == LONGEST_LINE => Err(FindingsError::file(
            path,
            format!("the line at byte {at} is longer than any of detection's"),
        )),
        Some(_) => Ok(Err(line.len() as u64 + 1)),
        None => Ok(Err(0)),
    }
}
