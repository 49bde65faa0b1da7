//! `centinel rules test`.

use std::io::Write;
use std::sync::Arc;

use centinel_catalog::Catalog;
use centinel_rules::{Rule, RuleTest, load_tests};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::answer::Answer;
use super::by_audit::{Laid, by_audit};
use super::by_detection::{Arrival, by_detection};
use super::{Format, named};
use crate::exit::Status;
use crate::folders::{Folders, refuse};
use crate::printer::{Printer, complain};

/// Any number: it draws the order of a shuffled arrival.
const SEED: u64 = 20_261_122;

/// One path from given rows to violations.
type Path = fn(&Arc<Rule>, &Arc<Catalog>, &RuleTest) -> Result<Answer, String>;

const AUDIT: [(&str, Path); 2] = [
    ("audit", |rule, catalog, test| {
        by_audit(rule, catalog, test, Laid::Together)
    }),
    ("audit, backwards", |rule, catalog, test| {
        by_audit(rule, catalog, test, Laid::Backwards)
    }),
];

/// Only for rules that run in detection.
const DETECTION: [(&str, Path); 3] = [
    ("detection", |rule, catalog, test| {
        by_detection(rule, catalog, test, Arrival::Together)
    }),
    ("detection, backwards", |rule, catalog, test| {
        by_detection(rule, catalog, test, Arrival::Backwards)
    }),
    ("detection, shuffled", |rule, catalog, test| {
        by_detection(rule, catalog, test, Arrival::Shuffled(SEED))
    }),
];

/// What came of one test.
struct Outcome {
    rule: String,
    test: String,
    /// The path and the differences, for each path that differs.
    failures: Vec<(&'static str, String)>,
}

pub fn run(folders: &Folders, ids: &[String], format: Format) -> Result<Status, Status> {
    let (catalog, rules) = folders.load()?;
    let (mut outcomes, mut untested) = (Vec::new(), Vec::new());
    for rule in named(&rules, ids)? {
        let tests = load_tests(&rule, &catalog).map_err(|mistakes| refuse(&mistakes))?;
        outcomes.extend(tests.iter().map(|test| judge(&rule, &catalog, test)));
        if tests.is_empty() && rule.guards.is_none() {
            untested.push(rule.id.clone());
        }
    }
    let failed = outcomes.iter().any(Outcome::failed);
    let mut printer = Printer::stdout();
    match format {
        Format::Text => print(&outcomes, &untested, &mut printer),
        Format::Junit => print_junit(&outcomes, &mut printer)?,
    }
    Ok(printer.finish(match failed {
        true => Status::Findings,
        false => Status::Clean,
    }))
}

fn judge(rule: &Arc<Rule>, catalog: &Arc<Catalog>, test: &RuleTest) -> Outcome {
    let detection: &[(&str, Path)] = match rule.detection() {
        // Rows of a history are given as they are; detection makes them of changes.
        Ok(_) if !rule.reads_history => &DETECTION,
        _ => &[],
    };
    let differences = |path: &Path| match path(rule, catalog, test) {
        Ok(answer) => answer.differences(rule, test),
        Err(reason) => Some(format!("could not judge: {reason}")),
    };
    let failures = AUDIT
        .iter()
        .chain(detection)
        .filter_map(|(name, path)| Some((*name, differences(path)?)));
    Outcome {
        rule: rule.id.clone(),
        test: test.name.clone(),
        failures: failures.collect(),
    }
}

impl Outcome {
    fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The differences, a line each, with the path before them.
    fn differences(&self) -> Vec<String> {
        let lines = |(path, differences): &(&str, String)| -> Vec<String> {
            let lines = differences.lines();
            lines.map(|line| format!("{path}: {line}")).collect()
        };
        self.failures.iter().flat_map(lines).collect()
    }
}

fn print<W: Write>(outcomes: &[Outcome], untested: &[String], printer: &mut Printer<W>) {
    let mut failed = 0;
    for outcome in outcomes.iter().filter(|outcome| outcome.failed()) {
        failed += 1;
        printer.line(format_args!("{}: {}", outcome.rule, outcome.test));
        for line in outcome.differences() {
            printer.line(format_args!("  {line}"));
        }
    }
    for rule in untested {
        printer.line(format_args!("{rule} has no tests"));
    }
    printer.line(format_args!("tests: {}, failed: {failed}", outcomes.len()));
}

/// A suite for each rule, a case for each test.
fn print_junit<W: Write>(outcomes: &[Outcome], printer: &mut Printer<W>) -> Result<(), Status> {
    let mut report = Report::new("centinel rules test");
    for outcomes in outcomes.chunk_by(|left, right| left.rule == right.rule) {
        let mut suite = TestSuite::new(outcomes.first().map_or("", |first| &first.rule));
        suite.add_test_cases(outcomes.iter().map(|outcome| {
            let mut status = TestCaseStatus::success();
            if outcome.failed() {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_description(outcome.differences().join("\n"));
            }
            let mut case = TestCase::new(outcome.test.as_str(), status);
            case.set_classname(outcome.rule.as_str());
            case
        }));
        report.add_test_suite(suite);
    }
    let text = report.to_string().map_err(|error| {
        complain(format_args!("error: {error}"));
        Status::CouldNotJudge
    })?;
    printer.line(text);
    Ok(())
}
