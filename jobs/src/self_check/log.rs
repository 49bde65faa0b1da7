//! The change log of the synthetic orders: `<state>/self-check/<epoch>.jsonl`, a new one at each start.
//!
//! Detection reads it as it reads every log. What it has read is given back to the disk (the file keeps its length, which
//! detection's position counts from), so a log holds some kilobytes however long a run lasts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use centinel_engine::detect::InputFile;
use centinel_model::Timestamp;
use serde_json::{Value, json};

use super::round::{Order, Planted, RING};

/// Below the state's folder.
pub const FOLDER: &str = "self-check";
/// The source of the synthetic orders, and the name under which its position is kept.
pub const SOURCE: &str = "self-check";
/// Where a disk does not take back what was read, the self-check ends here.
const MOST_BYTES: u64 = 4 << 30;
/// What is given back are whole blocks; the first one holds the first line, by which the file is known.
const BLOCK: u64 = 4_096;

/// The log, which this process alone writes.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Held until the process ends: a second run over the same state changes nothing here.
    _lock: File,
    /// Raised at each start, so that versions rise, too.
    epoch: u64,
    sequence: u64,
    length: u64,
    /// How much was given back.
    freed: u64,
}

impl Log {
    /// Begins a new log, which takes back what earlier ones left behind, and removes those.
    ///
    /// # Errors
    /// When another process runs over this state, or the folder cannot be written.
    pub fn begin(state: &Path, now: Timestamp) -> io::Result<Log> {
        let folder = state.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| {
            io::Error::other(format!(
                "{}: {error}: another detection runs over this state",
                folder.display()
            ))
        })?;
        let earlier = earlier(&folder)?;
        let seconds = u64::try_from(now.0 / 1_000_000).unwrap_or_default();
        // A clock that was set back must not take versions with it.
        let newest = earlier.iter().map(|(epoch, _)| *epoch).max();
        let epoch = seconds.max(newest.map_or(1, |newest| newest + 1));
        let path = folder.join(format!("{epoch}.jsonl"));
        let mut log = Log {
            file: File::create_new(&path)?,
            path,
            _lock: lock,
            epoch,
            sequence: 0,
            length: 0,
            freed: BLOCK,
        };
        // The first line names this file.
        log.beat(now)?;
        for round in 0..RING {
            log.take_back(Planted::new(round), now)?;
        }
        log.file.sync_all()?;
        for (_, path) in earlier {
            fs::remove_file(path)?;
        }
        Ok(log)
    }

    /// As detection is to read it.
    pub fn input(&self) -> InputFile {
        InputFile {
            name: SOURCE.into(),
            path: self.path.clone(),
            sources: vec![SOURCE.into()],
        }
    }

    /// Its length: what is written next begins there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes both orders.
    pub fn plant(&mut self, planted: Planted, now: Timestamp) -> io::Result<()> {
        self.rows(planted, now, "insert", "after")
    }

    /// Deletes both orders.
    pub fn take_back(&mut self, planted: Planted, now: Timestamp) -> io::Result<()> {
        self.rows(planted, now, "delete", "before")
    }

    /// Says that everything up to now stands in it.
    pub fn beat(&mut self, now: Timestamp) -> io::Result<()> {
        self.write(&[json!({ "heartbeat": SOURCE, "committed_at": now.to_string() })])
    }

    fn rows(&mut self, planted: Planted, now: Timestamp, op: &str, image: &str) -> io::Result<()> {
        self.sequence += 1;
        let orders = planted.orders();
        let rows: Vec<(&str, Value)> = orders
            .iter()
            .flat_map(|order| [payment(order, now), settlement(order, now)])
            .collect();
        let last = rows.len() - 1;
        let lines = rows.into_iter().enumerate().map(|(ordinal, (table, row))| {
            json!({
                "table": table, "op": op, "epoch": self.epoch, "sequence": self.sequence, "ordinal": ordinal,
                "last": ordinal == last, "committed_at": now.to_string(), image: row,
            })
        });
        let lines: Vec<Value> = lines.collect();
        self.write(&lines)
    }

    /// Whole lines at once: detection never sees half of one for long.
    fn write(&mut self, lines: &[Value]) -> io::Result<()> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if self.length + text.len() as u64 > MOST_BYTES {
            return Err(io::Error::other(
                "it is full, because this disk does not take back what was read: start detection anew",
            ));
        }
        let written = self.file.write_all(text.as_bytes());
        if written.is_err() {
            // Half a line would spoil the next one.
            self.file.set_len(self.length)?;
            io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.length))?;
        }
        written?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// Gives back the blocks before this byte, which were read. A disk that cannot keeps them.
    pub fn free(&mut self, before: u64) {
        let until = before / BLOCK * BLOCK;
        if until <= self.freed {
            return;
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(&self.file, hole, self.freed, until - self.freed);
        }
        self.freed = until;
    }
}

fn payment(order: &Order, now: Timestamp) -> (&'static str, Value) {
    let row = json!({
        "payment_no": format!("{}-P", order.number), "order_no": order.number,
        "amount": format!("{}.{:02}", order.paid / 100, order.paid % 100), "updated_at": now.to_string(),
    });
    ("self_check_payment", row)
}

fn settlement(order: &Order, now: Timestamp) -> (&'static str, Value) {
    let row = json!({
        "settlement_no": format!("{}-S", order.number), "order_no": order.number,
        "amount": order.settled, "updated_at": now.to_string(),
    });
    ("self_check_settlement", row)
}

/// Logs of earlier starts, with their epochs.
fn earlier(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let is_log = path.extension().is_some_and(|end| end == "jsonl");
        if let Some(epoch) = stem.filter(|_| is_log).and_then(|stem| stem.parse().ok()) {
            found.push((epoch, path));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::unix::fs::MetadataExt;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    #[test]
    fn each_start_begins_a_log_of_higher_versions_and_removes_those_before() {
        let folder = tempfile::tempdir().unwrap();
        let first = Log::begin(folder.path(), NOW).unwrap();
        let second = Log::begin(folder.path(), NOW).unwrap_err().to_string();
        assert!(second.contains("another detection"), "{second}");
        let (path, epoch) = (first.path.clone(), first.epoch);
        drop(first);
        // The clock was set back by an hour.
        let second = Log::begin(folder.path(), Timestamp(NOW.0 - 3_600_000_000)).unwrap();
        assert!(second.epoch > epoch && !path.exists());
        let text = fs::read_to_string(&second.path).unwrap();
        let deleted = text.matches(r#""op":"delete""#).count();
        assert_eq!(deleted as u64, 4 * RING);
    }

    #[test]
    fn what_was_read_is_given_back() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let mut log = Log::begin(folder.path(), NOW).unwrap();
        let first = fs::read_to_string(&log.path).unwrap();
        let first = first.lines().next().unwrap().to_owned();
        for round in 0..2_000 {
            let began = log.length();
            log.plant(Planted::new(round), NOW).unwrap();
            log.take_back(Planted::new(round), NOW).unwrap();
            log.free(began);
        }
        let about = fs::metadata(&log.path).unwrap();
        assert!(about.len() > 2 << 20);
        assert_eq!(about.len(), log.length());
        assert!(about.blocks() * 512 < 64 << 10, "{} blocks", about.blocks());
        let text = fs::read(&log.path).unwrap();
        assert!(text.starts_with(format!("{first}\n").as_bytes()));
        assert!(text.ends_with(b"}\n"));
    }
}
