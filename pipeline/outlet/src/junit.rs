//! JUnit XML, as build servers show it: each rule is a test case.

use std::io::{self, Write};

use centinel_model::Finding;
use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};

use crate::{Report, RuleSummary};

/// Findings written out for one rule; the message tells how many there are.
const MOST_SHOWN: usize = 100;

/// Writes one test case for each rule: a failure where it has findings, an error where it could not be
/// judged, skipped where all were accepted. What could not be judged of the snapshot as a whole is a test case of its own.
pub fn write_junit(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut suite = TestSuite::new("centinel audit");
    for rule in &report.rules {
        suite.add_test_case(case_of(report, rule));
    }
    let whole: Vec<&str> = report
        .could_not_judge
        .iter()
        .filter(|problem| problem.rule.is_none())
        .map(|problem| problem.reason.as_str())
        .collect();
    if !whole.is_empty() {
        let status = failed(
            NonSuccessKind::Error,
            "the snapshot could not be judged",
            &whole.join("\n"),
        );
        suite.add_test_case(TestCase::new("snapshot", status));
    }
    let mut junit = JUnit::new("centinel");
    junit.add_test_suite(suite);
    junit.serialize(&mut *out).map_err(io::Error::other)?;
    out.flush()
}

fn case_of(report: &Report, rule: &RuleSummary) -> TestCase {
    let unjudged: Vec<String> = report
        .could_not_judge
        .iter()
        .filter(|problem| problem.rule.as_deref() == Some(&rule.rule))
        .take(MOST_SHOWN)
        .map(|problem| match &problem.entity_key {
            Some(key) => format!("{key}: {}", problem.reason),
            None => problem.reason.clone(),
        })
        .collect();
    let found = || {
        report
            .findings
            .iter()
            .filter(|finding| finding.rule == rule.rule)
    };
    let shown: Vec<String> = found().take(MOST_SHOWN).map(line_of).collect();
    let status = if !unjudged.is_empty() {
        let told = [unjudged, shown].concat().join("\n");
        failed(NonSuccessKind::Error, "could not be judged", &told)
    } else if rule.findings > 0 {
        let message = format!("{} findings: {}", rule.findings, rule.title);
        failed(NonSuccessKind::Failure, &message, &shown.join("\n"))
    } else if rule.accepted > 0 {
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("{} findings, all accepted", rule.accepted));
        status
    } else {
        TestCaseStatus::success()
    };
    let mut case = TestCase::new(rule.rule.as_str(), status);
    case.set_classname("centinel.rules");
    case
}

fn failed(kind: NonSuccessKind, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_description(description);
    status
}

fn line_of(finding: &Finding) -> String {
    let key: Vec<&str> = finding
        .key
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    let money = match (&finding.amount, &finding.currency) {
        (Some(amount), Some(currency)) => format!(" {amount} {currency}"),
        _ => String::new(),
    };
    format!("{}{money}", key.join(" "))
}
