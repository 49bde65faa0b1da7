//! Connects, reads, and connects again, until nobody wants more.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;

use super::failure::Failure;
use super::gtid::{Flavour, GtidSet};
use super::needs::hindrances;
use super::options::{BinlogOptions, Idle};
use super::outlet::{Outlet, Unwanted};
use super::server::{Facts, Server};
use super::snapshot::{self, TableReader};
use super::tables;
use super::transaction::Assembler;
use crate::{InputError, Until};

/// So many times in a row a doubtful failure may come before it is given up.
const DOUBTFUL_ATTEMPTS: u32 = 5;
/// A connection that lasted so long is no part of a series of failures.
const PROVEN: Duration = Duration::from_secs(60);
/// How long a snapshot may wait for its next row: the first of a table without a key takes a while.
const ROW_WAIT: Duration = Duration::from_secs(900);
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);

/// One database, read on a thread of its own.
pub(super) struct Reader {
    pub(super) options: BinlogOptions,
    pub(super) until: Until,
    pub(super) assembler: Assembler,
    pub(super) outlet: Outlet,
    /// Names of tables of the schemas by which missing ones are told.
    pub(super) catalog: centinel_catalog::Catalog,
    pub(super) source: centinel_model::SourceId,
    /// Whether the place says from which transaction on the log is wanted.
    pub(super) anchored: bool,
    /// What the server said when it had purged what comes next.
    pub(super) purged: Option<String>,
    /// Where reading ends, once it is known.
    pub(super) target: Option<Target>,
    /// Whether a connection gave anything since the last failure.
    pub(super) moved: bool,
}

/// What there was when reading began.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) at: GtidSet,
    /// The server's clock at that moment.
    pub(super) clock: i64,
}

/// Why a session ended.
pub(super) enum Stop {
    /// All that was wanted was read.
    End,
    Unwanted,
    Failed(Failure),
}

impl<T: Into<Failure>> From<T> for Stop {
    fn from(failure: T) -> Stop {
        Stop::Failed(failure.into())
    }
}

impl From<Unwanted> for Stop {
    fn from(Unwanted: Unwanted) -> Stop {
        Stop::Unwanted
    }
}

impl Reader {
    pub(super) async fn run(mut self) {
        let (mut attempts, mut doubts) = (0u32, 0u32);
        loop {
            let began = Instant::now();
            // The libraries below may panic on bytes that no server sends; that is a lost connection.
            let session = AssertUnwindSafe(self.session()).catch_unwind().await;
            let failure = match session {
                Ok(Ok(()) | Err(Stop::End)) => return self.outlet.end(),
                Ok(Err(Stop::Unwanted)) => return,
                Ok(Err(Stop::Failed(failure))) => failure,
                Err(_) if self.assembler.torn => Failure::lasting(
                    "a mistake in Centinel: rows could not be put together",
                    "report it, and start Centinel again",
                ),
                Err(_) => Failure::passing("what the server sent could not be taken apart"),
            };
            self.assembler.rewind();
            // Chunks that were full before it failed are whole.
            if self.send_ready().await.is_err() {
                return;
            }
            if std::mem::take(&mut self.moved) {
                attempts = 0;
                if began.elapsed() >= PROVEN {
                    doubts = 0;
                }
            }
            let problem = match failure {
                Failure::Passing(problem) => problem,
                Failure::Doubtful { problem, remedy } => {
                    doubts += 1;
                    if doubts >= DOUBTFUL_ATTEMPTS {
                        return self.give_up(problem, remedy);
                    }
                    problem
                }
                Failure::Lasting { problem, remedy } => return self.give_up(problem, remedy),
                Failure::Purged(problem) => {
                    self.purged = Some(problem.clone());
                    problem
                }
            };
            let wait = FIRST_BACK_OFF * 2u32.saturating_pow(attempts.min(16));
            let wait = wait.min(self.options.timeouts.back_off);
            attempts += 1;
            self.outlet.says(format!(
                "connecting again in {} ms: {problem}",
                wait.as_millis()
            ));
            tokio::time::sleep(wait).await;
        }
    }

    fn give_up(self, problem: String, remedy: String) {
        self.outlet.says(format!("stopped: {problem}"));
        self.outlet.failed(InputError::Database {
            input: self.options.source.clone(),
            problem,
            remedy,
        });
    }

    /// One connection's life.
    async fn session(&mut self) -> Result<(), Stop> {
        self.outlet.says("connecting");
        let mut server = Server::connect(&self.options).await?;
        let facts = server.facts().await?;
        if let Some(first) = hindrances(&facts, self.options.server_id)
            .into_iter()
            .next()
        {
            return Err(Failure::lasting(first.what, first.remedy).into());
        }
        let has = server.end_of_log(facts.flavour()).await?;
        self.refuse_other(facts.flavour(), &has)?;
        self.assembler.collations = server.collations().await?;
        for table in tables::listed(&mut server, &mut self.assembler.physical).await? {
            self.assembler.saw(&table.database, table.physical.layout);
        }
        if self.until != Until::Stopped && self.target.is_none() {
            self.target = Some(Target {
                clock: facts.clock(),
                at: has,
            });
        }
        self.anchor(&mut server, &facts).await?;
        self.stream(server, facts).await
    }

    /// Positions of another kind of server say nothing here. MariaDB itself refuses positions that it does not
    /// have; MySQL would go on without a word.
    fn refuse_other(&self, flavour: Flavour, has: &GtidSet) -> Result<(), Failure> {
        let read = &self.assembler.place.gtids;
        if !read.fits(flavour) {
            return Err(Failure::lasting(
                "this source was read from MariaDB before and is MySQL now, or the other way round",
                "give the source another name in the schemas and here, or begin with an empty state",
            ));
        }
        if flavour == Flavour::MySql && !has.covers(read) {
            return Err(Failure::lacks_transactions(&format!(
                "it has {has}, and {read} was read"
            )));
        }
        Ok(())
    }

    /// Makes sure that the place says where to go on in the log, by a snapshot where one is due.
    async fn anchor(&mut self, server: &mut Server, facts: &Facts) -> Result<(), Stop> {
        if self.options.snapshot {
            let due = !self.anchored || !self.assembler.place.settled || self.purged.is_some();
            if due {
                self.snapshot(facts).await?;
            }
            return Ok(());
        }
        let place = &mut self.assembler.place;
        if let Some(said) = self.purged.take() {
            let to = server.begin_of_log(facts.flavour(), &place.gtids).await?;
            self.assembler.gap(gap_message(&said, false), to, false)?;
        } else if !self.anchored {
            place.gtids = server.end_of_log(facts.flavour()).await?;
            place.transactions = 1;
            place.clock = facts.clock();
            place.settled = true;
            place.horizon = Some(place.clock);
            self.assembler.builder.start = self.assembler.place.clone();
        }
        self.anchored = true;
        self.send_ready().await
    }

    /// Reads all rows of the watched tables as they stand at one place of the log.
    async fn snapshot(&mut self, facts: &Facts) -> Result<(), Stop> {
        let mut server = Server::connect(&self.options).await?;
        let described = tables::described(&mut server, &mut self.assembler.physical).await?;
        self.refuse_unfit(&described)?;
        let began = snapshot::begin(&mut server, facts).await?;
        if let Some(said) = self.purged.take() {
            self.assembler.place.settled = false;
            self.assembler
                .gap(gap_message(&said, true), began.at.clone(), true)?;
        } else if !self.anchored {
            self.assembler.place.gtids = began.at.clone();
        }
        self.anchored = true;
        let sequence = self.assembler.begin_snapshot(began.at.clone(), began.time);
        // Not before what was read, where the server's clock was put back.
        let time = self.assembler.place.clock;
        let mut rows = 0u64;
        for table in &described {
            let layouts = &self.assembler.layouts;
            let query = snapshot::query(table, &layouts[table.physical.layout]);
            let reader = TableReader::new(table, layouts, sequence, time);
            let mut answer = snapshot::open(&mut server, &query).await?;
            loop {
                let next = tokio::time::timeout(ROW_WAIT, answer.next()).await;
                let late = |_| Failure::passing("the snapshot brings no more rows");
                let Some(row) = next.map_err(late)?.map_err(Failure::from)? else {
                    break;
                };
                reader.row(row, &mut self.assembler)?;
                rows += 1;
                if self.assembler.builder.is_full() {
                    let name = &table.table;
                    self.outlet
                        .says(format!("snapshot: {rows} rows, now of `{name}`"));
                    self.assembler.flush()?;
                    self.send_ready().await?;
                }
            }
        }
        self.assembler.settle_at = began.end(&mut server).await?;
        self.assembler.settle();
        self.assembler.flush()?;
        self.send_ready().await
    }

    /// A snapshot without a table, or of one whose rows cannot be placed, would look like one without rows.
    fn refuse_unfit(&mut self, described: &[tables::WatchedTable]) -> Result<(), Failure> {
        if let Some(table) = tables::missing(&self.catalog, self.source, described).first() {
            let user = &self.options.user;
            return Err(Failure::lasting(
                format!("no table of the server belongs to `{table}` of the schemas"),
                format!(
                    "create it, give its schema a `from` that matches it, or run GRANT SELECT on it to `{user}`"
                ),
            ));
        }
        for table in described {
            let layout = &self.assembler.layouts[table.physical.layout];
            // Any other column is read as lost, as the log is.
            let lost = table.lost(layout);
            let mut lost = lost.iter().filter(|(column, _)| layout.places[*column]);
            if let Some(lost) = lost.next() {
                return Err(Failure::lasting(
                    format!(
                        "{}, and its rows cannot be placed without it",
                        table.drift(layout, lost)
                    ),
                    "bring the schema and the table to the same form",
                ));
            }
            if let Err(refusal) = self.assembler.physical.check(&table.physical) {
                return Err(Failure::lasting(refusal.message, "then start again"));
            }
        }
        Ok(())
    }

    /// Hands over the chunks that are full.
    pub(super) async fn send_ready(&mut self) -> Result<(), Stop> {
        for chunk in self.assembler.take_ready() {
            self.outlet.chunk(chunk).await?;
        }
        Ok(())
    }

    /// What tells that nothing newer was committed, by the server's clock.
    pub(super) fn idle_clock(&self, facts: &Facts) -> Option<i64> {
        match self.options.idle {
            Idle::Server => Some(facts.clock()),
            Idle::Table { .. } => None,
        }
    }
}

fn gap_message(said: &str, snapshot: bool) -> String {
    let what_follows = match snapshot {
        true => "a new snapshot follows, but rows that were deleted meanwhile are not known",
        false => "reading goes on with the oldest log that is left",
    };
    format!(
        "the server purged its log before it was read ({said}); {what_follows}; keep logs longer"
    )
}
