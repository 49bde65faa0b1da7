use centinel_model::{Amount, Timestamp, Verdict};

use crate::{Case, CaseState, Patience};

/// One violation as the rule sees it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The finding's key values, joined by U+001F; empty when it is the entity's key alone.
    pub key: String,
    /// The money at risk, signed as the rule gave it.
    pub amount: Option<Amount>,
    /// The rule's `since` value, where it has one.
    pub since: Option<Timestamp>,
}

/// What is asked about one rule and one entity.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Number of the rule's id in the state's register.
    pub rule: u16,
    /// The rule's patience.
    pub patience: &'a Patience,
    /// The least progress of the sources that the rule reads.
    pub clock: Timestamp,
    /// The newest commit time among the entity's rows in the tables that the rule reads.
    pub newest_commit: Timestamp,
    /// Whether rows that could not be read may belong to this entity.
    pub hole: bool,
    /// Whether this is the first look with a new version of the rule.
    pub rule_changed: bool,
}

/// Something to be told to the world about a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The case after it.
    pub case: Case,
    /// What is known now.
    pub verdict: Verdict,
    /// Which of the observations shows it, by index; none where the rule passes.
    pub observation: Option<usize>,
}

/// Brings the cases of one rule and entity up to what the rule sees now. `cases` may hold other rules'
/// cases, which are left alone. Observations have different keys.
pub fn judge(
    cases: &mut Vec<Case>,
    question: Question<'_>,
    observations: &[Observation],
) -> Vec<Transition> {
    let mut transitions = Vec::new();
    cases.retain_mut(|case| {
        if case.rule != question.rule || observations.iter().any(|seen| seen.key == case.key) {
            return true;
        }
        let verdict = passes(case, &question);
        if let Some(verdict) = verdict {
            case.sequence += 1;
            transitions.push(Transition {
                case: case.clone(),
                verdict,
                observation: None,
            });
        }
        case.sequence > 0
    });
    for (index, seen) in observations.iter().enumerate() {
        let anchor = seen.since.unwrap_or(question.newest_commit);
        let known = cases
            .iter()
            .position(|case| case.rule == question.rule && case.key == seen.key);
        let position = known.unwrap_or_else(|| {
            cases.push(Case::new(question.rule, seen.key.clone(), anchor));
            cases.len() - 1
        });
        let case = &mut cases[position];
        if let Some(verdict) = fails(case, &question, seen, anchor) {
            case.sequence += 1;
            transitions.push(Transition {
                case: case.clone(),
                verdict,
                observation: Some(index),
            });
        }
    }
    transitions
}

/// The rule no longer sees this case.
fn passes(case: &mut Case, question: &Question<'_>) -> Option<Verdict> {
    let verdict = match case.state {
        CaseState::Confirmed if question.rule_changed => Some(Verdict::RuleChanged),
        CaseState::Confirmed => Some(Verdict::Recovered),
        CaseState::Undetermined => Some(Verdict::Cleared),
        CaseState::Suspected | CaseState::Closed => None,
    };
    case.state = CaseState::Closed;
    case.set_wake(None);
    verdict
}

/// The rule sees this case.
fn fails(
    case: &mut Case,
    question: &Question<'_>,
    seen: &Observation,
    anchor: Timestamp,
) -> Option<Verdict> {
    if case.state == CaseState::Closed {
        case.suspect_again(anchor);
    }
    case.set_anchor(anchor);
    let ends = question.patience.ends(anchor);
    let at_rest = question.clock >= ends;
    let verdict = match case.state {
        CaseState::Confirmed => {
            (at_rest && case.amount() != seen.amount).then_some(Verdict::Confirmed)
        }
        _ if at_rest && !question.hole => {
            case.state = CaseState::Confirmed;
            case.occurrence += 1;
            Some(Verdict::Confirmed)
        }
        CaseState::Undetermined => None,
        _ if at_rest || anchor.since(case.first_anchor()) > question.patience.max_wait => {
            case.state = CaseState::Undetermined;
            Some(Verdict::Undetermined)
        }
        _ => None,
    };
    if verdict.is_some() {
        case.set_amount(seen.amount);
    }
    let waits = case.state != CaseState::Confirmed || case.amount() != seen.amount;
    case.set_wake((waits && !at_rest).then_some(ends));
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_model::Duration;

    const PATIENCE: Patience = Patience {
        settle: Duration(10),
        retries: 2,
        retry_interval: Duration(5),
        max_wait: Duration(100),
    };

    /// Plays a ledger: one line for each look, `clock newest-commit violations → verdicts`. A violation
    /// is written `key:amount`, with `!` behind the clock for a hole and `*` for a changed rule.
    fn play(ledger: &str) {
        let mut cases = Vec::new();
        for line in ledger
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            let (asked, expected) = line.split_once("->").unwrap();
            let mut words = asked.split_whitespace();
            let clock = words.next().unwrap();
            let newest_commit = Timestamp(words.next().unwrap().parse().unwrap());
            let observations: Vec<Observation> = words
                .map(|word| {
                    let (key, amount) = word.split_once(':').unwrap();
                    Observation {
                        key: key.into(),
                        amount: Some(Amount {
                            units: amount.parse().unwrap(),
                            scale: 0,
                        }),
                        since: None,
                    }
                })
                .collect();
            let question = Question {
                rule: 1,
                patience: &PATIENCE,
                clock: Timestamp(clock.trim_end_matches(['!', '*']).parse().unwrap()),
                newest_commit,
                hole: clock.contains('!'),
                rule_changed: clock.contains('*'),
            };
            let told: Vec<String> = judge(&mut cases, question, &observations)
                .iter()
                .map(|told| {
                    let amount = told
                        .case
                        .amount()
                        .map_or(String::new(), |amount| format!("={amount}"));
                    format!(
                        "{}:{:?}#{}x{}{amount}",
                        told.case.key, told.verdict, told.case.sequence, told.case.occurrence
                    )
                })
                .collect();
            let waking: Vec<String> = cases
                .iter()
                .filter_map(|case| Some(format!("{}@{}", case.key, case.wake()?.0)))
                .collect();
            assert_eq!(
                [told, waking].concat().join(" "),
                expected.trim(),
                "in line `{line}`"
            );
            let kept = read_back(&cases);
            assert_eq!(kept, cases);
        }
    }

    fn read_back(cases: &[Case]) -> Vec<Case> {
        crate::read_cases(&crate::write_cases(cases).unwrap()).unwrap()
    }

    #[test]
    fn what_passes_in_time_is_never_told() {
        play(
            "5  5  a:1 -> a@25
             7  6  a:1 -> a@26
             9  9      ->",
        );
    }

    #[test]
    fn what_stands_to_the_end_of_patience_is_confirmed_once() {
        play(
            "5  5  a:1 -> a@25
             24 5  a:1 -> a@25
             25 5  a:1 -> a:Confirmed#1x1=1
             90 5  a:1 ->",
        );
    }

    #[test]
    fn what_comes_late_but_is_old_is_confirmed_at_once() {
        play("99 5 a:1 b:2 -> a:Confirmed#1x1=1 b:Confirmed#1x1=2");
    }

    #[test]
    fn recovered_and_broken_again_is_the_next_occurrence() {
        play(
            "30 5  a:1 -> a:Confirmed#1x1=1
             31 31     -> a:Recovered#2x1=1
             40 40 a:7 -> a@60
             45 45     ->
             50 50 a:7 -> a@70
             70 50 a:7 -> a:Confirmed#3x2=7",
        );
    }

    #[test]
    fn a_new_amount_is_told_when_it_has_come_to_rest() {
        play(
            "30 5  a:1 -> a:Confirmed#1x1=1
             40 40 a:2 -> a@60
             60 40 a:2 -> a:Confirmed#2x1=2",
        );
    }

    #[test]
    fn what_never_rests_is_undetermined_until_it_does() {
        play(
            "0   0   a:1 -> a@20
             100 100 a:1 -> a@120
             110 101 a:1 -> a:Undetermined#1x0=1 a@121
             115 105 a:1 -> a@125
             125 105 a:1 -> a:Confirmed#2x1=1",
        );
    }

    #[test]
    fn behind_a_hole_nothing_is_confirmed() {
        play(
            "30! 5 a:1 -> a:Undetermined#1x0=1
             31! 5 a:1 ->
             32  5 a:1 -> a:Confirmed#2x1=1",
        );
        play(
            "30! 5 a:1 -> a:Undetermined#1x0=1
             31  9     -> a:Cleared#2x0=1",
        );
    }

    #[test]
    fn a_new_version_of_the_rule_closes_what_it_no_longer_sees() {
        play(
            "30  5 a:1 b:1 -> a:Confirmed#1x1=1 b:Confirmed#1x1=1
             31* 5 b:1     -> a:RuleChanged#2x1=1",
        );
    }
}
