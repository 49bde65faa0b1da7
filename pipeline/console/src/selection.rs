//! Which findings a page is about, as its address says.

use centinel_findings::{Filter, FindingsError, Handling, Order, life};
use centinel_model::{Severity, Timestamp};

use crate::problem::Problem;
use crate::words::SEVERITIES;

/// Values of one name in an address.
const MOST_VALUES: usize = 50;

/// A filter and an order.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Which findings.
    pub filter: Filter,
    /// In what order.
    pub order: Order,
}

impl Selection {
    /// Reads it from a query. Without `open` those that somebody should look at; `open=no` the others, `open=all` both.
    ///
    /// # Errors
    /// What is no value of its name.
    pub fn of(query: &[(String, String)]) -> Result<Selection, Problem> {
        let mut selection = Selection::default();
        let filter = &mut selection.filter;
        filter.open = Some(true);
        for (name, value) in query {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            let wrong = || {
                Problem::refused(format!(
                    "`{name}` cannot be what the address says: choose from the page's filters"
                ))
            };
            match name.as_str() {
                "open" => {
                    filter.open = match value {
                        "yes" => Some(true),
                        "no" => Some(false),
                        "all" => None,
                        _ => return Err(wrong()),
                    }
                }
                "severity" => filter
                    .severities
                    .push(severity_of(value).ok_or_else(wrong)?),
                "verdict" => filter
                    .verdicts
                    .push(life::verdict_of(value).ok_or_else(wrong)?),
                "handling" => filter
                    .handlings
                    .push(Handling::parse(value).ok_or_else(wrong)?),
                "worse" => filter.worse = Some(value == "yes"),
                "rule" => filter.rules.push(value.to_owned()),
                "system" => filter.systems.push(value.to_owned()),
                "owner" => filter.owners.push(value.to_owned()),
                "currency" => filter.currencies.push(value.to_owned()),
                "entity" => filter.entity_key = Some(value.to_owned()),
                "words" => filter.text = Some(value.to_owned()),
                "from" => filter.from = Some(moment(value).ok_or_else(wrong)?),
                "until" => filter.until = Some(moment(value).ok_or_else(wrong)?),
                "order" => {
                    selection.order = match value {
                        "time" => Order::Time,
                        "money" => Order::Money,
                        _ => return Err(wrong()),
                    }
                }
                _ => {}
            }
        }
        let longest = [
            filter.severities.len(),
            filter.verdicts.len(),
            filter.handlings.len(),
            filter.rules.len(),
            filter.systems.len(),
            filter.owners.len(),
            filter.currencies.len(),
        ];
        match longest.into_iter().any(|values| values > MOST_VALUES) {
            true => Err(Problem::refused("the address asks for too much at once")),
            false => Ok(selection),
        }
    }

    /// Whether it asks for more than what stands on the page at first.
    pub fn is_plain(&self) -> bool {
        let usual = Filter {
            open: Some(true),
            ..Filter::default()
        };
        self.filter == usual
    }
}

fn severity_of(word: &str) -> Option<Severity> {
    SEVERITIES
        .into_iter()
        .find(|severity| severity.as_str() == word)
}

/// A day, or a moment, in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        _ => text.to_owned(),
    };
    Timestamp::parse(&whole).ok()
}

/// Whether figures are known of it, which are not of everything.
pub fn has_no_figures<T>(figures: Result<T, FindingsError>) -> Result<Option<T>, FindingsError> {
    match figures {
        Ok(figures) => Ok(Some(figures)),
        Err(FindingsError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use centinel_model::Verdict;

    fn query(text: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect()
    }

    #[test]
    fn an_address_says_which_findings() {
        let text = "severity=critical&severity=error&verdict=confirmed&owner=&words=O1+x&from=2026-11-22&until=2026-11-23T08:30&order=money&after=x";
        let Selection { filter, order } = Selection::of(&query(text)).unwrap();
        assert_eq!(filter.severities, [Severity::Critical, Severity::Error]);
        assert_eq!(filter.verdicts, [Verdict::Confirmed]);
        assert_eq!(
            (filter.open, filter.owners.len(), order),
            (Some(true), 0, Order::Money)
        );
        assert_eq!(filter.text.as_deref(), Some("O1 x"));
        assert_eq!(filter.from, Timestamp::parse("2026-11-22T00:00:00Z").ok());
        assert_eq!(filter.until, Timestamp::parse("2026-11-23T08:30:00Z").ok());
        assert!(Selection::of(&query("")).unwrap().is_plain());
        assert!(!Selection::of(&query("open=all")).unwrap().is_plain());
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in [
            "severity=worst",
            "verdict=x",
            "handling=%3Cb%3E",
            "from=yesterday",
            "order=x",
            "open=1",
        ] {
            assert!(Selection::of(&query(text)).is_err(), "{text}");
        }
        assert!(Selection::of(&query(&"rule=r&".repeat(51))).is_err());
    }
}
