//! `simulate`: writes a simulated history of the reference payment platform, and the truth about its faults.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use data_fixtures::incident::Incident;
use data_fixtures::truth::Truth;
use data_fixtures::write::{LogFiles, LogForm, LogLayout, SnapshotWriter};
use data_fixtures::{
    Delivered, FaultKind, KeyStyle, SECOND, Simulation, SimulationParameters, Source, Table,
    trouble,
};

/// Writes a simulated history of the reference payment platform, and the truth about its faults.
#[derive(Parser, Debug)]
#[command(name = "simulate")]
struct Arguments {
    /// Folder to write to
    #[arg(long)]
    out: PathBuf,
    /// Equal arguments and seed give equal bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the incident of the worked example instead: `snapshot/`, and `load.sql` with the same rows
    #[arg(long, conflicts_with_all = [
        "orders", "orders_per_second", "key_style", "merchants", "max_delay_seconds", "heartbeat_seconds",
        "tail_seconds", "faults_per_ten_thousand", "manual_per_ten_thousand", "fault", "every_fault", "forms",
        "layout", "snapshot_after_seconds", "without_events", "repeat_share", "replay_share", "stall",
        "stall_after_seconds", "stall_seconds", "interleave", "shuffle",
    ])]
    incident: bool,
    /// How many orders
    #[arg(long, default_value_t = 1_000)]
    orders: u64,
    /// Orders begun in a second of source time
    #[arg(long, default_value_t = 20)]
    orders_per_second: u64,
    /// How business numbers look
    #[arg(long, value_enum, default_value = "time")]
    key_style: KeyStyle,
    /// How many merchants
    #[arg(long, default_value_t = 200)]
    merchants: u32,
    /// Longest delay between a cause and its effect, in seconds of source time
    #[arg(long, default_value_t = 20)]
    max_delay_seconds: u32,
    /// Time between heartbeats, in seconds of source time
    #[arg(long, default_value_t = 1)]
    heartbeat_seconds: u32,
    /// How long heartbeats go on after the last row, in seconds of source time
    #[arg(long, default_value_t = 900)]
    tail_seconds: u32,
    /// Orders of ten thousand that get a fault
    #[arg(long, default_value_t = 0)]
    faults_per_ten_thousand: u32,
    /// Healthy paid orders of ten thousand whose payment somebody changes by hand, so that no balance breaks
    #[arg(long, default_value_t = 0)]
    manual_per_ten_thousand: u32,
    /// Plants this fault once; may be given several times
    #[arg(long, value_parser = parse_fault)]
    fault: Vec<FaultKind>,
    /// Plants every fault once
    #[arg(long)]
    every_fault: bool,
    /// What to write
    #[arg(long, value_enum, value_delimiter = ',', default_value = "jsonl")]
    forms: Vec<Form>,
    /// How the JSON Lines are spread over files; Debezium and Canal have one file for each source
    #[arg(long, value_enum, default_value = "merged")]
    layout: LogLayout,
    /// Cuts the Parquet snapshot at this many seconds of source time after the start
    #[arg(long)]
    snapshot_after_seconds: Option<u32>,
    /// Leaves events out of the Parquet snapshot
    #[arg(long)]
    without_events: bool,
    /// Records of ten thousand that are delivered twice
    #[arg(long, default_value_t = 0)]
    repeat_share: u32,
    /// Transactions of ten thousand after which a stretch of their source is delivered again
    #[arg(long, default_value_t = 0)]
    replay_share: u32,
    /// Holds back this source
    #[arg(long, value_enum)]
    stall: Option<Source>,
    /// When the source is held back, in seconds after the start
    #[arg(long, default_value_t = 60)]
    stall_after_seconds: u32,
    /// For how long it is held back, in seconds
    #[arg(long, default_value_t = 600)]
    stall_seconds: u32,
    /// Mixes the sources anew by this seed
    #[arg(long)]
    interleave: Option<u64>,
    /// Delivers everything in no order at all, by this seed
    #[arg(long)]
    shuffle: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Jsonl,
    Debezium,
    Canal,
    Parquet,
}

fn parse_fault(name: &str) -> Result<FaultKind, String> {
    FaultKind::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = FaultKind::ALL.iter().map(|fault| fault.name()).collect();
        format!("known faults are {}", names.join(", "))
    })
}

fn seconds(count: u32) -> i64 {
    i64::from(count) * SECOND
}

impl Arguments {
    fn parameters(&self) -> SimulationParameters {
        SimulationParameters {
            seed: self.seed,
            orders: self.orders,
            orders_per_second: self.orders_per_second,
            key_style: self.key_style,
            merchants: self.merchants,
            max_delay: seconds(self.max_delay_seconds),
            heartbeat_every: seconds(self.heartbeat_seconds),
            tail: seconds(self.tail_seconds),
            fault_share: self.faults_per_ten_thousand,
            manual_share: self.manual_per_ten_thousand,
            faults: if self.every_fault {
                FaultKind::ALL.to_vec()
            } else {
                self.fault.clone()
            },
            ..SimulationParameters::default()
        }
    }

    /// The change logs to write.
    fn logs(&self) -> std::io::Result<Vec<LogFiles>> {
        let mut logs = Vec::new();
        for form in &self.forms {
            let (folder, form, layout) = match form {
                Form::Jsonl => ("jsonl", LogForm::JsonLines, self.layout),
                Form::Debezium => ("debezium", LogForm::Debezium, LogLayout::Sources),
                Form::Canal => ("canal", LogForm::Canal, LogLayout::Sources),
                Form::Parquet => continue,
            };
            logs.push(LogFiles::create(&self.out.join(folder), form, layout)?);
        }
        Ok(logs)
    }

    /// The records as they are delivered, with all the trouble that was asked for.
    fn delivered<'a>(
        &self,
        clean: impl Iterator<Item = Delivered> + 'a,
    ) -> Box<dyn Iterator<Item = Delivered> + 'a> {
        let mut records: Box<dyn Iterator<Item = Delivered> + 'a> = Box::new(clean);
        if self.repeat_share > 0 {
            records = Box::new(trouble::repeat(records, self.seed, self.repeat_share));
        }
        if self.replay_share > 0 {
            records = Box::new(trouble::replay(records, self.seed, self.replay_share));
        }
        if let Some(source) = self.stall {
            let from = self.parameters().start + seconds(self.stall_after_seconds);
            let stalled =
                trouble::stall(records.collect(), source, from, seconds(self.stall_seconds));
            records = Box::new(stalled.into_iter());
        }
        if let Some(seed) = self.interleave {
            records = Box::new(trouble::interleave(records.collect(), seed).into_iter());
        }
        if let Some(seed) = self.shuffle {
            records = Box::new(trouble::shuffle(records.collect(), seed).into_iter());
        }
        records
    }

    fn snapshot(&self, as_of: Option<i64>) -> Result<Option<SnapshotWriter>, Box<dyn Error>> {
        if !self.forms.contains(&Form::Parquet) {
            return Ok(None);
        }
        let wanted = |table: &Table| !(self.without_events && table.is_event());
        let tables: Vec<Table> = Table::ALL.into_iter().filter(wanted).collect();
        Ok(Some(SnapshotWriter::create(
            &self.out.join("snapshot"),
            &tables,
            as_of,
        )?))
    }
}

/// Writes the truth as of a moment.
fn write_truth(path: &Path, truth: &Truth, as_of: i64) -> std::io::Result<usize> {
    let mut out = Vec::new();
    let judged = truth.judge(as_of);
    for planted in &judged {
        planted.write(&mut out);
    }
    std::fs::write(path, out)?;
    Ok(judged.len())
}

/// A history in the making, with those who watch it before delivery goes wrong.
struct Watched {
    simulation: Simulation,
    truth: Truth,
    /// The truth of what the snapshot holds, where it is cut before the end.
    cut: Option<(i64, Truth)>,
    snapshot: Option<SnapshotWriter>,
    failure: Option<Box<dyn Error>>,
}

impl Iterator for &mut Watched {
    type Item = Delivered;

    fn next(&mut self) -> Option<Delivered> {
        if self.failure.is_some() {
            return None;
        }
        let delivered = self.simulation.next()?;
        let planted = self.simulation.take_planted();
        if let Some((as_of, truth)) = &mut self.cut {
            truth.plant(planted.clone());
            if delivered.record.committed_at() <= *as_of {
                truth.observe(&delivered.record);
            }
        }
        self.truth.plant(planted);
        self.truth.observe(&delivered.record);
        if let Some(snapshot) = &mut self.snapshot {
            self.failure = snapshot.write(&delivered).err().map(Into::into);
        }
        Some(delivered)
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.out)?;
    if arguments.incident {
        Incident::simulate(arguments.seed).write(&arguments.out)?;
        return Ok(());
    }
    let parameters = arguments.parameters();
    let as_of = arguments
        .snapshot_after_seconds
        .map(|after| parameters.start + seconds(after));
    let mut watched = Watched {
        simulation: Simulation::new(parameters),
        truth: Truth::default(),
        cut: as_of.map(|as_of| (as_of, Truth::default())),
        snapshot: arguments.snapshot(as_of)?,
        failure: None,
    };
    let mut logs = arguments.logs()?;
    let mut records = 0u64;
    for delivered in arguments.delivered(&mut watched) {
        records += 1;
        for log in &mut logs {
            log.write(&delivered)?;
        }
    }
    logs.into_iter().try_for_each(LogFiles::finish)?;
    if let Some(failure) = watched.failure {
        return Err(failure);
    }
    let end = watched.simulation.end().ok_or("the history has no end")?;
    if let Some(snapshot) = watched.snapshot {
        for (table, rows) in snapshot.finish(end)? {
            println!("{:>12} rows  {}", rows, table.name());
        }
    }
    if let Some((as_of, truth)) = &watched.cut {
        write_truth(&arguments.out.join("snapshot-truth.jsonl"), truth, *as_of)?;
    }
    let faults = write_truth(&arguments.out.join("truth.jsonl"), &watched.truth, end)?;
    println!(
        "{records:>12} records, {faults} faults in {}",
        arguments.out.display()
    );
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulate: {error}");
            ExitCode::FAILURE
        }
    }
}
