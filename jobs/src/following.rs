//! A file of findings, line by line while it grows.
//!
//! Detection may cut the file back to what it knows of when it starts, and then writes the same bytes again: what was read
//! before stays right.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use centinel_catalog::open_file;

/// Lines longer than this are none of detection's.
const LONGEST_LINE: u64 = 16 << 20;

/// The lines of a file behind some place.
pub struct Following {
    reader: BufReader<File>,
    /// The end of the last whole line.
    offset: u64,
    /// A line whose end has not come yet.
    partial: Vec<u8>,
}

impl Following {
    /// Opens a file behind this byte, which ends a line.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, offset: u64) -> io::Result<Following> {
        let mut file = open_file(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Following {
            reader: BufReader::with_capacity(64 << 10, file),
            offset,
            partial: Vec::new(),
        })
    }

    /// The end of the last line that was given out.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next whole line with its end, if it has come.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is longer than any of detection's.
    pub fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let room = LONGEST_LINE.saturating_sub(self.partial.len() as u64);
        let mut limited = (&mut self.reader).take(room);
        limited.read_until(b'\n', &mut self.partial)?;
        if self.partial.last() != Some(&b'\n') {
            return match (self.partial.len() as u64) < LONGEST_LINE {
                true => Ok(None),
                false => Err(io::Error::other("a line is longer than any of detection's")),
            };
        }
        self.offset += self.partial.len() as u64;
        Ok(Some(std::mem::take(&mut self.partial)))
    }
}
