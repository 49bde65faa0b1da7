//! How fast detection is: a 4-table history, 20 rules, durable commits, decoding included; at first and with ten
//! times the state, keys in time order and in random order. `make bench-detection`, or
//! `bench_detection [ORDERS [time|random]]` (1,100,000 by default, written to a temporary folder: about 2.5 GB).

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use centinel_batch::Limits;
use centinel_engine::detect::{
    Detector, DetectorLimits, InputFile, RunOptions, Stages, Surroundings, Until, run,
};
use centinel_model::{Duration, Timestamp};
use centinel_outlet::LineFile;
use centinel_rules::Rule;
use centinel_state::{FileStore, Store};
use centinel_tests::measure::{Mark, RULES, SOURCES, machine, peak_memory, shares};
use centinel_tests::{rules, schemas};
use data_fixtures::write::JsonLinesWriter;
use data_fixtures::{KeyStyle, Simulation, SimulationParameters};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let orders = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    println!("machine: {}", machine());
    let wanted = std::env::args().nth(2).unwrap_or_default();
    for (name, style) in [
        ("in time order", KeyStyle::TimeOrdered),
        ("in random order", KeyStyle::Random),
    ] {
        if !name.contains(&wanted) {
            continue;
        }
        let log = folder.path().join("log.jsonl");
        let bytes = write_history(&log, orders, style);
        println!(
            "\nkeys {name}: {orders} orders, {:.2} GB of JSON Lines",
            bytes as f64 / 1e9
        );
        measure(folder.path(), &log, orders);
    }
}

fn write_history(log: &Path, orders: u64, key_style: KeyStyle) -> u64 {
    let mut file =
        std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(log).expect("a file"));
    let mut writer = JsonLinesWriter::default();
    let (mut line, mut bytes) = (Vec::new(), 0);
    let simulation = Simulation::new(SimulationParameters {
        orders,
        key_style,
        fault_share: 100,
        orders_per_second: 500,
        ..SimulationParameters::default()
    });
    for record in simulation.filter(|record| SOURCES.contains(&record.source)) {
        line.clear();
        writer.write(&mut line, &record);
        bytes += line.len() as u64;
        file.write_all(&line).expect("the history is written");
    }
    file.flush().expect("the history is written");
    bytes
}

fn measure(folder: &Path, log: &Path, orders: u64) {
    let catalog = schemas();
    let chosen: Vec<Arc<Rule>> = rules(&catalog)
        .into_iter()
        .filter(|rule| RULES.contains(&rule.id.as_str()))
        .collect();
    assert_eq!(chosen.len(), RULES.len());
    let state = folder.join("state");
    let _ = std::fs::remove_dir_all(&state);
    let _ = std::fs::remove_file(folder.join("findings.jsonl"));
    let store = FileStore::open(&state, 1 << 30).expect("the state opens");
    let store: Arc<dyn Store> = Arc::new(store);
    let mut detector = Detector::new(
        Arc::clone(&catalog),
        &chosen,
        Arc::clone(&store),
        DetectorLimits::default(),
    )
    .expect("rules");
    let mut outlet = LineFile::open(&folder.join("findings.jsonl")).expect("a file");
    let options = RunOptions {
        inputs: vec![
            InputFile {
                name: "log".into(),
                path: log.into(),
                sources: Vec::new(),
            }
            .into(),
        ],
        until: Until::Now,
        limits: Limits {
            max_rows: 250_000,
            max_bytes: 160 << 20,
            ..Limits::default()
        },
        silent_after: Duration::seconds(60),
        archive: None,
        bootstrap: None,
        quiet_after: None,
        backlog: Default::default(),
    };
    let started = Instant::now();
    let mut marks = Vec::new();
    let mut observe = |detector: &Detector, _: &[_]| {
        if marks
            .last()
            .is_none_or(|last: &Mark| last.changes < detector.counters.changes)
        {
            marks.push(Mark {
                changes: detector.counters.changes,
                seconds: started.elapsed().as_secs_f64(),
                stages: detector.stages,
            });
        }
    };
    let surroundings = Surroundings {
        now: &|| Timestamp(1_900_000_000_000_000),
        stop: &|| false,
        observe: &mut observe,
        at_step: &|_| {},
    };
    let report = run(&mut detector, &mut outlet, &options, surroundings).expect("detection runs");
    let Some(last) = marks.last().copied() else {
        return;
    };
    println!(
        "  {} changes in {:.1} s: {:.0} changes/s; {} micro-batches; {} findings told; state {:.2} GB; peak memory {}",
        last.changes,
        report.elapsed.as_secs_f64(),
        last.changes as f64 / report.elapsed.as_secs_f64(),
        report.batches,
        detector.counters.messages,
        std::fs::metadata(state.join("state.redb")).map_or(0, |file| file.len()) as f64 / 1e9,
        peak_memory(),
    );
    println!(
        "  written: {:.2} documents and {:.2} wakes for each order",
        detector.counters.documents as f64 / orders as f64,
        detector.counters.wakes as f64 / orders as f64,
    );
    shares(
        "  processor time by stage",
        &Stages::default(),
        &last.stages,
        last.changes,
    );
    // From a tenth of the history on, and as long a stretch at its end, where the state is ten times as large.
    let eleventh = last.changes / 11;
    let at = |changes: u64| {
        marks
            .iter()
            .find(|mark| mark.changes >= changes)
            .copied()
            .unwrap_or(last)
    };
    let (first, after_first) = (at(eleventh / 2), at(eleventh * 3 / 2));
    let (tenfold, end) = (at(last.changes - eleventh), last);
    let cost = |from: Mark, to: Mark| {
        (to.seconds - from.seconds) * 1e6 / (to.changes - from.changes).max(1) as f64
    };
    let (early, late) = (cost(first, after_first), cost(tenfold, end));
    println!(
        "  cost of a change: {early:.2} µs at {} changes of state, {late:.2} µs at {}: {:.2} times",
        eleventh,
        tenfold.changes,
        late / early
    );
    shares(
        "  early",
        &first.stages,
        &after_first.stages,
        after_first.changes - first.changes,
    );
    shares(
        "  late ",
        &tenfold.stages,
        &end.stages,
        end.changes - tenfold.changes,
    );
}
