//! What a run of detection tells → the report of that run: for test environments, where a build server reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_engine::detect::Detector;
use centinel_model::{Finding, Verdict, is_self_check};
use centinel_outlet::{CouldNotJudge, Message, Report, RuleSummary};
use centinel_rules::Rule;

/// Findings kept; more are counted only.
const MOST_KEPT: usize = 100_000;

/// The findings that are open, as they were last told.
#[derive(Default)]
pub struct FindingsReport {
    open: BTreeMap<String, Finding>,
}

impl FindingsReport {
    /// Takes in what was told.
    pub fn take_in(&mut self, messages: &[Message]) {
        for (_, bytes) in messages {
            // Other messages are no findings.
            let Ok(finding) = serde_json::from_slice::<Finding>(bytes) else {
                continue;
            };
            if is_self_check(&finding.rule) {
                continue;
            }
            let id = finding.finding_id.to_string();
            match finding.verdict {
                Verdict::Confirmed | Verdict::Undetermined => {
                    if self.open.len() < MOST_KEPT || self.open.contains_key(&id) {
                        self.open.insert(id, finding);
                    }
                }
                _ => {
                    self.open.remove(&id);
                }
            }
        }
    }

    /// The report of a run that has ended.
    pub fn report(self, detector: &Detector, rules: &[Arc<Rule>]) -> Report {
        let open = detector.open();
        let summary = |rule: &Arc<Rule>| {
            let count = open.get(&rule.id).copied().unwrap_or_default();
            RuleSummary {
                rule: rule.id.clone(),
                title: rule.title.clone(),
                severity: Some(rule.severity),
                findings: count.confirmed.max(0).unsigned_abs(),
                in_flight: count.suspected.max(0).unsigned_abs(),
                could_not_judge: count.undetermined.max(0).unsigned_abs(),
                ..RuleSummary::default()
            }
        };
        let (findings, undetermined): (Vec<Finding>, Vec<Finding>) = self
            .open
            .into_values()
            .partition(|finding| finding.verdict == Verdict::Confirmed);
        let mut could_not_judge: Vec<CouldNotJudge> = undetermined
            .into_iter()
            .map(|finding| CouldNotJudge {
                rule: Some(finding.rule),
                entity_key: Some(finding.entity_key),
                reason: finding.hint.unwrap_or_else(|| "undetermined".into()),
            })
            .collect();
        let waiting = detector.waiting_holes();
        if waiting > 0 {
            could_not_judge.push(CouldNotJudge {
                rule: None,
                entity_key: None,
                reason: format!("{waiting} records could not be read"),
            });
        }
        Report {
            rules: rules
                .iter()
                .filter(|rule| !is_self_check(&rule.id))
                .map(summary)
                .collect(),
            findings,
            could_not_judge,
            ..Report::default()
        }
    }
}
