//! Guarded tables: the rules that they bring, and guards that are wrong.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use centinel_rules::load;
use support::shown;

const ENTITIES: &str = "centinel: entities/1\nentities: { order: { key: [order_no] } }\n";
const PAYMENT: &str = "\
centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: { column: currency }, unit: major } }
  currency: text
  status: text
  updated_by: { type: text, nullable: true }
";
const PAID: &str = "\
centinel: schema/1
event: paid
system: payment
source: events
entities: { order: [order_no] }
columns: { order_no: text, payment_no: text, paid: \"decimal(18,2)\", published_at: timestamp }
changed_at: published_at
";
const RULE: &str = "\
/* ---
id: known
title: A rule
entity: order
severity: error
key: [order_no]
owner: tests
--- */
SELECT order_no FROM payment WHERE amount < 0
";

/// Loads a platform with this guard.
fn guarded(guard: &str, files: &[(&str, &str)]) -> Result<centinel_rules::RuleSet, String> {
    let folder = tempfile::tempdir().unwrap();
    let (schemas, rules) = (folder.path().join("schemas"), folder.path().join("rules"));
    let write = |folder: &Path, name: &str, text: &str| {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
    };
    write(&schemas, "entities.yaml", ENTITIES);
    write(&schemas, "payment.yaml", &format!("{PAYMENT}{guard}"));
    write(&schemas, "paid.yaml", PAID);
    write(&rules, "known.sql", RULE);
    files
        .iter()
        .for_each(|(name, text)| write(&rules, name, text));
    let catalog = centinel_catalog::load(&schemas).map_err(|mistakes| shown(&mistakes))?;
    load(&rules, &catalog).map_err(|mistakes| shown(&mistakes))
}

const GUARD: &str = "\
guard:
  window: 30s
  explained_by:
    - { event: paid, key: { payment_no: payment_no }, columns: [status], when: event.paid = after_amount }
    - { operations: [update], when: \"account = 'batch@10.0.0.9' AND after_updated_by = 'nightly'\" }
";

#[test]
fn a_guarded_table_brings_a_rule_for_detection() {
    let rules = guarded(GUARD, &[]).unwrap();
    let rule = rules.get("manual-change-payment").unwrap();
    assert!(rule.reads_history && rule.detection().is_ok());
    assert_eq!(
        rule.guards.as_ref().map(|guarded| guarded.window),
        Some(rule.patience())
    );
    assert_eq!(rule.key, ["order_no", "change_id"]);
    assert_eq!(rule.since.as_deref(), Some("committed_at"));
    let names: Vec<&str> = rule
        .output
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    for name in [
        "payment_no",
        "operation",
        "thread_id",
        "before_status",
        "after_status",
        "moved",
        "at_risk",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    // What the guard says is in the rule, so a guard that changes is a rule that changes.
    let other = guarded(&GUARD.replace("30s", "31s"), &[]).unwrap();
    assert_ne!(
        other.get("manual-change-payment").unwrap().version,
        rule.version
    );
}

#[test]
fn a_rule_of_ones_own_may_read_the_history() {
    let own = RULE.replace("known", "own").replace(
        "FROM payment WHERE amount < 0",
        "FROM payment_changes WHERE operation = 'delete'",
    );
    let rules = guarded(GUARD, &[("own.sql", &own)]).unwrap();
    let rule = rules.get("own").unwrap();
    assert!(rule.reads_history && rule.guards.is_none() && rule.detection().is_ok());
}

#[test]
fn a_wrong_guard_is_refused_with_its_place() {
    for (guard, problem) in [
        (
            GUARD.replace("event.paid", "event.payd"),
            "no column `event.payd`",
        ),
        (
            GUARD.replace("after_amount", "amount"),
            "no column `amount`",
        ),
        (
            GUARD.replace("event.paid = after_amount", "\"after_status = 'open\""),
            "guard of `payment`",
        ),
        (
            GUARD.replace(
                "event.paid = after_amount",
                "EXISTS (SELECT 1 FROM paid x WHERE x.payment_no = c.payment_no)",
            ),
            "guard of `payment`",
        ),
    ] {
        let refused = guarded(&guard, &[]).unwrap_err();
        assert!(
            refused.contains(problem) && refused.contains("payment.yaml:"),
            "{guard}\n{refused}"
        );
    }
    let same = RULE.replace("known", "manual-change-payment");
    let refused = guarded(GUARD, &[("manual-change-payment.sql", &same)]).unwrap_err();
    assert!(refused.contains("rule of a guarded table"), "{refused}");
}
