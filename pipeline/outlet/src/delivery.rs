//! Messages of detection → the world, after they are durable in state.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// A message's number and its text: one JSON object, without a line end.
pub type Message = (u64, Vec<u8>);

/// Where messages go. Delivery is at least once, in order; a receiver tells repetitions apart by what the
/// messages carry (finding id and sequence, hole number).
pub trait Outlet: Send {
    /// Under which state keeps how far this outlet was written; none for one that is never resumed.
    fn name(&self) -> Option<&str>;
    /// Called once before anything is delivered. `length` is what [`Outlet::deliver`] returned last, as far
    /// as state knows, none when it never wrote here; an outlet that can forgets what came after, so that
    /// nothing is there twice.
    fn resume(&mut self, length: Option<u64>) -> io::Result<()>;
    /// Delivers messages durably, and returns the length reached.
    fn deliver(&mut self, messages: &[Message]) -> io::Result<u64>;
}

/// A file of JSON Lines. It is cut back to its committed length when detection starts again, so each message
/// stands in it once.
#[derive(Debug)]
pub struct LineFile {
    file: File,
    name: String,
    length: u64,
}

impl LineFile {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> io::Result<LineFile> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        let name = std::fs::canonicalize(path)?.display().to_string();
        let length = 0;
        Ok(LineFile { file, name, length })
    }
}

impl Outlet for LineFile {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn resume(&mut self, length: Option<u64>) -> io::Result<()> {
        let present = self.file.metadata()?.len();
        if length.is_none() && present > 0 {
            return Err(io::Error::other(format!(
                "{} is not empty and was not written from this state: name a new file",
                self.name
            )));
        }
        let length = length.unwrap_or(0);
        if present < length {
            return Err(io::Error::other(format!(
                "{} has {present} bytes, and {length} were written to it: put it back, or name a new file",
                self.name
            )));
        }
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.length = length;
        Ok(())
    }

    fn deliver(&mut self, messages: &[Message]) -> io::Result<u64> {
        if messages.is_empty() {
            return Ok(self.length);
        }
        let lines = lines_of(messages);
        self.file.write_all(&lines)?;
        self.file.sync_data()?;
        self.length += lines.len() as u64;
        Ok(self.length)
    }
}

/// Any writer, such as a pipe; what was told once cannot be taken back.
pub struct LineWriter<W>(pub W);

impl<W: Write + Send> Outlet for LineWriter<W> {
    fn name(&self) -> Option<&str> {
        None
    }

    fn resume(&mut self, _length: Option<u64>) -> io::Result<()> {
        Ok(())
    }

    fn deliver(&mut self, messages: &[Message]) -> io::Result<u64> {
        self.0.write_all(&lines_of(messages))?;
        self.0.flush()?;
        Ok(0)
    }
}

fn lines_of(messages: &[Message]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(messages.iter().map(|(_, text)| text.len() + 1).sum());
    for (_, text) in messages {
        lines.extend_from_slice(text);
        lines.push(b'\n');
    }
    lines
}
