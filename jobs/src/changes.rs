//! `centinel changes`: the changes made by hand that detection told, with who, when, what, and what followed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use centinel_model::{CheckpointVerdict, Finding, Verdict};
use centinel_rules::GUARD_PREFIX;
use clap::{Args, ValueEnum};

use crate::exit::Status;
use crate::findings_file::read_findings;
use crate::printer::{Printer, complain};

/// Where the findings are, and how changes are shown.
#[derive(Args, Debug)]
pub struct ChangesArguments {
    /// File of findings that detection writes
    #[arg(long, value_name = "FILE")]
    findings: PathBuf,
    /// Only of this table
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The last finding of each change, one JSON object in each line
    Jsonl,
}

/// Lists them; the exit status is 2 where there are some.
pub fn run(arguments: &ChangesArguments) -> ExitCode {
    let changes = match read(arguments) {
        Ok(changes) => changes,
        Err(problem) => {
            complain(format_args!(
                "error: {}: {problem}",
                arguments.findings.display()
            ));
            return Status::CouldNotJudge.into();
        }
    };
    let mut printer = Printer::stdout();
    for finding in &changes {
        match arguments.format {
            Format::Text => printer.line(shown(finding)),
            Format::Jsonl => match serde_json::to_string(finding) {
                Ok(line) => printer.line(line),
                Err(error) => complain(format_args!("error: {error}")),
            },
        }
    }
    if arguments.format == Format::Text {
        let violated = changes.iter().filter(|change| is_violated(change)).count();
        printer.line(match changes.len() {
            0 => "no change was made by hand".to_owned(),
            1 => format!("1 change made by hand, {violated} with a violated checkpoint"),
            many => format!("{many} changes made by hand, {violated} with a violated checkpoint"),
        });
    }
    let status = match changes.is_empty() {
        true => Status::Clean,
        false => Status::Findings,
    };
    printer.finish(status).into()
}

/// The last word on each change that stands, in the order in which they were made.
fn read(arguments: &ChangesArguments) -> Result<Vec<Finding>, String> {
    let wanted = arguments
        .table
        .as_deref()
        .map(centinel_rules::guard_rule_id);
    let told = read_findings(&arguments.findings)?;
    let counts = |finding: &Finding| match &wanted {
        Some(rule) => finding.rule == *rule,
        None => finding.rule.starts_with(GUARD_PREFIX),
    };
    let stands =
        |finding: &Finding| matches!(finding.verdict, Verdict::Confirmed | Verdict::Undetermined);
    let mut changes: Vec<Finding> = told
        .findings
        .into_values()
        .filter(|finding| counts(finding) && stands(finding))
        .collect();
    changes.sort_by(|left, right| {
        (&left.anchor, &left.finding_id).cmp(&(&right.anchor, &right.finding_id))
    });
    Ok(changes)
}

fn is_violated(finding: &Finding) -> bool {
    let checkpoint = finding.checkpoint.as_ref();
    checkpoint.is_some_and(|checkpoint| checkpoint.verdict == CheckpointVerdict::Violated)
}

/// One change, for a person.
fn shown(finding: &Finding) -> String {
    let table = finding
        .rule
        .strip_prefix(GUARD_PREFIX)
        .unwrap_or(&finding.rule)
        .replace('-', "_");
    let empty = BTreeMap::new();
    let row = finding.evidence.rows.first().unwrap_or(&empty);
    let value = |name: &str| row.get(name).and_then(Option::as_deref);
    let who: Vec<String> = [
        ("account", value("account")),
        ("thread", value("thread_id")),
        ("transaction", value("transaction_id")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name} {}", value?)))
    .collect();
    let who = match who.is_empty() {
        true => "by nobody that the log names".to_owned(),
        false => format!("by {}", who.join(", ")),
    };
    let mut text = format!(
        "{} {} of {table} in {} {} {who}",
        finding.anchor,
        value("operation").unwrap_or("change"),
        finding.entity,
        finding.entity_key,
    );
    if finding.verdict == Verdict::Undetermined {
        let why = finding.hint.as_deref().unwrap_or("it could not be judged");
        text.push_str(&format!("\n  not sure: {why}"));
    }
    for (name, before) in row {
        let Some(column) = name.strip_prefix("before_") else {
            continue;
        };
        let (before, after) = (before.as_deref(), value(&format!("after_{column}")));
        if before != after {
            let said = |value: Option<&str>| value.unwrap_or("null").to_owned();
            text.push_str(&format!("\n  {column}: {} → {}", said(before), said(after)));
        }
    }
    if let Some(moved) = value("moved") {
        let currency = finding.currency.as_deref().unwrap_or_default();
        text.push_str(&format!("\n  money moved: {moved} {currency}"));
    }
    if let Some(checkpoint) = &finding.checkpoint {
        text.push_str(&format!(
            "\n  checkpoint {}: {}",
            checkpoint.name,
            word(checkpoint.verdict)
        ));
        for rule in &checkpoint.rules {
            if rule.verdict != CheckpointVerdict::Passed {
                let amount = rule.amount.as_deref().map(|amount| format!(", {amount}"));
                let amount = amount.unwrap_or_default();
                text.push_str(&format!(
                    "\n    {}: {}{amount}",
                    rule.rule,
                    word(rule.verdict)
                ));
            }
        }
    }
    text
}

fn word(verdict: CheckpointVerdict) -> &'static str {
    match verdict {
        CheckpointVerdict::Passed => "passed",
        CheckpointVerdict::Undetermined => "undetermined",
        CheckpointVerdict::Violated => "violated",
    }
}
