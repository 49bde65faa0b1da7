//! How many findings there are, and what money is at risk in them: read off the groups, never counted anew.

use std::collections::BTreeMap;

use centinel_model::Timestamp;
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::FindingsError;
use crate::filter::Filter;
use crate::groups::{Group, Tally, day_of, start_of, sum};
use crate::life::verdict_word;
use crate::money::Sum;
use crate::store::Store;

/// Figures of one answer.
pub const MOST_FIGURES: usize = 10_000;

/// By what findings are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// All in one.
    All,
    /// By ISO 4217 code; the empty name is those without an amount or a code.
    Currency,
    /// By severity.
    Severity,
    /// By rule.
    Rule,
    /// By system. One whose rule reads several systems counts for each, and one of an unknown rule under the empty name.
    System,
    /// By whoever answers for them now.
    Owner,
    /// By what detection said last.
    Verdict,
    /// By what people made of them.
    Handling,
    /// By the day (UTC) since which they are broken, such as `2026-11-22`.
    Day,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Of what it is.
    pub name: String,
    /// How many findings.
    pub findings: u64,
    /// Money at risk in them by currency, exact, in major units. Never added across currencies.
    pub at_risk: BTreeMap<String, String>,
    /// Findings among them whose amount is in no sum, because it has no currency that is one.
    pub unsummed: u64,
}

#[derive(Default)]
struct Gathered {
    findings: u64,
    unsummed: u64,
    at_risk: BTreeMap<String, Sum>,
}

impl Gathered {
    fn add(&mut self, currency: &str, tally: &Tally) -> Result<(), FindingsError> {
        self.findings += tally.findings;
        self.unsummed += tally.unsummed;
        let fits = match currency {
            "" => true,
            code => self
                .at_risk
                .entry(code.to_owned())
                .or_default()
                .add(&tally.at_risk),
        };
        fits.then_some(())
            .ok_or_else(|| FindingsError::damaged("a sum has more than 63 digits"))
    }
}

impl Store {
    /// Figures of the findings that fit, by name. Of a time only whole days (UTC) are known.
    ///
    /// # Errors
    /// [`FindingsError::Refused`] for a filter by entity, by words or by parts of days, and beyond [`MOST_FIGURES`].
    pub fn figures(&self, filter: &Filter, by: By) -> Result<Vec<Figure>, FindingsError> {
        let whole = |time: Option<Timestamp>| {
            time.is_none_or(|Timestamp(time)| start_of(day_of(time)) == time)
        };
        if filter.text.is_some()
            || filter.entity_key.is_some()
            || !whole(filter.from)
            || !whole(filter.until)
        {
            return Err(FindingsError::refused(
                "figures are known of whole days, and not by entity or words",
                "ask for days that begin at 00:00 UTC, or list the findings",
            ));
        }
        let looked = self.connection.unchecked_transaction()?;
        let systems = match by {
            By::System => systems(&looked)?,
            _ => BTreeMap::new(),
        };
        let mut gathered: BTreeMap<String, Gathered> = BTreeMap::new();
        let mut days: BTreeMap<i64, Gathered> = BTreeMap::new();
        for group in filter.groups(&looked)? {
            let currency = &group.facets.currency;
            if by == By::Day || !filter.is_of_all_time() {
                let mut all = Tally::default();
                each_day(&looked, &group, filter, |day, tally| {
                    if by == By::Day {
                        return days.entry(day).or_default().add(currency, &tally);
                    }
                    all.findings += tally.findings;
                    all.unsummed += tally.unsummed;
                    match all.at_risk.add(&tally.at_risk) {
                        true => Ok(()),
                        false => Err(FindingsError::damaged("a sum has more than 63 digits")),
                    }
                })?;
                if all.findings > 0 {
                    put(&mut gathered, &group, by, &systems, &all)?;
                }
            } else {
                put(&mut gathered, &group, by, &systems, &group.tally)?;
            }
        }
        let named = days
            .into_iter()
            .map(|(day, gathered)| (day_name(day), gathered))
            .chain(gathered);
        let figures: Vec<Figure> = named
            .map(|(name, gathered)| figure(name, gathered))
            .collect();
        match figures.len() > MOST_FIGURES {
            true => Err(FindingsError::refused(
                format!("there are {} figures", figures.len()),
                format!("ask for at most {MOST_FIGURES}: narrow the time or the filter"),
            )),
            false => Ok(figures),
        }
    }

    /// Says which systems' tables rules read, in the place of what was said of these rules before.
    pub fn name_systems(
        &mut self,
        of: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), FindingsError> {
        let transaction = self.begin()?;
        for (rule, systems) in of {
            transaction
                .prepare_cached("DELETE FROM systems WHERE rule = ?1")?
                .execute([rule])?;
            for system in systems {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO systems VALUES (?1, ?2)")?
                    .execute([rule, system])?;
            }
        }
        Ok(transaction.commit()?)
    }
}

fn figure(name: String, gathered: Gathered) -> Figure {
    let at_risk = gathered
        .at_risk
        .into_iter()
        .map(|(code, sum)| (code, sum.to_string()));
    Figure {
        name,
        findings: gathered.findings,
        at_risk: at_risk.collect(),
        unsummed: gathered.unsummed,
    }
}

fn put(
    gathered: &mut BTreeMap<String, Gathered>,
    group: &Group,
    by: By,
    systems: &BTreeMap<String, Vec<String>>,
    tally: &Tally,
) -> Result<(), FindingsError> {
    let facets = &group.facets;
    let names: Vec<&str> = match by {
        By::All | By::Day => vec!["all"],
        By::Currency => vec![&facets.currency],
        By::Severity => vec![facets.severity.as_str()],
        By::Rule => vec![&facets.rule],
        By::Owner => vec![&facets.owner],
        By::Verdict => vec![verdict_word(facets.verdict)],
        By::Handling => vec![facets.handling.as_str()],
        By::System => match systems.get(&facets.rule) {
            Some(systems) => systems.iter().map(String::as_str).collect(),
            None => vec![""],
        },
    };
    for name in names {
        gathered
            .entry(name.to_owned())
            .or_default()
            .add(&facets.currency, tally)?;
    }
    Ok(())
}

fn systems(connection: &Connection) -> Result<BTreeMap<String, Vec<String>>, FindingsError> {
    let mut select =
        connection.prepare_cached("SELECT rule, system FROM systems ORDER BY rule, system")?;
    let mut rows = select.query([])?;
    let mut systems: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        systems.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(systems)
}

fn each_day(
    connection: &Connection,
    group: &Group,
    filter: &Filter,
    mut take: impl FnMut(i64, Tally) -> Result<(), FindingsError>,
) -> Result<(), FindingsError> {
    let (first, last) = filter.range();
    let mut select = connection.prepare_cached(
        "SELECT day, findings, unsummed, at_risk FROM days WHERE group_id = ?1 AND day BETWEEN ?2 AND ?3",
    )?;
    let mut rows = select.query(params![group.id, day_of(first), day_of(last)])?;
    while let Some(row) = rows.next()? {
        let at_risk = sum(row.get_ref(3)?.as_str())?;
        take(
            row.get(0)?,
            Tally {
                findings: row.get(1)?,
                unsummed: row.get(2)?,
                at_risk,
            },
        )?;
    }
    Ok(())
}

/// The day's date; the edges of time have none.
fn day_name(day: i64) -> String {
    let edges = [Timestamp::MIN, Timestamp::MAX];
    match edges.into_iter().find(|edge| day_of(edge.0) == day) {
        Some(edge) => edge.to_string(),
        None => Timestamp(start_of(day))
            .to_string()
            .chars()
            .take(10)
            .collect(),
    }
}
