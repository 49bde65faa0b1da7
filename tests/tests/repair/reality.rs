//! Dry run equals reality.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use centinel_engine::audit::Cut;
use centinel_engine::repair::{RepairPlan, Verdict, Violation};
use centinel_outlet::Report;
use centinel_tests::{rules, schemas, seeds};
use serde_json::{Value, json};

use crate::platform::*;

/// Rule and key → amount, and whether it is in flight.
type Found = BTreeMap<(String, Vec<(String, String)>), (Option<String>, bool)>;

fn found(report: &Report) -> Found {
    let findings = report.findings.iter().map(|finding| {
        let name = (finding.rule.clone(), finding.key.clone());
        (name, (finding.amount.clone(), false))
    });
    let flying = report.in_flight.iter().map(|flying| {
        let name = (flying.rule.clone(), flying.key.clone());
        (name, (flying.amount.clone(), true))
    });
    findings.chain(flying).collect()
}

/// What the audit before becomes by what the dry run says.
fn predicted(before: &Found, plan: &RepairPlan) -> Found {
    let name = |violation: &Violation| (violation.rule.clone(), violation.key.clone());
    let violations = &plan.result.violations;
    let mut after = before.clone();
    for fixed in &violations.fixed {
        assert!(
            after.remove(&name(fixed)).is_some(),
            "{fixed:?} was not there"
        );
    }
    let changed = violations.changed.iter().map(|changed| &changed.after);
    for kept in violations.untouched.iter().chain(changed.clone()) {
        assert!(before.contains_key(&name(kept)), "{kept:?} was not there");
    }
    for introduced in &violations.introduced {
        assert!(
            !before.contains_key(&name(introduced)),
            "{introduced:?} was there"
        );
    }
    let all = violations
        .introduced
        .iter()
        .chain(&violations.untouched)
        .chain(changed);
    after.extend(all.map(|violation| {
        (
            name(violation),
            (violation.amount.clone(), violation.in_flight),
        )
    }));
    after
}

/// Numbers that look random and are the same in every run.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 >> 33) ^ (self.0 >> 17);
        (mixed % bound.max(1) as u64) as usize
    }

    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A plan over random rows, each changed once: amounts, states, links and keys of entities change, rows come and go.
fn random_plan(platform: &Platform, draw: &mut Draw, most: usize) -> Vec<Value> {
    let mut changes = Vec::new();
    let mut used = BTreeSet::new();
    for number in 0..1 + draw.below(most) {
        let table = *draw.of(&TABLES);
        let rows = &platform.rows[table];
        if rows.is_empty() {
            continue;
        }
        let row = draw.of(rows).clone();
        let key = platform.key(table);
        if !used.insert((table, row[&key].clone())) {
            continue;
        }
        let other = draw.of(rows).clone();
        match draw.below(10) {
            0 => changes
                .push(json!({"table": table, "operation": "delete", "key": {&key: row[&key]}})),
            1 | 2 => {
                let mut new = row.clone();
                new.insert(key.clone(), Some(format!("NEW{number}")));
                change_some(platform, table, &mut new, &other, draw);
                changes.push(json!({"table": table, "operation": "insert", "key": {&key: new[&key]}, "new": new}));
            }
            _ => {
                let mut new = row.clone();
                change_some(platform, table, &mut new, &other, draw);
                let changed: Vec<(&str, Option<String>)> = new
                    .iter()
                    .filter(|(column, value)| row[*column] != **value)
                    .map(|(column, value)| (column.as_str(), value.clone()))
                    .collect();
                if !changed.is_empty() {
                    changes.push(update(platform, table, &row, &changed));
                }
            }
        }
    }
    changes
}

fn change_some(platform: &Platform, table: &str, row: &mut Row, other: &Row, draw: &mut Draw) {
    for _ in 0..1 + draw.below(3) {
        let columns = platform.columns(table);
        let column = draw.of(&columns[1..]).clone();
        let value = match (platform.kind(table, &column), column.as_str()) {
            // The links and keys of another row: the row moves.
            (DataType::Utf8, "settlement_no") => {
                draw.of(&platform.rows["settlement"])["settlement_no"].clone()
            }
            (DataType::Utf8, "order_no") => draw.of(&platform.rows["payment"])["order_no"].clone(),
            (DataType::Utf8, "cash_out_no") if table == "settlement" => match draw.below(3) {
                0 => None,
                _ => draw.of(&platform.rows["cash_out"])["cash_out_no"].clone(),
            },
            (DataType::Int64, _) => Some(draw.below(1_000_000).to_string()),
            (DataType::Decimal128(_, scale), _) => Some(format!(
                "{}.{:0>width$}",
                draw.below(900),
                draw.below(100),
                width = scale as usize
            )),
            _ => other[&column].clone(),
        };
        row.insert(column, value);
    }
}

#[test]
fn a_dry_run_predicts_what_an_audit_finds_in_the_repaired_data() {
    let (catalog, mut verdicts) = (schemas(), BTreeMap::<&str, usize>::new());
    let rules = rules(&catalog);
    let mut moved = [0; 4];
    for seed in seeds(400, 4) {
        // Half of them with much on its way.
        let platform = Platform::new(seed, 400, if seed % 2 == 0 { 0 } else { 960 });
        let folder = platform.written(&platform.rows);
        for round in 0..8 {
            let mut draw = Draw(seed * 1_000 + round);
            let lines = random_plan(&platform, &mut draw, if round < 4 { 6 } else { 200 });
            if lines.is_empty() {
                continue;
            }
            let cut = if round % 3 == 2 {
                Cut::AtRest
            } else {
                Cut::Manifest
            };
            let plan = tried(
                &catalog,
                &rules,
                folder.path(),
                &changes_of(&catalog, &lines),
                cut,
            );
            let before = audited(&catalog, &rules, folder.path(), cut);
            let repaired = platform.written(&platform.applied(&lines));
            let after = audited(&catalog, &rules, repaired.path(), cut);
            assert_eq!(
                predicted(&found(&before), &plan),
                found(&after),
                "seed {seed}, round {round}"
            );
            let unjudged = |report: &Report| {
                let told = report.could_not_judge.iter();
                told.map(|told| format!("{told:?}"))
                    .collect::<BTreeSet<_>>()
            };
            let fresh: Vec<String> = unjudged(&after)
                .difference(&unjudged(&before))
                .cloned()
                .collect();
            if !fresh.is_empty() {
                assert_ne!(plan.result.verdict, Verdict::Safe, "{fresh:?}");
            }
            let violations = &plan.result.violations;
            let sizes = [
                violations.fixed.len(),
                violations.introduced.len(),
                violations.changed.len(),
                violations.untouched.len(),
            ];
            moved
                .iter_mut()
                .zip(sizes)
                .for_each(|(all, more)| *all += more);
            *verdicts.entry(plan.result.verdict.as_str()).or_default() += 1;
        }
    }
    assert!(moved.iter().all(|count| *count > 20), "{moved:?}");
    assert!(
        verdicts.get("unsafe").is_some_and(|count| *count > 5),
        "{verdicts:?}"
    );
}

#[test]
fn what_is_planned_does_not_depend_on_how_it_is_read() {
    let catalog = schemas();
    let rules = rules(&catalog);
    let platform = Platform::new(77, 300, 0);
    let lines = random_plan(&platform, &mut Draw(5), 60);
    let changes = changes_of(&catalog, &lines);
    // One row group, and many.
    let many = platform.written(&platform.rows);
    let one = tried(
        &catalog,
        &rules,
        platform.folder.path(),
        &changes,
        Cut::Manifest,
    );
    let other = tried(&catalog, &rules, many.path(), &changes, Cut::Manifest);
    let shown = |plan: &RepairPlan| serde_json::to_value(&plan.result).unwrap();
    assert_eq!(shown(&one), shown(&other));
    assert_eq!(one.changes, other.changes);
    assert_ne!(one.id, other.id, "the files are others");
    let again = tried(&catalog, &rules, many.path(), &changes, Cut::Manifest);
    assert_eq!(other.id, again.id);
}
