//! Findings that are alike in everything that filters ask for: what makes pages and figures quick.
//!
//! Each finding is of one group; a group knows how many it has and what money is at risk in them, exactly and by day. There
//! are about as many groups as rules times states, however many findings there are.

use std::collections::{BTreeMap, HashMap};

use centinel_model::{Amount, Severity, Verdict};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::FindingsError;
use crate::life::{Handling, verdict_of, verdict_word};
use crate::money::Sum;

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// What the findings of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Facets {
    pub rule: String,
    pub severity: Severity,
    /// Whoever answers for it now.
    pub owner: String,
    pub verdict: Verdict,
    pub handling: Handling,
    pub worse: bool,
    /// ISO 4217 code; empty where there is no amount, or nothing that is a code.
    pub currency: String,
}

/// Where a finding counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub facets: Facets,
    pub since: i64,
    pub amount: Option<Amount>,
}

pub(crate) struct Group {
    pub id: i64,
    pub facets: Facets,
    pub tally: Tally,
}

/// How many findings, and what money is at risk in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub findings: u64,
    /// Those with an amount whose currency is not known, so that it is in no sum.
    pub unsummed: u64,
    pub at_risk: Sum,
}

/// Days from 1970 on, in UTC.
pub(crate) fn day_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_OF_A_DAY)
}

/// The first microsecond of a day.
pub(crate) fn start_of(day: i64) -> i64 {
    day.saturating_mul(MICROS_OF_A_DAY)
}

/// The code that a finding's money is added up under.
pub(crate) fn code_of(currency: Option<&str>) -> &str {
    let is_code =
        |code: &&str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    currency.filter(is_code).unwrap_or_default()
}

/// All groups that have findings.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Group>, FindingsError> {
    let mut select = connection.prepare_cached(
        "SELECT id, rule, severity, owner, verdict, handling, worse, currency, findings, unsummed, at_risk
         FROM groups WHERE findings > 0",
    )?;
    let mut rows = select.query([])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        let facets = facets(row, 1)?;
        let tally = Tally {
            findings: row.get(8)?,
            unsummed: row.get(9)?,
            at_risk: sum(row.get_ref(10)?.as_str())?,
        };
        groups.push(Group {
            id: row.get(0)?,
            facets,
            tally,
        });
    }
    Ok(groups)
}

/// Reads facets from a row's columns from `at` on.
pub(crate) fn facets(row: &rusqlite::Row<'_>, at: usize) -> Result<Facets, FindingsError> {
    let word = |column: usize| {
        row.get_ref(at + column)
            .map(|value| value.as_str().unwrap_or_default())
    };
    let unknown = |what: &str| FindingsError::damaged(format!("a group has no {what}"));
    Ok(Facets {
        rule: row.get(at)?,
        severity: severity_of(word(1)?).ok_or_else(|| unknown("severity"))?,
        owner: row.get(at + 2)?,
        verdict: verdict_of(word(3)?).ok_or_else(|| unknown("verdict"))?,
        handling: Handling::parse(word(4)?).ok_or_else(|| unknown("handling"))?,
        worse: row.get(at + 5)?,
        currency: row.get(at + 6)?,
    })
}

pub(crate) fn severity_of(word: &str) -> Option<Severity> {
    let all = [
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Critical,
    ];
    all.into_iter().find(|severity| severity.as_str() == word)
}

pub(crate) fn sum(text: Result<&str, impl std::fmt::Display>) -> Result<Sum, FindingsError> {
    let text = text.map_err(FindingsError::damaged)?;
    Sum::parse(text).ok_or_else(|| FindingsError::damaged("a sum is no number"))
}

/// What changes in groups and days by one transaction.
#[derive(Default)]
pub(crate) struct Changes {
    ids: HashMap<Facets, i64>,
    changes: BTreeMap<(i64, i64), Change>,
}

#[derive(Default)]
struct Change {
    findings: i64,
    unsummed: i64,
    comes: Sum,
    goes: Sum,
}

impl Changes {
    /// The group of these facets, made where there is none.
    pub fn group(
        &mut self,
        transaction: &Transaction<'_>,
        facets: &Facets,
    ) -> Result<i64, FindingsError> {
        if let Some(id) = self.ids.get(facets) {
            return Ok(*id);
        }
        let named = params![
            facets.rule,
            facets.severity.as_str(),
            facets.owner,
            verdict_word(facets.verdict),
            facets.handling.as_str(),
            facets.worse,
            facets.currency
        ];
        let found = transaction
            .prepare_cached(
                "SELECT id FROM groups WHERE rule = ?1 AND severity = ?2 AND owner = ?3 AND verdict = ?4
                 AND handling = ?5 AND worse = ?6 AND currency = ?7",
            )?
            .query_row(named, |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => {
                transaction.execute(
                    "INSERT INTO groups (rule, severity, owner, verdict, handling, worse, currency)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    named,
                )?;
                transaction.last_insert_rowid()
            }
        };
        self.ids.insert(facets.clone(), id);
        Ok(id)
    }

    /// A finding comes to this place.
    pub fn comes(&mut self, group: i64, place: &Place) -> Result<(), FindingsError> {
        self.note(group, place, 1)
    }

    /// A finding goes from this place.
    pub fn goes(&mut self, group: i64, place: &Place) -> Result<(), FindingsError> {
        self.note(group, place, -1)
    }

    fn note(&mut self, group: i64, place: &Place, by: i64) -> Result<(), FindingsError> {
        let change = self
            .changes
            .entry((group, day_of(place.since)))
            .or_default();
        change.findings += by;
        let Some(amount) = place.amount else {
            return Ok(());
        };
        if place.facets.currency.is_empty() {
            change.unsummed += by;
            return Ok(());
        }
        let amount =
            Sum::of(amount).ok_or_else(|| FindingsError::damaged("an amount is negative"))?;
        let side = if by > 0 {
            &mut change.comes
        } else {
            &mut change.goes
        };
        added(side, &amount)
    }

    /// Writes them.
    pub fn write(self, transaction: &Transaction<'_>) -> Result<(), FindingsError> {
        let mut groups: BTreeMap<i64, Change> = BTreeMap::new();
        for ((group, day), change) in &self.changes {
            let all = groups.entry(*group).or_default();
            all.findings += change.findings;
            all.unsummed += change.unsummed;
            added(&mut all.comes, &change.comes)?;
            added(&mut all.goes, &change.goes)?;
            let before = transaction
                .prepare_cached(
                    "SELECT findings, unsummed, at_risk FROM days WHERE group_id = ?1 AND day = ?2",
                )?
                .query_row(params![group, day], tally)
                .optional()?;
            let now = change.after(before.unwrap_or_else(|| (0, 0, "0".into())))?;
            match now.findings {
                0 => transaction
                    .prepare_cached("DELETE FROM days WHERE group_id = ?1 AND day = ?2")?
                    .execute(params![group, day])?,
                _ => transaction
                    .prepare_cached("INSERT OR REPLACE INTO days VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![
                        group,
                        day,
                        now.findings,
                        now.unsummed,
                        now.at_risk.to_string()
                    ])?,
            };
        }
        for (group, change) in groups {
            let before = transaction
                .prepare_cached("SELECT findings, unsummed, at_risk FROM groups WHERE id = ?1")?
                .query_row([group], tally)?;
            let now = change.after(before)?;
            transaction
                .prepare_cached(
                    "UPDATE groups SET findings = ?2, unsummed = ?3, at_risk = ?4 WHERE id = ?1",
                )?
                .execute(params![
                    group,
                    now.findings,
                    now.unsummed,
                    now.at_risk.to_string()
                ])?;
        }
        Ok(())
    }
}

fn tally(row: &rusqlite::Row<'_>) -> rusqlite::Result<(u64, u64, String)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn added(sum: &mut Sum, other: &Sum) -> Result<(), FindingsError> {
    match sum.add(other) {
        true => Ok(()),
        false => Err(FindingsError::damaged("a sum has more than 63 digits")),
    }
}

impl Change {
    fn after(
        &self,
        (findings, unsummed, at_risk): (u64, u64, String),
    ) -> Result<Tally, FindingsError> {
        let damaged = || FindingsError::damaged("a group has fewer findings than leave it");
        let mut at_risk = sum(Ok::<&str, String>(&at_risk))?;
        added(&mut at_risk, &self.comes)?;
        if !at_risk.subtract(&self.goes) {
            return Err(damaged());
        }
        Ok(Tally {
            findings: findings
                .checked_add_signed(self.findings)
                .ok_or_else(damaged)?,
            unsummed: unsummed
                .checked_add_signed(self.unsummed)
                .ok_or_else(damaged)?,
            at_risk,
        })
    }
}
