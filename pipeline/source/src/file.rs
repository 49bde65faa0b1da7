//! Files of lines, read in chunks that end where a line ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use centinel_model::Position;
use sha2::{Digest, Sha256};

use crate::hole::KEPT_BYTES;
use crate::{Backlog, Unit};

/// Whole lines of one input, not yet decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawChunk {
    /// Name of the input.
    pub input: String,
    /// SHA-256 of the input's first line, in hexadecimal.
    pub first_line: String,
    /// Bytes from the start of the input to the chunk's first byte, which begins a line.
    pub offset: u64,
    /// The lines with their line ends.
    pub bytes: Vec<u8>,
    /// Set when the chunk is the beginning of one line above the limit: how many bytes that line
    /// has in all, its line end included.
    pub oversized: Option<u64>,
}

/// How much is held in memory at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// About how many bytes of lines one chunk has.
    pub chunk_bytes: usize,
    /// A line of more bytes than this is a hole.
    pub max_line_bytes: usize,
}

impl Default for ReadLimits {
    fn default() -> ReadLimits {
        ReadLimits {
            chunk_bytes: 4 << 20,
            max_line_bytes: 16 << 20,
        }
    }
}

/// Why an input cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The operating system refused.
    #[error("cannot read `{path}`: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file is shorter than what was read of it.
    #[error(
        "`{path}` has {length} bytes, but {offset} were read of it before: it was truncated or replaced; \
         put the old file back, or give the new one under a name of its own"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that it has.
        length: u64,
        /// Bytes that were read.
        offset: u64,
    },
    /// The file begins with another line than it did.
    #[error(
        "`{path}` no longer begins with the line it began with: it was replaced; \
         put the old file back, or give the new one under a name of its own"
    )]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// What was read under this name before was not a file.
    #[error("`{path}` is named as an input that was not a file before; give it a name of its own")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// What an input needs is not there or not as it must be, and waiting would not mend it.
    #[error("`{input}`: {what}; {remedy}")]
    Refused {
        /// The input.
        input: String,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The position does not stand at the start of a line.
    #[error(
        "byte {offset} of `{path}` is not the start of a line: the file was changed after it was read; \
         put the old file back, or give the new one under a name of its own"
    )]
    NotAtLineStart {
        /// The file.
        path: PathBuf,
        /// The position.
        offset: u64,
    },
    /// A database cannot be read, and waiting does not mend it.
    #[error("cannot read the database `{input}`: {problem}; {remedy}")]
    Database {
        /// The input.
        input: String,
        /// What is wrong.
        problem: String,
        /// What mends it.
        remedy: String,
    },
}

/// A file of lines that is read from a position on, while it may still grow.
#[derive(Debug)]
pub struct FileInput {
    path: PathBuf,
    name: String,
    limits: ReadLimits,
    reader: BufReader<File>,
    /// Everything before this was given out.
    offset: u64,
    /// Of the first line, once it was seen whole.
    first_line: Option<String>,
    /// Whether what was given out last had no line end.
    unended: bool,
    /// Bytes behind `offset` that do not make a whole line yet.
    rest: Vec<u8>,
    /// Whether the last look found nothing behind `offset`.
    at_end: bool,
}

impl FileInput {
    /// Opens a file under a name, to be read from its start or from where it was left.
    ///
    /// # Errors
    /// When it cannot be read, or is not the file that was read before.
    pub fn open(
        path: &Path,
        name: &str,
        resume: Option<&Position>,
        limits: ReadLimits,
    ) -> Result<FileInput, InputError> {
        let unreadable = |cause| InputError::Unreadable {
            path: path.to_owned(),
            cause,
        };
        // Opening a pipe would wait for its other end, and it cannot be read again after a crash.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            let cause = io::Error::other(
                "it is not a regular file; write what it gives to a file and read that",
            );
            return Err(unreadable(cause));
        }
        let file = File::open(path).map_err(unreadable)?;
        let found = first_line_of(&file).map_err(unreadable)?;
        let (offset, expected) = match resume {
            Some(Position::File { offset, first_line }) => (*offset, first_line.as_str()),
            Some(_) => {
                return Err(InputError::NotAFile {
                    path: path.to_owned(),
                });
            }
            None => (0, ""),
        };
        let mut input = FileInput {
            path: path.to_owned(),
            name: name.to_owned(),
            limits,
            reader: BufReader::with_capacity(READ_BYTES, file),
            offset,
            first_line: (found.whole || offset > 0).then(|| found.hash.clone()),
            unended: false,
            rest: Vec::new(),
            at_end: false,
        };
        let length = input.check_length(input.reader.get_ref())?;
        if !expected.is_empty() && found.hash != expected {
            return Err(InputError::Replaced {
                path: path.to_owned(),
            });
        }
        input.seek_to_line_start(length)?;
        Ok(input)
    }

    /// The next lines, or `None` when there are no whole ones now. With `until_end` the file is taken
    /// to be complete, so that a last line without line end is read too.
    ///
    /// # Errors
    /// When the file cannot be read, or was truncated or replaced meanwhile.
    pub fn next_chunk(&mut self, until_end: bool) -> Result<Option<RawChunk>, InputError> {
        self.at_end = false;
        self.fill()?;
        self.pass_late_line_end();
        // Before anything is given out: what was just read may be of another file.
        let found = self.verify()?;
        let end = match memchr::memrchr(b'\n', &self.rest) {
            Some(newline) => newline + 1,
            None if self.rest.len() > self.limits.max_line_bytes => {
                return self.oversized(until_end, found);
            }
            None if until_end => self.rest.len(),
            None => 0,
        };
        if end == 0 {
            self.at_end = self.rest.is_empty() && found.length == self.offset;
            self.follow(found)?;
            return Ok(None);
        }
        let rest = self.rest.split_off(end);
        let bytes = std::mem::replace(&mut self.rest, rest);
        Ok(Some(self.give_out(bytes, None, found)))
    }

    /// Whether [`FileInput::next_chunk`] has just found that everything was given out: the file ends there, and not
    /// within a line.
    pub fn at_end(&self) -> bool {
        self.at_end
    }

    /// Bytes from the start of the file to the next chunk.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the next chunk starts.
    pub fn position(&self) -> Position {
        Position::File {
            offset: self.offset,
            first_line: self.first_line.clone().unwrap_or_default(),
        }
    }

    /// Bytes read and left, as far as the file goes now.
    pub fn backlog(&self) -> Option<Backlog> {
        let length = std::fs::metadata(&self.path).ok()?.len();
        Some(Backlog {
            read: self.offset,
            left: length.saturating_sub(self.offset),
            unit: Unit::Bytes,
        })
    }

    /// Reads on until a chunk is full, a line end was seen, or the line is above the limit.
    fn fill(&mut self) -> Result<(), InputError> {
        let mut wanted = self.limits.chunk_bytes.min(self.limits.max_line_bytes + 1);
        loop {
            let missing = wanted.saturating_sub(self.rest.len()) as u64;
            let read = (&mut self.reader).take(missing).read_to_end(&mut self.rest);
            let read = read.map_err(|cause| self.unreadable(cause))?;
            let newline = memchr::memrchr(b'\n', &self.rest[self.rest.len() - read..]).is_some();
            let full = self.rest.len() > self.limits.max_line_bytes;
            if newline || full || (read as u64) < missing {
                return Ok(());
            }
            wanted = (wanted * 2).min(self.limits.max_line_bytes + 1);
        }
    }

    /// The last line was read without its line end, which may have come since.
    fn pass_late_line_end(&mut self) {
        if self.unended && self.rest.first() == Some(&b'\n') {
            self.rest.remove(0);
            self.offset += 1;
            self.unended = false;
        }
    }

    /// Passes over a line above the limit without holding it. Until its end was written nothing is
    /// given out, and the next call starts over.
    fn oversized(&mut self, until_end: bool, found: Found) -> Result<Option<RawChunk>, InputError> {
        let mut total = self.rest.len() as u64;
        loop {
            let buffer = self.reader.fill_buf();
            let buffer = buffer.map_err(|cause| InputError::Unreadable {
                path: self.path.clone(),
                cause,
            })?;
            let newline = memchr::memchr(b'\n', buffer);
            let step = newline.map_or(buffer.len(), |newline| newline + 1);
            let ended = step == 0;
            self.reader.consume(step);
            total += step as u64;
            if newline.is_some() || (ended && until_end) {
                break;
            }
            if ended {
                let back = self.offset + self.rest.len() as u64;
                let sought = self.reader.seek(SeekFrom::Start(back));
                sought.map_err(|cause| self.unreadable(cause))?;
                return Ok(None);
            }
        }
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.truncate(KEPT_BYTES);
        bytes.shrink_to_fit();
        Ok(Some(self.give_out(bytes, Some(total), found)))
    }

    fn give_out(&mut self, bytes: Vec<u8>, oversized: Option<u64>, found: Found) -> RawChunk {
        let first_line = self.first_line.get_or_insert(found.first_line.hash).clone();
        let offset = self.offset;
        self.offset += oversized.unwrap_or(bytes.len() as u64);
        self.unended = oversized.is_none() && bytes.last() != Some(&b'\n');
        RawChunk {
            input: self.name.clone(),
            first_line,
            offset,
            bytes,
            oversized,
        }
    }
}

/// What the beginning of a file and its length tell about which file it is.
impl FileInput {
    fn unreadable(&self, cause: io::Error) -> InputError {
        InputError::Unreadable {
            path: self.path.clone(),
            cause,
        }
    }

    fn check_length(&self, file: &File) -> Result<u64, InputError> {
        let length = file
            .metadata()
            .map_err(|cause| self.unreadable(cause))?
            .len();
        if length < self.offset {
            return Err(InputError::Truncated {
                path: self.path.clone(),
                length,
                offset: self.offset,
            });
        }
        Ok(length)
    }

    /// What stands under the path now, if it still is the file that was read so far.
    fn verify(&self) -> Result<Found, InputError> {
        let file = File::open(&self.path).map_err(|cause| self.unreadable(cause))?;
        let length = self.check_length(&file)?;
        let first_line = first_line_of(&file).map_err(|cause| self.unreadable(cause))?;
        if self
            .first_line
            .as_ref()
            .is_some_and(|expected| *expected != first_line.hash)
        {
            return Err(InputError::Replaced {
                path: self.path.clone(),
            });
        }
        Ok(Found {
            file,
            length,
            first_line,
        })
    }

    /// Everything was read. If there is more under the path, it grew, or a longer copy of it was put in
    /// its place: either way, read on in what stands there now.
    fn follow(&mut self, found: Found) -> Result<(), InputError> {
        if found.length != self.offset + self.rest.len() as u64 {
            self.reader = BufReader::with_capacity(READ_BYTES, found.file);
            self.rest.clear();
            self.seek_to_line_start(found.length)?;
        }
        Ok(())
    }

    fn seek_to_line_start(&mut self, length: u64) -> Result<(), InputError> {
        let before = self.offset.saturating_sub(1);
        self.reader
            .seek(SeekFrom::Start(before))
            .map_err(|cause| self.unreadable(cause))?;
        if self.offset == 0 {
            return Ok(());
        }
        let mut around = Vec::new();
        let read = (&mut self.reader).take(2).read_to_end(&mut around);
        read.map_err(|cause| self.unreadable(cause))?;
        match around[..] {
            [b'\n', ..] => {}
            [_, b'\n'] => self.unended = true,
            _ if self.offset == length => self.unended = true,
            _ => {
                return Err(InputError::NotAtLineStart {
                    path: self.path.clone(),
                    offset: self.offset,
                });
            }
        }
        self.reader
            .seek(SeekFrom::Start(self.offset))
            .map_err(|cause| self.unreadable(cause))?;
        Ok(())
    }
}

/// How much is asked of the operating system at once.
const READ_BYTES: usize = 1 << 20;

/// What stands under an input's path.
struct Found {
    file: File,
    length: u64,
    first_line: FirstLine,
}

struct FirstLine {
    hash: String,
    /// Whether its end was seen, or it is too long to look for it.
    whole: bool,
}

fn first_line_of(mut file: &File) -> io::Result<FirstLine> {
    file.seek(SeekFrom::Start(0))?;
    let mut line = Vec::new();
    BufReader::new(file)
        .take(KEPT_BYTES as u64)
        .read_until(b'\n', &mut line)?;
    let whole = line.last() == Some(&b'\n') || line.len() == KEPT_BYTES;
    Ok(FirstLine {
        hash: hash_of(&line),
        whole,
    })
}

/// SHA-256 of the first line without its line end; of a long one, of its first MiB.
fn hash_of(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Sha256::digest(line)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
