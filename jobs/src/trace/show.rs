//! A trace on a terminal: one step after the other, within its width, and nothing in it that steers it.

use centinel_findings::life::verdict_word;
use centinel_model::CheckpointVerdict;
use centinel_trace::{
    BreakerAct, BreakerStep, ColumnStep, FindingStep, PersonStep, RowStep, Step, Trace, What,
};
use console::{Term, measure_text_width};

use crate::findings::one_line;
use crate::printer::counted;

/// Where no terminal says its width.
const USUAL_WIDTH: usize = 120;
const LEAST_WIDTH: usize = 40;
/// Characters of a value that are shown; JSON has them all.
const LONGEST_VALUE: usize = 160;
const INDENT: usize = 4;

/// How wide the lines may be.
pub fn width() -> usize {
    let said = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let terminal = || {
        Term::stdout()
            .size_checked()
            .map(|(_, columns)| usize::from(columns))
    };
    said.or_else(terminal)
        .unwrap_or(USUAL_WIDTH)
        .max(LEAST_WIDTH)
}

/// All lines, one after the other.
pub fn lines(trace: &Trace, width: usize, line: &mut dyn FnMut(&str)) {
    let mut out = Lines { width, line };
    out.line(0, &head(trace));
    for note in notes(trace) {
        out.line(2, &note);
    }
    for step in &trace.steps {
        out.step(step);
    }
    if !trace.rules.is_empty() {
        out.line(0, "the rules now:");
    }
    let mut passed = 0;
    for rule in &trace.rules {
        if rule.verdict == "passed" {
            passed += 1;
            continue;
        }
        let amount = money(rule.amount.as_ref());
        let finding = rule.finding_id.as_deref().unwrap_or_default();
        out.line(
            2,
            &format!("{} {}{amount} {finding}", rule.verdict, rule.rule),
        );
    }
    if passed > 0 {
        out.line(2, &format!("passed: {}", counted(passed, "rule", "rules")));
    }
    if !trace.totals.is_empty() {
        out.line(0, "the money in its rows now:");
    }
    for total in &trace.totals {
        let amount = total.amount.as_deref().unwrap_or("too much to add up");
        let rows = counted(total.rows, "row", "rows");
        let (system, table, column) = (&total.system, &total.table, &total.column);
        out.line(
            2,
            &format!(
                "{system}: {table}.{column} {amount} {} in {rows}",
                total.currency
            ),
        );
    }
}

fn head(trace: &Trace) -> String {
    let (entity, key) = (&trace.entity, &trace.key);
    match trace.is_empty() {
        true => format!("{entity} {key}: nothing is known of it"),
        false => {
            let steps = counted(trace.steps.len() as u64, "step", "steps");
            let within = match trace.systems.is_empty() {
                true => String::new(),
                false => format!(" in {}", trace.systems.join(", ")),
            };
            format!("{entity} {key}: {steps}{within}")
        }
    }
}

/// What a reader should know beforehand.
fn notes(trace: &Trace) -> Vec<String> {
    let known = &trace.completeness;
    let mut notes = Vec::new();
    notes.extend(
        known
            .until
            .as_ref()
            .map(|until| format!("all sources were read up to {until}")),
    );
    if known.replaced_missing {
        notes.push("older versions of its rows may be missing: state keeps the newest ones, an archive keeps all".into());
    }
    let since = known.since.as_ref();
    notes.extend(since.map(|since| format!("rows from before {since} may be missing")));
    if trace.changes_left_out > 0 {
        let left_out = counted(
            trace.changes_left_out,
            "older change is",
            "older changes are",
        );
        notes.push(format!("at least {left_out} not shown"));
    }
    if trace.entries_left_out > 0 {
        let left_out = counted(trace.entries_left_out, "older entry", "older entries");
        notes.push(format!(
            "{left_out} of findings or the breaker are not shown"
        ));
    }
    notes.extend(known.notes.iter().cloned());
    notes
}

struct Lines<'a> {
    width: usize,
    line: &'a mut dyn FnMut(&str),
}

impl Lines<'_> {
    fn step(&mut self, step: &Step) {
        let (what, details) = match &step.what {
            What::Row(row) => of_row(row),
            What::Finding(finding) => of_finding(finding),
            What::Person(person) => of_person(person),
            What::Breaker(act) => of_breaker(act),
        };
        let by = step
            .by
            .as_ref()
            .map(|by| format!(", by {by}"))
            .unwrap_or_default();
        let by_hand = if step.by_hand { ", BY HAND" } else { "" };
        let (stage, at, lane) = (step.stage, &step.at, &step.lane);
        self.line(0, &format!("{stage} {at} {lane}: {what}{by_hand}{by}"));
        if !details.is_empty() {
            self.line(INDENT, &details.join("; "));
        }
    }

    /// One line, or as many as its words need.
    fn line(&mut self, indent: usize, text: &str) {
        let text = one_line(text);
        let (mut line, mut used) = (" ".repeat(indent), indent);
        let mut empty = true;
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let wide = measure_text_width(word);
            if !empty && used + 1 + wide > self.width {
                (self.line)(&line);
                (line, used, empty) = (" ".repeat(indent + 2), indent + 2, true);
            }
            if !empty {
                line.push(' ');
                used += 1;
            }
            // A word that no line holds goes on in the next.
            for character in word.chars() {
                let wide = measure_text_width(character.encode_utf8(&mut [0; 4]));
                if used + wide > self.width {
                    (self.line)(&line);
                    (line, used) = (" ".repeat(indent + 2), indent + 2);
                }
                line.push(character);
                used += wide;
            }
            empty = false;
        }
        (self.line)(&line);
    }
}

fn of_row(row: &RowStep) -> (String, Vec<String>) {
    let what = match row.event {
        true => format!("{} {}", row.table, row.primary_key),
        false => format!("{} {} {}", row.table, row.primary_key, row.operation),
    };
    let shown = |column: &&ColumnStep| match row.before_known {
        true => column.changed && (column.before.is_some() || column.after.is_some()),
        false => column.after.is_some(),
    };
    let columns = row.columns.iter().filter(shown);
    let mut details: Vec<String> = columns.map(|column| of_column(row, column)).collect();
    let origin = &row.origin;
    let made = [
        origin
            .transaction
            .as_ref()
            .map(|name| format!("transaction {name}")),
        origin.thread.map(|thread| format!("thread {thread}")),
        origin
            .statement
            .as_ref()
            .map(|text| format!("statement {}", shortened(text))),
    ];
    details.extend(made.into_iter().flatten());
    if !row.before_known {
        details.push("the row before is not known".into());
    }
    (what, details)
}

fn of_column(row: &RowStep, column: &ColumnStep) -> String {
    let value = |value: &Option<String>| value.as_deref().map_or("null".into(), shortened);
    let currency = column.currency.as_ref().map(|code| format!(" {code}"));
    let currency = currency.unwrap_or_default();
    let name = &column.column;
    let (before, after) = (value(&column.before), value(&column.after));
    match row.operation.as_str() {
        "delete" => format!("{name} was {before}{currency}"),
        "update" if row.before_known => format!("{name} {before} → {after}{currency}"),
        "snapshot" if row.before_known => format!("{name} {before} → {after}{currency}"),
        _ => format!("{name} {after}{currency}"),
    }
}

fn of_finding(finding: &FindingStep) -> (String, Vec<String>) {
    let what = format!(
        "{} {}{} ({})",
        finding.rule,
        verdict_word(finding.verdict),
        money(finding.amount.as_ref()),
        finding.severity
    );
    let mut details = vec![format!("{}, finding {}", finding.title, finding.finding_id)];
    details.extend(finding.hint.clone());
    details.extend(finding.checkpoint.as_ref().map(|checkpoint| {
        let verdict = match checkpoint.verdict {
            CheckpointVerdict::Passed => "passed",
            CheckpointVerdict::Undetermined => "could not be judged",
            CheckpointVerdict::Violated => "violated",
        };
        format!("checkpoint {} {verdict}", checkpoint.name)
    }));
    (what, details)
}

fn of_person(person: &PersonStep) -> (String, Vec<String>) {
    let what = format!("{} {}", person.act.replace('_', " "), person.rule);
    let mut details = vec![format!("finding {}", person.finding_id)];
    details.extend(person.text.as_deref().map(shortened));
    (what, details)
}

fn of_breaker(act: &BreakerStep) -> (String, Vec<String>) {
    let word = match act.act {
        BreakerAct::Proposed => "trip proposed",
        BreakerAct::Tripped => "tripped",
        BreakerAct::Held => "held",
        BreakerAct::ReleaseProposed => "release asked for",
        BreakerAct::Resumed => "resumed",
        BreakerAct::Rejected => "rejected",
        BreakerAct::Ended => "trip ended",
    };
    let at = match act.points.is_empty() {
        true => String::new(),
        false => format!(" at {}", act.points.join(", ")),
    };
    let what = match &act.request_id {
        Some(request) => format!("{word} {request}{at}{}", money(act.amount.as_ref())),
        None => format!("{word}{at}"),
    };
    let parts = [
        act.scope.as_ref().map(|scope| format!("over {scope}")),
        act.trip.as_ref().map(|trip| format!("trip {trip}")),
        act.release
            .as_ref()
            .map(|release| format!("release {release}")),
        act.finding_id
            .as_ref()
            .map(|finding| format!("finding {finding}")),
        act.reason.as_deref().map(shortened),
    ];
    (what, parts.into_iter().flatten().collect())
}

fn money(amount: Option<&(String, String)>) -> String {
    let text = amount.map(|(amount, currency)| format!(", {amount} {currency}"));
    text.map_or(String::new(), |text| text.trim_end().to_owned())
}

fn shortened(text: &str) -> String {
    match text.chars().count() > LONGEST_VALUE {
        true => text
            .chars()
            .take(LONGEST_VALUE)
            .chain("…".chars())
            .collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
