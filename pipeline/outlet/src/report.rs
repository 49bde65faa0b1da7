//! The result of an audit.

use std::collections::BTreeMap;

use centinel_model::{Amount, Finding, Severity};
use serde::{Deserialize, Serialize};

/// Nothing that counts was found.
const CLEAN: u8 = 0;
/// Only warnings were found, and they count.
const WARNINGS: u8 = 1;
/// Findings of severity `error` or `critical`.
const FINDINGS: u8 = 2;
/// Something could not be judged.
const COULD_NOT_JUDGE: u8 = 3;

/// What an audit found, and what it could not judge. Lists are sorted, so that equal audits read alike.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The moment as of which the data was judged, RFC 3339; absent where there was none.
    pub as_of: Option<String>,
    /// Whether the data was taken to be at rest: nothing is in flight.
    pub at_rest: bool,
    /// One for each rule, by id.
    pub rules: Vec<RuleSummary>,
    /// By severity, worst first, then rule, then key.
    pub findings: Vec<Finding>,
    /// Findings that a person accepted for now, in the same order: shown, but not in the exit status.
    pub accepted: Vec<Accepted>,
    /// The tables that were read, by name.
    pub tables: Vec<TableFigures>,
    /// Violations that later rows may still mend, by rule and key. Not every one is listed: see
    /// [`RuleSummary::in_flight`] for how many there are.
    pub in_flight: Vec<InFlight>,
    /// What could not be judged. Never to be taken for clean.
    pub could_not_judge: Vec<CouldNotJudge>,
    /// Rows that belong to no entity and were left out, by table.
    pub without_entity: Vec<WithoutEntity>,
    /// Remarks for the reader.
    pub notes: Vec<String>,
}

/// What came of one rule.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleSummary {
    /// The rule's id.
    pub rule: String,
    /// The rule's title.
    pub title: String,
    /// The rule's severity.
    pub severity: Option<Severity>,
    /// Rows of the tables that it reads.
    pub rows_checked: u64,
    /// How many findings it has that count.
    pub findings: u64,
    /// How many it has beside them that a person accepted.
    pub accepted: u64,
    /// How many violations may still be mended by rows on their way.
    pub in_flight: u64,
    /// How many entities it could not judge; all of them where `could_not_judge` of the report says so.
    pub could_not_judge: u64,
    /// Money at risk of its findings, in major units by currency.
    pub at_risk: AtRisk,
}

/// Amounts in major units by ISO 4217 code, never added across.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AtRisk(pub BTreeMap<String, String>);

impl AtRisk {
    /// From exact sums; `None` is a sum beyond 38 digits.
    pub fn new(sums: impl IntoIterator<Item = (String, Option<Amount>)>) -> AtRisk {
        let text = |sum: Option<Amount>| match sum {
            Some(sum) => sum.to_string(),
            None => "more than 38 digits".into(),
        };
        AtRisk(
            sums.into_iter()
                .map(|(code, sum)| (code, text(sum)))
                .collect(),
        )
    }

    /// The sums of these findings; one that cannot be added makes its sum unknown, never smaller.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> AtRisk {
        let mut sums: BTreeMap<String, Option<Amount>> = BTreeMap::new();
        for finding in findings {
            let (Some(amount), Some(currency)) = (&finding.amount, &finding.currency) else {
                continue;
            };
            let sum = sums
                .entry(currency.clone())
                .or_insert(Some(Amount::default()));
            let amount = Amount::exact(amount).ok();
            *sum = sum
                .zip(amount)
                .and_then(|(sum, amount)| sum.checked_add(amount));
        }
        AtRisk::new(sums)
    }

    /// For a person: `12.50 CNY, 3.00 USD`.
    pub fn shown(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(code, sum)| format!("{sum} {code}"))
            .collect();
        parts.join(", ")
    }
}

/// Why a finding does not count for now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Why it is accepted.
    pub reason: String,
    /// Who accepted it.
    pub by: String,
    /// The last day on which it is, as written.
    pub until: String,
}

/// A finding that a person accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Why, by whom and until when.
    #[serde(flatten)]
    pub acceptance: Acceptance,
    /// What was found.
    pub finding: Finding,
}

/// How large a table of a snapshot is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableFigures {
    /// The table's name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// For each of its money columns the sum, in major units by currency. Empty unless it was asked for.
    #[serde(default)]
    pub totals: BTreeMap<String, AtRisk>,
}

/// A violation that later rows may still mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// The rule's id.
    pub rule: String,
    /// Key of the entity.
    pub entity_key: String,
    /// The key columns and their values, in the rule's order.
    pub key: Vec<(String, String)>,
    /// Money at risk in major units, never negative.
    pub amount: Option<String>,
    /// ISO 4217 code of `amount`.
    pub currency: Option<String>,
    /// The time from which patience counts, RFC 3339.
    pub anchor: String,
    /// When it is a finding unless it passes before, RFC 3339.
    pub confirmed_at: String,
}

/// Something that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CouldNotJudge {
    /// The rule's id; absent where it concerns the snapshot as a whole.
    pub rule: Option<String>,
    /// Key of the entity; absent where no entity could be judged.
    pub entity_key: Option<String>,
    /// Why, and what would help.
    pub reason: String,
}

/// Rows of one table that belong to no entity of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct WithoutEntity {
    /// The table's name.
    pub table: String,
    /// The entity's name.
    pub entity: String,
    /// Rows whose key, or link, is null.
    pub null_keys: u64,
    /// Rows whose link leads to no row.
    pub unresolved: u64,
    /// Rows of both kinds that are older than the table's patience for links.
    pub overdue: u64,
}

impl Report {
    /// The exit status that the audit's command ends with: see [`exit_status`].
    pub fn exit_status(&self, fail_on: Severity) -> u8 {
        // Rows that reach no entity though they had the time to: no rule sees them.
        let overdue = self.without_entity.iter().any(|rows| rows.overdue > 0);
        let unreached = overdue.then_some(Severity::Error);
        let severities = self.findings.iter().map(|finding| finding.severity);
        let worst = severities.chain(unreached).max();
        exit_status(!self.could_not_judge.is_empty(), worst, fail_on)
    }

    /// Moves the findings that `acceptance` knows aside: they are shown, and do not count any more.
    pub fn accept(&mut self, mut acceptance: impl FnMut(&Finding) -> Option<Acceptance>) {
        let mut counted = Vec::new();
        for finding in std::mem::take(&mut self.findings) {
            match acceptance(&finding) {
                Some(acceptance) => self.accepted.push(Accepted {
                    acceptance,
                    finding,
                }),
                None => counted.push(finding),
            }
        }
        self.findings = counted;
        for rule in &mut self.rules {
            let own = |finding: &&Finding| finding.rule == rule.rule;
            let accepted = self.accepted.iter().map(|accepted| &accepted.finding);
            rule.accepted = accepted.filter(own).count() as u64;
            if rule.accepted > 0 {
                rule.findings = self.findings.iter().filter(own).count() as u64;
                rule.at_risk = AtRisk::of(self.findings.iter().filter(own));
            }
        }
    }

    /// Everything that was found, accepted or not.
    pub fn found(&self) -> impl Iterator<Item = &Finding> + Clone {
        let accepted = self.accepted.iter().map(|accepted| &accepted.finding);
        self.findings.iter().chain(accepted)
    }

    /// Brings all lists into their order.
    pub fn sort(&mut self) {
        self.rules.sort_by(|left, right| left.rule.cmp(&right.rule));
        self.findings.sort_by(|left, right| {
            (right.severity, &left.rule, &left.key).cmp(&(left.severity, &right.rule, &right.key))
        });
        self.in_flight
            .sort_by(|left, right| (&left.rule, &left.key).cmp(&(&right.rule, &right.key)));
        self.could_not_judge.sort();
        self.could_not_judge.dedup();
        self.without_entity.sort();
        self.tables.sort();
    }
}

/// 3 where something could not be judged; 2 where the worst finding is an error or critical; 1 where it is
/// less; 0 where there is none of severity `fail_on` or above.
pub fn exit_status(could_not_judge: bool, worst: Option<Severity>, fail_on: Severity) -> u8 {
    match worst {
        _ if could_not_judge => COULD_NOT_JUDGE,
        Some(worst) if worst < fail_on => CLEAN,
        Some(Severity::Error | Severity::Critical) => FINDINGS,
        Some(_) => WARNINGS,
        None => CLEAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, key: &str, amount: &str) -> Finding {
        serde_json::from_value(serde_json::json!({
            "schema": "centinel/finding/1", "finding_id": key, "sequence": 1, "rule": rule, "rule_version": "v",
            "title": "t", "entity": "order", "entity_key": key, "key": [["order_no", key]], "verdict": "confirmed",
            "occurrence": 1, "severity": "critical", "owner": "o", "amount": amount, "currency": "CNY", "hint": null,
            "evidence": {"rows": [], "total": 0}, "positions": {}, "anchor": "", "judged_at": "",
        }))
        .expect("a finding")
    }

    #[test]
    fn what_is_accepted_is_kept_aside_and_does_not_count() {
        let mut report = Report {
            rules: vec![RuleSummary {
                rule: "r".into(),
                findings: 2,
                at_risk: AtRisk::of(&[finding("r", "E1", "10.05"), finding("r", "E2", "3")]),
                ..RuleSummary::default()
            }],
            findings: vec![finding("r", "E1", "10.05"), finding("r", "E2", "3")],
            ..Report::default()
        };
        assert_eq!(report.rules[0].at_risk.shown(), "13.05 CNY");
        let acceptance = |until: &str| Acceptance {
            reason: "known".into(),
            by: "somebody".into(),
            until: until.into(),
        };
        report.accept(|finding| (finding.entity_key == "E1").then(|| acceptance("2026-12-31")));
        assert_eq!((report.rules[0].findings, report.rules[0].accepted), (1, 1));
        assert_eq!(report.rules[0].at_risk.shown(), "3 CNY");
        assert_eq!(report.exit_status(Severity::Error), FINDINGS);
        report.accept(|_| Some(acceptance("2026-12-31")));
        assert_eq!((report.rules[0].findings, report.rules[0].accepted), (0, 2));
        assert_eq!(report.exit_status(Severity::Error), CLEAN);
        assert_eq!(report.found().count(), 2);
    }

    #[test]
    fn what_could_not_be_judged_is_never_clean() {
        use Severity::{Critical, Error, Info, Warn};
        let table = [
            (false, None, Error, 0),
            (false, Some(Warn), Error, 0),
            (false, Some(Warn), Warn, 1),
            (false, Some(Info), Warn, 0),
            (false, Some(Info), Info, 1),
            (false, Some(Error), Warn, 2),
            (false, Some(Error), Error, 2),
            (false, Some(Error), Critical, 0),
            (false, Some(Critical), Critical, 2),
            (true, None, Error, 3),
            (true, Some(Critical), Error, 3),
        ];
        for (unjudged, worst, fail_on, status) in table {
            assert_eq!(
                exit_status(unjudged, worst, fail_on),
                status,
                "{worst:?} {fail_on:?}"
            );
        }
    }
}
