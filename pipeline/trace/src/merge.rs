//! Two places know of one entity: their changes as one, the same version of a row once.

use std::collections::BTreeMap;

use centinel_model::Timestamp;

use crate::history::{Change, Completeness, History, RuleNow, VersionOf};

/// Names a change: table, primary key, version, and whether it is a deletion. A row that leaves by one link and comes
/// back by another has both in one version.
type Name = (String, String, VersionOf, bool);

/// All changes, what the rules say, and what may be missing still.
pub(crate) fn merge(histories: Vec<History>) -> (Vec<Change>, Vec<RuleNow>, Completeness) {
    let completeness = completeness(&histories);
    let (mut changes, mut rules) = (Vec::new(), Vec::new());
    for history in histories {
        if rules.is_empty() {
            rules = history.rules;
        }
        changes.push(history.changes);
    }
    (joined(changes), rules, completeness)
}

/// Changes that several places know, each once, with all that they say of it: by commit time, then in the order of their
/// source.
pub fn joined(known: Vec<Vec<Change>>) -> Vec<Change> {
    let mut changes: BTreeMap<Name, Change> = BTreeMap::new();
    for change in known.into_iter().flatten() {
        match changes.get_mut(&name(&change)) {
            Some(known) => complete(known, change),
            None => {
                changes.insert(name(&change), change);
            }
        }
    }
    let mut changes: Vec<Change> = changes.into_values().collect();
    changes.sort_by_cached_key(place);
    changes
}

fn name(change: &Change) -> Name {
    let deleted = change.operation == "delete";
    (
        change.table.clone(),
        change.primary_key.clone(),
        change.version,
        deleted,
    )
}

/// By commit time; of one time by system, then in the order of its source.
fn place(change: &Change) -> (Timestamp, String, VersionOf, String, String) {
    (
        moment(&change.committed_at),
        change.system.clone(),
        change.version,
        change.table.clone(),
        change.primary_key.clone(),
    )
}

/// A time of a history. What is none stands before everything.
pub(crate) fn moment(text: &str) -> Timestamp {
    match text == Timestamp::MAX.to_string() {
        true => Timestamp::MAX,
        false => Timestamp::parse(text).unwrap_or(Timestamp::MIN),
    }
}

/// What the second one says beyond the first: who made it, and what was there before.
fn complete(known: &mut Change, other: Change) {
    if known.before.is_empty() && !other.before.is_empty() {
        known.before = other.before;
        known.money_before = other.money_before;
        known.changed = other.changed;
    }
    let (origin, more) = (&mut known.origin, other.origin);
    origin.transaction = origin.transaction.take().or(more.transaction);
    origin.thread = origin.thread.or(more.thread);
    origin.account = origin.account.take().or(more.account);
    origin.statement = origin.statement.take().or(more.statement);
    known.by_hand |= other.by_hand;
}

/// What one of them has is not missing.
fn completeness(histories: &[History]) -> Completeness {
    let all = || histories.iter().map(|history| &history.completeness);
    let since: Option<Vec<&String>> = all().map(|known| known.since.as_ref()).collect();
    let mut notes: Vec<String> = Vec::new();
    for note in all().flat_map(|known| &known.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    Completeness {
        replaced_missing: !histories.is_empty() && all().all(|known| known.replaced_missing),
        since: since
            .and_then(|since| since.into_iter().min_by_key(|time| moment(time)))
            .cloned(),
        until: all()
            .filter_map(|known| known.until.as_ref())
            .max_by_key(|time| moment(time))
            .cloned(),
        left_out: all().map(|known| known.left_out).max().unwrap_or(0),
        notes,
    }
}
