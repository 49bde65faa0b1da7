//! The spool: local files of changes that are on their way to the archive.
//!
//! A segment's file, form 1: the eight bytes [`MAGIC`], then frames. A frame is the length of its payload and
//! the payload's CRC-32 (both 4 bytes, little-endian), then the payload: the table's id (2 bytes) and an Arrow
//! IPC stream of one batch of changes. Beside a sealed segment lies its manifest, still without files.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use centinel_model::TableId;

use super::form::{BEGIN_ANEW, Manifest};

const MAGIC: &[u8; 8] = b"CTNSPL1\n";
const FRAME_HEAD: usize = 8;

/// The files of segments that are not in the object store yet.
pub(super) struct Spool {
    folder: PathBuf,
    /// The segment that is written, once something was.
    open: Option<File>,
    /// Bytes of whole segments, by number.
    sealed: BTreeMap<u64, u64>,
}

/// One batch of changes of one table, in a segment's file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub table: TableId,
    start: u64,
    length: u32,
    checksum: u32,
}

impl Spool {
    /// Opens the folder as state knows it: segments up to `archived` are elsewhere, those below `segment` are
    /// whole, `segment` itself has `length` bytes. What lies beyond was never committed, and goes.
    pub fn open(folder: &Path, archived: u64, segment: u64, length: u64) -> io::Result<Spool> {
        std::fs::create_dir_all(folder)?;
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| number_of(name.to_str()?));
            let is_known = |number: u64| {
                archived < number && (number < segment || number == segment && length > 0)
            };
            if number.is_some_and(|number| !is_known(number)) {
                std::fs::remove_file(&path)?;
            }
        }
        let mut spool = Spool {
            folder: folder.to_owned(),
            open: None,
            sealed: BTreeMap::new(),
        };
        for number in archived + 1..segment {
            let bytes = match std::fs::metadata(spool.file(number)) {
                Ok(known) => known.len(),
                // A segment without changes has no file.
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(error),
            };
            std::fs::metadata(spool.manifest(number)).map_err(|error| {
                let lost = format!("{}: {error}", spool.manifest(number).display());
                io::Error::new(error.kind(), lost)
            })?;
            spool.sealed.insert(number, bytes);
        }
        if length > 0 {
            let path = spool.file(segment);
            let file = OpenOptions::new().read(true).write(true).open(&path);
            let mut file = file.map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
            let present = file.metadata()?.len();
            if present < length {
                return Err(io::Error::other(format!(
                    "{} has {present} bytes, and {length} were committed: put it back",
                    path.display()
                )));
            }
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            spool.open = Some(file);
        }
        Ok(spool)
    }

    /// Adds changes by table to a segment of `length` bytes, durably, and returns its new length.
    pub fn append(
        &mut self,
        segment: u64,
        mut length: u64,
        changes: impl Iterator<Item = io::Result<(TableId, RecordBatch)>>,
    ) -> io::Result<u64> {
        let mut file = match self.open.take() {
            Some(file) => file,
            None => {
                let mut file = File::create_new(self.file(segment))?;
                file.write_all(MAGIC)?;
                File::open(&self.folder)?.sync_all()?;
                length = MAGIC.len() as u64;
                file
            }
        };
        for changes in changes {
            let (table, rows) = changes?;
            let frame = frame_of(table, &rows)?;
            file.write_all(&frame)?;
            length += frame.len() as u64;
        }
        file.sync_data()?;
        self.open = Some(file);
        Ok(length)
    }

    /// Ends the segment of `length` bytes and puts its manifest beside it, durably.
    pub fn seal(&mut self, manifest: &Manifest, length: u64) -> io::Result<()> {
        let mut file = File::create(self.manifest(manifest.number))?;
        serde_json::to_writer(&mut file, manifest)?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        self.open = None;
        self.sealed.insert(manifest.number, length);
        Ok(())
    }

    /// Forgets segments up to this one: state knows that they are archived.
    pub fn remove_through(&mut self, archived: u64) -> io::Result<()> {
        while let Some(first) = self.sealed.first_entry() {
            let number = *first.key();
            if number > archived {
                break;
            }
            first.remove();
            for path in [self.file(number), self.manifest(number)] {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Bytes of whole segments after this one.
    pub fn bytes_after(&self, archived: u64) -> u64 {
        self.sealed
            .range(archived + 1..)
            .map(|(_, bytes)| bytes)
            .sum()
    }

    fn file(&self, segment: u64) -> PathBuf {
        spool_file(&self.folder, segment)
    }

    fn manifest(&self, segment: u64) -> PathBuf {
        sealed_manifest(&self.folder, segment)
    }
}

/// Where the changes of a segment lie; there is no file when it has none.
pub(super) fn spool_file(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:012}.spool"))
}

/// Where the manifest of a sealed segment lies.
pub(super) fn sealed_manifest(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:012}.json"))
}

fn number_of(name: &str) -> Option<u64> {
    let (number, ending) = name.split_once('.')?;
    matches!(ending, "spool" | "json").then_some(())?;
    number.parse().ok()
}

fn frame_of(table: TableId, rows: &RecordBatch) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; FRAME_HEAD];
    frame.extend_from_slice(&table.0.to_le_bytes());
    let mut writer = StreamWriter::try_new(&mut frame, &rows.schema()).map_err(io::Error::other)?;
    writer.write(rows).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    drop(writer);
    let payload = &frame[FRAME_HEAD..];
    let length = u32::try_from(payload.len()).map_err(|_| {
        io::Error::other("a micro-batch of more than 4 GiB in one table: lower its limits")
    })?;
    let checksum = crc32fast::hash(payload);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..FRAME_HEAD].copy_from_slice(&checksum.to_le_bytes());
    Ok(frame)
}

/// All frames of a segment's file, in order.
pub(super) fn frames_of(path: &Path) -> io::Result<Vec<Frame>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let end = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(damaged(path, 0));
    }
    let (mut frames, mut at) = (Vec::new(), MAGIC.len() as u64);
    while at < end {
        let mut head = [0; FRAME_HEAD + 2];
        file.read_exact(&mut head).map_err(|_| damaged(path, at))?;
        let [l0, l1, l2, l3, c0, c1, c2, c3, t0, t1] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let start = at + FRAME_HEAD as u64;
        at = start + u64::from(length);
        if length < 2 || at > end {
            return Err(damaged(path, start));
        }
        frames.push(Frame {
            table: TableId(u16::from_le_bytes([t0, t1])),
            start,
            length,
            checksum: u32::from_le_bytes([c0, c1, c2, c3]),
        });
        file.seek_relative(i64::from(length) - 2)?;
    }
    Ok(frames)
}

/// The changes of one frame.
pub(super) fn read_frame(path: &Path, file: &mut File, frame: &Frame) -> io::Result<RecordBatch> {
    let mut payload = vec![0; frame.length as usize];
    file.seek(SeekFrom::Start(frame.start))?;
    file.read_exact(&mut payload)?;
    let wrong = || damaged(path, frame.start);
    if crc32fast::hash(&payload) != frame.checksum {
        return Err(wrong());
    }
    let mut stream = StreamReader::try_new(&payload[2..], None).map_err(|_| wrong())?;
    let rows = stream.next().ok_or_else(wrong)?;
    rows.map_err(|_| wrong())
}

fn damaged(path: &Path, at: u64) -> io::Error {
    io::Error::other(format!(
        "{} is damaged at byte {at}: its disk has lost what was written; put it back, or {BEGIN_ANEW}",
        path.display()
    ))
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
