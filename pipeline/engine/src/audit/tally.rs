//! What comes of one rule, gathered slice by slice.

use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_model::{Amount, Duration, Finding, Positions, Timestamp, Verdict};
use centinel_outlet::{AtRisk, CouldNotJudge, InFlight, RuleSummary};
use centinel_rules::{Rule, Violations};

use crate::finding::{Judgement, of_violation};

/// Violations in flight that are listed for one rule; all are counted.
const MOST_IN_FLIGHT: usize = 1_000;
/// Entities listed that one rule could not judge; all are counted.
const MOST_UNJUDGED: usize = 1_000;

/// When violations become findings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The moment of judgement.
    pub as_of: Timestamp,
    /// Nothing is on its way: every violation is a finding.
    pub at_rest: bool,
}

/// What came of one rule so far.
pub(crate) struct Tally {
    rule: Arc<Rule>,
    pub rows_checked: u64,
    pub findings: Vec<Finding>,
    pub in_flight: Vec<InFlight>,
    in_flight_count: u64,
    pub unjudged: Vec<CouldNotJudge>,
    unjudged_count: u64,
    at_risk: BTreeMap<String, Option<Amount>>,
}

/// Tables of one snapshot are cut within this time of each other.
const LATER_CUTS: Duration = Duration::seconds(86_400);

impl Tally {
    pub fn new(rule: &Arc<Rule>) -> Tally {
        Tally {
            rule: Arc::clone(rule),
            rows_checked: 0,
            findings: Vec::new(),
            in_flight: Vec::new(),
            in_flight_count: 0,
            unjudged: Vec::new(),
            unjudged_count: 0,
            at_risk: BTreeMap::new(),
        }
    }

    /// The rule's id.
    pub fn rule_id(&self) -> &str {
        &self.rule.id
    }

    /// Takes in one violation. `anchor` is from when patience counts; an error says why that is not known.
    pub fn violation(
        &mut self,
        catalog: &Catalog,
        violations: &Violations,
        row: usize,
        anchor: Result<Timestamp, String>,
        clock: Clock,
    ) {
        let anchor = match anchor {
            Ok(anchor) if !clock.at_rest && anchor > clock.as_of.plus(LATER_CUTS) => {
                let reason = format!(
                    "its rows say {anchor}, long after the moment of the audit: mend their times, or audit as of \
                     the moment at which the tables were cut"
                );
                return self.could_not_judge(Some(violations.entity_key(row)), reason, 1);
            }
            Ok(anchor) => anchor,
            Err(_) if clock.at_rest => clock.as_of,
            Err(reason) => {
                return self.could_not_judge(Some(violations.entity_key(row)), reason, 1);
            }
        };
        let confirmed_at = anchor.plus(self.rule.patience());
        let confirmed = clock.at_rest || confirmed_at <= clock.as_of;
        if !confirmed {
            self.in_flight_count += 1;
            if self.in_flight.len() >= MOST_IN_FLIGHT {
                return;
            }
        }
        let positions = Positions::default();
        let judgement = Judgement {
            verdict: if confirmed {
                Verdict::Confirmed
            } else {
                Verdict::Suspected
            },
            sequence: 1,
            occurrence: 1,
            anchor,
            judged_at: clock.as_of,
            positions: &positions,
        };
        let finding = of_violation(catalog, violations, row, judgement);
        if !confirmed {
            self.in_flight.push(InFlight {
                rule: finding.rule,
                entity_key: finding.entity_key,
                key: finding.key,
                amount: finding.amount,
                currency: finding.currency,
                anchor: finding.anchor,
                confirmed_at: confirmed_at.to_string(),
            });
            return;
        }
        if let (Some(amount), Some(currency)) = (violations.amount(row), &finding.currency) {
            add(&mut self.at_risk, currency, Some(amount));
        }
        self.findings.push(finding);
    }

    /// So many entities could not be judged, the first of them this one; none is all of them.
    pub fn could_not_judge(&mut self, entity_key: Option<String>, reason: String, entities: u64) {
        self.unjudged_count += entities;
        if self.unjudged.len() < MOST_UNJUDGED {
            self.unjudged.push(CouldNotJudge {
                rule: Some(self.rule.id.clone()),
                entity_key,
                reason,
            });
        }
    }

    /// Takes over what another thread found.
    pub fn merge(&mut self, other: Tally) {
        self.rows_checked += other.rows_checked;
        self.in_flight_count += other.in_flight_count;
        self.unjudged_count += other.unjudged_count;
        self.findings.extend(other.findings);
        self.in_flight.extend(other.in_flight);
        self.unjudged.extend(other.unjudged);
        for (currency, amount) in other.at_risk {
            add(&mut self.at_risk, &currency, amount);
        }
    }

    /// The line of the report.
    pub fn summary(&self) -> RuleSummary {
        RuleSummary {
            rule: self.rule.id.clone(),
            title: self.rule.title.clone(),
            severity: Some(self.rule.severity),
            rows_checked: self.rows_checked,
            findings: self.findings.len() as u64,
            accepted: 0,
            in_flight: self.in_flight_count,
            could_not_judge: self.unjudged_count,

            at_risk: AtRisk::new(self.at_risk.clone()),
        }
    }
}

fn add(sums: &mut BTreeMap<String, Option<Amount>>, currency: &str, amount: Option<Amount>) {
    let sum = sums
        .entry(currency.to_owned())
        .or_insert(Some(Amount::default()));
    *sum = sum
        .zip(amount)
        .and_then(|(sum, amount)| sum.checked_add(amount));
}
