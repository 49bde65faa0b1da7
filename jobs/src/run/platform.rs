//! A simulated platform that goes on living: its history is made anew from its seed, and what its log does
//! not hold yet is appended as its time comes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use centinel_model::Timestamp;
use data_fixtures::write::JsonLinesWriter;
use data_fixtures::{Delivered, SECOND, Simulation, SimulationParameters};

use super::{breaker, settings};

/// How much of its life has passed when one first looks: enough that patience has ended for some.
const HEAD_START: i64 = 600 * SECOND;
/// A platform older than this is replaced by a new one, so that its log stays small.
const OLDEST: i64 = 2 * 3_600 * SECOND;
/// Orders begun in a second.
const ORDERS_PER_SECOND: u64 = 5;
/// Of ten thousand.
const FAULT_SHARE: u32 = 100;
/// Bytes written at once while catching up.
const BLOCK: usize = 1 << 20;
/// How long the log waits for what comes next.
const TICK: std::time::Duration = std::time::Duration::from_millis(100);

/// A simulated platform and its log.
pub struct Platform {
    log: PathBuf,
    began: Timestamp,
}

impl Platform {
    /// The platform of this folder, or a new one where there is none or it is too old.
    pub fn open(folder: &Path, now: Timestamp) -> io::Result<Platform> {
        let log = folder.join(settings::LOG);
        let birth = folder.join("began");
        let known = std::fs::read_to_string(&birth)
            .ok()
            .and_then(|text| Timestamp::parse(text.trim()).ok());
        if let Some(began) = known
            && now.0 - began.0 < OLDEST
        {
            return Ok(Platform { log, began });
        }
        if birth.exists() {
            remove_earlier(folder, &[&log, &birth])?;
        }
        std::fs::create_dir_all(folder)?;
        let began = Timestamp((now.0 - HEAD_START) / SECOND * SECOND);
        File::create(&log)?;
        std::fs::write(&birth, format!("{began}\n"))?;
        Ok(Platform { log, began })
    }

    /// Where its changes and events are written.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// When its first order began.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// How many orders begin in a second.
    pub fn orders_per_second(&self) -> u64 {
        ORDERS_PER_SECOND
    }

    /// Writes what happens when it happens, until stopped or `ends`. `before` is told of what is about to happen now.
    pub fn live(
        &self,
        stop: &AtomicBool,
        now: &dyn Fn() -> Timestamp,
        ends: Timestamp,
        before: &dyn Fn(&Delivered),
    ) -> io::Result<()> {
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        // The same seed gives the same bytes: those that are there are passed over.
        let mut written = log.metadata()?.len();
        let began = now().0;
        let simulation = Simulation::new(SimulationParameters {
            seed: self.began.0.unsigned_abs(),
            orders: u64::MAX,
            start: self.began.0,
            orders_per_second: ORDERS_PER_SECOND,
            merchants: 40,
            fault_share: FAULT_SHARE,
            refund_within: 120 * SECOND,
            cash_out_every: 300 * SECOND,
            cash_out_rows: 50,
            ..SimulationParameters::default()
        });
        let (mut writer, mut block, mut line) =
            (JsonLinesWriter::default(), Vec::new(), Vec::new());
        for record in simulation {
            while record.arrival > now().0 {
                log.write_all(&block)?;
                block.clear();
                if now() >= ends || stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                std::thread::sleep(TICK);
            }
            if record.arrival > began {
                before(&record);
            }
            line.clear();
            writer.write(&mut line, &record);
            let known = written.min(line.len() as u64);
            written -= known;
            block.extend_from_slice(&line[known as usize..]);
            if block.len() >= BLOCK {
                log.write_all(&block)?;
                block.clear();
            }
        }
        Ok(())
    }
}

/// Removes what an earlier run made here, and nothing else.
fn remove_earlier(folder: &Path, own: &[&Path]) -> io::Result<()> {
    const FILES: [&str; 9] = [
        settings::FILE,
        settings::TOKEN,
        "findings.jsonl",
        "findings.db",
        "findings.db-wal",
        "findings.db-shm",
        "alerts.jsonl",
        "state/state.redb",
        "state/alerts.json",
    ];
    const FOLDERS: [&str; 3] = ["archive", "state/archive", "state/self-check"];
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let files = FILES
        .iter()
        .chain(&breaker::FILES)
        .map(|file| folder.join(file));
    for file in files.chain(own.iter().map(|path| path.to_path_buf())) {
        gone(std::fs::remove_file(&file))?;
    }
    gone(std::fs::remove_file(
        folder.join("state").join(breaker::PLACE),
    ))?;
    for inner in FOLDERS {
        gone(std::fs::remove_dir_all(folder.join(inner)))?;
    }
    Ok(())
}
