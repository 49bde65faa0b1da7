//! How fast a repair is tried: 10,000 changed rows over a snapshot, 20 rules; as row changes and as SQL that names rows
//! by their keys. `make bench-repair`, or `bench_repair [ORDERS [FOLDER]]` (1,000,000 by default; the snapshot is written
//! to a temporary folder, or to FOLDER and kept for the next run).

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use centinel_engine::audit::{AuditOptions, Snapshot};
use centinel_engine::repair::{
    Changes, PlanInput, RepairOptions, Script, Stage, evaluate, plan_told, read_changes,
};
use centinel_model::Timestamp;
use centinel_rules::Rule;
use centinel_tests::measure::{RULES, SOURCES, machine, peak_memory};
use centinel_tests::{rules, schemas};
use data_fixtures::write::SnapshotWriter;
use data_fixtures::{Simulation, SimulationParameters, Table};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of each table so many rows change, in this column.
const CHANGED: [(&str, &str, &str, usize); 3] = [
    ("settlement", "settlement_no", "amount", 5_000),
    ("accounting_entry", "entry_no", "amount", 3_000),
    ("payment", "payment_no", "business_code", 2_000),
];

fn main() {
    let orders = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = match std::env::args().nth(2) {
        Some(folder) => folder.into(),
        None => temporary.path().to_path_buf(),
    };
    println!("machine: {}", machine());
    if !folder.join("manifest.json").exists() {
        write_snapshot(&folder, orders);
    }
    let (lines, sql) = write_plans(&folder);
    for (what, path) in [("row changes", &lines), ("SQL", &sql)] {
        let started = Instant::now();
        let told = measure(&folder, path);
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{what}: {seconds:.2} s; {told}; peak memory {}",
            peak_memory()
        );
    }
}

fn write_snapshot(folder: &Path, orders: u64) {
    let started = Instant::now();
    let mut simulation = Simulation::new(SimulationParameters {
        seed: 5,
        orders,
        fault_share: 10,
        orders_per_second: 200,
        ..SimulationParameters::default()
    });
    let tables: Vec<Table> = Table::ALL
        .into_iter()
        .filter(|table| SOURCES.contains(&table.source()))
        .collect();
    let mut writer = SnapshotWriter::create(folder, &tables, None).expect("a snapshot");
    for record in &mut simulation {
        writer.write(&record).expect("a row");
    }
    let end = simulation.end().expect("it has ended");
    let counts = writer.finish(end).expect("the snapshot is whole");
    let rows: u64 = counts.iter().map(|(_, rows)| rows).sum();
    println!(
        "{orders} orders, {rows} rows, written in {:.0} s",
        started.elapsed().as_secs_f64()
    );
}

/// The same changes of rows all over the tables, as JSON Lines and as SQL.
fn write_plans(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (mut lines, mut sql) = (String::new(), String::new());
    for (table, key, column, count) in CHANGED {
        let rows = columns(&folder.join(format!("{table}.parquet")), key, column);
        for number in 0..count {
            let (name, old) = &rows[(number * 2 + 1) * rows.len() / (count * 2 + 1)];
            let new = match column {
                "amount" => (old.parse::<i64>().expect("fen") + 1).to_string(),
                _ => "B99".to_owned(),
            };
            lines += &format!(
                "{{\"table\":\"{table}\",\"operation\":\"update\",\"key\":{{\"{key}\":\"{name}\"}},\
                 \"old\":{{\"{column}\":\"{old}\"}},\"new\":{{\"{column}\":\"{new}\"}}}}\n"
            );
            let value = match column {
                "amount" => format!("{column} + 1"),
                _ => format!("'{new}'"),
            };
            sql += &format!("UPDATE {table} SET {column} = {value} WHERE {key} = '{name}';\n");
        }
    }
    let (lines_path, sql_path) = (folder.join("plan.jsonl"), folder.join("plan.sql"));
    std::fs::write(&lines_path, lines).expect("the plan is written");
    std::fs::write(&sql_path, sql).expect("the plan is written");
    (lines_path, sql_path)
}

fn columns(path: &Path, key: &str, column: &str) -> Vec<(String, String)> {
    let file = std::fs::File::open(path).expect("a table");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let mask = ProjectionMask::columns(reader.parquet_schema(), [key, column]);
    let reader = reader.with_projection(mask).build().expect("columns");
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.expect("rows");
        let text = |name: &str| {
            let values = batch.column_by_name(name).expect("a column");
            cast(values, &DataType::Utf8).expect("text")
        };
        let (keys, values) = (text(key), text(column));
        let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
        rows.extend((0..keys.len()).map(|row| {
            let value = values.value(row);
            (keys.value(row).to_owned(), value.to_owned())
        }));
    }
    rows
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn measure(folder: &Path, path: &Path) -> String {
    let started = Instant::now();
    let catalog = schemas();
    let chosen: Vec<Arc<Rule>> = rules(&catalog)
        .into_iter()
        .filter(|rule| RULES.contains(&rule.id.as_str()))
        .collect();
    let options = RepairOptions {
        audit: AuditOptions::default(),
        now: Timestamp(1_900_000_000_000_000),
    };
    let location = folder.display().to_string();
    let snapshot = Arc::new(Snapshot::open(&location, &[]).expect("the snapshot opens"));
    let changes: Changes = match path.extension().is_some_and(|end| end == "sql") {
        false => read_changes(&catalog, path).expect("the plan is read"),
        true => {
            let text = std::fs::read_to_string(path).expect("the plan is read");
            let script = Script::parse(&catalog, &text).expect("the plan is read");
            evaluate(&catalog, &snapshot, &script, &options.audit).expect("it is evaluated")
        }
    };
    let stages = Mutex::new((started, format!("read {:.2} s", seconds(started))));
    let reached = |stage: Stage| {
        let mut stages = stages.lock().expect("nobody panicked");
        let spent = seconds(stages.0);
        stages.0 = Instant::now();
        stages.1 += &format!(", {stage:?} {spent:.2} s");
    };
    let input = PlanInput {
        catalog: &catalog,
        schemas_digest: "",
        rules: &chosen,
        only: &[],
        snapshot: &snapshot,
        changes: &changes,
        options: &options,
    };
    stages.lock().expect("nobody panicked").0 = Instant::now();
    let plan = plan_told(&input, &reached).expect("the plan is tried");
    println!("  {}", stages.into_inner().expect("nobody panicked").1);
    let violations = &plan.result.violations;
    format!(
        "{} changes, {:?} entities, {}, {} introduced, {} fixed, {} untouched, {} not judged",
        plan.changes.len(),
        plan.result.entities,
        plan.result.verdict.as_str(),
        violations.introduced.len(),
        violations.fixed.len(),
        violations.untouched.len(),
        plan.result.could_not_judge.len()
    )
}
