//! The rules of data quality: silent on a healthy platform whenever it is looked at, and each finds what was spoilt.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use centinel_model::Severity;
use centinel_outlet::Report;
use centinel_rules::Rule;
use centinel_tests::{History, folder, schemas, seeds};
use data_fixtures::write::SnapshotWriter;
use data_fixtures::{KeyStyle, SECOND, SimulationParameters, Table};

use super::taken::*;

/// Slow enough that payments come in two hours, most of them in the first.
fn healthy(seed: u64) -> SimulationParameters {
    SimulationParameters {
        seed,
        orders: 2_500,
        orders_per_second: 1,
        start: SimulationParameters::default().start + 1_800 * SECOND,
        merchants: 40,
        ..SimulationParameters::default()
    }
}

/// A healthy platform, cut so long before its end.
fn taken(parameters: SimulationParameters, seconds: i64) -> Taken {
    let history = History::simulate(parameters);
    let moment = history.end - seconds * SECOND;
    let folder = tempfile::tempdir().unwrap();
    let mut writer = SnapshotWriter::create(folder.path(), &Table::ALL, Some(moment)).unwrap();
    for record in &history.records {
        writer.write(record).unwrap();
    }
    writer.finish(history.end).unwrap();
    Taken {
        folder,
        history,
        moment,
    }
}

fn judged(taken: &Taken) -> Report {
    let catalog = schemas();
    let mut loaded = centinel_rules::load(&folder("sql-rules/quality"), &catalog).unwrap();
    loaded.rules.retain(|rule| rule.guards.is_none());
    assert!(loaded.rules.len() >= 18);
    let tagged = |rule: &Arc<Rule>| rule.tags.iter().any(|tag| tag == "quality");
    assert!(loaded.rules.iter().all(tagged));
    taken.audit_by(&catalog, &loaded.rules, &options())
}

#[test]
fn nothing_is_found_on_a_healthy_platform_whenever_it_is_looked_at() {
    for seed in seeds(50, 2) {
        for (style, seconds) in [
            (KeyStyle::TimeOrdered, 0),
            (KeyStyle::TimeOrdered, 950),
            (KeyStyle::TimeOrdered, 1_700),
            (KeyStyle::Random, 1_200),
        ] {
            let parameters = SimulationParameters {
                key_style: style,
                ..healthy(seed)
            };
            let taken = taken(parameters, seconds);
            let report = judged(&taken);
            let what = format!("seed {seed}, {style:?}, {seconds} s before the end");
            assert_eq!(reasons(&report), "", "{what}");
            assert!(
                report.findings.is_empty(),
                "{what}: {:#?}",
                report.findings[0]
            );
            assert_eq!(report.exit_status(Severity::Info), 0, "{what}");
        }
    }
}

#[test]
fn delays_up_to_the_full_settle_time_are_no_fault_of_the_data() {
    let slow = SimulationParameters {
        max_delay: 119 * SECOND,
        refund_share: 8_000,
        ..healthy(60)
    };
    let report = judged(&taken(slow, 1_400));
    assert_eq!(reasons(&report), "");
    assert!(report.findings.is_empty(), "{:#?}", report.findings[0]);
    // What is cut off in the middle of an order is asked about all the same.
    let checked: u64 = report.rules.iter().map(|rule| rule.rows_checked).sum();
    assert!(checked > 10_000, "{checked} rows were checked");
}

/// The texts of a row's columns.
fn row(rows: &RecordBatch, row: usize, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .map(|name| texts(rows, name).value(row).to_owned())
        .collect()
}

/// The first row for which this column has a value and that column this text.
fn first(rows: &RecordBatch, filled: &str, column: &str, text: &str) -> usize {
    let (filled, column) = (rows.column_by_name(filled).unwrap(), texts(rows, column));
    (0..rows.num_rows())
        .find(|row| filled.is_valid(*row) && column.value(*row) == text)
        .unwrap()
}

fn with_text(rows: &RecordBatch, name: &str, row: usize, text: &str) -> RecordBatch {
    let old = texts(rows, name);
    let new: StringArray = old
        .iter()
        .enumerate()
        .map(|(place, old)| if place == row { Some(text) } else { old })
        .collect();
    with_column(rows, name, Some(Arc::new(new)))
}

/// A time of one row set back by a day.
fn set_back(rows: &RecordBatch, name: &str, row: usize) -> RecordBatch {
    let old = rows.column_by_name(name).unwrap();
    let times = cast(old, &DataType::Int64).unwrap();
    let times = times.as_primitive::<Int64Type>();
    let new: Int64Array = times
        .iter()
        .enumerate()
        .map(|(place, time)| {
            time.map(|time| {
                if place == row {
                    time - 86_400 * SECOND
                } else {
                    time
                }
            })
        })
        .collect();
    let new = cast(&new, old.data_type()).unwrap();
    with_column(rows, name, Some(new))
}

fn without(rows: &RecordBatch, row: usize) -> RecordBatch {
    let parts = [
        rows.slice(0, row),
        rows.slice(row + 1, rows.num_rows() - row - 1),
    ];
    concat_batches(&rows.schema(), &parts).unwrap()
}

/// One row once more at the end, changed.
fn once_more(
    rows: &RecordBatch,
    row: usize,
    change: impl Fn(RecordBatch) -> RecordBatch,
) -> RecordBatch {
    let added = change(rows.slice(row, 1));
    let added = RecordBatch::try_new(rows.schema(), added.columns().to_vec()).unwrap();
    concat_batches(&rows.schema(), [rows, &added]).unwrap()
}

/// Spoils a table, and says which keys its rule must find.
type Spoil = fn(&RecordBatch) -> (RecordBatch, BTreeSet<Vec<String>>);

#[test]
fn what_was_spoilt_is_found() {
    #[rustfmt::skip]
    let spoils: [(&str, &str, Spoil); 14] = [
        ("payment-number-is-unique", "payment", |rows| {
            (once_more(rows, 7, |row| row), [row(rows, 7, &["order_no", "payment_no"])].into())
        }),
        ("refund-number-is-unique", "refund", |rows| {
            (once_more(rows, 7, |row| row), [row(rows, 7, &["order_no", "refund_no"])].into())
        }),
        ("settlement-number-is-unique", "settlement", |rows| {
            (once_more(rows, 7, |row| row), [row(rows, 7, &["order_no", "settlement_no"])].into())
        }),
        ("order-billed-once", "billing", |rows| {
            (once_more(rows, 7, |row| with_text(&row, "bill_no", 0, "B-AGAIN")), [row(rows, 7, &["order_no"])].into())
        }),
        ("bill-has-payment", "billing", |rows| {
            let spoilt = once_more(rows, 7, |row| with_text(&with_text(&row, "bill_no", 0, "B-LOST"), "order_no", 0, "NOBODY"));
            (spoilt, [vec!["NOBODY".to_owned(), "B-LOST".to_owned()]].into())
        }),
        ("refund-event-has-row", "refund", |rows| {
            let place = first(rows, "refunded_at", "status", "SUCCESS");
            (without(rows, place), [row(rows, place, &["order_no", "refund_no"])].into())
        }),
        ("settlement-event-has-row", "settlement", |rows| {
            let place = first(rows, "settled_at", "status", "SETTLED");
            (without(rows, place), [row(rows, place, &["order_no", "settlement_no"])].into())
        }),
        ("cash-out-of-settlement-exists", "cash_out", |rows| {
            (without(rows, 7), [row(rows, 7, &["cash_out_no"])].into())
        }),
        ("merchant-is-the-same-everywhere", "settlement", |rows| {
            let [order, number] = &row(rows, 7, &["order_no", "settlement_no"])[..] else { panic!() };
            let key = vec![order.clone(), "settlement".to_owned(), number.clone()];
            (with_text(rows, "merchant_no", 7, "M-OTHER"), [key].into())
        }),
        ("settled-after-paid", "settlement", |rows| {
            let place = first(rows, "settled_at", "kind", "PAYMENT");
            (set_back(rows, "settled_at", place), [row(rows, place, &["order_no", "settlement_no"])].into())
        }),
        ("refunded-after-paid", "refund", |rows| {
            let place = first(rows, "refunded_at", "status", "SUCCESS");
            (set_back(rows, "refunded_at", place), [row(rows, place, &["order_no", "refund_no"])].into())
        }),
        ("payment-numbers-have-no-gap", "payment", |rows| {
            // The payment after the one that is gone.
            let mut numbers: Vec<(String, usize)> = (0..rows.num_rows()).map(|place| (row(rows, place, &["payment_no"]).remove(0), place)).collect();
            numbers.sort_by_key(|(number, _)| number[15..23].to_owned());
            (without(rows, numbers[100].1), [row(rows, numbers[101].1, &["order_no", "payment_no"])].into())
        }),
        ("settlement-amounts-fit-their-unit", "settlement", |rows| {
            let amounts = rows.column_by_name("amount").unwrap().as_primitive::<Int64Type>();
            let late = in_second_hour(rows, "settled_at");
            let new: Int64Array = amounts.iter().zip(&late).map(|(fen, late)| fen.map(|fen| if *late { fen * 100 } else { fen })).collect();
            (with_column(rows, "amount", Some(Arc::new(new))), merchants_of(rows, &late, |place| texts(rows, "kind").value(place) == "PAYMENT"))
        }),
        ("payment-amounts-fit-their-unit", "payment", |rows| {
            let late = in_second_hour(rows, "paid_at");
            (hundredfold(rows, "amount", &late), merchants_of(rows, &late, |_| true))
        }),
    ];
    for (rule, table, spoil) in spoils {
        let taken = taken(healthy(70), 0);
        let (spoilt, expected) = spoil(&read(&taken.path(&format!("{table}.parquet"))));
        taken.rewrite(table, |_| spoilt.clone());
        taken.forget_row_counts();
        let report = judged(&taken);
        assert_eq!(reasons(&report), "", "{rule}");
        assert!(!expected.is_empty(), "{rule}");
        assert_eq!(keys_of(&report, rule), expected, "{rule}");
    }
}

/// What leads through another table, or to several findings.
#[test]
fn spoilt_entries_cash_outs_and_bills_are_found() {
    let spoilt = |table: &str, change: &dyn Fn(&RecordBatch) -> RecordBatch| {
        let taken = taken(healthy(71), 0);
        let rows = read(&taken.path(&format!("{table}.parquet")));
        taken.rewrite(table, |rows| change(&rows));
        taken.forget_row_counts();
        (judged(&taken), rows)
    };
    let second = |report: &Report, rule: &str| -> BTreeSet<String> {
        keys_of(report, rule)
            .into_iter()
            .map(|key| key[1].clone())
            .collect()
    };
    let (report, rows) = spoilt("accounting_entry", &|rows| once_more(rows, 7, |row| row));
    assert_eq!(
        second(&report, "entry-number-is-unique"),
        row(&rows, 7, &["entry_no"]).into_iter().collect()
    );
    let (report, rows) = spoilt("accounting_entry", &|rows| set_back(rows, "booked_at", 7));
    assert_eq!(
        second(&report, "booked-after-settled"),
        row(&rows, 7, &["entry_no"]).into_iter().collect()
    );
    let (report, rows) = spoilt("cash_out", &|rows| set_back(rows, "sent_at", 7));
    let first: BTreeSet<String> = keys_of(&report, "sent-after-settled")
        .into_iter()
        .map(|key| key[0].clone())
        .collect();
    assert_eq!(first, row(&rows, 7, &["cash_out_no"]).into_iter().collect());
    let (report, rows) = spoilt("billing", &|rows| {
        hundredfold(rows, "fee_base", &vec![true; rows.num_rows()])
    });
    let merchants: BTreeSet<String> = texts(&rows, "merchant_no")
        .iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    let first: BTreeSet<String> = keys_of(&report, "bill-amounts-fit-their-unit")
        .into_iter()
        .map(|key| key[0].clone())
        .collect();
    assert_eq!(first, merchants);
}

fn keys_of(report: &Report, rule: &str) -> BTreeSet<Vec<String>> {
    let found = report
        .findings
        .iter()
        .filter(|finding| finding.rule == rule);
    found
        .map(|finding| finding.key.iter().map(|(_, value)| value.clone()).collect())
        .collect()
}

/// From 09:00 on.
fn in_second_hour(rows: &RecordBatch, name: &str) -> Vec<bool> {
    let start = SimulationParameters::default().start + 3_600 * SECOND;
    let times = cast(rows.column_by_name(name).unwrap(), &DataType::Int64).unwrap();
    let times = times.as_primitive::<Int64Type>();
    times
        .iter()
        .map(|time| time.is_some_and(|time| time >= start))
        .collect()
}

fn hundredfold(rows: &RecordBatch, name: &str, which: &[bool]) -> RecordBatch {
    let old = rows.column_by_name(name).unwrap();
    let units = old.as_primitive::<Decimal128Type>();
    let new: arrow::array::Decimal128Array = units
        .iter()
        .zip(which)
        .map(|(units, spoilt)| units.map(|units| if *spoilt { units * 100 } else { units }))
        .collect();
    let new: ArrayRef = Arc::new(new.with_data_type(old.data_type().clone()));
    with_column(rows, name, Some(new))
}

/// The merchants with such rows, each with the hours in which they lie.
fn merchants_of(
    rows: &RecordBatch,
    late: &[bool],
    counts: impl Fn(usize) -> bool,
) -> BTreeSet<Vec<String>> {
    let merchants = texts(rows, "merchant_no");
    let places = (0..rows.num_rows()).filter(|place| late[*place] && counts(*place));
    places
        .map(|place| {
            vec![
                merchants.value(place).to_owned(),
                "2026-11-22T09:00:00Z".to_owned(),
            ]
        })
        .collect()
}
