//! A server that answers as MySQL 8.4 does, as far as a reader of its log asks it, from what a test lays down.
//!
//! No MySQL can be installed here; this follows its protocol's documentation and shares no code with the reader.

pub mod log;
mod packets;

use std::collections::{BTreeMap, VecDeque};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use self::log::{Log, Transaction};
use self::packets::{Column, Packets};

/// No connection lasts longer.
const LONGEST: Duration = Duration::from_secs(120);
/// How often a sign of life is sent: what the tests ask for.
pub const HEARTBEAT: Duration = Duration::from_millis(300);

/// What the server has and how it behaves.
pub struct World {
    pub variables: BTreeMap<&'static str, String>,
    pub transactions: Vec<Transaction>,
    /// How many of them count as executed, though all are in the log, for each time that it is asked; all later.
    pub executed: VecDeque<usize>,
    pub purged: String,
    /// Rows of the table, as a snapshot gives them.
    pub rows: Vec<[Option<String>; 5]>,
    /// Sent instead of the log, so many times.
    pub refusal: Option<(u16, &'static str, u32)>,
    /// The next log that is sent has this done to it.
    pub damage: Option<Damage>,
    /// Answers to other questions than those that are known here.
    pub answers: Vec<(&'static str, Vec<Vec<String>>)>,
    /// The sets of GTIDs that were asked for.
    pub asked: Vec<String>,
    pub unknown: Vec<String>,
}

/// What is done to a log once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit of the last event is turned over.
    FlippedBit,
    /// The last event is cut short.
    CutShort,
    /// The connection ends in the middle of the last transaction.
    Hangup,
}

/// A server on a port of its own; it ends with the test process.
pub struct Replay {
    pub port: u16,
    world: Arc<Mutex<World>>,
}

impl Replay {
    pub fn start() -> Replay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let variables = [
            ("version", "8.4.3"),
            ("log_bin", "ON"),
            ("gtid_mode", "ON"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
            ("binlog_row_metadata", "FULL"),
            ("binlog_row_value_options", ""),
            ("binlog_checksum", "CRC32"),
            ("binlog_expire_logs_seconds", "2592000"),
            ("binlog_expire_logs_auto_purge", "ON"),
            ("log_replica_updates", "ON"),
            ("server_id", "1"),
        ];
        let world = Arc::new(Mutex::new(World {
            variables: variables
                .map(|(name, value)| (name, value.to_owned()))
                .into(),
            transactions: Vec::new(),
            executed: VecDeque::new(),
            purged: String::new(),
            rows: Vec::new(),
            refusal: None,
            damage: None,
            answers: Vec::new(),
            asked: Vec::new(),
            unknown: Vec::new(),
        }));
        let shared = Arc::clone(&world);
        std::thread::spawn(move || {
            for stream in listener.incoming().take(200) {
                let (Ok(stream), world) = (stream, Arc::clone(&shared)) else {
                    return;
                };
                // A connection that breaks is what some tests are about.
                std::thread::spawn(move || drop(serve(stream, &world)));
            }
        });
        Replay { port, world }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn commit(&self, transaction: Transaction) {
        self.world().transactions.push(transaction);
    }
}

impl World {
    fn gtid_executed(&mut self) -> String {
        let count = self.executed.pop_front();
        let count = count.unwrap_or(self.transactions.len());
        let own = log::set_of(self.transactions[..count].iter().map(|one| &one.gtid));
        let parts = [self.purged.as_str(), own.as_str()];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(",\n")
    }

    /// The answer to a question; none where the server only says that it is done.
    fn answer(&mut self, sql: &str) -> Result<Option<Vec<Vec<String>>>, (u16, String)> {
        let one = |text: String| Ok(Some(vec![vec![text]]));
        let list = |rows: &[&[&str]]| {
            let rows = rows.iter();
            let texts = rows.map(|row| row.iter().map(|text| (*text).to_owned()).collect());
            Ok(Some(texts.collect()))
        };
        if let Some((_, rows)) = self.answers.iter().find(|(part, _)| sql.contains(part)) {
            return Ok(Some(rows.clone()));
        }
        match sql {
            _ if sql.starts_with("SET ") || sql.starts_with("START ") => Ok(None),
            _ if sql.contains("SHOW GLOBAL VARIABLES") => {
                let variables = self.variables.iter();
                let rows = variables.map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
                Ok(Some(rows.collect()))
            }
            _ if sql.contains("TIMESTAMPDIFF(MICROSECOND") => one(now().to_string()),
            _ if sql.contains("gtid_executed") => one(self.gtid_executed()),
            _ if sql.contains("gtid_purged") => one(self.purged.clone()),
            _ if sql.contains("max_allowed_packet") || sql.contains("wait_timeout") => {
                Ok(Some(vec![vec![
                    "268435456".to_owned();
                    sql.matches("@@").count()
                ]]))
            }
            _ if sql.contains("collation_character_set_applicability") => {
                Err((1054, "Unknown column 'id' in 'field list'".into()))
            }
            _ if sql.contains("information_schema.collations") => {
                list(&[&["255", "utf8mb4"], &["8", "latin1"], &["63", "binary"]])
            }
            _ if sql.contains("information_schema.tables") => {
                list(&[&["pay", "payment", "InnoDB"]])
            }
            _ if sql.contains("information_schema.statistics") => list(&[&["payment_no"]]),
            _ if sql.contains("information_schema.columns") => list(&[
                &["payment_no", "varchar", "utf8mb4", "0"],
                &["order_no", "varchar", "utf8mb4", "0"],
                &["amount", "decimal", "", "2"],
                &["fen", "bigint", "", "0"],
                &["updated_at", "datetime", "", "0"],
            ]),
            _ if sql.contains("SHOW GRANTS") => {
                list(&[&["GRANT SELECT, REPLICATION SLAVE ON *.* TO `reader`@`%`"]])
            }
            _ if sql.contains("SHOW REPLICAS") || sql.starts_with("SELECT 1 FROM `pay`") => {
                Ok(Some(Vec::new()))
            }
            other => {
                self.unknown.push(other.to_owned());
                Err((1064, format!("not known here: {other}")))
            }
        }
    }
}

pub fn now() -> u128 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_micros()
}

/// One connection's life.
fn serve(stream: TcpStream, world: &Mutex<World>) -> std::io::Result<()> {
    let lock = || {
        world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    let mut packets = Packets::new(stream)?;
    packets.greet(&lock().variables["version"].clone())?;
    let since = Instant::now();
    while since.elapsed() < LONGEST {
        let command = packets.command()?;
        let (Some(kind), rest) = (command.first(), command.get(1..).unwrap_or_default()) else {
            return Ok(());
        };
        match kind {
            // COM_QUERY
            0x03 => {
                let answer = lock().answer(&String::from_utf8_lossy(rest));
                match answer {
                    Ok(None) => packets.done()?,
                    Ok(Some(rows)) => packets.texts(&rows)?,
                    Err((code, message)) => packets.refuse(code, &message)?,
                }
            }
            // COM_STMT_PREPARE and COM_STMT_EXECUTE: only the snapshot does so.
            0x16 => packets.prepared(&COLUMNS)?,
            0x17 => {
                let rows = lock().rows.clone();
                packets.values(&COLUMNS, &rows)?;
            }
            // COM_STMT_CLOSE has no answer, COM_QUIT ends.
            0x19 => {}
            0x01 => return Ok(()),
            // COM_PING, COM_REGISTER_SLAVE
            0x0e | 0x15 => packets.done()?,
            // COM_BINLOG_DUMP_GTID
            0x1e => return dump(packets, rest, world),
            _ => packets.refuse(1047, "Unknown command")?,
        }
    }
    Ok(())
}

const COLUMNS: [Column; 5] = [
    ("payment_no", 253),
    ("order_no", 253),
    ("amount", 246),
    ("fen", 8),
    ("updated_at", 12),
];

/// Sends the log, and signs of life where there is nothing more.
fn dump(mut packets: Packets, request: &[u8], world: &Mutex<World>) -> std::io::Result<()> {
    let lock = || {
        world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    let had = log::asked(request);
    {
        let mut world = lock();
        world.asked.push(log::set_of(had.iter()));
        if let Some((code, message, times)) = world.refusal
            && times > 0
        {
            world.refusal = Some((code, message, times - 1));
            return packets.refuse(code, message);
        }
    }
    let mut log = Log::default();
    for event in log.beginning() {
        packets.event(&event)?;
    }
    let (since, mut spoken, mut sent) = (Instant::now(), Instant::now(), 0);
    while since.elapsed() < LONGEST {
        let (next, damage) = {
            let mut world = lock();
            let all: Vec<Transaction> = world.transactions[sent..].to_vec();
            sent += all.len();
            let damage = if all.is_empty() {
                None
            } else {
                world.damage.take()
            };
            (all, damage)
        };
        let last = next.len().saturating_sub(1);
        for (index, transaction) in next.iter().enumerate() {
            let mut events = log.events(transaction);
            if had.contains(&transaction.gtid) {
                continue;
            }
            let damage = damage.filter(|_| index == last);
            if let (Some(damage), Some(event)) = (damage, events.last_mut()) {
                match damage {
                    Damage::FlippedBit => event[20] ^= 4,
                    Damage::CutShort => event.truncate(event.len() - 6),
                    Damage::Hangup => drop(events.pop()),
                }
            }
            for event in events {
                packets.event(&event)?;
            }
            if damage == Some(Damage::Hangup) {
                return Ok(());
            }
        }
        if !next.is_empty() {
            spoken = Instant::now();
        } else if spoken.elapsed() >= HEARTBEAT {
            spoken = Instant::now();
            packets.event(&log.heartbeat())?;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
