//! The proof is sound: for generated queries that it accepts, over random rows, the answer over whole tables
//! is the union of the answers for each entity, and the answer over all entities in one slice, with keys as
//! numbers and as text.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

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
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const CASES: u32 = 3_000;
const NOON: Timestamp = Timestamp(1_767_268_800_000_000);

/// `a` and `b` hold the order's key, `c` reaches it through `b`.
fn catalog() -> Catalog {
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
    centinel_catalog::load(folder.path())
        .unwrap_or_else(|mistakes| panic!("{}", support::shown(&mistakes)))
}

/// Makes choices from given numbers, so that a failing query shrinks.
struct Choices<'a>(&'a [u16], Cell<usize>);

impl Choices<'_> {
    fn below(&self, count: usize) -> usize {
        let at = self.1.replace(self.1.get() + 1);
        usize::from(self.0.get(at).copied().unwrap_or(0)) % count
    }

    fn of<'t>(&self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// A query with the columns k (often the key), l (often a link), g and v.
    fn query(&self, depth: usize) -> String {
        match (depth, self.below(10)) {
            (0, _) | (_, 0) => self.scan(),
            (_, 1) => self.filter(depth),
            (_, 2 | 3 | 9) => self.join(depth),
            (_, 4) => self.subquery(depth),
            (_, 5) => self.group(depth),
            (_, 6) => self.set(depth),
            (_, 7) => self.window(depth),
            _ => {
                let of = self.query(depth - 1);
                format!(
                    "SELECT DISTINCT {} FROM ({of}) d",
                    self.of(&["k, l, g, v", "k, k AS l, g, v", "l AS k, l, g, v"])
                )
            }
        }
    }

    fn scan(&self) -> String {
        let columns = self.of(&[
            "order_no AS k, a_no AS l, g, amount AS v FROM a",
            "order_no AS k, b_no AS l, g, amount AS v FROM b",
            "order_no AS k, g AS l, g, amount AS v FROM a",
            "order_no AS k, a_no AS l, g, amount AS v FROM a",
            "order_no AS k, b_no AS l, g, amount AS v FROM b",
            "b_no AS k, b_no AS l, g, amount AS v FROM c",
            "c_no AS k, b_no AS l, g, amount AS v FROM c",
        ]);
        format!("SELECT {columns}")
    }

    fn filter(&self, depth: usize) -> String {
        let of = self.query(depth - 1);
        let condition = self.of(&[
            "k IS NOT NULL",
            "g = 'x'",
            "v > 0.01",
            "k = l",
            "k IS NULL OR l = g",
            "v IS NULL",
        ]);
        format!("SELECT k, l, g, v FROM ({of}) f WHERE {condition}")
    }

    fn condition(&self, left: &str, right: &str) -> String {
        if self.below(2) == 0 {
            return format!("{left}.k = {right}.k");
        }
        let pattern = self.of(&[
            "L.k = R.k",
            "L.k = R.k",
            "L.k = R.k",
            "L.k = R.k AND L.g = R.g",
            "L.k = R.k AND L.v < R.v",
            "L.l = R.l",
            "L.l = R.l",
            "L.k = R.l",
            "L.g = R.g",
            "UPPER(L.k) = R.k",
            "L.v < R.v",
            "L.k = R.k OR L.g = R.g",
            "L.k IS NOT DISTINCT FROM R.k",
        ]);
        pattern
            .replace("L.", &format!("{left}."))
            .replace("R.", &format!("{right}."))
    }

    fn join(&self, depth: usize) -> String {
        let (left, right) = (self.query(depth - 1), self.query(depth - 1));
        let kind = self.of(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let condition = self.condition("x", "y");
        let k = self.of(&["x.k", "y.k", "COALESCE(x.k, y.k)"]);
        let l = self.of(&["x.l", "y.l", "COALESCE(x.l, y.l)", "x.k"]);
        let (g, v) = (self.of(&["x.g", "y.g"]), self.of(&["x.v", "y.v"]));
        format!(
            "SELECT {k} AS k, {l} AS l, {g} AS g, {v} AS v FROM ({left}) x {kind} ({right}) y ON {condition}"
        )
    }

    fn subquery(&self, depth: usize) -> String {
        let (outer, inner) = (self.query(depth - 1), self.query(depth - 1));
        let tie = self.condition("o", "i");
        let condition = match self.below(7) {
            0 => format!("EXISTS (SELECT 1 FROM ({inner}) i WHERE {tie})"),
            1 => format!("NOT EXISTS (SELECT 1 FROM ({inner}) i WHERE {tie})"),
            2 => format!("o.k IN (SELECT i.k FROM ({inner}) i)"),
            3 => format!("o.k NOT IN (SELECT i.k FROM ({inner}) i)"),
            4 => format!("o.g = 'x' OR EXISTS (SELECT 1 FROM ({inner}) i WHERE {tie})"),
            5 => format!("o.v > (SELECT MAX(i.v) FROM ({inner}) i WHERE {tie})"),
            _ => format!("o.v > (SELECT MAX(i.v) FROM ({inner}) i)"),
        };
        format!("SELECT o.k, o.l, o.g, o.v FROM ({outer}) o WHERE {condition}")
    }

    fn group(&self, depth: usize) -> String {
        let of = self.query(depth - 1);
        let (columns, by) = [
            ("k, MIN(l) AS l, MAX(g) AS g", "GROUP BY k"),
            ("k, l, MAX(g) AS g", "GROUP BY k, l"),
            ("k, MAX(l) AS l, g", "GROUP BY k, g"),
            ("MIN(k) AS k, l, MAX(g) AS g", "GROUP BY l"),
            ("MIN(k) AS k, MIN(l) AS l, g", "GROUP BY g"),
            ("MIN(k) AS k, MIN(l) AS l, MIN(g) AS g", ""),
        ][self.below(6)];
        let v = self.of(&[
            "CAST(SUM(v) AS DECIMAL(20, 2))",
            "MAX(v)",
            "CAST(COUNT(*) AS DECIMAL(20, 2))",
            "CAST(COUNT(DISTINCT k) AS DECIMAL(20, 2))",
        ]);
        let having = self.of(&["", "HAVING COUNT(*) > 1", "HAVING MIN(k) = MAX(k)"]);
        format!("SELECT {columns}, {v} AS v FROM ({of}) q {by} {having}")
    }

    fn set(&self, depth: usize) -> String {
        let kind = self.of(&["UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT"]);
        let (left, right) = (self.query(depth - 1), self.query(depth - 1));
        let order = self.of(&[
            "k, l, g, v",
            "k, l, g, v",
            "k, l, g, v",
            "l AS k, k AS l, g, v",
        ]);
        format!("SELECT k, l, g, v FROM ({left}) s {kind} SELECT {order} FROM ({right}) t")
    }

    fn window(&self, depth: usize) -> String {
        let of = self.query(depth - 1);
        let by = self.of(&[
            "PARTITION BY k",
            "PARTITION BY k",
            "PARTITION BY k, g",
            "PARTITION BY l",
            "PARTITION BY g",
            "",
        ]);
        let value = self.of(&[
            "MAX(v) OVER (P)",
            "CAST(RANK() OVER (P ORDER BY v) AS DECIMAL(20, 2))",
            "CAST(ROW_NUMBER() OVER (P ORDER BY l) AS DECIMAL(20, 2))",
            "MIN(v) OVER (P ORDER BY g)",
        ]);
        format!(
            "SELECT k, l, g, {} AS v FROM ({of}) w",
            value.replace("(P", &format!("({by}"))
        )
    }

    /// A rule around a query.
    fn rule(&self) -> String {
        let depth = 1 + self.below(2) + self.below(2);
        let of = self.query(depth);
        let columns =
            "k AS order_no, COALESCE(l, '-') AS l, COALESCE(g, '-') AS g, COALESCE(v, -1) AS v";
        // Without text beside the keys, numbers may stand for them.
        let of_keys = "k AS order_no, l, COALESCE(g, '-') AS g, COALESCE(v, -1) AS v";
        match self.below(5) {
            0 => format!("SELECT {columns} FROM ({of}) r"),
            1 => format!("SELECT {columns}, COUNT(*) AS n FROM ({of}) r GROUP BY k, l, g, v"),
            2 => format!("SELECT {of_keys} FROM ({of}) r WHERE l IS NOT NULL"),
            _ => format!(
                "SELECT {of_keys}, COUNT(*) AS n FROM ({of}) r WHERE l IS NOT NULL GROUP BY k, l, g, v"
            ),
        }
    }
}

fn rule_of(sql: &str, catalog: &Catalog) -> Option<Arc<Rule>> {
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
type Rows = Vec<(Option<u8>, Option<bool>, Option<u8>)>;

fn rows(most: usize) -> impl Strategy<Value = Rows> {
    let row = (
        proptest::option::weighted(0.8, 0..3u8),
        proptest::option::weighted(0.8, any::<bool>()),
        proptest::option::weighted(0.8, 0..4u8),
    );
    proptest::collection::vec(row, 0..most)
}

/// The order to which row `index` of table `name` belongs.
fn owner(name: &str, rows: &BTreeMap<&str, Rows>, index: usize) -> Option<u8> {
    let named = rows[name][index].0?;
    match name {
        "c" => rows["b"].get(usize::from(named))?.0,
        _ => Some(named),
    }
}

/// The tables in storage types, only rows of some order or of this one.
fn given(
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
fn answer(violations: &Violations) -> Vec<String> {
    let rows = (0..violations.len()).map(|row| format!("{:?}", violations.evidence(row)));
    let unjudged = violations
        .unjudged()
        .iter()
        .map(|unjudged| format!("unjudged {}", unjudged.entity_key));
    let mut lines: Vec<String> = rows.chain(unjudged).collect();
    lines.sort();
    lines
}

fn over_tables(
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

fn over_slice(
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

#[test]
fn what_is_accepted_is_the_union_over_entities() {
    let catalog = catalog();
    let (accepted, returned) = (Cell::new(0), Cell::new(0));
    let config = |cases| Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases each time, unless more and random ones are asked for.
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let mut runner = match asked {
        Some(cases) => TestRunner::new(config(cases)),
        None => TestRunner::new_with_rng(
            config(CASES),
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        ),
    };
    let input = (
        proptest::collection::vec(any::<u16>(), 80),
        rows(6),
        rows(6),
        rows(6),
    );
    let checked = runner.run(&input, |(choices, a, b, c)| {
        let sql = Choices(&choices, Cell::new(0)).rule();
        let tables = BTreeMap::from([("a", a), ("b", b), ("c", c)]);
        let Some(rule) = rule_of(&sql, &catalog).filter(|rule| rule.locality.is_local()) else {
            return Ok(());
        };
        // A condition that looks into the key, so that keys are supplied as text.
        let as_text =
            format!("SELECT order_no, l, g, v FROM ({sql}) z WHERE order_no NOT LIKE 'none%'");
        let as_text = rule_of(&as_text, &catalog).unwrap_or_else(|| panic!("{as_text}"));
        accepted.set(accepted.get() + 1);
        let all = given(&catalog, &tables, None);
        for rule in [&rule, &as_text] {
            let whole = over_tables(rule, &catalog, &all);
            returned.set(returned.get() + usize::from(!whole.is_empty()));
            let mut evaluator = Evaluator::new(&catalog, vec![Arc::clone(rule)], rule.entity)
                .unwrap_or_else(|error| panic!("{error}: {sql}"));
            prop_assert_eq!(
                &whole,
                &over_slice(&mut evaluator, &catalog, &all),
                "one slice: {}",
                sql
            );
            let mut union = Vec::new();
            for order in 0..3 {
                union.extend(over_slice(
                    &mut evaluator,
                    &catalog,
                    &given(&catalog, &tables, Some(order)),
                ));
            }
            union.sort();
            prop_assert_eq!(&whole, &union, "entity by entity: {}", sql);
        }
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    println!(
        "{} of {CASES} accepted, {} returned rows",
        accepted.get(),
        returned.get()
    );
    assert!(
        accepted.get() > CASES / 10,
        "only {} of {CASES} accepted",
        accepted.get()
    );
    assert!(
        returned.get() > CASES as usize / 20,
        "only {} returned rows",
        returned.get()
    );
}
