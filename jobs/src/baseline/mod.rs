//! Known findings that a person accepted for now: shown, but they do not set the exit status.

mod read;

use std::collections::BTreeMap;
use std::path::PathBuf;

use centinel_model::{Amount, Finding, Timestamp};
use centinel_outlet::{Acceptance, Report};

/// The form that this program reads.
pub const FORM: &str = "baseline/1";

/// A file of accepted findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    file: PathBuf,
    entries: Vec<Entry>,
}

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The line at which it begins.
    line: usize,
    target: Target,
    /// At most so much money at risk, in this currency.
    at_most: Option<(Amount, String)>,
    acceptance: Acceptance,
    /// From this moment on it counts no more.
    expires: Timestamp,
}

/// Which findings an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// The one with this id.
    Finding(String),
    /// Those of a rule whose key has these values.
    Key {
        rule: String,
        key: BTreeMap<String, String>,
    },
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    accepted: u64,
    expired: u64,
    grown: u64,
}

/// Entries by what they name, so that each finding is looked up and not searched for.
#[derive(Default)]
struct Index<'a> {
    by_id: BTreeMap<&'a str, Vec<usize>>,
    by_rule: BTreeMap<&'a str, Vec<usize>>,
}

impl Baseline {
    /// Moves the accepted findings of a report aside, and notes which entries have expired, no longer fit or matched
    /// nothing. `now` is the moment at which people are asked.
    pub fn apply(&self, report: &mut Report, now: Timestamp) {
        let mut index = Index::default();
        for (place, entry) in self.entries.iter().enumerate() {
            match &entry.target {
                Target::Finding(id) => index.by_id.entry(id).or_default().push(place),
                Target::Key { rule, .. } => index.by_rule.entry(rule).or_default().push(place),
            }
        }
        let mut uses = vec![Use::default(); self.entries.len()];
        report.accept(|finding| {
            let by_id = index.by_id.get(finding.finding_id.0.as_str());
            let by_rule = index.by_rule.get(finding.rule.as_str());
            let mut found = None;
            for place in by_id.into_iter().chain(by_rule).flatten() {
                let (entry, used) = (&self.entries[*place], &mut uses[*place]);
                if !entry.names(finding) {
                    continue;
                }
                if entry.expires <= now {
                    used.expired += 1;
                } else if !entry.is_enough_for(finding) {
                    used.grown += 1;
                } else {
                    used.accepted += 1;
                    found = found.or(Some(&entry.acceptance));
                }
            }
            found.cloned()
        });
        for (entry, used) in self.entries.iter().zip(uses) {
            let remarks = entry.remarks(used, entry.expires <= now);
            let place = format!("{}:{}", self.file.display(), entry.line);
            let notes = remarks
                .into_iter()
                .map(|remark| format!("{place}: {remark}"));
            report.notes.extend(notes);
        }
    }
}

impl Entry {
    fn names(&self, finding: &Finding) -> bool {
        match &self.target {
            Target::Finding(id) => *id == finding.finding_id.0,
            Target::Key { rule, key } => {
                let has = |(name, value): (&String, &String)| {
                    let mut parts = finding.key.iter();
                    parts.any(|(known, is)| known == name && is == value)
                };
                *rule == finding.rule && key.iter().all(has)
            }
        }
    }

    /// Whether the money at risk is within what was accepted.
    fn is_enough_for(&self, finding: &Finding) -> bool {
        let Some((most, currency)) = &self.at_most else {
            return true;
        };
        let amount = finding.amount.as_deref().map(Amount::exact);
        finding.currency.as_ref() == Some(currency)
            && amount.is_some_and(|amount| amount.is_ok_and(|amount| amount <= *most))
    }

    fn remarks(&self, used: Use, has_expired: bool) -> Vec<String> {
        let mut remarks = Vec::new();
        let until = &self.acceptance.until;
        if used.expired > 0 {
            remarks.push(format!(
                "accepted until {until} and expired: {} findings that it names count again; mend them, or accept them anew",
                used.expired
            ));
        } else if has_expired {
            remarks.push(format!(
                "accepted until {until} and expired; it matched nothing: remove it"
            ));
        }
        if used.grown > 0 {
            let most = self.at_most.as_ref();
            let most = most.map(|(amount, currency)| format!("{amount} {currency}"));
            remarks.push(format!(
                "{} findings that it names are not within {} and count",
                used.grown,
                most.unwrap_or_default()
            ));
        }
        if used.accepted + used.expired + used.grown == 0 && !has_expired {
            remarks.push("it matched nothing: remove it if what it names is mended".into());
        }
        remarks
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use centinel_model::{FindingId, Severity};

    fn finding(rule: &str, key: &[(&str, &str)], amount: &str) -> Finding {
        let values = key.iter().map(|(_, value)| *value);
        serde_json::from_value(serde_json::json!({
            "schema": "centinel/finding/1", "finding_id": FindingId::new(rule, values), "sequence": 1, "rule": rule,
            "rule_version": "v", "title": "t", "entity": "order", "entity_key": key[0].1, "key": key,
            "verdict": "confirmed", "occurrence": 1, "severity": "critical", "owner": "o", "amount": amount,
            "currency": "CNY", "hint": null, "evidence": {"rows": [], "total": 0}, "positions": {}, "anchor": "",
            "judged_at": "",
        }))
        .unwrap()
    }

    fn report(findings: &[Finding]) -> Report {
        Report {
            findings: findings.to_vec(),
            ..Report::default()
        }
    }

    /// The keys that are accepted, and what is noted.
    fn applied(text: &str, findings: &[Finding], now: &str) -> (Vec<String>, Vec<String>) {
        let baseline = Baseline::parse(text, Path::new("known.yaml")).unwrap();
        let mut report = report(findings);
        baseline.apply(&mut report, Timestamp::parse(now).unwrap());
        assert_eq!(report.found().count(), findings.len(), "none is lost");
        let clean = report.findings.is_empty();
        assert_eq!(
            report.exit_status(Severity::Error),
            if clean { 0 } else { 2 }
        );
        let keys = report
            .accepted
            .iter()
            .map(|accepted| accepted.finding.entity_key.clone());
        (keys.collect(), report.notes)
    }

    const BY_KEY: &str = "centinel: baseline/1
accepted:
  - rule: a
    key: {order_no: E1}
    reason: paid by hand, ticket 7
    by: somebody
    until: 2026-12-31
";

    #[test]
    fn what_is_accepted_is_so_to_the_end_of_its_last_day() {
        let findings = [
            finding("a", &[("order_no", "E1"), ("payment_no", "P1")], "1.00"),
            finding("a", &[("order_no", "E2"), ("payment_no", "P1")], "1.00"),
            finding("b", &[("order_no", "E1")], "1.00"),
        ];
        let none: Vec<String> = Vec::new();
        let at = |now| applied(BY_KEY, &findings, now);
        assert_eq!(
            at("2026-11-22T08:00:00Z"),
            (vec!["E1".into()], none.clone())
        );
        assert_eq!(at("2026-12-31T23:59:59Z").0, ["E1"]);
        let (accepted, notes) = at("2027-01-01T00:00:00Z");
        assert_eq!(accepted, none);
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].starts_with("known.yaml:3: accepted until 2026-12-31 and expired: 1 findings"),
            "{notes:?}"
        );
    }

    #[test]
    fn a_finding_is_named_by_its_id_too() {
        let known = finding("a", &[("order_no", "E1")], "1.00");
        let text = BY_KEY.replace(
            "rule: a\n    key: {order_no: E1}",
            &format!("finding: {}", known.finding_id),
        );
        let findings = [known, finding("a", &[("order_no", "E2")], "1.00")];
        let (accepted, notes) = applied(&text, &findings, "2026-11-22T08:00:00Z");
        assert_eq!((accepted, notes.len()), (vec!["E1".into()], 0));
    }

    #[test]
    fn a_loss_that_grows_shows_again() {
        let text = BY_KEY.replace("    reason", "    at_most: 12.50 CNY\n    reason");
        let with = |amount: &str, currency: Option<&str>| {
            let mut known = finding("a", &[("order_no", "E1")], amount);
            known.currency = currency.map(str::to_owned);
            applied(&text, &[known], "2026-11-22T08:00:00Z")
        };
        assert_eq!(with("12.5", Some("CNY")).0, ["E1"]);
        for (amount, currency) in [
            ("12.51", Some("CNY")),
            ("1.00", Some("USD")),
            ("1.00", None),
        ] {
            let (accepted, notes) = with(amount, currency);
            assert!(accepted.is_empty(), "{amount} {currency:?}");
            assert!(
                notes[0].contains("not within 12.50 CNY and count"),
                "{notes:?}"
            );
        }
    }

    #[test]
    fn entries_that_matched_nothing_are_said() {
        let (_, notes) = applied(BY_KEY, &[], "2026-11-22T08:00:00Z");
        assert_eq!(
            notes,
            ["known.yaml:3: it matched nothing: remove it if what it names is mended"]
        );
        let (_, notes) = applied(BY_KEY, &[], "2027-11-22T08:00:00Z");
        assert!(
            notes[0].ends_with("expired; it matched nothing: remove it"),
            "{notes:?}"
        );
    }
}
