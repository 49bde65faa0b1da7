//! For people: a table by rule, then the findings with their evidence.

use std::collections::BTreeMap;
use std::io::{self, Write};

use centinel_model::Finding;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::Report;

/// Findings shown for one rule.
const MOST_FINDINGS: usize = 10;
/// Accepted findings shown.
const MOST_ACCEPTED: usize = 50;
/// Violations in flight shown for one rule.
const MOST_IN_FLIGHT: usize = 3;
/// Entities shown that could not be judged.
const MOST_UNJUDGED: usize = 50;

/// Writes the report for a person to read: of each rule the first findings, and how many more there are.
pub fn write_table(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", rules_table(report))?;
    let judged = match (&report.as_of, report.at_rest) {
        (Some(as_of), false) => format!("as of {as_of}"),
        (Some(as_of), true) => format!("at rest, as of {as_of}"),
        (None, true) => "at rest".into(),
        (None, false) => "without a cut".into(),
    };
    writeln!(out, "{judged}")?;
    write_findings(report, out)?;
    write_accepted(report, out)?;
    write_in_flight(report, out)?;
    for rows in &report.without_entity {
        writeln!(
            out,
            "warning: {}: left out {} rows without a key and {} whose link leads nowhere ({}); {} of them are overdue",
            rows.table, rows.null_keys, rows.unresolved, rows.entity, rows.overdue
        )?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    write_unjudged(report, out)?;
    out.flush()
}

fn rules_table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_header([
        "rule",
        "severity",
        "rows checked",
        "findings",
        "accepted",
        "in flight",
        "not judged",
        "money at risk",
    ]);
    for rule in &report.rules {
        let whole = report.could_not_judge.iter().any(|problem| {
            problem.entity_key.is_none() && problem.rule.as_deref().is_none_or(|id| id == rule.rule)
        });
        table.add_row([
            rule.rule.clone(),
            rule.severity
                .map(|severity| severity.to_string())
                .unwrap_or_default(),
            rule.rows_checked.to_string(),
            rule.findings.to_string(),
            rule.accepted.to_string(),
            rule.in_flight.to_string(),
            if whole {
                "all".into()
            } else {
                rule.could_not_judge.to_string()
            },
            rule.at_risk.shown(),
        ]);
    }
    for index in 2..7 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn write_findings(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in &report.findings {
        let count = shown.entry(&finding.rule).or_default();
        *count += 1;
        if *count == 1 {
            writeln!(
                out,
                "\n{} {}: {}",
                finding.severity, finding.rule, finding.title
            )?;
        }
        if *count <= MOST_FINDINGS {
            write_finding(finding, out)?;
        }
    }
    for (rule, count) in shown.iter().filter(|(_, count)| **count > MOST_FINDINGS) {
        writeln!(
            out,
            "{rule}: {} more, see --format jsonl",
            count - MOST_FINDINGS
        )?;
    }
    Ok(())
}

fn write_finding(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "  {}", pairs(&finding.key))?;
    if let (Some(amount), Some(currency)) = (&finding.amount, &finding.currency) {
        write!(out, "  {amount} {currency}")?;
    }
    writeln!(out)?;
    for row in &finding.evidence.rows {
        let told: Vec<String> = row
            .iter()
            .filter(|(name, _)| !finding.key.iter().any(|(key, _)| key == *name))
            .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("null")))
            .collect();
        writeln!(out, "    {}", told.join(" "))?;
    }
    if let Some(hint) = &finding.hint {
        writeln!(out, "    {hint}")?;
    }
    Ok(())
}

fn write_accepted(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for accepted in report.accepted.iter().take(MOST_ACCEPTED) {
        let (finding, why) = (&accepted.finding, &accepted.acceptance);
        writeln!(
            out,
            "accepted until {} by {}: {} {}: {}",
            why.until,
            why.by,
            finding.rule,
            pairs(&finding.key),
            why.reason
        )?;
    }
    let more = report.accepted.len().saturating_sub(MOST_ACCEPTED);
    if more > 0 {
        writeln!(out, "accepted: {more} more, see --format jsonl")?;
    }
    Ok(())
}

fn write_in_flight(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for violation in &report.in_flight {
        let count = shown.entry(&violation.rule).or_default();
        *count += 1;
        if *count <= MOST_IN_FLIGHT {
            writeln!(
                out,
                "in flight: {} {}, a finding at {} unless it passes",
                violation.rule,
                pairs(&violation.key),
                violation.confirmed_at
            )?;
        }
    }
    for rule in &report.rules {
        let told = shown
            .get(rule.rule.as_str())
            .map_or(0, |count| *count.min(&MOST_IN_FLIGHT));
        if rule.in_flight > told as u64 {
            writeln!(
                out,
                "in flight: {} more of {}",
                rule.in_flight - told as u64,
                rule.rule
            )?;
        }
    }
    Ok(())
}

fn write_unjudged(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let problems = &report.could_not_judge;
    for problem in problems.iter().take(MOST_UNJUDGED) {
        write!(out, "could not judge: ")?;
        if let Some(rule) = &problem.rule {
            write!(out, "{rule}: ")?;
        }
        if let Some(key) = &problem.entity_key {
            write!(out, "{key}: ")?;
        }
        writeln!(out, "{}", problem.reason)?;
    }
    if problems.len() > MOST_UNJUDGED {
        writeln!(
            out,
            "could not judge: {} more",
            problems.len() - MOST_UNJUDGED
        )?;
    }
    Ok(())
}

fn pairs(key: &[(String, String)]) -> String {
    let parts: Vec<String> = key
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join(" ")
}
