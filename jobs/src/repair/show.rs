//! What comes of a plan, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use centinel_engine::repair::{RepairPlan, Verdict, Violation};
use centinel_model::Duration;

/// Lines shown of each list.
const MOST_SHOWN: usize = 10;

/// Writes the whole report, the verdict first.
pub fn write(plan: &RepairPlan, out: &mut dyn Write) -> io::Result<()> {
    let result = &plan.result;
    writeln!(out, "verdict: {}", result.verdict.as_str())?;
    for reason in &result.reasons {
        writeln!(out, "  {reason}")?;
    }
    writeln!(out, "plan: {}", plan.id)?;
    let moment = match (&result.as_of, result.at_rest) {
        (Some(as_of), false) => format!("as of {as_of}"),
        (Some(as_of), true) => format!("at rest, as of {as_of}"),
        (None, true) => "at rest".into(),
        (None, false) => "as of an unknown moment".into(),
    };
    let age = match &result.age {
        Some(age) => format!(", {} ago", coarse(age)),
        None => String::new(),
    };
    writeln!(out, "snapshot: {}, {moment}{age}", plan.snapshot.location)?;
    let mut cuts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (table, cut) in &result.cuts {
        cuts.entry(cut).or_default().push(table);
    }
    for (cut, tables) in cuts {
        writeln!(out, "  cut at {cut}: {}", tables.join(", "))?;
    }
    writeln!(out, "rows:")?;
    for (table, rows) in &result.rows {
        writeln!(
            out,
            "  {table}: {} inserted, {} updated, {} deleted",
            rows.inserted, rows.updated, rows.deleted
        )?;
    }
    let entities: Vec<String> = result
        .entities
        .iter()
        .map(|(entity, count)| format!("{count} of kind {entity}"))
        .collect();
    writeln!(out, "entities touched: {}", or_none(&entities.join(", ")))?;
    write_quality(plan, out)?;
    write_violations(plan, out)?;
    write_money(plan, out)?;
    for unjudged in result.could_not_judge.iter().take(MOST_SHOWN) {
        let named = [&unjudged.rule, &unjudged.entity_key].into_iter().flatten();
        let named: String = named.map(|name| format!("{name}: ")).collect();
        writeln!(out, "could not judge: {named}{}", unjudged.reason)?;
    }
    write_more(out, "could not judge", result.could_not_judge.len())?;
    for note in &result.notes {
        writeln!(out, "note: {note}")?;
    }
    if result.verdict == Verdict::Safe {
        writeln!(out, "next: write it with --out, and have it approved")?;
    }
    out.flush()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn write_more(out: &mut dyn Write, what: &str, all: usize) -> io::Result<()> {
    match all > MOST_SHOWN {
        true => writeln!(out, "{what}: {} more, see --format json", all - MOST_SHOWN),
        false => Ok(()),
    }
}

fn write_quality(plan: &RepairPlan, out: &mut dyn Write) -> io::Result<()> {
    let quality = &plan.result.quality;
    for found in quality.found.iter().take(MOST_SHOWN) {
        let column = found
            .column
            .as_ref()
            .map(|column| format!(".{column}"))
            .unwrap_or_default();
        let place = match found.place.is_empty() {
            true => String::new(),
            false => format!(" ({})", found.place),
        };
        writeln!(
            out,
            "quality: {}{column} {}: {}{place}",
            found.table, found.key, found.message
        )?;
    }
    let all: u64 = quality.counts.values().sum();
    write_more(out, "quality", usize::try_from(all).unwrap_or(usize::MAX))
}

fn write_violations(plan: &RepairPlan, out: &mut dyn Write) -> io::Result<()> {
    let violations = &plan.result.violations;
    let lists = [
        ("introduced", &violations.introduced),
        ("fixed", &violations.fixed),
        ("untouched", &violations.untouched),
    ];
    writeln!(
        out,
        "violations: {} fixed, {} introduced, {} changed, {} untouched",
        violations.fixed.len(),
        violations.introduced.len(),
        violations.changed.len(),
        violations.untouched.len()
    )?;
    for changed in violations.changed.iter().take(MOST_SHOWN) {
        writeln!(
            out,
            "  changed: {}, before {}",
            line(&changed.after),
            amount(&changed.before)
        )?;
    }
    write_more(out, "  changed", violations.changed.len())?;
    for (what, list) in lists {
        for violation in list.iter().take(MOST_SHOWN) {
            writeln!(out, "  {what}: {}", line(violation))?;
            if what == "introduced" {
                let told: Vec<String> = violation
                    .evidence
                    .iter()
                    .filter(|(name, _)| !violation.key.iter().any(|(key, _)| key == *name))
                    .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("null")))
                    .collect();
                if !told.is_empty() {
                    writeln!(out, "    {}", told.join(" "))?;
                }
                if let Some(hint) = &violation.hint {
                    writeln!(out, "    {hint}")?;
                }
            }
        }
        write_more(out, &format!("  {what}"), list.len())?;
    }
    Ok(())
}

fn line(violation: &Violation) -> String {
    let key: Vec<String> = violation
        .key
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let flying = if violation.in_flight {
        ", in flight"
    } else {
        ""
    };
    format!(
        "{} {} {} {}{flying}",
        violation.severity,
        violation.rule,
        key.join(" "),
        amount(violation)
    )
    .trim_end()
    .to_owned()
}

fn amount(violation: &Violation) -> String {
    match (&violation.amount, &violation.currency) {
        (Some(amount), Some(currency)) => format!("{amount} {currency}"),
        (Some(amount), None) => amount.clone(),
        _ => String::new(),
    }
}

fn write_money(plan: &RepairPlan, out: &mut dyn Write) -> io::Result<()> {
    let money = &plan.result.money;
    for total in &money.totals {
        let conserved = match total.conserved {
            true => "the total is conserved",
            false => "the total changes",
        };
        writeln!(
            out,
            "money in {}.{}: {} before, {} after, {}: {conserved}",
            total.table, total.column, total.before, total.after, total.currency
        )?;
    }
    for moved in money.moved.iter().take(MOST_SHOWN) {
        let account = moved.account.iter().map(|name| format!(" account {name}"));
        let merchant = moved
            .merchant
            .iter()
            .map(|name| format!(" merchant {name}"));
        let whose: String = account.chain(merchant).collect();
        writeln!(
            out,
            "  {}{whose}: {} {}",
            moved.table, moved.amount, moved.currency
        )?;
    }
    write_more(out, "  money", money.moved.len())
}

/// An age in the largest unit of which it has two at least.
fn coarse(age: &str) -> String {
    let Ok(Duration(micros)) = Duration::parse(age) else {
        return age.to_owned();
    };
    let units = [86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000];
    let unit = units.into_iter().find(|unit| micros >= 2 * unit);
    unit.map_or_else(
        || age.to_owned(),
        |unit| Duration(micros - micros % unit).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_as_people_tell_them() {
        for (age, told) in [
            ("357790s", "4d"),
            ("100001s", "27h"),
            ("119m", "119m"),
            ("7300s", "2h"),
            ("119s", "119s"),
            ("500ms", "500ms"),
            ("unknown", "unknown"),
        ] {
            assert_eq!(coarse(age), told, "{age}");
        }
    }
}
