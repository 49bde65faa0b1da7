//! What people do: each act is an entry with who and when, and none is ever taken back.

use centinel_model::Timestamp;

use crate::FindingsError;
use crate::groups::Changes;
use crate::history::{DETECTION, What};
use crate::life::Handling;
use crate::row;
use crate::store::Store;
use crate::words;

/// The longest note or reason, in bytes.
pub const LONGEST_TEXT: usize = 8 << 10;
/// The longest name of a person or an owner, in bytes.
pub const LONGEST_NAME: usize = 200;
/// Acts of people on one finding.
pub const MOST_ACTS: u64 = 1_000;

/// What a person does to a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// They know of it.
    Acknowledge {
        /// What they say to it.
        note: Option<String>,
    },
    /// They did what there was to do.
    Resolve {
        /// What that was.
        reason: String,
    },
    /// Nothing is wrong.
    FalseAlarm {
        /// Why the rule says so all the same.
        reason: String,
    },
    /// What was said before does not hold.
    Reopen {
        /// Why.
        reason: String,
    },
    /// Somebody is to answer for it; nobody in particular gives it back to its rule's owner.
    Assign {
        /// Who.
        owner: Option<String>,
    },
    /// Something to remember.
    Note {
        /// The note.
        text: String,
    },
}

impl Act {
    fn what(&self) -> Result<What, FindingsError> {
        Ok(match self {
            Act::Acknowledge { note } => {
                let reason = note
                    .as_deref()
                    .map(|note| text("the note", note))
                    .transpose()?;
                What::Acknowledged { reason }
            }
            Act::Resolve { reason } => What::Resolved {
                reason: text("the reason", reason)?,
            },
            Act::FalseAlarm { reason } => What::FalseAlarm {
                reason: text("the reason", reason)?,
            },
            Act::Reopen { reason } => What::Reopened {
                reason: text("the reason", reason)?,
            },
            Act::Assign { owner } => {
                let owner = owner
                    .as_deref()
                    .map(|owner| name("the owner", owner))
                    .transpose()?;
                What::Assigned { owner }
            }
            Act::Note { text: note } => What::Note {
                text: text("the note", note)?,
            },
        })
    }
}

/// A text as it was given, if it is one.
fn text(what: &str, text: &str) -> Result<String, FindingsError> {
    if text.trim().is_empty() {
        return Err(FindingsError::refused(
            format!("{what} is empty"),
            "say it in some words",
        ));
    }
    if text.len() > LONGEST_TEXT {
        let problem = format!(
            "{what} has {} bytes, and may have {LONGEST_TEXT}",
            text.len()
        );
        return Err(FindingsError::refused(
            problem,
            "say it in fewer, and name the page that says more",
        ));
    }
    Ok(text.to_owned())
}

fn name(what: &str, name: &str) -> Result<String, FindingsError> {
    let right = !name.trim().is_empty()
        && name.len() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    match right {
        true => Ok(name.to_owned()),
        false => Err(FindingsError::refused(
            format!("{what} is no name"),
            format!("write one of at most {LONGEST_NAME} bytes in one line"),
        )),
    }
}

impl Store {
    /// Somebody does something to a finding at `now`. With `seen`, the [last entry](crate::Row::last_entry) that they
    /// looked at, nothing is done where more has happened since. Returns the number of the entry.
    ///
    /// # Errors
    /// [`FindingsError::Refused`] for an unknown finding, a name or a text that is none or too long, or more than
    /// [`MOST_ACTS`] acts; [`FindingsError::Changed`]; and what a store may fail with.
    pub fn act(
        &mut self,
        finding_id: &str,
        act: &Act,
        by: &str,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Result<u64, FindingsError> {
        let by = name("who does it", by)?;
        if by == DETECTION {
            return Err(FindingsError::refused(
                format!("`{DETECTION}` is no person"),
                "act under a name of your own",
            ));
        }
        let what = act.what()?;
        let transaction = self.begin()?;
        let Some(mut stored) = row::stored(&transaction, finding_id)? else {
            return Err(FindingsError::refused(
                format!("there is no finding `{finding_id}`"),
                "write its 32 hexadecimal digits, and take in detection's file first",
            ));
        };
        if seen.is_some_and(|seen| seen != stored.last_entry) {
            return Err(FindingsError::Changed(
                "something happened to the finding meanwhile".into(),
            ));
        }
        if stored.acts >= MOST_ACTS {
            return Err(FindingsError::refused(
                format!("{MOST_ACTS} things were done to this finding already"),
                "keep what follows elsewhere",
            ));
        }
        let mut changes = Changes::default();
        let before = stored.place();
        let standing = &mut stored.standing;
        match &what {
            What::Acknowledged { reason } => {
                standing.handle(Handling::Acknowledged, &by, now.to_string(), reason.clone());
            }
            What::Resolved { reason } => {
                standing.handle(
                    Handling::Resolved,
                    &by,
                    now.to_string(),
                    Some(reason.clone()),
                );
            }
            What::FalseAlarm { reason } => {
                standing.handle(
                    Handling::FalseAlarm,
                    &by,
                    now.to_string(),
                    Some(reason.clone()),
                );
            }
            What::Reopened { .. } => standing.reopen(),
            What::Assigned { owner } => standing.assigned = owner.clone(),
            What::Note { .. } | What::Told { .. } | What::Worse { .. } => {}
        }
        stored.acts += 1;
        let entry = what.write(&transaction, stored.id, &by, now)?;
        stored.last_entry = entry;
        stored.save(&transaction, Some(before), &mut changes)?;
        changes.write(&transaction)?;
        if let What::Note { .. } = what {
            words::write(&transaction, stored.id, stored.newest)?;
        }
        transaction.commit()?;
        Ok(entry)
    }
}
