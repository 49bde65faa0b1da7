//! What an audit found beside what the one before it found.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, BufRead};

use centinel_model::{FINDING_SCHEMA, Finding, FindingId};
use serde::Deserialize;

use crate::jsonl::{ACCEPTED_SCHEMA, AUDIT_SUMMARY_SCHEMA};
use crate::{Report, RuleSummary};

/// A finding of an earlier audit, as far as a comparison needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierFinding {
    /// Which.
    pub id: FindingId,
    /// The rule's id.
    pub rule: String,
    /// Key of the entity.
    pub entity_key: String,
    /// The key columns and their values.
    pub key: Vec<(String, String)>,
    /// Money at risk in major units.
    pub amount: Option<String>,
    /// ISO 4217 code of `amount`.
    pub currency: Option<String>,
}

/// An audit beside an earlier one. Accepted findings are compared as all others are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// When the earlier one was run, for people.
    pub with: String,
    /// Found now and not then.
    pub new: BTreeSet<FindingId>,
    /// Found both times.
    pub still_there: BTreeSet<FindingId>,
    /// Found then, and the rule passes now.
    pub gone: Vec<EarlierFinding>,
    /// Found then, and nobody can say now: each with the reason. Never to be taken for gone.
    pub unsure: Vec<(EarlierFinding, &'static str)>,
}

impl Comparison {
    /// Compares a report with what was found before.
    pub fn of(report: &Report, with: String, earlier: Vec<EarlierFinding>) -> Comparison {
        let now: HashSet<&FindingId> = report.found().map(|finding| &finding.finding_id).collect();
        let then: HashSet<&FindingId> = earlier.iter().map(|finding| &finding.id).collect();
        let mut comparison = Comparison {
            with,
            new: now.difference(&then).map(|id| (*id).clone()).collect(),
            still_there: now.intersection(&then).map(|id| (*id).clone()).collect(),
            ..Comparison::default()
        };
        let doubts = Doubts::of(report);
        let absent: Vec<bool> = earlier.iter().map(|old| !now.contains(&old.id)).collect();
        for (old, _) in earlier
            .into_iter()
            .zip(absent)
            .filter(|(_, absent)| *absent)
        {
            match doubts.about(&old) {
                Some(reason) => comparison.unsure.push((old, reason)),
                None => comparison.gone.push(old),
            }
        }
        comparison
    }
}

/// Of what nobody can say whether it passes.
struct Doubts<'a> {
    of_all: bool,
    by_rule: HashMap<&'a str, OfRule<'a>>,
}

struct OfRule<'a> {
    summary: &'a RuleSummary,
    /// Nothing of the rule could be judged.
    of_all: bool,
    unjudged: HashSet<&'a str>,
    in_flight: HashSet<FindingId>,
}

impl<'a> Doubts<'a> {
    fn of(report: &'a Report) -> Doubts<'a> {
        let rules = report.rules.iter().map(|summary| {
            let empty = OfRule {
                summary,
                of_all: false,
                unjudged: HashSet::new(),
                in_flight: HashSet::new(),
            };
            (summary.rule.as_str(), empty)
        });
        let mut doubts = Doubts {
            of_all: false,
            by_rule: rules.collect(),
        };
        for problem in &report.could_not_judge {
            let rule = problem.rule.as_deref();
            match (
                rule.map(|rule| doubts.by_rule.get_mut(rule)),
                &problem.entity_key,
            ) {
                (None, _) => doubts.of_all = true,
                (Some(None), _) => {}
                (Some(Some(rule)), None) => rule.of_all = true,
                (Some(Some(rule)), Some(key)) => {
                    rule.unjudged.insert(key);
                }
            }
        }
        for waiting in &report.in_flight {
            if let Some(rule) = doubts.by_rule.get_mut(waiting.rule.as_str()) {
                let values = waiting.key.iter().map(|(_, value)| value.as_str());
                rule.in_flight.insert(FindingId::new(&waiting.rule, values));
            }
        }
        doubts
    }

    fn about(&self, old: &EarlierFinding) -> Option<&'static str> {
        let Some(rule) = self.by_rule.get(old.rule.as_str()) else {
            return Some("the rule was not asked");
        };
        // Not every entity is listed where there are many.
        let unlisted = rule.summary.could_not_judge > rule.unjudged.len() as u64;
        if self.of_all || rule.of_all || unlisted || rule.unjudged.contains(old.entity_key.as_str())
        {
            return Some("it could not be judged");
        }
        let unlisted = rule.summary.in_flight > rule.in_flight.len() as u64;
        (unlisted || rule.in_flight.contains(&old.id)).then_some("it is in flight")
    }
}

#[derive(Deserialize)]
struct AnyLine {
    schema: String,
}

#[derive(Deserialize)]
struct AcceptedLine {
    finding: Finding,
}

/// The findings in what [`write_jsonl`](crate::write_jsonl) wrote, accepted ones among them.
///
/// # Errors
/// It cannot be read, or was cut short: it does not end with a summary.
pub fn read_findings(lines: impl BufRead) -> io::Result<Vec<EarlierFinding>> {
    let mut found = Vec::new();
    let mut whole = false;
    for line in lines.lines() {
        let line = line?;
        let schema = serde_json::from_str::<AnyLine>(&line)?.schema;
        whole = schema == AUDIT_SUMMARY_SCHEMA;
        match schema.as_str() {
            FINDING_SCHEMA => found.push(EarlierFinding::of(serde_json::from_str(&line)?)),
            ACCEPTED_SCHEMA => {
                let accepted: AcceptedLine = serde_json::from_str(&line)?;
                found.push(EarlierFinding::of(accepted.finding));
            }
            _ => {}
        }
    }
    match whole {
        true => Ok(found),
        false => Err(io::Error::other(
            "it was cut short: its last line is no summary",
        )),
    }
}

impl EarlierFinding {
    fn of(finding: Finding) -> EarlierFinding {
        EarlierFinding {
            id: finding.finding_id,
            rule: finding.rule,
            entity_key: finding.entity_key,
            key: finding.key,
            amount: finding.amount,
            currency: finding.currency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CouldNotJudge, InFlight, write_jsonl};

    fn finding(rule: &str, key: &str) -> Finding {
        serde_json::from_value(serde_json::json!({
            "schema": FINDING_SCHEMA, "finding_id": FindingId::new(rule, [key]), "sequence": 1, "rule": rule,
            "rule_version": "v", "title": "t", "entity": "order", "entity_key": key, "key": [["order_no", key]],
            "verdict": "confirmed", "occurrence": 1, "severity": "critical", "owner": "o", "amount": "1.00",
            "currency": "CNY", "hint": null, "evidence": {"rows": [], "total": 0}, "positions": {}, "anchor": "",
            "judged_at": "",
        }))
        .expect("a finding")
    }

    fn report(findings: &[(&str, &str)]) -> Report {
        let summary = |rule: &str| RuleSummary {
            rule: rule.into(),
            ..RuleSummary::default()
        };
        Report {
            rules: vec![summary("a"), summary("b")],
            findings: findings
                .iter()
                .map(|(rule, key)| finding(rule, key))
                .collect(),
            ..Report::default()
        }
    }

    fn earlier(report: &Report) -> Vec<EarlierFinding> {
        let mut bytes = Vec::new();
        write_jsonl(report, &mut bytes).expect("written");
        read_findings(bytes.as_slice()).expect("read")
    }

    fn keys(of: &[EarlierFinding]) -> Vec<&str> {
        of.iter().map(|old| old.entity_key.as_str()).collect()
    }

    #[test]
    fn new_gone_and_still_there_are_told_by_finding() {
        let before = earlier(&report(&[("a", "E1"), ("a", "E2"), ("b", "E2")]));
        let mut now = report(&[("a", "E2"), ("a", "E3")]);
        now.accept(|finding| {
            (finding.entity_key == "E2").then(|| crate::Acceptance {
                reason: "known".into(),
                by: "somebody".into(),
                until: "2026-12-31".into(),
            })
        });
        let compared = Comparison::of(&now, "then".into(), before);
        assert_eq!(compared.new, [FindingId::new("a", ["E3"])].into());
        assert_eq!(compared.still_there, [FindingId::new("a", ["E2"])].into());
        assert_eq!(keys(&compared.gone), ["E1", "E2"]);
        assert_eq!(compared.unsure, []);
        assert_eq!(keys(&earlier(&now)), ["E3", "E2"], "accepted ones are kept");
    }

    #[test]
    fn what_could_not_be_judged_is_not_gone() {
        let before = || {
            earlier(&report(&[
                ("a", "E1"),
                ("a", "E2"),
                ("b", "E1"),
                ("c", "E1"),
            ]))
        };
        let unjudged = |rule: Option<&str>, key: Option<&str>| CouldNotJudge {
            rule: rule.map(str::to_owned),
            entity_key: key.map(str::to_owned),
            reason: "why".into(),
        };
        let unsure = |now: &Report| -> Vec<(String, String, &'static str)> {
            let compared = Comparison::of(now, "then".into(), before());
            let shown = compared.unsure.into_iter();
            shown
                .map(|(old, why)| (old.rule, old.entity_key, why))
                .collect()
        };
        let not_asked = ("c".to_owned(), "E1".to_owned(), "the rule was not asked");
        let doubt =
            |rule: &str, key: &str| (rule.to_owned(), key.to_owned(), "it could not be judged");

        assert_eq!(unsure(&report(&[])), vec![not_asked.clone()]);
        let mut now = report(&[]);
        now.could_not_judge = vec![unjudged(Some("a"), Some("E2"))];
        now.rules[0].could_not_judge = 1;
        assert_eq!(unsure(&now), [doubt("a", "E2"), not_asked.clone()]);
        // More than are listed: it may be any.
        now.rules[0].could_not_judge = 2;
        assert_eq!(
            unsure(&now),
            [doubt("a", "E1"), doubt("a", "E2"), not_asked.clone()]
        );
        now.could_not_judge = vec![unjudged(Some("b"), None)];
        now.rules[0].could_not_judge = 0;
        assert_eq!(unsure(&now), [doubt("b", "E1"), not_asked.clone()]);
        now.could_not_judge = vec![unjudged(None, None)];
        assert_eq!(unsure(&now).len(), 4);
    }

    #[test]
    fn what_is_in_flight_again_is_not_gone() {
        let before = earlier(&report(&[("a", "E1"), ("a", "E2")]));
        let mut now = report(&[]);
        now.rules[0].in_flight = 1;
        now.in_flight = vec![InFlight {
            rule: "a".into(),
            entity_key: "E1".into(),
            key: vec![("order_no".into(), "E1".into())],
            amount: None,
            currency: None,
            anchor: String::new(),
            confirmed_at: String::new(),
        }];
        let compared = Comparison::of(&now, "then".into(), before.clone());
        assert_eq!(keys(&compared.gone), ["E2"]);
        assert_eq!(compared.unsure[0].1, "it is in flight");
        now.rules[0].in_flight = 2_000;
        let compared = Comparison::of(&now, "then".into(), before);
        assert_eq!(keys(&compared.gone), [] as [&str; 0]);
    }

    #[test]
    fn findings_that_were_cut_short_are_not_compared_with() {
        let mut bytes = Vec::new();
        write_jsonl(&report(&[("a", "E1"), ("a", "E2")]), &mut bytes).expect("written");
        let text = String::from_utf8(bytes).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        let cut = lines[..2].join("\n");
        assert!(read_findings(cut.as_bytes()).is_err());
        assert!(read_findings(&cut.as_bytes()[..cut.len() - 5]).is_err());
        assert!(read_findings(&b""[..]).is_err());
    }
}
