//! The findings that are open in state: counted, closed with their rules, listed.

use std::collections::BTreeMap;

use centinel_model::{EntityId, Evidence, FINDING_SCHEMA, Finding, FindingId, Timestamp, Verdict};
use centinel_state::{Commit, StoredDocument};
use centinel_verdict::{Case, CaseState, read_cases};
use serde::{Deserialize, Serialize};

use super::detector::{Detector, RESCAN_PER_BATCH};
use super::judging::{amount_text, key_values};
use super::keys::DocumentKind;
use super::messages::line_of;
use crate::EngineError;
use crate::finding::DRIFT_RULE;

/// How many findings of a rule are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Broken now, and rows may still be on their way.
    pub suspected: i64,
    /// Broken for sure.
    pub confirmed: i64,
    /// Could not be judged.
    pub undetermined: i64,
}

/// A finding that is open now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenFinding {
    /// The rule's id.
    pub rule: String,
    /// The values of the rule's key columns.
    pub key: Vec<String>,
    /// Money at risk in major units, never negative.
    pub amount: Option<String>,
    /// The time from which patience counts.
    pub anchor: Timestamp,
    /// Broken for sure; otherwise it could not be judged.
    pub confirmed: bool,
}

impl Detector {
    /// Keeps count of cases by rule.
    pub(super) fn count_open(&mut self, before: &[Case], after: &[Case]) {
        for (cases, by) in [(before, -1), (after, 1)] {
            for case in cases {
                let place = usize::from(case.rule);
                if self.open.len() <= place {
                    self.open.resize(place + 1, Open::default());
                }
                let open = &mut self.open[place];
                match case.state {
                    CaseState::Suspected => open.suspected += by,
                    CaseState::Confirmed => open.confirmed += by,
                    CaseState::Undetermined => open.undetermined += by,
                    CaseState::Closed => {}
                }
            }
        }
    }

    /// Closes the findings of rules that are not loaded any more.
    pub(super) fn close_unloaded(
        &mut self,
        entity_key: &str,
        entity: EntityId,
        cases: &mut Vec<Case>,
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        let gone = |case: &Case| {
            let known = self.register.by_number(case.rule);
            known.is_some_and(|(_, known)| known.version.is_empty())
        };
        cases.retain(|case| !gone(case) || case.sequence > 0);
        let mut told = Vec::new();
        for case in cases.iter_mut().filter(|case| gone(case) && open(case)) {
            case.retire();
            let finding = self.finding_of_gone(entity_key, entity, case, Verdict::RuleChanged);
            told.extend(finding.map(|finding| line_of(&finding)).transpose()?);
        }
        for message in told {
            self.send(message, commit);
        }
        Ok(())
    }

    /// What is told of a case whose rule is not loaded any more.
    pub(super) fn finding_of_gone(
        &self,
        entity_key: &str,
        entity: EntityId,
        case: &Case,
        verdict: Verdict,
    ) -> Option<Finding> {
        let (id, known) = self.register.by_number(case.rule)?;
        let key = key_values(&case.key, entity_key);
        Some(Finding {
            schema: FINDING_SCHEMA.into(),
            finding_id: FindingId::new(id, key.iter().map(String::as_str)),
            sequence: case.sequence,
            rule: id.to_owned(),
            rule_version: String::new(),
            title: known.title.clone(),
            entity: self.catalog.entity(entity).name.clone(),
            entity_key: entity_key.to_owned(),
            key: vec![],
            verdict,
            occurrence: case.occurrence,
            severity: known.severity,
            owner: known.owner.clone(),
            amount: amount_text(case.amount()),
            currency: None,
            hint: Some("the rule is not loaded any more".into()),
            evidence: Evidence::default(),
            positions: self.positions.clone(),
            anchor: case.anchor().to_string(),
            judged_at: case.anchor().to_string(),
            checkpoint: None,
            status: None,
            trip: None,
        })
    }

    /// How many findings are open, by the id of the rule; those on schemas that drifted under their own.
    pub fn open(&self) -> BTreeMap<String, Open> {
        let known = self.open.iter().enumerate().filter_map(|(number, open)| {
            let (rule, _) = self.register.by_number(u16::try_from(number).ok()?)?;
            Some((rule.to_owned(), *open))
        });
        let drifts = Open {
            confirmed: self.drifts.open(),
            ..Open::default()
        };
        let drifts = (drifts.confirmed > 0).then(|| (DRIFT_RULE.to_owned(), drifts));
        known.chain(drifts).collect()
    }

    /// Every open finding in state. Reads all of it: for ends of runs and for tests.
    pub fn open_findings(&self) -> Result<Vec<OpenFinding>, EngineError> {
        let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let documents = self
                .store
                .documents_after(after.as_deref(), RESCAN_PER_BATCH)?;
            let Some((last, _)) = documents.last() else {
                return Ok(found);
            };
            after = Some(self.store.place_of(last)?);
            for (key, bytes) in &documents {
                let Some((DocumentKind::Entity(_), entity_key)) = DocumentKind::read(key) else {
                    continue;
                };
                let cases = read_cases(StoredDocument::read(bytes)?.verdicts)
                    .map_err(|error| EngineError::Damaged(error.to_string()))?;
                for case in cases.iter().filter(|case| open(case)) {
                    let Some((rule, _)) = self.register.by_number(case.rule) else {
                        continue;
                    };
                    found.push(OpenFinding {
                        rule: rule.to_owned(),
                        key: key_values(&case.key, entity_key),
                        amount: amount_text(case.amount()),
                        anchor: case.anchor(),
                        confirmed: case.state == CaseState::Confirmed,
                    });
                }
            }
        }
    }
}

/// Whether a case stands as confirmed or undetermined.
pub(super) fn open(case: &Case) -> bool {
    matches!(case.state, CaseState::Confirmed | CaseState::Undetermined)
}
