//! `centinel rules check`.

use centinel_rules::{Locality, Rule, Status as Trust, load_tests};

use crate::exit::Status;
use crate::folders::{Folders, refuse};
use crate::printer::{Printer, counted};

pub fn run(folders: &Folders) -> Result<Status, Status> {
    let (catalog, rules) = folders.load()?;
    let mut mistakes = Vec::new();
    let mut test_count = 0;
    let mut printer = Printer::stdout();
    for rule in &rules.rules {
        let tests = load_tests(rule, &catalog).unwrap_or_else(|more| {
            mistakes.extend(more);
            Vec::new()
        });
        test_count += tests.len();
        printer.line(where_it_runs(rule, tests.len()));
    }
    let in_detection = rules.rules.iter().filter(|rule| rule.detection().is_ok());
    printer.line(format_args!(
        "{}, {} ({} in detection), {}",
        counted(
            catalog.tables.len() as u64,
            "table or event",
            "tables and events"
        ),
        counted(rules.rules.len() as u64, "rule", "rules"),
        in_detection.count(),
        counted(test_count as u64, "test", "tests"),
    ));
    let status = match mistakes.is_empty() {
        true => Status::Clean,
        false => refuse(&mistakes),
    };
    Ok(printer.finish(status))
}

/// Whether a rule runs in detection and how in audits, and what keeps it from more.
fn where_it_runs(rule: &Rule, tests: usize) -> String {
    let trust = match rule.status {
        Trust::Draft => "draft, runs only when named",
        Trust::Shadow => "shadow, alerts nobody",
        Trust::Stable => "stable",
    };
    let detection = match rule.detection() {
        Ok(_) => "yes".to_owned(),
        Err(reason) => format!("no{}: {reason}", line_of(rule)),
    };
    let audit = match rule.locality.is_local() {
        _ if rule.reads_history => "no: a snapshot holds no history of changes",
        true => "slice by slice",
        false => "whole tables",
    };
    let tests = match tests {
        0 if rule.guards.is_none() => "\n  tests: none".to_owned(),
        _ => String::new(),
    };
    format!(
        "{} ({trust})\n  detection: {detection}\n  audits: {audit}{tests}",
        rule.id
    )
}

/// Where the rule's text keeps it from being local.
fn line_of(rule: &Rule) -> String {
    match &rule.locality {
        Locality::NotLocal {
            line: Some(line), ..
        } => format!(" ({}:{line})", rule.path),
        _ => String::new(),
    }
}
