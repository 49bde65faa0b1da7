//! Row counts and totals that suddenly differ from those of past runs. Pure: the figures are arguments.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use centinel_model::{Amount, Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Verdict};
use centinel_outlet::{CouldNotJudge, Report, RuleSummary, TableFigures};

use crate::config::SuddenChange;

/// The id under which they are told. No rule file can have it: a rule's id holds no slash.
pub const RULE: &str = "centinel/sudden-change";
const TITLE: &str = "Rows and totals of a table stay near those of past runs";
const VERSION: &str = "1";

/// Looks at the tables of a report beside those of past runs (oldest first), and adds what it finds to the report.
pub fn judge(
    limits: &SuddenChange,
    past: &[&[TableFigures]],
    report: &mut Report,
    judged_at: &str,
) {
    let past = &past[past.len().saturating_sub(limits.over)..];
    let mut findings = Vec::new();
    let mut young = BTreeSet::new();
    for table in &report.tables {
        let before: Vec<&TableFigures> = past
            .iter()
            .filter_map(|run| run.iter().find(|known| known.table == table.table))
            .collect();
        for measure in measures(limits, table, &before) {
            if measure.past.len() < limits.from {
                young.insert((table.table.as_str(), measure.past.len()));
                continue;
            }
            match measure.change() {
                Ok(None) => {}
                Ok(Some(change)) => {
                    findings.push(finding(&table.table, &measure, change, limits, judged_at));
                }
                Err(TooLarge) => report.could_not_judge.push(CouldNotJudge {
                    rule: Some(RULE.into()),
                    entity_key: Some(table.table.clone()),
                    reason: format!("{}: it has too many digits to be compared", measure.name),
                }),
            }
        }
    }
    for (table, runs) in young {
        report.notes.push(format!(
            "{RULE}: {table} is not judged before there are {} past runs to compare with; there are {runs}",
            limits.from
        ));
    }
    report.rules.push(RuleSummary {
        rule: RULE.into(),
        title: TITLE.into(),
        severity: Some(limits.severity),
        rows_checked: report.tables.iter().map(|table| table.rows).sum(),
        findings: findings.len() as u64,
        could_not_judge: (report.could_not_judge.iter())
            .filter(|problem| problem.rule.as_deref() == Some(RULE))
            .count() as u64,
        ..RuleSummary::default()
    });
    report.findings.extend(findings);
    report.sort();
}

/// One number of a table, now and then.
struct Measure {
    /// Such as `rows`, or `total of amount in CNY`.
    name: String,
    /// None where it has more than 38 digits.
    now: Option<Amount>,
    past: Vec<Amount>,
    /// The most it may differ from the median, in percent of it.
    limit: u64,
}

fn measures(limits: &SuddenChange, table: &TableFigures, before: &[&TableFigures]) -> Vec<Measure> {
    let whole = |rows: u64| Amount {
        units: i128::from(rows),
        scale: 0,
    };
    let mut measures = Vec::new();
    if let Some(limit) = limits.rows_percent {
        measures.push(Measure {
            name: "rows".into(),
            now: Some(whole(table.rows)),
            past: before.iter().map(|figures| whole(figures.rows)).collect(),
            limit,
        });
    }
    let Some(limit) = limits.totals_percent else {
        return measures;
    };
    // Currencies of now and then: one that is gone has a total of nothing.
    let mut names: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for figures in before.iter().copied().chain([table]) {
        for (column, sums) in &figures.totals {
            names.entry(column).or_default().extend(sums.0.keys());
        }
    }
    for (column, currencies) in names {
        for currency in currencies {
            let total = |figures: &TableFigures| -> Option<Amount> {
                let sums = figures.totals.get(column)?;
                let none = Some(Amount::default());
                sums.0
                    .get(currency)
                    .map_or(none, |sum| Amount::exact(sum).ok())
            };
            measures.push(Measure {
                name: format!("total of {column} in {currency}"),
                now: total(table),
                past: before.iter().filter_map(|figures| total(figures)).collect(),
                limit,
            });
        }
    }
    measures
}

/// Numbers that cannot be computed with exactly.
struct TooLarge;

/// How far a number is from what is usual.
struct Change {
    now: Amount,
    median: Amount,
    /// In whole percent of the median; none where that is zero.
    percent: Option<i128>,
}

impl Measure {
    /// How far it is from the median of the past, where that is further than it may be.
    fn change(&self) -> Result<Option<Change>, TooLarge> {
        let mut past = self.past.clone();
        past.sort_by(|left, right| left.partial_cmp(right).unwrap_or(Ordering::Equal));
        let Some(median) = past.get(past.len().saturating_sub(1) / 2) else {
            return Ok(None);
        };
        self.beyond(*median).ok_or(TooLarge)
    }

    /// None where the numbers are too large.
    fn beyond(&self, median: Amount) -> Option<Option<Change>> {
        let times = |amount: Amount, factor: i128| {
            Some(Amount {
                units: amount.units.checked_mul(factor)?,
                ..amount
            })
        };
        let now = self.now?;
        let difference = now.checked_add(times(median, -1)?)?.absolute()?;
        let allowed = times(median.absolute()?, i128::from(self.limit))?;
        if times(difference, 100)? <= allowed {
            return Some(None);
        }
        let percent = percent(difference, median);
        Some(Some(Change {
            now,
            median,
            percent,
        }))
    }
}

/// Whole percent, rounded down; nothing where the median is zero.
fn percent(difference: Amount, median: Amount) -> Option<i128> {
    // Both with the digits behind the point of the finer.
    let scale = difference.scale.max(median.scale);
    let units = |amount: Amount| {
        let factor = 10i128.checked_pow(u32::from(scale - amount.scale))?;
        amount.units.checked_mul(factor)
    };
    let median = units(median)?.checked_abs()?;
    units(difference)?.checked_mul(100)?.checked_div(median)
}

fn finding(
    table: &str,
    measure: &Measure,
    change: Change,
    limits: &SuddenChange,
    judged_at: &str,
) -> Finding {
    let percent = change.percent.map(|percent| percent.to_string());
    let shown = [
        ("now", Some(change.now.to_string())),
        ("median", Some(change.median.to_string())),
        ("past_runs", Some(measure.past.len().to_string())),
        ("change_percent", percent),
        ("limit_percent", Some(measure.limit.to_string())),
    ];
    let row = shown.map(|(name, value)| (name.to_owned(), value));
    Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new(RULE, [table, &measure.name]),
        sequence: 1,
        rule: RULE.into(),
        rule_version: VERSION.into(),
        title: TITLE.into(),
        entity: "table".into(),
        entity_key: table.into(),
        key: vec![
            ("table".into(), table.into()),
            ("measure".into(), measure.name.clone()),
        ],
        verdict: Verdict::Confirmed,
        occurrence: 1,
        severity: limits.severity,
        owner: "audit".into(),
        amount: None,
        currency: None,
        hint: None,
        evidence: Evidence {
            rows: vec![row.into()],
            total: 1,
        },
        positions: Positions::default(),
        anchor: judged_at.into(),
        judged_at: judged_at.into(),
        checkpoint: None,
        status: None,
        trip: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_model::Severity;
    use centinel_outlet::AtRisk;

    fn figures(rows: u64, total: &str) -> Vec<TableFigures> {
        let sums = AtRisk([("CNY".to_owned(), total.to_owned())].into());
        vec![TableFigures {
            table: "payment".into(),
            rows,
            totals: [("amount".to_owned(), sums)].into(),
        }]
    }

    fn limits() -> SuddenChange {
        SuddenChange {
            rows_percent: Some(50),
            totals_percent: Some(20),
            over: 5,
            from: 3,
            severity: Severity::Error,
        }
    }

    fn judged(past: &[Vec<TableFigures>], now: Vec<TableFigures>) -> Report {
        let mut report = Report {
            tables: now,
            ..Report::default()
        };
        let past: Vec<&[TableFigures]> = past.iter().map(Vec::as_slice).collect();
        judge(&limits(), &past, &mut report, "2026-11-22T08:00:00Z");
        report
    }

    fn told(report: &Report) -> Vec<(String, Option<String>)> {
        let told = report.findings.iter().map(|finding| {
            let change = finding.evidence.rows[0]["change_percent"].clone();
            (finding.key[1].1.clone(), change)
        });
        told.collect()
    }

    #[test]
    fn what_differs_more_than_declared_is_found() {
        let past: Vec<_> = [100, 90, 110, 100]
            .map(|rows| figures(rows, "1000.00"))
            .into();
        let at = |rows, total| told(&judged(&past, figures(rows, total)));
        let one = |name: &str, change: &str| vec![(name.to_owned(), Some(change.to_owned()))];
        assert_eq!(at(100, "1000"), []);
        assert_eq!(at(150, "1200.00"), [], "the limit itself is no change");
        assert_eq!(at(50, "800"), []);
        assert_eq!(at(151, "1000"), one("rows", "51"));
        assert_eq!(at(49, "1000"), one("rows", "51"));
        assert_eq!(at(0, "1000"), one("rows", "100"));
        assert_eq!(at(100, "1200.01"), one("total of amount in CNY", "20"));
        assert_eq!(at(100, "-1000"), one("total of amount in CNY", "200"));
    }

    #[test]
    fn only_the_newest_runs_are_compared_with() {
        let old = (0..5).map(|_| figures(10, "1000"));
        let new = (0..5).map(|_| figures(1_000, "1000"));
        let past: Vec<_> = old.chain(new).collect();
        assert_eq!(told(&judged(&past, figures(1_000, "1000"))), []);
    }

    #[test]
    fn what_has_no_past_is_said_and_not_judged() {
        let past = vec![figures(100, "1000"), figures(100, "1000")];
        let report = judged(&past, figures(1, "1"));
        assert_eq!(told(&report), []);
        assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
        assert!(report.notes[0].contains("payment is not judged before there are 3"));
        assert_eq!(report.rules[0].rule, RULE);
    }

    #[test]
    fn a_total_that_cannot_be_compared_is_not_clean() {
        let past: Vec<_> = (0..3).map(|_| figures(100, "1000")).collect();
        for total in ["more than 38 digits".to_owned(), "9".repeat(38)] {
            let report = judged(&past, figures(100, &total));
            assert_eq!(told(&report), []);
            assert_eq!(report.could_not_judge.len(), 1, "{total}");
            assert_eq!(report.exit_status(Severity::Error), 3);
        }
    }

    #[test]
    fn a_currency_that_comes_or_goes_is_a_change() {
        let past: Vec<_> = (0..3).map(|_| figures(100, "1000")).collect();
        let mut now = figures(100, "1000");
        let sums = now[0].totals.get_mut("amount").expect("it is there");
        sums.0 = [("USD".to_owned(), "1000".to_owned())].into();
        let expected = [
            ("total of amount in CNY".to_owned(), Some("100".to_owned())),
            ("total of amount in USD".to_owned(), None),
        ];
        assert_eq!(told(&judged(&past, now)), expected);
    }
}
