//! A report as one HTML file: for a phone, a screen and paper, dark and light, with nothing loaded from elsewhere.

mod findings;
mod page;
mod plot;

use std::collections::BTreeSet;
use std::io::{self, Write};

use centinel_model::Amount;

use crate::{AtRisk, Comparison, Report};
use page::Page;
use plot::{Bar, plot};

/// Lines shown of a list beside findings; the page says how many more there are.
const MOST_LINES: usize = 100;
/// Past runs that are drawn.
const MOST_RUNS: usize = 60;
/// What a table stands in that may be wider than the page: it can be moved sideways by keys as well.
const WIDE: &[(&str, &str)] = &[("class", "wide"), ("tabindex", "0")];

/// What a page says beside the report itself.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// What was audited, as its heading.
    pub title: String,
    /// What else is to be known, in words: the snapshot, the rules, how long it took.
    pub facts: Vec<(String, String)>,
    /// The exit status of the audit.
    pub exit_status: u8,
    /// What the run before found, if there was one.
    pub comparison: Option<Comparison>,
    /// Runs before this one, oldest first.
    pub past: Vec<PastRun>,
}

/// A run of the past, as it is drawn.
#[derive(Clone, Debug, Default)]
pub struct PastRun {
    /// When it was, for people.
    pub at: String,
    /// Its findings; none where it came to no end.
    pub findings: Option<u64>,
    /// Their money at risk.
    pub at_risk: AtRisk,
    /// Its exit status.
    pub exit_status: u8,
}

/// Writes the whole page.
pub fn write_html(report: &Report, around: &Surroundings, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(out)?;
    page.begin("html", &[("lang", "en")])?;
    head(&mut page, &around.title)?;
    page.begin("body", &[])?;
    summary(&mut page, report, around)?;
    over_time(&mut page, report, around)?;
    could_not_judge(&mut page, report)?;
    rules(&mut page, report)?;
    findings::of_rules(&mut page, report, around.comparison.as_ref())?;
    findings::accepted(&mut page, report)?;
    if let Some(comparison) = &around.comparison {
        findings::absent(&mut page, comparison)?;
    }
    findings::in_flight(&mut page, report)?;
    remarks(&mut page, report)?;
    page.finish()
}

fn head(page: &mut Page<'_>, title: &str) -> io::Result<()> {
    page.begin("head", &[])?;
    page.begin("meta", &[("charset", "utf-8")])?;
    page.begin(
        "meta",
        &[
            ("name", "viewport"),
            ("content", "width=device-width, initial-scale=1"),
        ],
    )?;
    // Nothing that a value might smuggle in would run or be loaded.
    page.begin(
        "meta",
        &[
            ("http-equiv", "Content-Security-Policy"),
            ("content", "default-src 'none'; style-src 'unsafe-inline'"),
        ],
    )?;
    page.element("title", &[], title)?;
    page.style(include_str!("style.css"))?;
    page.end()
}

fn summary(page: &mut Page<'_>, report: &Report, around: &Surroundings) -> io::Result<()> {
    page.element("h1", &[], &around.title)?;
    let (class, verdict) = verdict(around.exit_status, report);
    page.element("p", &[("class", class)], &verdict)?;
    page.begin("dl", &[])?;
    let judged = match (&report.as_of, report.at_rest) {
        (Some(as_of), false) => as_of.clone(),
        (Some(as_of), true) => format!("{as_of}, at rest: nothing is in flight"),
        (None, true) => "at rest: nothing is in flight".to_owned(),
        (None, false) => "unknown: the data has no cut".to_owned(),
    };
    page.element("dt", &[], "As of")?;
    page.element("dd", &[], &judged)?;
    for (name, value) in &around.facts {
        page.element("dt", &[], name)?;
        page.element("dd", &[], value)?;
    }
    page.element("dt", &[], "Exit status")?;
    page.element("dd", &[], &around.exit_status.to_string())?;
    page.end()?;
    page.begin("div", &[("class", "cards")])?;
    card(page, &report.findings.len().to_string(), "findings")?;
    let at_risk = AtRisk::of(&report.findings);
    for (currency, sum) in &at_risk.0 {
        card(page, &format!("{sum} {currency}"), "money at risk")?;
    }
    if let Some(comparison) = &around.comparison {
        card(page, &comparison.new.len().to_string(), "new")?;
        card(
            page,
            &comparison.still_there.len().to_string(),
            "still there",
        )?;
        card(page, &comparison.gone.len().to_string(), "gone")?;
        if !comparison.unsure.is_empty() {
            card(
                page,
                &comparison.unsure.len().to_string(),
                "not known to be gone",
            )?;
        }
    }
    card(page, &report.accepted.len().to_string(), "accepted")?;
    let in_flight: u64 = report.rules.iter().map(|rule| rule.in_flight).sum();
    card(page, &in_flight.to_string(), "in flight")?;
    card(
        page,
        &report.could_not_judge.len().to_string(),
        "could not judge",
    )?;
    page.end()
}

fn card(page: &mut Page<'_>, value: &str, name: &str) -> io::Result<()> {
    page.begin("div", &[("class", "card")])?;
    page.element("b", &[], value)?;
    page.element("span", &[("class", "quiet")], name)?;
    page.end()
}

/// The class and the words of what came of it.
fn verdict(exit_status: u8, report: &Report) -> (&'static str, String) {
    match exit_status {
        0 if report.findings.is_empty() => ("verdict good", "Nothing was found".to_owned()),
        0 => (
            "verdict good",
            "Findings, none as severe as asked for".to_owned(),
        ),
        1 => ("verdict warn", "Warnings".to_owned()),
        2 => ("verdict bad", "Something is wrong".to_owned()),
        _ if report.findings.is_empty() => (
            "verdict bad",
            "Something could not be judged: this is not clean".to_owned(),
        ),
        _ => (
            "verdict bad",
            "Something is wrong, and something could not be judged".to_owned(),
        ),
    }
}

fn over_time(page: &mut Page<'_>, report: &Report, around: &Surroundings) -> io::Result<()> {
    if around.past.is_empty() {
        return Ok(());
    }
    let now = PastRun {
        at: "this run".to_owned(),
        findings: Some(report.findings.len() as u64),
        at_risk: AtRisk::of(&report.findings),
        exit_status: around.exit_status,
    };
    let skipped = (around.past.len() + 1).saturating_sub(MOST_RUNS);
    let past: Vec<&PastRun> = around.past.iter().skip(skipped).collect();
    page.element("h2", &[], "Over time")?;
    let class = |index: usize| match index == past.len() {
        true => "now",
        false => "bar",
    };
    let runs = || past.iter().copied().chain([&now]).enumerate();
    let bars = runs().map(|(index, run)| {
        let told = match run.findings {
            Some(findings) => format!("{}: {findings} findings, exit {}", run.at, run.exit_status),
            None => format!("{}: came to no end", run.at),
        };
        let value = run.findings.map(|findings| Amount {
            units: i128::from(findings),
            scale: 0,
        });
        let class = class(index);
        Bar { told, value, class }
    });
    let span = format!("{} runs, the first {}", past.len() + 1, past[0].at);
    plot(
        page,
        &format!("Findings: {span}"),
        &bars.collect::<Vec<_>>(),
    )?;
    let currencies: BTreeSet<&String> = runs().flat_map(|(_, run)| run.at_risk.0.keys()).collect();
    for currency in currencies {
        let bars = runs().map(|(index, run)| {
            let sum = run.at_risk.0.get(currency);
            let told = match sum {
                Some(sum) => format!("{}: {sum} {currency}", run.at),
                None => format!("{}: 0 {currency}", run.at),
            };
            let value = match sum {
                _ if run.findings.is_none() => None,
                Some(sum) => Amount::exact(sum).ok(),
                None => Some(Amount::default()),
            };
            let class = class(index);
            Bar { told, value, class }
        });
        let title = format!("Money at risk in {currency}: {span}");
        plot(page, &title, &bars.collect::<Vec<_>>())?;
    }
    page.element(
        "p",
        &[("class", "quiet")],
        "The last bar is this run; a grey bar over the whole height is a run that came to no end.",
    )
}

fn could_not_judge(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let problems = &report.could_not_judge;
    if problems.is_empty() {
        return Ok(());
    }
    page.element("h2", &[("class", "bad")], "What could not be judged")?;
    page.begin("div", WIDE)?;
    page.begin("table", &[])?;
    page.row("th", &["rule", "entity", "reason"])?;
    for problem in problems.iter().take(MOST_LINES) {
        page.row(
            "td",
            &[
                problem.rule.as_deref().unwrap_or("all"),
                problem.entity_key.as_deref().unwrap_or("all"),
                &problem.reason,
            ],
        )?;
    }
    page.end()?;
    page.end()?;
    more(page, problems.len(), MOST_LINES)
}

fn rules(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    page.element("h2", &[], "Rules")?;
    page.begin("div", WIDE)?;
    page.begin("table", &[])?;
    let names = [
        "rule",
        "severity",
        "rows checked",
        "findings",
        "accepted",
        "in flight",
        "not judged",
        "money at risk",
    ];
    page.row("th", &names)?;
    for rule in &report.rules {
        let whole = report.could_not_judge.iter().any(|problem| {
            problem.entity_key.is_none() && problem.rule.as_deref().is_none_or(|id| id == rule.rule)
        });
        let severity = rule.severity.map_or("", |severity| severity.as_str());
        let unjudged = match whole {
            true => "all".to_owned(),
            false => rule.could_not_judge.to_string(),
        };
        page.begin("tr", &[])?;
        page.begin("td", &[])?;
        page.element("code", &[], &rule.rule)?;
        page.element("div", &[("class", "quiet")], &rule.title)?;
        page.end()?;
        let cells = [
            severity,
            &rule.rows_checked.to_string(),
            &rule.findings.to_string(),
            &rule.accepted.to_string(),
            &rule.in_flight.to_string(),
            &unjudged,
            &rule.at_risk.shown(),
        ];
        for cell in cells {
            page.element("td", &[], cell)?;
        }
        page.end()?;
    }
    page.end()?;
    page.end()
}

fn remarks(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if !report.tables.is_empty() {
        page.element("h2", &[], "Tables")?;
        page.begin("div", WIDE)?;
        page.begin("table", &[])?;
        page.row("th", &["table", "rows", "totals"])?;
        for table in &report.tables {
            let totals = table.totals.iter();
            let totals: Vec<String> = totals
                .map(|(column, sum)| format!("{column}: {}", sum.shown()))
                .collect();
            page.row(
                "td",
                &[&table.table, &table.rows.to_string(), &totals.join("; ")],
            )?;
        }
        page.end()?;
        page.end()?;
    }
    if report.without_entity.is_empty() && report.notes.is_empty() {
        return Ok(());
    }
    page.element("h2", &[], "Notes")?;
    page.begin("ul", &[])?;
    for rows in &report.without_entity {
        let told = format!(
            "{}: left out {} rows without a key and {} whose link leads nowhere ({}); {} of them are overdue",
            rows.table, rows.null_keys, rows.unresolved, rows.entity, rows.overdue
        );
        page.element("li", &[], &told)?;
    }
    for note in &report.notes {
        page.element("li", &[], note)?;
    }
    page.end()
}

/// Says how many lines of a list are not shown.
fn more(page: &mut Page<'_>, total: usize, shown: usize) -> io::Result<()> {
    if total <= shown {
        return Ok(());
    }
    let told = format!(
        "{} more of {total} are not shown here; the JSON Lines beside this page hold what the audit listed.",
        total - shown
    );
    page.element("p", &[("class", "quiet")], &told)
}
