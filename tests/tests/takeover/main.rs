//! Schemas and rules that take over a state: rows of another shape, numbers of another order, a sweep that is broken
//! off.
#![allow(clippy::unwrap_used, clippy::panic)]

mod renamed;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use centinel_batch::Limits;
use centinel_catalog::Catalog;
use centinel_engine::archive::{ArchiveCut, audit_archive};
use centinel_engine::audit::AuditOptions;
use centinel_engine::detect::{
    Detector, DetectorLimits, RunOptions, Surroundings, Sweep, Until, run,
};
use centinel_model::{Duration, Timestamp, Verdict};
use centinel_outlet::LineFile;
use centinel_outlet::archive::ArchiveOptions;
use centinel_rules::Rule;
use centinel_state::{FileStore, Store};
use centinel_tests::{
    Detected, Detection, Found, History, folder, log_file, rules, schemas, write_log,
};
use data_fixtures::{FaultKind, SimulationParameters};

fn history(seed: u64, orders: u64) -> History {
    History::simulate(SimulationParameters {
        seed,
        orders,
        fault_share: 300,
        faults: FaultKind::ALL.to_vec(),
        ..SimulationParameters::default()
    })
}

/// The shipped schemas, changed by file: what stands there, and what instead.
fn changed_schemas(changes: &[(&str, &str, &str)], more: &[(&str, &str)]) -> Arc<Catalog> {
    changed(&folder("schemas"), changes, more)
}

fn changed(base: &Path, changes: &[(&str, &str, &str)], more: &[(&str, &str)]) -> Arc<Catalog> {
    let own = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(base).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            std::fs::copy(&path, own.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    for (file, from, to) in changes {
        let path = own.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }
    for (file, text) in more {
        std::fs::write(own.path().join(file), text).unwrap();
    }
    load(own.path())
}

fn load(folder: &Path) -> Arc<Catalog> {
    Arc::new(centinel_catalog::load(folder).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")))
}

/// Tables, entities and sources that stand before all others, and columns that no log has.
fn wider(base: &Path) -> Arc<Catalog> {
    let note = |name: &'static str| {
        (
            name,
            "columns:\n",
            "columns:\n  a_note: { type: json, nullable: true }\n",
        )
    };
    let aaa = "centinel: schema/1
table: aaa_fee
system: aaa
source: aaa-db
primary_key: [fee_no]
entities: { aaa: [fee_no], order: [order_no] }
columns: { fee_no: text, order_no: text, paid: boolean }
";
    changed(
        base,
        &[
            note("payment.yaml"),
            note("settlement.yaml"),
            note("accounting_entry.yaml"),
            (
                "entities.yaml",
                "entities:\n",
                "entities:\n  aaa: { key: [fee_no] }\n",
            ),
        ],
        &[("aaa_fee.yaml", aaa)],
    )
}

/// Columns in another order, and an event more.
fn turned() -> Arc<Catalog> {
    let event = "centinel: schema/1
event: a_word
system: payment
source: business-events
entities: { order: [order_no] }
columns: { order_no: text }
";
    changed_schemas(
        &[(
            "payment.yaml",
            "  payment_no: text\n  order_no: text\n",
            "  order_no: text\n  payment_no: text\n",
        )],
        &[("a_word.yaml", event)],
    )
}

fn numbers(catalog: &Catalog) -> (u16, u16, u16) {
    let table = catalog.table_id("payment").unwrap().0;
    let source = catalog.source_id("payment-db").unwrap().0;
    (table, catalog.entity_id("order").unwrap().0, source)
}

#[test]
fn schemas_take_over_in_mid_history_and_all_agrees_with_the_truth() {
    let history = history(91, 600);
    let catalogs = [
        schemas(),
        wider(&folder("schemas")),
        turned(),
        wider(&folder("schemas")),
        schemas(),
    ];
    assert_ne!(numbers(&catalogs[0]), numbers(&catalogs[1]));
    assert_eq!(numbers(&catalogs[0]).0 + 1, numbers(&catalogs[1]).0);
    for first in [0, 1] {
        let own = tempfile::tempdir().unwrap();
        let log = own.path().join("log.jsonl");
        let archive = ArchiveOptions {
            segment_bytes: 20_000,
            ..ArchiveOptions::new(
                own.path().join("archive").display().to_string(),
                own.path().join("spool"),
            )
        };
        let catalogs = &catalogs[first..];
        let mut last: Option<Detected> = None;
        for (part, catalog) in catalogs.iter().enumerate() {
            write_log(
                &log,
                &history.records[..history.records.len() * (part + 1) / catalogs.len()],
            );
            let detection = Detection {
                until: if part + 1 == catalogs.len() {
                    Until::End
                } else {
                    Until::Now
                },
                batch_rows: 40,
                cache_bytes: 0,
                archive: Some(archive.clone()),
                ..Detection::over(&log, own.path())
            };
            last = Some(detection.run(catalog, &rules(catalog)));
        }
        let last = last.unwrap();
        let (shipped, truth) = (schemas(), history.truth(history.end));
        let shipped_rules = rules(&shipped);
        assert!(truth.len() > 30, "{}", truth.len());
        assert_eq!(last.holes, 0, "{:#?}", last.messages);
        assert_eq!(last.certain(&shipped_rules, history.end), truth);
        assert!(
            last.open.iter().all(|open| open.confirmed),
            "{:#?}",
            last.open
        );

        // The archive was written under all of them, and is read under the last.
        let cut = ArchiveCut {
            location: archive.location.clone(),
            store_options: Vec::new(),
            at: Timestamp(history.end),
        };
        for catalog in [&shipped, &catalogs[catalogs.len() - 2]] {
            let options = AuditOptions::default();
            let report = audit_archive(catalog, &rules(catalog), &cut, &options, &|_| ()).unwrap();
            assert!(
                report.could_not_judge.is_empty(),
                "{:#?}",
                report.could_not_judge
            );
            let found: BTreeSet<Found> = report.findings.iter().map(Found::of).collect();
            assert_eq!(found, truth);
        }
        let retyped = changed_schemas(
            &[(
                "payment.yaml",
                "  business_code: text",
                "  business_code: json",
            )],
            &[],
        );
        let options = AuditOptions::default();
        let one = |catalog: &Catalog| -> Vec<Arc<Rule>> {
            rules(catalog)
                .into_iter()
                .filter(|rule| rule.id == "order-paid-once")
                .collect()
        };
        let refused = audit_archive(&retyped, &one(&retyped), &cut, &options, &|_| ()).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("column `business_code` was text and is json"),
            "{refused}"
        );
    }
}

/// A log of payments, written by hand.
fn line(sequence: u64, table: &str, row: &str) -> String {
    format!(
        "{{\"table\":\"{table}\",\"op\":\"insert\",\"epoch\":1,\"sequence\":{sequence},\"ordinal\":0,\"last\":true,\
         \"committed_at\":\"2026-11-22T08:{:02}:{:02}Z\",\"after\":{{{row}}}}}\n",
        sequence / 60,
        sequence % 60
    )
}

fn word(sequence: u64) -> String {
    format!(
        "{{\"heartbeat\":\"payment-db\",\"committed_at\":\"2026-11-22T08:{:02}:{:02}Z\"}}\n",
        sequence / 60,
        sequence % 60
    )
}

const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
begins: [order]
lookback: 1d
columns:
  payment_no: text
  order_no: text
";

const REFUND: &str = "centinel: schema/1
table: refund
system: payment
source: payment-db
primary_key: [refund_no]
entities: { order: [order_no] }
columns: { refund_no: text, order_no: text }
";

struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Small {
        Small(tempfile::tempdir().unwrap())
    }

    fn catalog(&self, files: &[(&str, &str)]) -> Arc<Catalog> {
        let folder = self.0.path().join("schemas");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let entities = "centinel: entities/1\nentities: { order: { key: [order_no] } }\n";
        std::fs::write(folder.join("entities.yaml"), entities).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        load(&folder)
    }

    fn detection(&self, log: &str) -> Detection {
        let path = self.0.path().join("log.jsonl");
        std::fs::write(&path, log).unwrap();
        Detection::over(&path, self.0.path())
    }
}

fn rule(catalog: &Catalog, id: &str, sql: &str) -> Arc<Rule> {
    let text = format!(
        "/* ---\nid: {id}\ntitle: A test\nentity: order\nseverity: error\nkey: [order_no, payment_no]\nowner: test\n\
         settle: 0s\nretries: 0\nstatus: stable\n--- */\n{sql}\n"
    );
    let loaded = centinel_rules::load_text(&format!("{id}.sql"), &text, catalog);
    Arc::new(loaded.unwrap_or_else(|mistakes| panic!("{}", mistakes[0].rendered)))
}

fn told(detected: &Detected, verdict: Verdict) -> Vec<String> {
    let told = detected.told(verdict).into_iter();
    told.map(|finding| format!("{} {}", finding.rule, finding.key[1].1))
        .collect()
}

/// A tool that repeats what it had sent fills in the column that came since; that is no contradiction. Another value
/// in a column that was there is one.
#[test]
fn what_is_delivered_again_with_the_column_that_came_is_no_contradiction() {
    let small = Small::new();
    let narrow = small.catalog(&[("payment.yaml", PAYMENT)]);
    let row = |number: u64, more: &str| {
        format!("\"payment_no\":\"P{number}\",\"order_no\":\"O{number}\"{more}")
    };
    let any = |catalog: &Catalog| {
        rule(
            catalog,
            "any",
            "SELECT order_no, payment_no FROM payment WHERE payment_no = 'none'",
        )
    };
    let mut log = [1, 2]
        .map(|number| line(number, "payment", &row(number, "")))
        .concat()
        + &word(3);
    small.detection(&log).run(&narrow, &[any(&narrow)]);

    let wide_text = format!("{PAYMENT}  channel: {{ type: text, nullable: true }}\n");
    let wide = small.catalog(&[("payment.yaml", &wide_text)]);
    let voucher = rule(
        &wide,
        "voucher",
        "SELECT order_no, payment_no FROM payment WHERE channel = 'VOUCHER'",
    );
    log += &(line(1, "payment", &row(1, ",\"channel\":\"VOUCHER\"")) + &word(4));
    let detected = small
        .detection(&log)
        .run(&wide, &[any(&wide), Arc::clone(&voucher)]);
    assert_eq!(detected.holes, 0, "{:#?}", detected.messages);
    assert_eq!(told(&detected, Verdict::Confirmed), ["voucher P1"]);

    log += &(line(1, "payment", &row(1, ",\"channel\":\"CARD\"")) + &word(5));
    let detected = small.detection(&log).run(&wide, &[any(&wide), voucher]);
    assert_eq!(detected.holes, 1, "{:#?}", detected.messages);
}

/// What a table had before it came into the schemas nobody has read.
#[test]
fn entities_from_before_a_table_came_are_not_judged_on_its_rows() {
    let small = Small::new();
    let one = small.catalog(&[("payment.yaml", PAYMENT)]);
    let row = |number: u64| format!("\"payment_no\":\"P{number}\",\"order_no\":\"O{number}\"");
    let any = |catalog: &Catalog| {
        rule(
            catalog,
            "any",
            "SELECT order_no, payment_no FROM payment WHERE payment_no = 'none'",
        )
    };
    let mut log = line(1, "payment", &row(1)) + &word(2);
    small.detection(&log).run(&one, &[any(&one)]);

    let two = small.catalog(&[("payment.yaml", PAYMENT), ("a_refund.yaml", REFUND)]);
    let refunded = rule(
        &two,
        "refunded",
        "SELECT p.order_no, p.payment_no FROM payment p LEFT JOIN refund r ON r.order_no = p.order_no\n\
         WHERE r.refund_no IS NULL",
    );
    log += &word(10);
    small
        .detection(&log)
        .run(&two, &[any(&two), Arc::clone(&refunded)]);
    log += &(line(11, "payment", &row(2)) + &word(12));
    let detected = small.detection(&log).run(&two, &[any(&two), refunded]);
    assert_eq!(detected.holes, 0, "{:#?}", detected.messages);
    assert_eq!(told(&detected, Verdict::Confirmed), ["refunded P2"]);
    assert_eq!(told(&detected, Verdict::Undetermined), ["refunded P1"]);
}

/// Each change that would misread rows is refused by name, and leaves the state as it was.
#[test]
fn what_would_be_misread_is_refused() {
    let own = tempfile::tempdir().unwrap();
    let log = own.path().join("log.jsonl");
    let history = history(92, 50);
    write_log(&log, &history.records);
    let detection = Detection::over(&log, own.path());
    let catalog = schemas();
    let first = detection.run(&catalog, &rules(&catalog));
    let refused = [
        (
            "payment.yaml",
            "  business_code: text",
            "  business_code: json",
            "column `business_code` was text and is json",
        ),
        (
            "payment.yaml",
            "source: payment-db",
            "source: refund-db",
            "its source is another",
        ),
        (
            "payment.yaml",
            "primary_key: [payment_no]",
            "primary_key: [payment_no, order_no]",
            "its primary key is another",
        ),
        (
            "payment.yaml",
            "columns:\n",
            "columns:\n  note: text\n",
            "column `note` is new and not nullable",
        ),
        (
            "payment.yaml",
            "columns:\n",
            "times: { zone: \"+08:00\" }\ncolumns:\n",
            "the zone of its times is another",
        ),
    ];
    for (file, from, to, why) in refused {
        let other = changed_schemas(&[(file, from, to)], &[]);
        let store: Arc<dyn Store> =
            Arc::new(FileStore::open(&own.path().join("state"), 16 << 20).unwrap());
        let none: &[Arc<Rule>] = &[];
        let refused = Detector::new(other, none, store, DetectorLimits::default())
            .err()
            .unwrap();
        let refused = refused.to_string();
        assert!(
            refused.contains(why) && refused.contains("restore the schemas"),
            "{refused}"
        );
    }
    let again = detection.run(&catalog, &rules(&catalog));
    assert_eq!(
        (again.open, again.messages.len()),
        (first.open, first.messages.len())
    );
}

/// Stopped in the middle of looking again, it goes on there, and nothing is told twice.
#[test]
fn a_sweep_goes_on_where_it_stood() {
    let own = tempfile::tempdir().unwrap();
    let log = own.path().join("log.jsonl");
    let history = history(93, 2_500);
    write_log(&log, &history.records);
    let catalog = schemas();
    let (all, detection) = (rules(&catalog), Detection::over(&log, own.path()));
    let one: Vec<Arc<Rule>> = all
        .iter()
        .filter(|rule| rule.id == "order-paid-once")
        .cloned()
        .collect();
    // A state keeps rows by the entities of its first rules.
    let cash_out = all
        .iter()
        .find(|rule| catalog.entity(rule.entity).name == "cash_out")
        .unwrap();
    detection.run(&catalog, &[one, vec![Arc::clone(cash_out)]].concat());

    let stopped = sweep_until(own.path(), &log, &catalog, &all, 2_000);
    assert!((2_000..stopped.of).contains(&stopped.looked), "{stopped:?}");
    let store: Arc<dyn Store> =
        Arc::new(FileStore::open(&own.path().join("state"), 16 << 20).unwrap());
    let detector =
        Detector::new(Arc::clone(&catalog), &all, store, DetectorLimits::default()).unwrap();
    assert_eq!(detector.sweep().unwrap(), Some(stopped));
    drop(detector);
    let again = sweep_until(own.path(), &log, &catalog, &all, stopped.looked + 1);
    assert!(again.looked > stopped.looked, "{again:?}");

    let detected = detection.run(&catalog, &all);
    assert_eq!(
        detected.certain(&all, history.end),
        history.truth(history.end)
    );
    let numbers = detected
        .messages
        .iter()
        .map(|told| format!("{} {}", told["finding_id"], told["sequence"]));
    assert_eq!(
        numbers.collect::<BTreeSet<_>>().len(),
        detected.messages.len()
    );
}

/// Follows the log until so many documents have been looked at again.
fn sweep_until(
    own: &Path,
    log: &Path,
    catalog: &Arc<Catalog>,
    rules: &[Arc<Rule>],
    looked: u64,
) -> Sweep {
    let store: Arc<dyn Store> = Arc::new(FileStore::open(&own.join("state"), 16 << 20).unwrap());
    let mut detector =
        Detector::new(Arc::clone(catalog), rules, store, DetectorLimits::default()).unwrap();
    let stop = AtomicBool::new(false);
    let options = RunOptions {
        inputs: vec![log_file(log)],
        until: Until::Stopped,
        limits: Limits::default(),
        silent_after: Duration::seconds(60),
        archive: None,
        bootstrap: None,
        quiet_after: None,
        backlog: Default::default(),
    };
    let mut observe = |detector: &Detector, _: &[_]| {
        let swept = detector.sweep().unwrap();
        stop.store(
            swept.is_none_or(|sweep| sweep.looked >= looked),
            Ordering::Relaxed,
        );
    };
    let surroundings = Surroundings {
        now: &|| Timestamp(1_900_000_000_000_000),
        stop: &|| stop.load(Ordering::Relaxed),
        observe: &mut observe,
        at_step: &|_| {},
    };
    let mut outlet = LineFile::open(&own.join("findings.jsonl")).unwrap();
    run(&mut detector, &mut outlet, &options, surroundings).unwrap();
    detector.sweep().unwrap().expect("it was not over")
}

/// A state of form 1, as a program of that time left it in the middle of a log.
#[test]
fn a_state_of_form_1_goes_on() {
    let fixture = folder("data-fixtures").join("states/form-1");
    let own = tempfile::tempdir().unwrap();
    std::fs::create_dir(own.path().join("state")).unwrap();
    std::fs::copy(
        fixture.join("state.redb"),
        own.path().join("state/state.redb"),
    )
    .unwrap();
    let log = own.path().join("log.jsonl");
    // The log that this state read did not tell who made a change.
    let text = folder("data-fixtures").join("small/faulty/jsonl/log.jsonl");
    let text = std::fs::read_to_string(text).unwrap();
    let text = text.replace(",\"thread\":77,\"account\":\"ops@console\"", "");
    std::fs::write(&log, text).unwrap();
    let rules_of = |catalog: &Catalog| {
        centinel_rules::load(&fixture.join("rules"), catalog)
            .unwrap()
            .rules
    };

    // Other schemas have to wait until a start under its own has told what they are.
    let wide = wider(&fixture.join("schemas"));
    let store: Arc<dyn Store> =
        Arc::new(FileStore::open(&own.path().join("state"), 16 << 20).unwrap());
    let refused = Detector::new(
        Arc::clone(&wide),
        &rules_of(&wide),
        store,
        DetectorLimits::default(),
    );
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("start once with those"), "{refused}");

    let catalog = load(&fixture.join("schemas"));
    let detection = Detection::over(&log, own.path());
    // Documents of form 1 stand in the order of their keys, those that come in the order in which they came.
    let open = |detected: &Detected| detected.open.iter().cloned().collect::<BTreeSet<_>>();
    let went_on = detection.run(&catalog, &rules_of(&catalog));
    let fresh = tempfile::tempdir().unwrap();
    let anew = Detection::over(&log, fresh.path()).run(&catalog, &rules_of(&catalog));
    assert!(anew.open.len() >= 10, "{:#?}", anew.open);
    assert_eq!(
        (open(&went_on), went_on.open.len(), went_on.holes),
        (open(&anew), anew.open.len(), 0)
    );
    let taken_over = detection.run(&wide, &rules_of(&wide));
    assert_eq!(
        (open(&taken_over), taken_over.messages.len()),
        (open(&anew), went_on.messages.len())
    );
}
