use std::io;
use std::path::PathBuf;

use centinel_catalog::Catalog;
use centinel_model::{DecodedChunk, Duration, Position, SourceId, Timestamp};

use crate::{Backlog, Decoder, FileInput, Input, InputError, ReadLimits, Reading, Until};

/// How often a file of plans says how far it was read.
const TOLD_EVERY: Duration = Duration::seconds(1);
/// What a file of plans says of its end is so much older than the look at it: clocks of those who announce differ.
const MARGIN: Duration = Duration::seconds(2);

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// The name under which its position is kept.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The sources that are known to stand in it. Of one that announces plans, the end of the file says how far it was
    /// read.
    pub sources: Vec<String>,
}

/// A change log in the project's own form, as an input.
///
/// A plan is announced before it is carried out, and its announcement is durable before anybody is told so. Where a
/// file of plans was read to its end, everything that was announced before that look was read: its end is progress, as
/// the ends of a topic are. Of other files it is none: what writes them may be late.
#[derive(Debug)]
pub struct LogFile {
    options: InputFile,
    decoder: Decoder,
    until: Until,
    /// None where it is a file of plans that is not there.
    file: Option<FileInput>,
    /// Where it is to be read on once it is there.
    resume: Option<Position>,
    /// The sources that announce plans in it.
    plans: Vec<SourceId>,
    /// The progress that was told last.
    told: Option<Timestamp>,
}

impl LogFile {
    /// Opens the file from its start or from where it was left. A file of plans that is followed may come later.
    ///
    /// # Errors
    /// As [`FileInput::open`].
    pub fn open(
        catalog: &Catalog,
        options: &InputFile,
        resume: Option<&Position>,
        until: Until,
    ) -> Result<LogFile, InputError> {
        let sources = options.sources.iter();
        let plans = sources
            .filter_map(|name| catalog.source_id(name))
            .filter(|source| catalog.announces_plans(*source));
        let mut log = LogFile {
            options: options.clone(),
            decoder: Decoder::new(catalog),
            until,
            file: None,
            resume: resume.cloned(),
            plans: plans.collect(),
            told: None,
        };
        log.look_for_it()?;
        Ok(log)
    }

    /// Opens the file where it is not open, unless it may be missing and is.
    fn look_for_it(&mut self) -> Result<(), InputError> {
        if self.file.is_some() {
            return Ok(());
        }
        let InputFile { name, path, .. } = &self.options;
        let opened = FileInput::open(path, name, self.resume.as_ref(), ReadLimits::default());
        self.file = self.unless_missing(opened)?;
        Ok(())
    }

    /// A file of plans that goes missing takes nothing else with it: its source stands still, which is told, and what
    /// depends on it waits.
    fn unless_missing<T>(&self, result: Result<T, InputError>) -> Result<Option<T>, InputError> {
        let may_be_missing = !self.plans.is_empty() && self.until == Until::Stopped;
        match result {
            Err(InputError::Unreadable { cause, .. })
                if may_be_missing && cause.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// The progress of the plans in it, as a chunk without lines, where its end was just seen.
    fn progress_at_end(&mut self, now: Timestamp) -> Option<DecodedChunk> {
        let file = self.file.as_ref().filter(|file| file.at_end())?;
        let to = Timestamp(now.0.saturating_sub(MARGIN.0));
        let is_news = match self.told {
            None => true,
            // What is read to its end has one.
            Some(told) => self.until == Until::Stopped && to.since(told) >= TOLD_EVERY,
        };
        if self.plans.is_empty() || !is_news {
            return None;
        }
        self.told = Some(to);
        let (name, position) = (self.options.name.clone(), file.position());
        let mut chunk = DecodedChunk::new(name, position.clone(), file.offset(), position);
        chunk.progress = self.plans.iter().map(|source| (*source, to)).collect();
        Some(chunk)
    }
}

impl Input for LogFile {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn read(&mut self, now: Timestamp) -> Result<Reading, InputError> {
        self.look_for_it()?;
        let Some(file) = &mut self.file else {
            return Ok(Reading::Nothing);
        };
        let position = file.position();
        let read = file.next_chunk(self.until == Until::End);
        let Some(chunk) = self.unless_missing(read)? else {
            (self.file, self.resume) = (None, Some(position));
            return Ok(Reading::Nothing);
        };
        let Some(chunk) = chunk else {
            return Ok(match (self.progress_at_end(now), self.until) {
                (Some(progress), _) => Reading::Chunk(Box::new(progress)),
                (None, Until::Stopped) => Reading::Nothing,
                (None, Until::Now | Until::End) => Reading::End,
            });
        };
        let decoded = self.decoder.decode(chunk, now);
        decoded
            .map(|chunk| Reading::Chunk(Box::new(chunk)))
            .map_err(|error| InputError::Refused {
                input: self.options.name.clone(),
                what: format!("its columns cannot be put together: {error}"),
                remedy: "lower the limits of a micro-batch".into(),
            })
    }

    fn backlog(&self) -> Option<Backlog> {
        self.file.as_ref()?.backlog()
    }
}
