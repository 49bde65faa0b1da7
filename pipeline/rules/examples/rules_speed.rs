//! The time that each shipped rule takes over a slice, and all take together: `cargo run --release --example rules_speed
//! [ENTITIES [RULE…]]`.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::datatypes::DataType;
use centinel_catalog::Catalog;
use centinel_model::Timestamp;
use centinel_rules::{Evaluator, LayoutTable, RuleOutcome, Slice};

const RUNS: u32 = 40;

/// One row for each entity; texts repeat the values that rules look for.
fn batch(catalog: &Catalog, layout: &LayoutTable, entities: u32) -> RecordBatch {
    let table = catalog.table(layout.table);
    let columns = layout
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| -> ArrayRef {
            let column = &table.columns[layout.columns[position]];
            let word = match column.name.as_str() {
                "status" => table
                    .state
                    .as_ref()
                    .map(|state| state.final_values[0].clone()),
                "channel" => Some("WX".into()),
                "kind" => Some("PAYMENT".into()),
                _ => None,
            };
            match field.data_type() {
                DataType::UInt32 => Arc::new(UInt32Array::from_iter_values(0..entities)),
                DataType::Decimal128(..) => {
                    let amounts = Decimal128Array::from_iter_values(
                        (0..entities).map(|id| i128::from(id % 9_000) + 1),
                    );
                    Arc::new(amounts.with_data_type(field.data_type().clone()))
                }
                DataType::Int64 => Arc::new(Int64Array::from_iter_values(0..i64::from(entities))),
                DataType::Timestamp(..) => Arc::new(TimestampMicrosecondArray::from_iter_values(
                    0..i64::from(entities),
                )),
                _ => Arc::new(StringArray::from_iter_values((0..entities).map(|id| {
                    word.clone()
                        .unwrap_or_else(|| format!("{}{id:012}", column.name))
                }))),
            }
        });
    RecordBatch::try_new(Arc::clone(&layout.schema), columns.collect()).unwrap()
}

fn main() {
    let entities: u32 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(5_000);
    let chosen: Vec<String> = std::env::args().skip(2).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let catalog = centinel_catalog::load(&root.join("schemas")).unwrap();
    let rules = centinel_rules::load(&root.join("sql-rules"), &catalog).unwrap();
    let order = catalog.entity_id("order").unwrap();
    let rules: Vec<_> = rules
        .rules
        .into_iter()
        .filter(|rule| rule.entity == order && (chosen.is_empty() || chosen.contains(&rule.id)))
        .collect();
    let started = Instant::now();
    let mut evaluator = Evaluator::new(&catalog, rules.clone(), order).unwrap();
    println!(
        "planning: {:.1} ms per rule",
        started.elapsed().as_secs_f64() * 1e3 / rules.len() as f64
    );
    let slice = Slice {
        entity_count: entities,
        tables: evaluator
            .layout()
            .tables
            .iter()
            .map(|layout| Some(batch(&catalog, layout, entities)))
            .collect(),
        keys: Arc::new(StringArray::from_iter_values(
            (0..entities).map(|id| format!("E{id:012}")),
        )),
    };
    let mut total = 0.0;
    for (index, rule) in rules.iter().enumerate() {
        let mut found = String::new();
        let started = Instant::now();
        for _ in 0..RUNS {
            let outcomes = evaluator.evaluate(&slice, &|_| Timestamp(0), &|wanted| wanted == index);
            found = match &outcomes[index] {
                RuleOutcome::Violations(violations) => format!("{} rows", violations.len()),
                other => format!("{other:?}"),
            };
        }
        let millis = started.elapsed().as_secs_f64() * 1e3 / f64::from(RUNS);
        total += millis;
        println!("{millis:8.3} ms  {}  {found}", rule.id);
    }
    let parts = evaluator.shared_parts();
    let alone = Evaluator::new(&catalog, rules.clone(), order).unwrap();
    let mut ways = [(evaluator, f64::MAX), (alone.unshared(), f64::MAX)];
    // In turns, the best of each: other programs may run beside this one.
    for _ in 0..RUNS {
        for (evaluator, best) in &mut ways {
            let started = Instant::now();
            let outcomes = evaluator.evaluate(&slice, &|_| Timestamp(0), &|_| true);
            *best = best.min(started.elapsed().as_secs_f64() * 1e3);
            assert_eq!(outcomes.len(), rules.len());
        }
    }
    let [(_, shared), (_, unshared)] = ways;
    println!("{shared:8.3} ms  all together, {parts} joins and groups shared");
    println!("{unshared:8.3} ms  all together, nothing shared");
    println!(
        "{total:8.3} ms  for {} rules over {entities} entities, one row in each table",
        rules.len()
    );
}
