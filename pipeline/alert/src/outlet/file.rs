//! A file of JSON Lines, one message each. It may hold one twice, with the same id.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use centinel_model::Timestamp;
use futures::future::BoxFuture;

use super::{Outlet, json};
use crate::dispatch::Outcome;
use crate::message::Message;

/// A file that lines are added to; it may be moved away meanwhile.
pub struct LinesFile {
    pub(crate) path: PathBuf,
}

impl Outlet for LinesFile {
    fn send<'a>(&'a self, message: &'a Message, _: Timestamp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let line = match json(message) {
                Ok(line) => line + "\n",
                Err(outcome) => return outcome,
            };
            let path = self.path.clone();
            let added = tokio::task::spawn_blocking(move || add(&path, &line)).await;
            let added = added.unwrap_or_else(|error| Err(io::Error::other(error)));
            match added {
                Ok(()) => Outcome::Delivered,
                Err(error) => Outcome::Later {
                    why: format!("{}: {error}", self.path.display()),
                    after: None,
                },
            }
        })
    }
}

fn add(path: &Path, line: &str) -> io::Result<()> {
    // Opening a pipe would wait for its reader.
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        return Err(io::Error::other("it is no file: name one"));
    }
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let mut text = String::new();
    // A line that was cut off by a crash is ended, so that the next one is whole.
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(line);
    file.write_all(text.as_bytes())?;
    file.sync_data()
}
