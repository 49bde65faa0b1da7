//! What the rules of a checkpoint say of an entity whose row was changed by hand.

use centinel_model::{Amount, CheckpointAnswer, CheckpointRule, CheckpointVerdict, Timestamp};
use centinel_rules::Checkpoint;
use centinel_verdict::{Case, CaseState};

use super::entities::Judged;

/// The answer when the checkpoint's own patience, counted from the change, has ended. What a rule of its own patience
/// would still wait for counts as violated; what is not asked yet, because a source of it is behind, as undetermined.
pub(super) fn answer(
    checkpoint: &Checkpoint,
    rules: &[Judged],
    cases: &[Case],
    clocks: &[Timestamp],
    changed_at: Timestamp,
) -> CheckpointAnswer {
    let due = changed_at.plus(checkpoint.patience());
    let each = checkpoint.rules.iter().map(|id| {
        let (verdict, amount) = match rules.iter().position(|judged| judged.rule.id == *id) {
            Some(index) => of_rule(rules[index].number, cases, clocks[index] >= due),
            None => (CheckpointVerdict::Undetermined, None),
        };
        CheckpointRule {
            rule: id.clone(),
            verdict,
            amount,
        }
    });
    let each: Vec<CheckpointRule> = each.collect();
    let worst = each.iter().map(|rule| rule.verdict).max();
    CheckpointAnswer {
        name: checkpoint.name.clone(),
        verdict: worst.unwrap_or(CheckpointVerdict::Undetermined),
        rules: each,
    }
}

fn of_rule(number: u16, cases: &[Case], judged: bool) -> (CheckpointVerdict, Option<String>) {
    let own = || cases.iter().filter(|case| case.rule == number);
    let broken = |case: &&Case| matches!(case.state, CaseState::Confirmed | CaseState::Suspected);
    let unknown = |case: &Case| case.state == CaseState::Undetermined;
    if own().any(|case| broken(&case)) {
        let amounts = own()
            .filter(broken)
            .filter_map(|case| case.amount()?.absolute());
        return (CheckpointVerdict::Violated, sum(amounts));
    }
    match own().any(unknown) || !judged {
        true => (CheckpointVerdict::Undetermined, None),
        false => (CheckpointVerdict::Passed, None),
    }
}

/// The sum; none without amounts.
fn sum(amounts: impl Iterator<Item = Amount>) -> Option<String> {
    let total = amounts
        .map(Some)
        .reduce(|sum, amount| sum?.checked_add(amount?));
    total.flatten().map(|total| total.to_string())
}
