use std::path::PathBuf;

use centinel_catalog::Catalog;
use centinel_model::{Position, Timestamp};

use crate::{Backlog, Decoder, FileInput, Input, InputError, ReadLimits, Reading, Until};

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// The name under which its position is kept.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A change log in the project's own form, as an input.
#[derive(Debug)]
pub struct LogFile {
    file: FileInput,
    name: String,
    decoder: Decoder,
    until: Until,
}

impl LogFile {
    /// Opens the file from its start or from where it was left.
    ///
    /// # Errors
    /// As [`FileInput::open`].
    pub fn open(
        catalog: &Catalog,
        file: &InputFile,
        resume: Option<&Position>,
        until: Until,
    ) -> Result<LogFile, InputError> {
        Ok(LogFile {
            file: FileInput::open(&file.path, &file.name, resume, ReadLimits::default())?,
            name: file.name.clone(),
            decoder: Decoder::new(catalog),
            until,
        })
    }
}

impl Input for LogFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, now: Timestamp) -> Result<Reading, InputError> {
        let Some(chunk) = self.file.next_chunk(self.until == Until::End)? else {
            return Ok(match self.until {
                Until::Stopped => Reading::Nothing,
                Until::Now | Until::End => Reading::End,
            });
        };
        let decoded = self.decoder.decode(chunk, now);
        decoded
            .map(|chunk| Reading::Chunk(Box::new(chunk)))
            .map_err(|error| InputError::Refused {
                input: self.name.clone(),
                what: format!("its columns cannot be put together: {error}"),
                remedy: "lower the limits of a micro-batch".into(),
            })
    }

    fn backlog(&self) -> Option<Backlog> {
        self.file.backlog()
    }
}
