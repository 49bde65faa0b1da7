//! What is suspected, told at once to those who hold in doubt; and that it passed. Off unless asked for: most of what is on
//! its way is suspected of something.

use centinel_model::{SUSPICION_SCHEMA, Verdict};
use centinel_state::Commit;
use centinel_verdict::{Case, CaseState};

use super::detector::Detector;
use super::judging::{Judging, Subject};
use super::messages::line_of;
use crate::EngineError;
use crate::finding::trips;

/// The name of the fact that says that suspicions are told.
pub const SUSPICIONS_FACT: &str = "suspicions";

impl Judging<'_> {
    /// Tells what has become suspected of this entity, and what was and passes. What became sure is told as a finding. While
    /// documents are looked at again, all that is suspected is told again: who holds by it may not know.
    pub(super) fn tell_suspicions(
        &self,
        detector: &mut Detector,
        subject: &Subject<'_>,
        (before, after): (&[Case], &[Case]),
        commit: &mut Commit,
    ) -> Result<(), EngineError> {
        if !detector.suspicions {
            return Ok(());
        }
        let again = detector.sweeps() && subject.work.woken;
        let mut told = Vec::new();
        for case in after.iter().filter(|case| suspected(case)) {
            let Some(rule) = self.place_of(case) else {
                // Its rule is gone, and what is suspected with it.
                if again {
                    told.extend(self.gone(detector, subject, case));
                }
                continue;
            };
            let known = before
                .iter()
                .any(|known| same(known, case) && suspected(known));
            let verdict = match trips(&self.group.rules[rule].rule) {
                true if again || !known => Verdict::Suspected,
                // It may have been told by another version of the rule.
                false if again => Verdict::Cleared,
                _ => continue,
            };
            told.push(self.suspicion(detector, rule, subject, (case, verdict)));
        }
        for case in before.iter().filter(|case| suspected(case)) {
            let now = after.iter().find(|now| same(now, case));
            if now.is_some_and(|now| now.state != CaseState::Closed) {
                continue;
            }
            match self.place_of(case) {
                None => told.extend(self.gone(detector, subject, case)),
                Some(rule) => {
                    let number = self.group.rules[rule].number;
                    let was_told = trips(&self.group.rules[rule].rule)
                        || detector.is_changed(number, subject.document);
                    if was_told {
                        let passed = (case, Verdict::Cleared);
                        told.push(self.suspicion(detector, rule, subject, passed));
                    }
                }
            }
        }
        for suspicion in &told {
            detector.send(line_of(suspicion)?, commit);
        }
        Ok(())
    }

    /// The rule of a case by index, if it is loaded.
    fn place_of(&self, case: &Case) -> Option<usize> {
        let mut rules = self.group.rules.iter();
        rules.position(|judged| judged.number == case.rule)
    }

    fn gone(
        &self,
        detector: &Detector,
        subject: &Subject<'_>,
        case: &Case,
    ) -> Option<centinel_model::Finding> {
        let entity = self.group.entity;
        let mut finding =
            detector.finding_of_gone(subject.entity_key, entity, case, Verdict::Cleared)?;
        finding.schema = SUSPICION_SCHEMA.into();
        Some(finding)
    }
}

fn suspected(case: &Case) -> bool {
    case.state == CaseState::Suspected
}

fn same(left: &Case, right: &Case) -> bool {
    left.rule == right.rule && left.key == right.key
}
