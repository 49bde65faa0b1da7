//! The audit log: everything that anyone did, each entry chained to the one before by its hash.
//!
//! An entry's body is JSON (`at`, `by`, `act`, `about`, `changes`), its hash the SHA-256 of the hash before (64
//! hexadecimal digits; zeros before the first), the sequence in decimal, and the body, each ended by `\n`. Nothing that was
//! written can be changed, left out or put in later without all hashes behind it changing too. That the *end* was cut off no
//! log can say by itself: note its head elsewhere (`verify` prints it) and give it to the next verification.

use std::collections::BTreeMap;

use centinel_breaker::Change;
use centinel_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::store::{Record, Store, StoreError};

/// One entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Counts from 1 without a gap.
    pub sequence: u64,
    /// What happened, JSON.
    pub body: String,
    /// Chains it to all before, 64 hexadecimal digits.
    pub hash: String,
}

/// The end of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Of the last entry; 0 where there is none.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Head {
        Head {
            sequence: 0,
            hash: "0".repeat(64),
        }
    }
}

/// What an entry says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Body {
    /// When, by the wall clock.
    pub at: String,
    /// Who: an account, a key, or the breaker itself.
    pub by: String,
    /// What was done, such as `trip.set`.
    pub act: String,
    /// To what.
    pub about: Value,
    /// The breaker's records that changed, whole.
    pub changes: Vec<Change>,
}

impl Head {
    /// Chains the next entry.
    pub fn chain(&mut self, body: &Body) -> Result<Entry, StoreError> {
        let body = serde_json::to_string(body)
            .map_err(|error| StoreError::Unusable(format!("an audit entry: {error}")))?;
        self.sequence += 1;
        self.hash = hash(&self.hash, self.sequence, &body);
        Ok(Entry {
            sequence: self.sequence,
            body,
            hash: self.hash.clone(),
        })
    }
}

fn hash(before: &str, sequence: u64, body: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{before}\n{sequence}\n{body}\n"));
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What verification found.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// The end of the log.
    pub head: Head,
    /// Everything that is wrong; empty for a log that is whole.
    pub wrong: Vec<String>,
}

/// Most faults that are told.
const MOST_WRONG: usize = 20;

/// Verifies the chain, that it passes through `noted` (a head that was noted before), and that the breaker's records are
/// those that the log says.
pub fn verify(store: &mut dyn Store, noted: Option<&Head>) -> Result<Verified, StoreError> {
    let (mut head, mut wrong) = (Head::default(), Vec::new());
    let mut newest: BTreeMap<String, Option<Change>> = BTreeMap::new();
    loop {
        let entries = store.entries(head.sequence, 1_000)?;
        for entry in &entries {
            if entry.sequence != head.sequence + 1 {
                wrong.push(format!(
                    "entries {} to {} are missing",
                    head.sequence + 1,
                    entry.sequence - 1
                ));
            }
            if entry.hash != hash(&head.hash, entry.sequence, &entry.body) {
                wrong.push(format!(
                    "entry {} was changed, or one before it",
                    entry.sequence
                ));
            }
            if noted
                .is_some_and(|noted| noted.sequence == entry.sequence && noted.hash != entry.hash)
            {
                wrong.push(format!(
                    "entry {} is not the one that was noted",
                    entry.sequence
                ));
            }
            match serde_json::from_str::<Body>(&entry.body) {
                Ok(body) => body
                    .changes
                    .into_iter()
                    .for_each(|change| note(&mut newest, change)),
                Err(error) => {
                    wrong.push(format!("entry {} cannot be read: {error}", entry.sequence))
                }
            }
            // From here on the chain is followed as it is written, so that one fault is told once.
            head = Head {
                sequence: entry.sequence,
                hash: entry.hash.clone(),
            };
            if wrong.len() >= MOST_WRONG {
                return Ok(Verified { head, wrong });
            }
        }
        if entries.is_empty() {
            break;
        }
    }
    if let Some(noted) = noted.filter(|noted| noted.sequence > head.sequence) {
        wrong.push(format!(
            "the log ends at {}; entries up to {} were cut off",
            head.sequence, noted.sequence
        ));
    }
    compare(store, newest, &mut wrong)?;
    Ok(Verified { head, wrong })
}

/// Under which name a change is kept, and whether it is a record or the end of one.
fn note(newest: &mut BTreeMap<String, Option<Change>>, change: Change) {
    let (name, is) = match &change {
        Change::Trip(trip) => (format!("trip {}", trip.id), true),
        Change::Hold(hold) => (format!("hold {}", hold.request.request_id), true),
        Change::Release(release) => (format!("release {}", release.id), true),
        Change::Finding(report) => (format!("finding {}", report.finding_id), true),
        Change::FindingGone(id) => (format!("finding {id}"), false),
        Change::ForgetTrip(id) => (format!("trip {id}"), false),
        Change::ForgetHold(name) => (format!("hold {name}"), false),
        Change::ForgetRelease(id) => (format!("release {id}"), false),
        Change::Told(_) | Change::Knowledge(_) | Change::Numbers(_) => return,
    };
    newest.insert(name, is.then_some(change));
}

fn compare(
    store: &mut dyn Store,
    mut newest: BTreeMap<String, Option<Change>>,
    wrong: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut stored = BTreeMap::new();
    for record in store.load()? {
        if let Record::Breaker(change) = record {
            note(&mut stored, change);
        }
    }
    newest.retain(|_, change| change.is_some());
    for (name, change) in &stored {
        match newest.get(name) {
            Some(said) if said == change => {}
            Some(_) => wrong.push(format!("{name} is not as the log says")),
            None => wrong.push(format!("{name} is not in the log")),
        }
    }
    let lost = newest.keys().filter(|name| !stored.contains_key(*name));
    wrong.extend(lost.map(|name| format!("{name} is in the log and not in the store")));
    wrong.truncate(MOST_WRONG);
    Ok(())
}

/// The time as it stands in entries.
pub(crate) fn at(wall: Timestamp) -> String {
    wall.to_string()
}
