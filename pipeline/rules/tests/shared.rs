//! What rules share changes no answer: each rule of a set answers as it does alone and as over whole tables,
//! whoever else is asked, and whatever fails.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use centinel_catalog::Catalog;
use centinel_model::{TableId, Timestamp};
use centinel_rules::{Evaluator, Limits, Rule, RuleOutcome, load_text, slice_of_rows};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use support::abc::{
    Choices, NOON, Rows, answer, catalog, given, over_slice, over_tables, rows, rule_of,
};

const CASES: u32 = 400;

impl Choices<'_> {
    /// A condition on rows; this stands before columns.
    fn only(&self, t: &str, before: &str) -> String {
        let conditions = [
            "",
            "",
            "#g = 'x'",
            "#amount > 0.01",
            "#g = 'x' AND #amount > 0.01",
            "#amount > 0.01 AND #g = 'x'",
            "UPPER(#g) = 'X'",
            "#amount IS NULL OR #g IS NULL",
        ];
        match self.of(&conditions) {
            "" => String::new(),
            condition => format!("{before} {}", condition.replace('#', t)),
        }
    }

    fn value(&self, t: &str) -> String {
        self.of(&[
            "CAST(SUM(#amount) AS DECIMAL(20, 2))",
            "CAST(SUM(#amount) AS DECIMAL(20, 2))",
            "MAX(#amount)",
            "MIN(#amount)",
            "CAST(COUNT(*) AS DECIMAL(20, 2))",
            "CAST(COUNT(#amount) AS DECIMAL(20, 2))",
            "CAST(COUNT(DISTINCT #g) AS DECIMAL(20, 2))",
            "CAST(SUM(DISTINCT #amount) AS DECIMAL(20, 2))",
            "CAST(SUM(CASE WHEN #g = 'x' THEN #amount ELSE 0 END) AS DECIMAL(20, 2))",
            "CAST(SUM(#amount) FILTER (WHERE #g = 'y') AS DECIMAL(20, 2))",
        ])
        .replace('#', t)
    }

    fn having(&self, t: &str) -> String {
        self.of(&[
            "",
            "",
            "HAVING COUNT(*) > 1",
            "HAVING CAST(SUM(#amount) AS DECIMAL(20, 2)) > 0.02",
            "HAVING MIN(#g) <> MAX(#g)",
        ])
        .replace('#', t)
    }

    /// Rows of one table by order.
    fn by_order(&self) -> String {
        let table = self.of(&["a", "a", "b"]);
        let l = self
            .of(&["MIN(#_no)", "order_no", "MAX(g)"])
            .replace('#', table);
        let (only, value, having) = (self.only("", "WHERE"), self.value(""), self.having(""));
        format!(
            "SELECT order_no AS k, {l} AS l, MAX(g) AS g, {value} AS v FROM {table} {only} GROUP BY order_no {having}"
        )
    }

    /// Rows that reach their order by a link, by order.
    fn linked_by_order(&self) -> String {
        let (only, value, having) = (
            self.only("c.", "WHERE"),
            self.value("c."),
            self.having("c."),
        );
        format!(
            "SELECT b.order_no AS k, MIN(c.c_no) AS l, MIN(b.g) AS g, {value} AS v FROM c JOIN b ON b.b_no = c.b_no \
             {only} GROUP BY b.order_no {having}"
        )
    }

    fn linked(&self) -> String {
        let kind = self.of(&["JOIN", "JOIN", "JOIN", "LEFT JOIN"]);
        let tie = self.of(&["", "", "AND c.amount <> b.amount", "AND c.g = b.g"]);
        let l = self.of(&["c.c_no", "b.b_no", "c.b_no"]);
        let value = self.of(&[
            "c.amount",
            "b.amount",
            "c.amount - COALESCE(b.amount, 0)",
            "CASE WHEN c.g = 'x' THEN b.amount END",
        ]);
        let (side, k) = match kind {
            "JOIN" => ("c JOIN b", "b.order_no"),
            _ => ("b LEFT JOIN c", "b.order_no"),
        };
        let only = self.only("c.", "WHERE");
        format!(
            "SELECT {k} AS k, {l} AS l, c.g, {value} AS v FROM {side} ON b.b_no = c.b_no {tie} {only}"
        )
    }

    fn by_link(&self) -> String {
        let (only, value, having) = (self.only("", "WHERE"), self.value(""), self.having(""));
        let l = self.of(&["b.b_no", "e.b_no"]);
        format!(
            "SELECT b.order_no AS k, {l} AS l, b.g, e.v FROM b \
             JOIN (SELECT b_no, {value} AS v FROM c {only} GROUP BY b_no {having}) e ON e.b_no = b.b_no"
        )
    }

    fn part(&self) -> String {
        match self.below(4) {
            0 | 1 => self.by_order(),
            2 => self.linked_by_order(),
            _ => self.linked(),
        }
    }

    fn outer(&self) -> String {
        let (left, right) = (self.part(), self.part());
        let kind = self.of(&["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        // What is computed below an outer join is null where there is no partner.
        let v = self.of(&["v", "COALESCE(v, 7) AS v", "v + 1 AS v", "1 AS v"]);
        let g = self.of(&["x.g", "y.g", "COALESCE(y.g, 'z')"]);
        let value = self.of(&["x.v", "y.v", "COALESCE(y.v, 0)", "x.v - COALESCE(y.v, 0)"]);
        let tie = self.of(&["", "", "AND y.l = x.l", "AND y.v < x.v"]);
        format!(
            "SELECT COALESCE(x.k, y.k) AS k, x.l, {g} AS g, {value} AS v FROM ({left}) x \
             {kind} (SELECT k, l, g, {v} FROM ({right}) z) y ON y.k = x.k {tie}"
        )
    }

    fn exists(&self) -> String {
        let (outer, inner) = (self.part(), self.part());
        let not = self.of(&["", "NOT"]);
        let tie = self.of(&["", "", "AND y.g = x.g", "AND y.v > x.v"]);
        format!(
            "SELECT x.k, x.l, x.g, x.v FROM ({outer}) x \
             WHERE {not} EXISTS (SELECT 1 FROM ({inner}) y WHERE y.k = x.k {tie})"
        )
    }

    fn with_itself(&self) -> String {
        let one = self.part();
        let other = match self.below(3) {
            0 => self.part(),
            _ => one.clone(),
        };
        let tie = self.of(&["", "AND y.l <> x.l", "AND y.g = x.g"]);
        format!("SELECT x.k, x.l, y.g, x.v FROM ({one}) x JOIN ({other}) y ON y.k = x.k {tie}")
    }

    fn distinct(&self) -> String {
        let columns = self.of(&[
            "order_no AS k, g AS l, g, CAST(NULL AS DECIMAL(20, 2)) AS v",
            "order_no AS k, a_no AS l, g, amount AS v",
            "order_no AS k, order_no AS l, g, amount AS v",
        ]);
        format!(
            "SELECT DISTINCT {columns} FROM a {}",
            self.only("", "WHERE")
        )
    }

    /// Groups of groups; by what is computed of them, and by what is not returned.
    fn groups_of_groups(&self) -> String {
        let value = self.value("");
        let (only, having) = (self.only("", "WHERE"), self.having(""));
        let by = self.of(&["amount", "g", "amount, g", "a_no"]);
        let computed = match by {
            "g" => "COALESCE(g, 'z')",
            "a_no" => "CONCAT(a_no, '')",
            _ => "CAST(CAST(amount AS DECIMAL(20, 0)) AS VARCHAR)",
        };
        let more = self.of(&["", ", n", ", n, m", ", m"]);
        let outer = self.of(&["MAX(v)", "MIN(v)", "SUM(v)", "MAX(v) - MIN(v)"]);
        format!(
            "SELECT k, l, MIN(l) AS g, {outer} AS v FROM (\
                 SELECT order_no AS k, {computed} AS l, {value} AS v, COUNT(*) AS n, MIN(a_no) AS m FROM a {only} \
                 GROUP BY order_no, {by} {having}) q GROUP BY k, l{more}"
        )
    }

    fn shape(&self) -> String {
        match self.below(11) {
            9 | 10 => self.groups_of_groups(),
            0 | 1 => self.part(),
            2 => self.by_link(),
            3 | 4 => self.outer(),
            5 => self.exists(),
            6 => self.with_itself(),
            7 => self.distinct(),
            _ => format!("{} UNION ALL {}", self.part(), self.part()),
        }
    }

    /// A rule around a query; some see keys as text.
    fn asked(&self) -> String {
        let of = self.shape();
        let columns = "k AS order_no, l, COALESCE(g, '-') AS g, COALESCE(v, -1) AS v";
        let text =
            "k AS order_no, COALESCE(l, '-') AS l, COALESCE(g, '-') AS g, COALESCE(v, -1) AS v";
        match self.below(4) {
            0 => format!("SELECT {text}, COUNT(*) AS n FROM ({of}) r GROUP BY k, l, g, v"),
            1 => format!("SELECT {columns} FROM ({of}) r WHERE l IS NOT NULL"),
            _ => format!(
                "SELECT {columns}, COUNT(*) AS n FROM ({of}) r WHERE l IS NOT NULL GROUP BY k, l, g, v"
            ),
        }
    }
}

fn runner(cases: u32) -> TestRunner {
    let config = |cases| Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases each time, unless more and random ones are asked for.
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    match asked {
        Some(cases) => TestRunner::new(config(cases)),
        None => TestRunner::new_with_rng(
            config(cases),
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        ),
    }
}

/// What came of each rule over a slice of these rows, and of those not wanted nothing.
fn answers(
    evaluator: &mut Evaluator,
    catalog: &Catalog,
    rows: &[(TableId, RecordBatch)],
    wanted: &dyn Fn(usize) -> bool,
) -> Vec<Option<Result<Vec<String>, String>>> {
    let entity = catalog.entity_id("order").unwrap();
    let slice = slice_of_rows(catalog, evaluator.layout(), entity, rows).unwrap();
    let outcomes = evaluator.evaluate(&slice, &|_| NOON, wanted);
    let told = outcomes.into_iter().map(|outcome| match outcome {
        RuleOutcome::Skipped => None,
        RuleOutcome::Violations(violations) => Some(Ok(answer(&violations))),
        RuleOutcome::CouldNotJudge(reason) => Some(Err(reason)),
    });
    told.collect()
}

#[test]
fn rules_together_answer_as_each_alone() {
    let catalog = catalog();
    let (shared, returned, asked) = (Cell::new(0u32), Cell::new(0u32), Cell::new(0u32));
    let with_parts = Cell::new(0u64);
    let input = (
        proptest::collection::vec(proptest::collection::vec(any::<u16>(), 40), 2..6),
        rows(7),
        rows(7),
        rows(7),
        any::<u8>(),
    );
    let checked = runner(CASES).run(&input, |(choices, a, b, c, mask)| {
        let texts: Vec<String> = choices
            .iter()
            .map(|choices| Choices(choices, Cell::new(0)).asked())
            .collect();
        let rules: Vec<Arc<Rule>> = texts
            .iter()
            .filter_map(|sql| rule_of(sql, &catalog))
            .filter(|rule| rule.locality.is_local())
            .collect();
        if rules.len() < 2 {
            return Ok(());
        }
        let tables = BTreeMap::from([("a", a), ("b", b), ("c", c)]);
        let all = given(&catalog, &tables, None);
        let entity = rules[0].entity;
        let mut together = Evaluator::new(&catalog, rules.clone(), entity).unwrap();
        shared.set(shared.get() + u32::from(together.shared_parts() > 0));
        let wanted = |rule: usize| mask & (1 << rule) != 0;
        let answered = answers(&mut together, &catalog, &all, &|_| true);
        let some = answers(&mut together, &catalog, &all, &wanted);
        let mut by_order: Vec<Vec<String>> = vec![Vec::new(); rules.len()];
        for order in 0..3 {
            let rows = given(&catalog, &tables, Some(order));
            let told = answers(&mut together, &catalog, &rows, &|_| true);
            for (lines, told) in by_order.iter_mut().zip(told) {
                lines.extend(told.unwrap().unwrap());
            }
        }
        with_parts.set(with_parts.get() + together.answered_together());
        for (index, rule) in rules.iter().enumerate() {
            let whole = over_tables(rule, &catalog, &all);
            asked.set(asked.get() + 1);
            returned.set(returned.get() + u32::from(!whole.is_empty()));
            let alone = Evaluator::new(&catalog, vec![Arc::clone(rule)], entity).unwrap();
            let mut alone = alone.unshared();
            let alone = over_slice(&mut alone, &catalog, &all);
            prop_assert_eq!(&whole, &alone, "alone: {:#?}", &rule.text);
            let whole = Some(Ok(whole));
            prop_assert_eq!(&whole, &answered[index], "{}: {:#?}", index, texts);
            if wanted(index) {
                prop_assert_eq!(&whole, &some[index], "some, {}: {:#?}", index, texts);
            } else {
                prop_assert_eq!(&None, &some[index]);
            }
            by_order[index].sort();
            let by_order = Some(Ok(by_order[index].clone()));
            prop_assert_eq!(&whole, &by_order, "by order, {}: {:#?}", index, texts);
        }
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    println!(
        "of {CASES} sets {} shared, {} answers came so; of {} rules {} returned rows",
        shared.get(),
        with_parts.get(),
        asked.get(),
        returned.get()
    );
    assert!(shared.get() > CASES / 4, "only {} shared", shared.get());
    let answers = with_parts.get();
    assert!(answers > u64::from(CASES), "only {answers} with parts");
    assert!(asked.get() > CASES, "only {} rules", asked.get());
    assert!(returned.get() > asked.get() / 4, "only {}", returned.get());
}

fn set_of(texts: &[&str], catalog: &Catalog) -> Vec<Arc<Rule>> {
    let head =
        "id: probe\ntitle: A probe\nentity: order\nseverity: error\nkey: [order_no]\nowner: tests";
    let rule = |sql: &&str| {
        let text = format!("/* ---\n{head}\n--- */\n{sql}");
        let rule = load_text("probe.sql", &text, catalog);
        Arc::new(rule.unwrap_or_else(|mistakes| panic!("{}", support::shown(&mistakes))))
    };
    texts.iter().map(rule).collect()
}

fn together(texts: &[&str], catalog: &Catalog) -> Evaluator {
    let rules = set_of(texts, catalog);
    let entity = rules[0].entity;
    Evaluator::new(catalog, rules, entity).unwrap()
}

#[test]
fn only_what_is_the_same_is_shared() {
    let catalog = catalog();
    let paid = "SELECT order_no, SUM(amount) AS v FROM a WHERE g = 'x' GROUP BY order_no";
    let joined = "SELECT b.order_no, c.c_no FROM c JOIN b ON b.b_no = c.b_no";
    for (parts, texts) in [
        (1, vec![paid, "SELECT order_no, MAX(amount) AS v FROM a WHERE g = 'x' GROUP BY order_no HAVING COUNT(*) > 1"]),
        // Another condition, another table, another group.
        (0, vec![paid, "SELECT order_no, SUM(amount) AS v FROM a WHERE g = 'y' GROUP BY order_no"]),
        (0, vec![paid, "SELECT order_no, SUM(amount) AS v FROM b WHERE g = 'x' GROUP BY order_no"]),
        (0, vec![paid, "SELECT order_no, SUM(amount) AS v FROM a WHERE g = 'x' GROUP BY order_no, a_no"]),
        // Keys as text beside keys as numbers.
        (0, vec![paid, "SELECT order_no, SUM(amount) AS v FROM a WHERE g = 'x' AND order_no LIKE 'E%' GROUP BY order_no"]),
        // The order of conditions, names and columns make no difference; nor does what stands above.
        (1, vec![paid, "SELECT z.o AS order_no FROM (SELECT q.order_no AS o, MIN(q.amount) AS m FROM a q WHERE q.g = 'x'
                        GROUP BY q.order_no) z JOIN b ON b.order_no = z.o WHERE b.amount < z.m"]),
        (1, vec![joined, "SELECT y.order_no, x.amount FROM c x JOIN b y ON y.b_no = x.b_no AND x.amount <> y.amount"]),
        // An outer join is no inner one, and what is read of both sides is not what is read of one.
        (0, vec![joined, "SELECT b.order_no, c.c_no FROM b LEFT JOIN c ON b.b_no = c.b_no"]),
        (0, vec![joined, "SELECT b.order_no FROM b WHERE EXISTS (SELECT 1 FROM c WHERE b.b_no = c.b_no)"]),
        // A join with more conditions is one with fewer, filtered; not so an outer one.
        (1, vec![joined, "SELECT b.order_no, c.amount FROM c JOIN b ON b.b_no = c.b_no WHERE c.g = 'x' AND b.amount > 0.01"]),
        (0, vec![
            "SELECT b.order_no, c.c_no FROM b LEFT JOIN c ON b.b_no = c.b_no",
            "SELECT b.order_no, c.c_no FROM b LEFT JOIN c ON b.b_no = c.b_no AND c.g = 'x'",
        ]),
        // Groups over the join are shared, and so is the join with them.
        (2, vec![
            joined,
            "SELECT b.order_no, SUM(c.amount) AS v FROM c JOIN b ON b.b_no = c.b_no GROUP BY b.order_no",
            "SELECT b.order_no, MIN(b.g) AS v FROM c JOIN b ON b.b_no = c.b_no GROUP BY b.order_no",
        ]),
        // Twice in one rule.
        (1, vec!["SELECT x.order_no FROM (SELECT order_no, SUM(amount) AS v FROM a GROUP BY order_no) x
                  JOIN b ON b.order_no = x.order_no
                  LEFT JOIN (SELECT order_no, COUNT(*) AS n FROM a GROUP BY order_no) y ON y.order_no = x.order_no
                  WHERE y.n > 1"]),
        // The clock of a rule is its own.
        (0, vec!["SELECT order_no, COUNT(*) AS n FROM a WHERE as_of() > TIMESTAMP '2020-01-01T00:00:00' GROUP BY order_no"; 2]),
    ] {
        assert_eq!(together(&texts, &catalog).shared_parts(), parts, "{texts:#?}");
    }
}

/// The engine knows of groups of groups which follow from which, by names that hide casts.
#[test]
fn groups_that_are_not_returned_keep_rows_apart() {
    let catalog = catalog();
    let of = |having: &str| {
        format!(
            "SELECT order_no, d, MAX(s) AS v FROM (
                 SELECT order_no, CAST(amount AS DECIMAL(20, 0)) AS d, SUM(amount) AS s, COUNT(*) AS n
                 FROM a GROUP BY order_no, amount) q
             GROUP BY order_no, d, n {having}"
        )
    };
    let texts = [of("HAVING MAX(s) < 0.02"), of("HAVING MAX(s) > 0.02")];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let row = |amount: u8| (Some(0), None, Some(amount));
    let rows = BTreeMap::from([
        ("a", vec![row(1), row(2), row(2)]),
        ("b", Vec::new()),
        ("c", Vec::new()),
    ]);
    let mut evaluator = together(&texts, &catalog);
    assert!(evaluator.shared_parts() > 0);
    for told in answers(
        &mut evaluator,
        &catalog,
        &given(&catalog, &rows, None),
        &|_| true,
    ) {
        assert_eq!(told.unwrap().unwrap().len(), 1);
    }
    assert_eq!(evaluator.answered_together(), 2);
}

/// Each step uses the one before twice: put into each other, they would be without end.
#[test]
fn steps_upon_steps_are_not_put_into_each_other() {
    let catalog = catalog();
    let mut steps = "WITH s0 AS (SELECT order_no, amount AS v FROM a)".to_owned();
    for step in 1..=25 {
        let before = step - 1;
        steps += &format!(
            ", s{step} AS (SELECT order_no, CASE WHEN v > 0 THEN v ELSE 0 - v END AS v FROM s{before})"
        );
    }
    let least = format!("{steps} SELECT order_no, MIN(v) AS v FROM s25 GROUP BY order_no");
    let most = format!("{steps} SELECT order_no, MAX(v) AS v FROM s25 GROUP BY order_no");
    together(&[&least, &most], &catalog);
}

#[test]
fn each_rule_keeps_its_own_time_beside_what_is_shared() {
    let catalog = catalog();
    let late =
        "SELECT x.order_no FROM (SELECT order_no, SUM(amount) AS v FROM a GROUP BY order_no) x
                WHERE x.v > CASE WHEN as_of() > TIMESTAMP '2025-01-01T00:00:00' THEN 0 ELSE 1000 END";
    let mut evaluator = together(&[late, late], &catalog);
    assert_eq!(evaluator.shared_parts(), 1);
    let rows = BTreeMap::from([
        ("a", vec![(Some(0), None, Some(1))]),
        ("b", Vec::new()),
        ("c", Vec::new()),
    ]);
    let entity = catalog.entity_id("order").unwrap();
    let given = given(&catalog, &rows, None);
    let slice = slice_of_rows(&catalog, evaluator.layout(), entity, &given).unwrap();
    for late in [0, 1] {
        let as_of = |rule: usize| if rule == late { NOON } else { Timestamp(0) };
        let outcomes = evaluator.evaluate(&slice, &as_of, &|_| true);
        let found = outcomes.iter().map(|outcome| match outcome {
            RuleOutcome::Violations(violations) => violations.len(),
            other => panic!("{other:?}"),
        });
        let expected: Vec<usize> = (0..2).map(|rule| usize::from(rule == late)).collect();
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

fn some_rows() -> BTreeMap<&'static str, Rows> {
    let of = |count: u8| -> Rows {
        (0..count)
            .map(|row| (Some(row % 3), Some(row % 2 == 0), Some(row % 5)))
            .collect()
    };
    BTreeMap::from([("a", of(200)), ("b", of(3)), ("c", of(150))])
}

#[test]
fn what_fails_in_one_rule_fails_in_no_other() {
    let catalog = catalog();
    let well = "SELECT order_no, SUM(amount) AS v FROM a GROUP BY order_no";
    let bad = "SELECT order_no, MAX(CAST(g AS DECIMAL(10, 2))) AS v FROM a GROUP BY order_no";
    let other = "SELECT order_no, MIN(amount) AS v FROM a GROUP BY order_no";
    let mut evaluator = together(&[well, bad, other], &catalog);
    assert_eq!(evaluator.shared_parts(), 1);
    let given = given(&catalog, &some_rows(), None);
    for _ in 0..2 {
        let told = answers(&mut evaluator, &catalog, &given, &|_| true);
        for (index, text) in [well, bad, other].into_iter().enumerate() {
            let mut alone = together(&[text], &catalog);
            let alone = answers(&mut alone, &catalog, &given, &|_| true);
            assert_eq!(told[index], alone[0], "{text}");
            assert_eq!(told[index].as_ref().unwrap().is_err(), text == bad);
        }
        // Without the bad rule the part is whole.
        let told = answers(&mut evaluator, &catalog, &given, &|rule| rule != 1);
        assert!(told[0].as_ref().unwrap().is_ok() && told[1].is_none());
    }
}

/// However little memory there is: what a rule can answer alone, it can answer beside others.
#[test]
fn what_is_shared_takes_no_memory_from_a_rule() {
    let catalog = catalog();
    let texts = [
        "SELECT b.order_no, SUM(c.amount) AS v FROM c JOIN b ON b.b_no = c.b_no GROUP BY b.order_no",
        "SELECT b.order_no, MIN(c.g) AS v, MIN(c.c_no) AS w FROM c JOIN b ON b.b_no = c.b_no GROUP BY b.order_no",
        "SELECT x.order_no FROM a x JOIN a y ON y.order_no = x.order_no AND y.a_no <> x.a_no GROUP BY x.order_no",
        "SELECT b.order_no, c.c_no, c.amount, c.g FROM c JOIN b ON b.b_no = c.b_no WHERE c.amount < b.amount",
    ];
    let given = given(&catalog, &some_rows(), None);
    let rules = set_of(&texts, &catalog);
    let (mut answered, mut refused) = (0, 0);
    for power in 8..24 {
        let limits = Limits {
            memory_bytes: 1 << power,
            ..Limits::default()
        };
        let evaluator = |rules: &[Arc<Rule>]| {
            Evaluator::with_limits(&catalog, rules.to_vec(), rules[0].entity, limits).unwrap()
        };
        let mut together = evaluator(&rules);
        assert!(together.shared_parts() > 0);
        let told = answers(&mut together, &catalog, &given, &|_| true);
        for (rule, told) in rules.iter().zip(told) {
            let mut alone = evaluator(std::slice::from_ref(rule));
            let alone = answers(&mut alone, &catalog, &given, &|_| true).remove(0);
            match alone {
                Some(Ok(_)) => {
                    answered += 1;
                    assert_eq!(told, alone, "{} bytes: {}", limits.memory_bytes, rule.text);
                }
                _ => refused += 1,
            }
        }
    }
    assert!(
        answered > 8 && refused > 8,
        "{answered} answered, {refused} refused"
    );
}
