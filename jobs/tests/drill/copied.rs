//! Drills among copies of a real log.

use std::path::Path;

use data_fixtures::write::{LogFiles, LogForm, LogLayout};
use data_fixtures::{DRILL_MARK, Simulation, SimulationParameters, Source};

use crate::place::*;

/// A log of a platform that has faults of its own.
fn log(folder: &Path, layout: LogLayout) {
    let mut files = LogFiles::create(folder, LogForm::JsonLines, layout).unwrap();
    let platform = Simulation::new(SimulationParameters {
        seed: 5,
        orders: 400,
        orders_per_second: 2,
        refund_share: 4_000,
        merchants: 20,
        cash_out_every: 300_000_000,
        fault_share: 300,
        ..SimulationParameters::default()
    });
    for delivered in platform {
        files.write(&delivered).unwrap();
    }
    files.finish().unwrap();
}

#[test]
fn every_fault_in_a_copy_of_real_orders_is_detected() {
    let place = Place::new();
    log(&place.path("merged"), LogLayout::Merged);
    let before = std::fs::read(place.path("merged/log.jsonl")).unwrap();
    let arguments = [
        "--input",
        "merged/log.jsonl",
        "--with-breaker",
        "--format",
        "jsonl",
    ];
    let (status, out, complaint) = place.drill(&arguments);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    let mut all = lines(&out);
    let last = all.pop().unwrap();
    assert_all_detected(&all, true);
    assert_eq!(
        (
            text(&last, "input"),
            number(&last, "orders"),
            number(&last, "false_alarms")
        ),
        ("merged/log.jsonl", 42, 0)
    );
    // What was real is copied and found again, and told to nobody.
    for fault in &all {
        for rule in fault["rules"].as_array().unwrap() {
            assert!(
                rule["key"][0].as_str().unwrap().starts_with(DRILL_MARK),
                "{rule}"
            );
        }
    }
    assert_eq!(
        std::fs::read(place.path("merged/log.jsonl")).unwrap(),
        before
    );

    // The same log in a file for each source is the same drill.
    log(&place.path("apart"), LogLayout::Sources);
    let files = Source::ALL.map(|source| format!("apart/{}.jsonl", source.name()));
    let mut arguments = vec!["--input"];
    arguments.extend(files.iter().map(String::as_str));
    let (status, out, complaint) = place.drill(&arguments);
    assert_eq!((status, complaint.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with("DRILL ") && out.contains("Copies of 42 orders of apart/"),
        "{out}"
    );
}

#[test]
fn a_log_that_cannot_be_copied_is_told_as_such() {
    let place = Place::new();
    // No heartbeat of all sources: nobody could be sure.
    let line = "{\"heartbeat\":\"payment-db\",\"committed_at\":\"2026-11-22T08:00:01Z\"}\n";
    std::fs::write(place.path("log.jsonl"), line).unwrap();
    let (status, out, complaint) = place.drill(&["--input", "log.jsonl"]);
    assert_eq!((status, out.as_str()), (3, ""));
    assert!(
        complaint.contains("no heartbeat of `refund-db`"),
        "{complaint}"
    );
    let (status, _, complaint) = place.drill(&["--input", "no-such-file.jsonl"]);
    assert_eq!(status, 3);
    assert!(complaint.contains("no-such-file.jsonl: "), "{complaint}");
    let (status, ..) = place.drill(&["--input", "log.jsonl", "--seed", "2"]);
    assert_eq!(status, 64);

    // A log of a few orders, none of which was refunded: a fault without an order cannot be judged.
    let log = root().join("data-fixtures/small/healthy/jsonl/log.jsonl");
    let (status, out, _) = place.drill(&[
        "--input",
        log.to_str().unwrap(),
        "--kind",
        "duplicate-refund",
    ]);
    assert_eq!(status, 3, "{out}");
    assert!(
        out.contains("duplicate-refund: there was no order to plant it in"),
        "{out}"
    );
    assert!(!place.history("drills").is_empty());
}
