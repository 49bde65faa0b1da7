//! The shipped rules load, are local, and pass their tests over slices.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use centinel_catalog::Catalog;
use centinel_rules::{RuleSet, explain, load, load_tests, run_test};

fn shipped() -> (Catalog, RuleSet) {
    shipped_in("sql-rules")
}

fn shipped_in(folder: &str) -> (Catalog, RuleSet) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let catalog = centinel_catalog::load(&root.join("schemas")).unwrap();
    let rules = load(&root.join(folder), &catalog).unwrap_or_else(|mistakes| {
        let shown: Vec<String> = mistakes
            .into_iter()
            .map(|mistake| mistake.rendered)
            .collect();
        panic!("{}", shown.join("\n\n"))
    });
    (catalog, rules)
}

#[test]
fn every_shipped_rule_runs_in_detection() {
    let (_, rules) = shipped();
    assert!(rules.rules.len() >= 24);
    for rule in &rules.rules {
        assert!(
            rule.detection().is_ok(),
            "{}: {:?}",
            rule.id,
            rule.detection()
        );
    }
}

#[test]
fn every_shipped_rule_passes_its_tests() {
    for folder in ["sql-rules", "sql-rules/quality"] {
        passes_its_tests(folder);
    }
}

fn passes_its_tests(folder: &str) {
    let (catalog, rules) = shipped_in(folder);
    let mut failures = Vec::new();
    for rule in rules.rules.iter().filter(|rule| rule.guards.is_none()) {
        let tests = load_tests(rule, &catalog).unwrap();
        assert!(!tests.is_empty(), "{} has no test", rule.id);
        for test in tests {
            if let Err(differences) = run_test(rule, &catalog, &test) {
                failures.push(format!("{}: {}\n{differences}", rule.id, test.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_rule_is_explained() {
    let (catalog, rules) = shipped();
    let rule = rules.get("payment-reaches-final-state").unwrap();
    let page = explain(rule, &catalog).unwrap();
    for wanted in [
        "payment: payment_no, order_no, amount, status, updated_at",
        "local: yes",
        "after payment.updated_at",
        "Slice",
    ] {
        assert!(page.contains(wanted), "{wanted} in\n{page}");
    }
}
