//! Messages of detection → the store: each once, whatever is repeated or cut off.

use centinel_model::{Finding, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::FindingsError;
use crate::follow::{Mark, fingerprint};
use crate::groups::Changes;
use crate::history::{self, DETECTION, What};
use crate::life::{Follows, Standing, Told};
use crate::lines::{self, Kept, LineKind};
use crate::message::{Message, read};
use crate::row::{self, Stored};
use crate::store::Store;
use crate::words;

/// Whole lines of detection's file, as they follow what was taken in before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which of detection's files, counted from 1: there is another one where detection began with a new state.
    pub generation: u64,
    /// The byte at which it begins.
    pub from: u64,
    /// The lines without their ends.
    pub lines: Vec<Vec<u8>>,
}

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Lines that were looked at.
    pub lines: u64,
    /// Messages on findings that are new here.
    pub told: u64,
    /// Findings that were not known before.
    pub findings: u64,
    /// Messages that were here already.
    pub repeated: u64,
    /// Lines that are none of detection's messages, or contradict an earlier one: kept, and in no figure.
    pub unread: u64,
}

impl Taken {
    /// Both together.
    pub fn plus(self, other: Taken) -> Taken {
        Taken {
            lines: self.lines + other.lines,
            told: self.told + other.told,
            findings: self.findings + other.findings,
            repeated: self.repeated + other.repeated,
            unread: self.unread + other.unread,
        }
    }
}

struct Taking<'a> {
    transaction: &'a Transaction<'a>,
    generation: u64,
    now: Timestamp,
    changes: Changes,
    taken: Taken,
}

impl Store {
    /// How far detection's file was taken in.
    pub fn mark(&self) -> Result<Mark, FindingsError> {
        mark(&self.connection)
    }

    /// Takes in a stretch and moves the mark behind it, both or neither.
    ///
    /// # Errors
    /// [`FindingsError::Changed`] where it does not begin at the mark: somebody else took in the file meanwhile.
    pub fn take_in(&mut self, stretch: &Stretch, now: Timestamp) -> Result<Taken, FindingsError> {
        let transaction = self.begin()?;
        let mut mark = mark(&transaction)?;
        if (mark.generation, mark.position) != (stretch.generation, stretch.from) {
            return Err(FindingsError::Changed(
                "detection's file was taken in by somebody else meanwhile".into(),
            ));
        }
        let mut taking = Taking {
            transaction: &transaction,
            generation: mark.generation,
            now,
            changes: Changes::default(),
            taken: Taken::default(),
        };
        for line in &stretch.lines {
            taking.line(mark.position, line)?;
            if mark.position == 0 {
                mark.first_line = fingerprint(line);
            }
            mark.last_line_at = mark.position;
            mark.position += line.len() as u64 + 1;
            mark.lines += 1;
        }
        if let Some(last) = stretch.lines.last() {
            mark.last_line = fingerprint(last);
        }
        let Taking { changes, taken, .. } = taking;
        changes.write(&transaction)?;
        put_mark(&transaction, &mark)?;
        transaction.commit()?;
        Ok(taken)
    }

    /// Somebody says that detection began with a new state, and with it a new file: that is taken in from its beginning.
    /// What was told before stays; what the new state tells is newer than all of it.
    pub fn begin_anew(&mut self, by: &str, now: Timestamp) -> Result<(), FindingsError> {
        let transaction = self.begin()?;
        let before = mark(&transaction)?;
        let body = serde_json::json!({ "by": by, "lines_before": before.lines, "position_before": before.position });
        let name = (LineKind::Anew, before.generation, "anew");
        lines::keep(&transaction, name, None, body.to_string().as_bytes(), now)?;
        put_mark(
            &transaction,
            &Mark {
                generation: before.generation + 1,
                ..Mark::default()
            },
        )?;
        Ok(transaction.commit()?)
    }
}

fn mark(connection: &rusqlite::Connection) -> Result<Mark, FindingsError> {
    let mut select = connection.prepare_cached(
        "SELECT generation, position, lines, first_line, last_line_at, last_line FROM stream WHERE id = 1",
    )?;
    let mark = select.query_row([], |row| {
        Ok(Mark {
            generation: row.get(0)?,
            position: row.get(1)?,
            lines: row.get(2)?,
            first_line: row.get(3)?,
            last_line_at: row.get(4)?,
            last_line: row.get(5)?,
        })
    });
    mark.optional()?
        .ok_or_else(|| FindingsError::damaged("it does not say how far it is"))
}

fn put_mark(transaction: &Transaction<'_>, mark: &Mark) -> Result<(), FindingsError> {
    transaction
        .prepare_cached(
            "UPDATE stream SET generation = ?1, position = ?2, lines = ?3, first_line = ?4, last_line_at = ?5,
               last_line = ?6",
        )?
        .execute(params![
            mark.generation,
            mark.position,
            mark.lines,
            mark.first_line,
            mark.last_line_at,
            mark.last_line
        ])?;
    Ok(())
}

impl Taking<'_> {
    fn line(&mut self, at: u64, line: &[u8]) -> Result<(), FindingsError> {
        self.taken.lines += 1;
        let Ok(text) = std::str::from_utf8(line) else {
            return self.unread(at, line, "it is not UTF-8");
        };
        let place = at.to_string();
        let (kind, name) = match read(text) {
            Err(reason) => return self.unread(at, line, &reason),
            Ok(Message::Finding { finding, told }) => {
                return self.finding(at, text, &finding, &told);
            }
            Ok(Message::Hole(number)) => (LineKind::Hole, number.to_string()),
            Ok(Message::Settled(number)) => (LineKind::Settled, number.to_string()),
            Ok(Message::Note(name)) => (LineKind::Note, name),
            Ok(Message::Plan(name)) => (LineKind::Plan, name),
            Ok(Message::PassedOver) => return Ok(()),
            // The same may be said of a source again and again: its place in the file tells which one it is.
            Ok(Message::Source(source)) => {
                let kept = self.keep(at, LineKind::Source, &place, line)?;
                return match kept {
                    Kept::New => lines::of_source(self.transaction, &source),
                    Kept::Repeated | Kept::Contradicts => Ok(()),
                };
            }
        };
        self.keep(at, kind, &name, line).map(drop)
    }

    fn keep(
        &mut self,
        at: u64,
        kind: LineKind,
        name: &str,
        line: &[u8],
    ) -> Result<Kept, FindingsError> {
        let kept = lines::keep(
            self.transaction,
            (kind, self.generation, name),
            None,
            line,
            self.now,
        )?;
        match kept {
            Kept::New => {}
            Kept::Repeated => self.taken.repeated += 1,
            Kept::Contradicts => self.unread(
                at,
                line,
                "an earlier line of the same name says something else",
            )?,
        }
        Ok(kept)
    }

    fn unread(&mut self, at: u64, line: &[u8], reason: &str) -> Result<(), FindingsError> {
        let name = (LineKind::Unread, self.generation, &*at.to_string());
        lines::keep(self.transaction, name, Some(reason), line, self.now)?;
        self.taken.unread += 1;
        Ok(())
    }

    fn finding(
        &mut self,
        at: u64,
        text: &str,
        finding: &Finding,
        told: &Told,
    ) -> Result<(), FindingsError> {
        let name = (self.generation, finding.sequence);
        let Some(mut stored) = row::stored(self.transaction, &finding.finding_id.0)? else {
            return self.first(name, text, finding, told);
        };
        let known: Option<bool> = self
            .transaction
            .prepare_cached(
                "SELECT body = ?4 FROM entries WHERE finding = ?1 AND generation = ?2 AND sequence = ?3
                 AND sequence IS NOT NULL",
            )?
            .query_row(params![stored.id, name.0, name.1, text], |row| row.get(0))
            .optional()?;
        match known {
            Some(true) => {
                self.taken.repeated += 1;
                return Ok(());
            }
            Some(false) => {
                return self.unread(
                    at,
                    text.as_bytes(),
                    "an earlier message of the same finding and sequence says something else",
                );
            }
            None => {}
        }
        let before = stored.place();
        let entry = history::told(self.transaction, stored.id, name, text, self.now)?;
        self.taken.told += 1;
        stored.last_entry = entry;
        stored.told = match stored.generation == name.0 {
            true => stored.told + 1,
            false => 1,
        };
        if name > (stored.generation, stored.sequence) {
            (stored.generation, stored.sequence) = name;
            stored.newest = entry;
            stored.severity = finding.severity;
            stored.rule_owner.clone_from(&finding.owner);
            stored.rule.clone_from(&finding.rule);
            stored.entity_key.clone_from(&finding.entity_key);
            let follows = stored.standing.take_in(told).map(|follows| match follows {
                Follows::Reopened(reason) => What::Reopened { reason },
                Follows::Worse(reason) => What::Worse { reason },
            });
            if let Some(what) = follows {
                stored.last_entry = what.write(self.transaction, stored.id, DETECTION, self.now)?;
            }
            let notes = match stored.acts {
                0 => Vec::new(),
                _ => history::notes(self.transaction, stored.id, words::MOST_OF_NOTES)?,
            };
            words::put(self.transaction, stored.id, finding, &notes)?;
        }
        stored.save(self.transaction, Some(before), &mut self.changes)
    }

    fn first(
        &mut self,
        name: (u64, u64),
        text: &str,
        finding: &Finding,
        told: &Told,
    ) -> Result<(), FindingsError> {
        let id: i64 = self
            .transaction
            .prepare_cached("SELECT ifnull(max(id), 0) + 1 FROM findings")?
            .query_row([], |row| row.get(0))?;
        let entry = history::told(self.transaction, id, name, text, self.now)?;
        let mut stored = Stored {
            id,
            group: 0,
            rule: finding.rule.clone(),
            severity: finding.severity,
            rule_owner: finding.owner.clone(),
            standing: Standing::new(told),
            finding_id: finding.finding_id.0.clone(),
            entity_key: finding.entity_key.clone(),
            generation: name.0,
            sequence: name.1,
            told: 1,
            acts: 0,
            newest: entry,
            last_entry: entry,
        };
        self.taken.told += 1;
        self.taken.findings += 1;
        words::put(self.transaction, id, finding, &[])?;
        stored.save(self.transaction, None, &mut self.changes)
    }
}
