//! A database's binary log, read as a replica reads it.
//!
//! [`BinlogInput`] connects to MariaDB or MySQL, takes a consistent snapshot of the watched tables, and then reads
//! every transaction by its GTID. Positions are GTIDs alone, never files: another server with the same
//! transactions goes on where the first one stopped. What the log does not tell row by row is a hole.

mod begin;
mod beginning;
mod binding;
mod bounds;
mod builder;
mod bytes;
mod charset;
mod check;
mod document;
mod dump;
mod event;
mod failure;
mod gtid;
mod hole;
mod kind;
mod needs;
mod options;
mod outlet;
mod payload;
mod place;
mod reader;
mod server;
mod snapshot;
mod statement;
mod stream;
mod table_map;
mod tables;
mod transaction;
mod wire;

pub use check::check;
pub(crate) use kind::Kind;
pub(crate) use tables::kind_of;

pub use options::{BinlogOptions, Idle, Password, Timeouts, Tls};

use std::thread::JoinHandle;
use std::time::Duration;

use centinel_catalog::Catalog;
use centinel_model::{Positions, Timestamp};
use tokio::sync::oneshot;

use self::outlet::{Delivery, Inlet};
use self::place::Place;
use self::reader::Reader;
use self::transaction::Assembler;
use crate::{Input, InputError, Reading, Until};

/// How long [`BinlogInput::read`] waits for something to come.
const WAIT: Duration = Duration::from_millis(4);

/// One database as an input: all tables of one source.
pub struct BinlogInput {
    name: String,
    inlet: Inlet,
    /// What is to be read, until reading begins: a server knows its readers by number, and cuts off the one that was
    /// there when another comes with the same.
    waiting: Option<Box<Reader>>,
    /// Gone once the reader is to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    ended: bool,
}

impl BinlogInput {
    /// Is to read the tables of `options.source`, where `positions` say, else from the beginning.
    ///
    /// Connecting comes with [`Input::begin`] and happens behind it: what is wrong with the server is told by
    /// [`Input::read`].
    ///
    /// # Errors
    /// When no table of the catalog is read from this source, or what was read under its name was no database.
    pub fn open(
        catalog: &Catalog,
        options: BinlogOptions,
        positions: &Positions,
        until: Until,
    ) -> Result<BinlogInput, InputError> {
        let refuse = |problem: String, remedy: &str| InputError::Database {
            input: options.source.clone(),
            problem,
            remedy: remedy.to_owned(),
        };
        let Some(source) = catalog.source_id(&options.source) else {
            let problem = format!("no schema is read from the source `{}`", options.source);
            return Err(refuse(
                problem,
                "name the source in the schemas of its tables",
            ));
        };
        let place = match positions.0.get(&options.source) {
            None => None,
            Some(position) => Some(Place::of(position).ok_or_else(|| {
                let problem = "what was read under this name before was no database".to_owned();
                refuse(problem, "give this source another name")
            })?),
        };
        let anchored = place.is_some();
        let name = options.source.clone();
        let mut place = place.unwrap_or_default();
        if anchored && !place.settled {
            place.begin_stretch();
        }
        let (outlet, inlet) = outlet::pair();
        let reader = Reader {
            assembler: Assembler::new(catalog, name.clone(), source, place),
            catalog: catalog.clone(),
            options,
            until,
            outlet,
            source,
            anchored,
            purged: None,
            target: None,
            moved: false,
        };
        Ok(BinlogInput {
            name,
            inlet,
            waiting: Some(Box::new(reader)),
            stop: None,
            thread: None,
            ended: false,
        })
    }

    /// What it does at the moment, for people: connecting, reading, how far a snapshot is, why it waits.
    pub fn state(&self) -> String {
        self.inlet.state()
    }

    fn start(&mut self, reader: Reader) -> Result<(), InputError> {
        let name = &self.name;
        let (stop, stopped) = oneshot::channel();
        let failed = |cause: std::io::Error| InputError::Database {
            input: name.clone(),
            problem: format!("its reader cannot start: {cause}"),
            remedy: "let the process have more threads and open files".to_owned(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name(format!("binlog {name}"))
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = reader.run() => {}
                        _ = stopped => {}
                    }
                });
                // Looking up a name cannot be broken off; nobody waits for it.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        (self.stop, self.thread) = (Some(stop), Some(thread));
        Ok(())
    }
}

impl Input for BinlogInput {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&mut self) -> Result<(), InputError> {
        match self.waiting.take() {
            Some(reader) => self.start(*reader),
            None => Ok(()),
        }
    }

    fn read(&mut self, _now: Timestamp) -> Result<Reading, InputError> {
        self.begin()?;
        if self.ended {
            return Ok(Reading::End);
        }
        match self.inlet.next(WAIT) {
            None => Ok(Reading::Nothing),
            Some(Delivery::Chunk(chunk)) => Ok(Reading::Chunk(chunk)),
            Some(Delivery::End) => {
                self.ended = true;
                Ok(Reading::End)
            }
            Some(Delivery::Failed(error)) => {
                self.ended = true;
                Err(error)
            }
        }
    }
}

impl Drop for BinlogInput {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}
