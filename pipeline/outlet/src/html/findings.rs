//! Findings by rule with their evidence, and what is listed beside them.

use std::collections::BTreeMap;
use std::io;

use centinel_model::Finding;

use super::page::Page;
use super::{MOST_LINES, WIDE, more};
use crate::{Comparison, Report};

/// Findings shown of one rule.
const MOST_FINDINGS: usize = 50;
/// Rows of evidence shown of one finding.
const MOST_EVIDENCE: usize = 20;

/// What was found, rule by rule, the worst first.
pub(super) fn of_rules(
    page: &mut Page<'_>,
    report: &Report,
    comparison: Option<&Comparison>,
) -> io::Result<()> {
    if report.findings.is_empty() {
        return Ok(());
    }
    page.element("h2", &[], "Findings")?;
    let mut by_rule: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for finding in &report.findings {
        let of_rule = by_rule.entry(&finding.rule).or_default();
        if of_rule.is_empty() {
            order.push(&finding.rule);
        }
        of_rule.push(finding);
    }
    for rule in order {
        let found = &by_rule[rule];
        page.begin("details", &[("open", "")])?;
        page.begin("summary", &[])?;
        page.element("h3", &[], rule)?;
        let severity = found[0].severity;
        page.element("span", &[("class", "badge bad")], severity.as_str())?;
        page.element("div", &[("class", "quiet")], &found[0].title)?;
        page.end()?;
        let summary = report.rules.iter().find(|summary| summary.rule == rule);
        let at_risk = summary.map(|summary| summary.at_risk.shown());
        let told = match at_risk.filter(|shown| !shown.is_empty()) {
            Some(shown) => format!("{} findings, {shown} at risk", found.len()),
            None => format!("{} findings", found.len()),
        };
        page.element("p", &[], &told)?;
        for finding in found.iter().take(MOST_FINDINGS) {
            let new = comparison.is_some_and(|with| with.new.contains(&finding.finding_id));
            one(page, finding, new)?;
        }
        more(page, found.len(), MOST_FINDINGS)?;
        page.end()?;
    }
    Ok(())
}

fn one(page: &mut Page<'_>, finding: &Finding, new: bool) -> io::Result<()> {
    page.begin("article", &[])?;
    page.begin("div", &[])?;
    page.element("code", &[], &pairs(&finding.key))?;
    if let Some(money) = money(&finding.amount, &finding.currency) {
        page.text(" ")?;
        page.element("b", &[], &money)?;
    }
    if new {
        page.element("span", &[("class", "badge")], "new")?;
    }
    page.end()?;
    if let Some(hint) = &finding.hint {
        page.element("div", &[("class", "warn")], hint)?;
    }
    evidence(page, finding)?;
    let told = format!("finding {}, owner {}", finding.finding_id, finding.owner);
    page.element("div", &[("class", "quiet")], &told)?;
    page.end()
}

fn evidence(page: &mut Page<'_>, finding: &Finding) -> io::Result<()> {
    let rows = &finding.evidence.rows;
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    page.begin("div", WIDE)?;
    page.begin("table", &[])?;
    page.row("th", &names)?;
    for row in rows.iter().take(MOST_EVIDENCE) {
        let value = |name: &&str| match row.get(*name) {
            Some(Some(value)) => value.clone(),
            _ => "null".to_owned(),
        };
        let cells: Vec<String> = names.iter().map(value).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        page.row("td", &cells)?;
    }
    page.end()?;
    page.end()?;
    let shown = rows.len().min(MOST_EVIDENCE) as u64;
    if finding.evidence.total > shown {
        let told = format!("{shown} of {} rows are shown", finding.evidence.total);
        page.element("div", &[("class", "quiet")], &told)?;
    }
    Ok(())
}

/// What people accepted, with reason, person and expiry.
pub(super) fn accepted(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.accepted.is_empty() {
        return Ok(());
    }
    page.element("h2", &[], "Accepted findings")?;
    page.begin("div", WIDE)?;
    page.begin("table", &[])?;
    page.row("th", &["rule", "key", "amount", "reason", "by", "until"])?;
    for accepted in report.accepted.iter().take(MOST_LINES) {
        let (finding, why) = (&accepted.finding, &accepted.acceptance);
        let money = money(&finding.amount, &finding.currency).unwrap_or_default();
        let key = pairs(&finding.key);
        let cells = [
            finding.rule.as_str(),
            &key,
            &money,
            &why.reason,
            &why.by,
            &why.until,
        ];
        page.row("td", &cells)?;
    }
    page.end()?;
    page.end()?;
    more(page, report.accepted.len(), MOST_LINES)
}

/// What was found the last time and not this time.
pub(super) fn absent(page: &mut Page<'_>, comparison: &Comparison) -> io::Result<()> {
    let title = format!("Compared with the run of {}", comparison.with);
    page.element("h2", &[], &title)?;
    let told = format!(
        "{} new, {} still there, {} gone, {} not known to be gone",
        comparison.new.len(),
        comparison.still_there.len(),
        comparison.gone.len(),
        comparison.unsure.len()
    );
    page.element("p", &[], &told)?;
    if comparison.gone.is_empty() && comparison.unsure.is_empty() {
        return Ok(());
    }
    page.begin("div", WIDE)?;
    page.begin("table", &[])?;
    page.row("th", &["rule", "key", "amount", "now"])?;
    let gone = comparison.gone.iter().map(|old| (old, "gone"));
    let unsure = comparison.unsure.iter().map(|(old, why)| (old, *why));
    for (old, now) in unsure.take(MOST_LINES).chain(gone.take(MOST_LINES)) {
        let money = money(&old.amount, &old.currency).unwrap_or_default();
        page.row("td", &[&old.rule, &pairs(&old.key), &money, now])?;
    }
    page.end()?;
    page.end()?;
    more(page, comparison.unsure.len(), MOST_LINES)?;
    more(page, comparison.gone.len(), MOST_LINES)
}

/// What rows on their way may still mend.
pub(super) fn in_flight(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let total: u64 = report.rules.iter().map(|rule| rule.in_flight).sum();
    if total == 0 {
        return Ok(());
    }
    page.element("h2", &[], "In flight")?;
    page.element(
        "p",
        &[],
        "Broken as of the cut, and rows on their way may still mend it. Not findings yet.",
    )?;
    page.begin("div", WIDE)?;
    page.begin("table", &[])?;
    page.row("th", &["rule", "key", "amount", "a finding at"])?;
    for each in report.in_flight.iter().take(MOST_LINES) {
        let money = money(&each.amount, &each.currency).unwrap_or_default();
        page.row(
            "td",
            &[&each.rule, &pairs(&each.key), &money, &each.confirmed_at],
        )?;
    }
    page.end()?;
    page.end()?;
    let shown = report.in_flight.len().min(MOST_LINES);
    more(page, usize::try_from(total).unwrap_or(usize::MAX), shown)
}

fn money(amount: &Option<String>, currency: &Option<String>) -> Option<String> {
    Some(format!("{} {}", amount.as_ref()?, currency.as_ref()?))
}

fn pairs(key: &[(String, String)]) -> String {
    let parts = key.iter().map(|(name, value)| format!("{name}={value}"));
    parts.collect::<Vec<_>>().join(" ")
}
