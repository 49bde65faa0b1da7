//! Three small tables of one entity, their rows, and the answers of rules over them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use centinel_catalog::Catalog;
use centinel_model::{TableId, Timestamp};
use centinel_rules::{
    Evaluator, Rule, RuleOutcome, Session, Violations, load_text, rule_column, slice_of_rows,
};
use proptest::prelude::*;

use super::shown;

pub const NOON: Timestamp = Timestamp(1_767_268_800_000_000);

/// `a` and `b` hold the order's key, `c` reaches it through `b`.
pub fn catalog() -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    file(
        "entities.yaml",
        "centinel: entities/1\nentities:\n  order: { key: [order_no] }\n".into(),
    );
    for (name, way) in [
        ("a", "[order_no]"),
        ("b", "[order_no]"),
        ("c", "{ through: b, by: [b_no] }"),
    ] {
        let key = match name {
            "c" => "  b_no: { type: text, nullable: true }\n",
            _ => "  order_no: { type: text, nullable: true }\n",
        };
        let text = format!(
            "centinel: schema/1\ntable: {name}\nsystem: s\nsource: s\nprimary_key: [{name}_no]\n\
             entities: {{ order: {way} }}\ncolumns:\n  {name}_no: text\n{key}  g: {{ type: text, nullable: true }}\n  \
             amount: {{ type: integer, nullable: true, money: {{ currency: CNY, unit: minor }} }}\n"
        );
        file(&format!("{name}.yaml"), text);
    }
    centinel_catalog::load(folder.path()).unwrap_or_else(|mistakes| panic!("{}", shown(&mistakes)))
}

/// Makes choices from given numbers, so that a failing query shrinks.
pub struct Choices<'a>(pub &'a [u16], pub Cell<usize>);

impl Choices<'_> {
    pub fn below(&self, count: usize) -> usize {
        let at = self.1.replace(self.1.get() + 1);
        usize::from(self.0.get(at).copied().unwrap_or(0)) % count
    }

    pub fn of<'t>(&self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

pub fn rule_of(sql: &str, catalog: &Catalog) -> Option<Arc<Rule>> {
    let head = "id: probe\ntitle: A probe\nentity: order\nseverity: error\nkey: [order_no, l, g, v]\nowner: tests";
    load_text(
        "probe.sql",
        &format!("/* ---\n{head}\n--- */\n{sql}"),
        catalog,
    )
    .ok()
    .map(Arc::new)
}

/// Rows: order or link, group, amount.
pub type Rows = Vec<(Option<u8>, Option<bool>, Option<u8>)>;

pub fn rows(most: usize) -> impl Strategy<Value = Rows> {
    let row = (
        proptest::option::weighted(0.8, 0..3u8),
        proptest::option::weighted(0.8, any::<bool>()),
        proptest::option::weighted(0.8, 0..4u8),
    );
    proptest::collection::vec(row, 0..most)
}

/// The order to which row `index` of table `name` belongs.
pub fn owner(name: &str, rows: &BTreeMap<&str, Rows>, index: usize) -> Option<u8> {
    let named = rows[name][index].0?;
    match name {
        "c" => rows["b"].get(usize::from(named))?.0,
        _ => Some(named),
    }
}

/// The tables in storage types, only rows of some order or of this one.
pub fn given(
    catalog: &Catalog,
    rows: &BTreeMap<&str, Rows>,
    order: Option<u8>,
) -> Vec<(TableId, RecordBatch)> {
    rows.iter()
        .map(|(name, all)| {
            let kept: Vec<usize> = (0..all.len())
                .filter(|index| {
                    owner(name, rows, *index)
                        .is_some_and(|of| order.is_none_or(|wanted| of == wanted))
                })
                .collect();
            let id = catalog.table_id(name).unwrap();
            let link = if *name == "c" { "b" } else { "E" };
            let texts = |text: &dyn Fn(usize) -> Option<String>| -> Arc<StringArray> {
                Arc::new(kept.iter().map(|index| text(*index)).collect())
            };
            let amounts: Int64Array = kept
                .iter()
                .map(|index| all[*index].2.map(i64::from))
                .collect();
            let batch = RecordBatch::try_new(
                catalog.table(id).storage_schema(),
                vec![
                    texts(&|index| Some(format!("{name}{index}"))),
                    texts(&|index| all[index].0.map(|named| format!("{link}{named}"))),
                    texts(&|index| all[index].1.map(|x| if x { "x" } else { "y" }.to_owned())),
                    Arc::new(amounts),
                ],
            );
            (id, batch.unwrap())
        })
        .collect()
}

/// Rows of violations and entities that could not be judged, sorted.
pub fn answer(violations: &Violations) -> Vec<String> {
    let rows = (0..violations.len()).map(|row| format!("{:?}", violations.evidence(row)));
    let unjudged = violations
        .unjudged()
        .iter()
        .map(|unjudged| format!("unjudged {}", unjudged.entity_key));
    let mut lines: Vec<String> = rows.chain(unjudged).collect();
    lines.sort();
    lines
}

pub fn over_tables(
    rule: &Arc<Rule>,
    catalog: &Catalog,
    given: &[(TableId, RecordBatch)],
) -> Vec<String> {
    let session = Session::new(64 << 20, 1).unwrap();
    for (id, batch) in given {
        let table = catalog.table(*id);
        let columns = table.columns.iter().zip(batch.columns());
        let columns = columns
            .map(|(column, stored)| rule_column(column, stored).unwrap())
            .collect();
        let batch = RecordBatch::try_new(table.rule_schema(), columns).unwrap();
        session
            .context()
            .register_batch(&table.name, batch)
            .unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    answer(
        &runtime
            .block_on(rule.violations_over(&session, NOON, 100_000))
            .unwrap(),
    )
}

pub fn over_slice(
    evaluator: &mut Evaluator,
    catalog: &Catalog,
    given: &[(TableId, RecordBatch)],
) -> Vec<String> {
    let entity = catalog.entity_id("order").unwrap();
    let slice = slice_of_rows(catalog, evaluator.layout(), entity, given).unwrap();
    match evaluator.evaluate(&slice, &|_| NOON, &|_| true).pop() {
        Some(RuleOutcome::Violations(violations)) => answer(&violations),
        other => panic!("{other:?}"),
    }
}
