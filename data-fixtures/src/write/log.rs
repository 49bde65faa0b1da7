//! Change logs as files.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::record::Delivered;
use crate::table::Source;
use crate::write::{CanalWriter, DebeziumWriter, JsonLinesWriter};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

/// How a log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// The project's change log.
    JsonLines,
    /// Debezium's messages.
    Debezium,
    /// Canal's flat messages.
    Canal,
}

/// How a log is spread over files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLayout {
    /// `log.jsonl`: everything in order of arrival.
    Merged,
    /// `changes.jsonl` and `events.jsonl`, each with its own heartbeats.
    Split,
    /// `<source>.jsonl`, one for each source.
    Sources,
}

enum Writer {
    JsonLines(JsonLinesWriter),
    Debezium(DebeziumWriter),
    Canal(CanalWriter),
}

struct LogFile {
    file: File,
    buffer: Vec<u8>,
}

/// The files of one change log.
pub struct LogFiles {
    writer: Writer,
    files: Vec<LogFile>,
    file_of: [usize; Source::ALL.len()],
}

impl LogFiles {
    /// Begins a log in `folder`, which is made if it does not exist. Fails where the file system refuses.
    pub fn create(folder: &Path, form: LogForm, layout: LogLayout) -> std::io::Result<LogFiles> {
        std::fs::create_dir_all(folder)?;
        let (names, file_of): (Vec<&str>, [usize; Source::ALL.len()]) = match layout {
            LogLayout::Merged => (vec!["log"], [0; Source::ALL.len()]),
            LogLayout::Split => {
                let file_of =
                    Source::ALL.map(|source| usize::from(source == Source::BusinessEvents));
                (vec!["changes", "events"], file_of)
            }
            LogLayout::Sources => (
                Source::ALL.map(Source::name).to_vec(),
                Source::ALL.map(|source| source as usize),
            ),
        };
        let open = |name: &&str| {
            let file = File::create(folder.join(format!("{name}.jsonl")))?;
            Ok(LogFile {
                file,
                buffer: Vec::with_capacity(BUFFER + (1 << 14)),
            })
        };
        let files = names
            .iter()
            .map(open)
            .collect::<std::io::Result<Vec<LogFile>>>()?;
        let writer = match form {
            LogForm::JsonLines => Writer::JsonLines(JsonLinesWriter::default()),
            LogForm::Debezium => Writer::Debezium(DebeziumWriter::default()),
            LogForm::Canal => Writer::Canal(CanalWriter::default()),
        };
        Ok(LogFiles {
            writer,
            files,
            file_of,
        })
    }

    /// Takes the next record. Fails where the file system refuses.
    pub fn write(&mut self, delivered: &Delivered) -> std::io::Result<()> {
        let LogFile { file, buffer } = &mut self.files[self.file_of[delivered.source as usize]];
        match &mut self.writer {
            Writer::JsonLines(writer) => writer.write(buffer, delivered),
            Writer::Debezium(writer) => writer.write(buffer, delivered),
            Writer::Canal(writer) => writer.write(buffer, delivered),
        }
        if buffer.len() >= BUFFER {
            file.write_all(buffer)?;
            buffer.clear();
        }
        Ok(())
    }

    /// Writes what was gathered. Fails where the file system refuses.
    pub fn finish(self) -> std::io::Result<()> {
        for mut log in self.files {
            log.file.write_all(&log.buffer)?;
        }
        Ok(())
    }
}
