//! Copies of real orders: each fault strikes, is seen by its rules, and nothing else is; nothing real is in them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use data_fixtures::auditor::Ledger;
use data_fixtures::copy::{LineError, Traffic};
use data_fixtures::timeline::Timeline;
use data_fixtures::write::JsonLinesWriter;
use data_fixtures::{DRILL_MARK, FaultKind, KeyStyle, Simulation, SimulationParameters, Source};

fn parameters(seed: u64, key_style: KeyStyle) -> SimulationParameters {
    SimulationParameters {
        seed,
        orders: 400,
        key_style,
        refund_share: 4_000,
        merchants: 20,
        ..SimulationParameters::default()
    }
}

fn lines(parameters: SimulationParameters) -> Vec<Vec<u8>> {
    let mut writer = JsonLinesWriter::default();
    let line = |delivered| {
        let mut line = Vec::new();
        writer.write(&mut line, &delivered);
        line
    };
    Simulation::new(parameters).map(line).collect()
}

#[test]
fn every_fault_strikes_a_copy_and_its_rules_see_it() {
    for (seed, style) in [(1, KeyStyle::TimeOrdered), (2, KeyStyle::Random)] {
        let mut traffic = Traffic::default();
        for line in lines(parameters(seed, style)) {
            assert!(traffic.read(&line).unwrap().is_some());
        }
        let end = traffic.end().unwrap();
        let copies = traffic.copies(FaultKind::ALL, end);
        assert_eq!(copies.unplanted, []);
        let (mut timeline, mut ledger) = (Timeline::default(), Ledger::default());
        timeline.plant(copies.planted.clone());
        for delivered in &copies.records {
            timeline.observe(&delivered.record);
            ledger.apply(&delivered.record);
        }
        let courses = timeline.courses(end);
        assert_eq!(courses.len(), FaultKind::ALL.len());
        for course in &courses {
            let rules: BTreeSet<&str> = course
                .expected
                .iter()
                .map(|due| due.violation.rule)
                .collect();
            for rule in course.planted.fault.rules() {
                assert!(
                    rules.contains(rule),
                    "{} is not seen by {rule}, but by {rules:?}",
                    course.planted.fault.name()
                );
            }
        }
        // Nothing is broken but where a fault was planted.
        let mut expected: Vec<_> = courses
            .iter()
            .flat_map(|course| course.expected.iter().map(|due| due.violation.clone()))
            .collect();
        expected.sort();
        assert_eq!(expected, ledger.violations(end));
    }
}

#[test]
fn nothing_real_is_in_a_copy() {
    let real = lines(parameters(3, KeyStyle::TimeOrdered));
    let mut traffic = Traffic::default();
    for line in &real {
        traffic.read(line).unwrap();
    }
    let end = traffic.end().unwrap();
    let copies = traffic.copies(FaultKind::ALL, end);
    // Amounts and rates have a point.
    let named =
        |text: &str| !text.contains('.') && text.chars().filter(char::is_ascii_digit).count() > 6;
    let texts = |lines: &[Vec<u8>]| -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for line in lines {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            for row in [&line["before"], &line["after"]] {
                let columns = row.as_object().into_iter().flatten();
                for (column, value) in columns {
                    // Times are as they were.
                    let text = value.as_str().filter(|_| !column.ends_with("_at"));
                    found.extend(text.filter(|text| named(text)).map(str::to_owned));
                }
            }
        }
        found
    };
    let mut writer = JsonLinesWriter::default();
    let copied: Vec<Vec<u8>> = copies
        .records
        .iter()
        .map(|delivered| {
            let mut line = Vec::new();
            writer.write(&mut line, delivered);
            line
        })
        .collect();
    let (real_texts, copied_texts) = (texts(&real), texts(&copied));
    let both: Vec<_> = real_texts.intersection(&copied_texts).collect();
    assert_eq!(both, [] as [&String; 0]);
    let unmarked: Vec<_> = copied_texts
        .iter()
        .filter(|text| !text.contains(DRILL_MARK) && text.chars().any(|c| c != '0'))
        .filter(|text| {
            !text
                .trim_start_matches(['U', '6', '2', '8'])
                .chars()
                .all(|c| c == '0')
        })
        .collect();
    assert_eq!(unmarked, [] as [&String; 0], "numbers without a mark");
}

#[test]
fn a_log_that_cannot_be_copied_from_says_so() {
    let mut traffic = Traffic::default();
    assert_eq!(traffic.end(), Err(Source::PaymentDb));
    assert_eq!(traffic.read(b"no line"), Ok(None));
    let drill = lines(parameters(1, KeyStyle::Drill));
    let read = drill.iter().find_map(|line| traffic.read(line).err());
    assert_eq!(read, Some(LineError::Drill));
    // Without a refund no fault of refunds can be copied.
    let mut traffic = Traffic::default();
    let without = SimulationParameters {
        refund_share: 0,
        ..parameters(1, KeyStyle::TimeOrdered)
    };
    for line in lines(without) {
        traffic.read(&line).unwrap();
    }
    let end = traffic.end().unwrap();
    let copies = traffic.copies(&[FaultKind::LostRefund, FaultKind::MissingBilling], end);
    assert_eq!(copies.unplanted, [FaultKind::LostRefund]);
    assert_eq!(copies.planted.len(), 1);
}
