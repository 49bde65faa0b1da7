use centinel_model::{Severity, Timestamp, Verdict};
use rusqlite::Connection;

use crate::FindingsError;
use crate::groups::{self, Facets, Group};
use crate::life::{Handling, is_open};

/// Values of one list of a filter.
const MOST_VALUES: usize = 1_000;

/// Which findings are meant: those that fit everything that is given. An empty list asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whether somebody should look at it.
    pub open: Option<bool>,
    /// What detection said last.
    pub verdicts: Vec<Verdict>,
    /// What people made of it.
    pub handlings: Vec<Handling>,
    /// Whether it is worse than when it was acknowledged.
    pub worse: Option<bool>,
    /// How bad it is.
    pub severities: Vec<Severity>,
    /// Rules, by id.
    pub rules: Vec<String>,
    /// Systems whose tables the finding's rule reads, as [`Store::name_systems`](crate::Store::name_systems) was told.
    pub systems: Vec<String>,
    /// Whoever answers for it now.
    pub owners: Vec<String>,
    /// ISO 4217 codes; the empty text is those without an amount or a code.
    pub currencies: Vec<String>,
    /// The key of its entity, whole.
    pub entity_key: Option<String>,
    /// Since this moment or later,
    pub from: Option<Timestamp>,
    /// and before this one.
    pub until: Option<Timestamp>,
    /// Words in its keys, hint, evidence or notes, each whole or begun.
    pub text: Option<String>,
}

impl Filter {
    /// The groups whose findings may fit.
    pub(crate) fn groups(&self, connection: &Connection) -> Result<Vec<Group>, FindingsError> {
        let lists = [
            self.rules.len(),
            self.systems.len(),
            self.owners.len(),
            self.currencies.len(),
        ];
        if lists.iter().any(|length| *length > MOST_VALUES) {
            return Err(FindingsError::refused(
                format!("a list of the filter has more than {MOST_VALUES} values"),
                "ask for fewer",
            ));
        }
        let of_systems = match self.systems.is_empty() {
            true => None,
            false => Some(rules_of(connection, &self.systems)?),
        };
        let mut groups = groups::all(connection)?;
        groups.retain(|group| {
            let rule = &group.facets.rule;
            self.fits(&group.facets) && of_systems.as_ref().is_none_or(|rules| rules.contains(rule))
        });
        Ok(groups)
    }

    fn fits(&self, facets: &Facets) -> bool {
        fn one_of<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        self.open
            .is_none_or(|open| open == is_open(facets.verdict, facets.handling))
            && self.worse.is_none_or(|worse| worse == facets.worse)
            && one_of(&self.verdicts, &facets.verdict)
            && one_of(&self.handlings, &facets.handling)
            && one_of(&self.severities, &facets.severity)
            && one_of(&self.rules, &facets.rule)
            && one_of(&self.owners, &facets.owner)
            && one_of(&self.currencies, &facets.currency)
    }

    /// The first microsecond that fits, and the last.
    pub(crate) fn range(&self) -> (i64, i64) {
        let last = self
            .until
            .map_or(i64::MAX, |until| until.0.saturating_sub(1));
        (self.from.map_or(i64::MIN, |from| from.0), last)
    }

    /// Whether a finding of any time fits.
    pub(crate) fn is_of_all_time(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }
}

/// The rules that read tables of these systems.
fn rules_of(connection: &Connection, systems: &[String]) -> Result<Vec<String>, FindingsError> {
    let mut select = connection.prepare_cached("SELECT rule FROM systems WHERE system = ?1")?;
    let mut rules = Vec::new();
    for system in systems {
        let found = select.query_map([system], |row| row.get(0))?;
        rules.extend(found.collect::<Result<Vec<String>, _>>()?);
    }
    Ok(rules)
}
