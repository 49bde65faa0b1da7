//! The proof is sound: for generated queries that it accepts, over random rows, the answer over whole tables
//! is the union of the answers for each entity, and the answer over all entities in one slice, with keys as
//! numbers and as text.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use centinel_rules::Evaluator;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use support::abc::{Choices, catalog, given, over_slice, over_tables, rows, rule_of};

const CASES: u32 = 3_000;

impl Choices<'_> {
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
