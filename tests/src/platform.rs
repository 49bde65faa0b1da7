//! The simulated platform on real servers: its tables in a MariaDB, its events in a Kafka, and detection that reads
//! both at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use centinel_batch::Limits;
use centinel_catalog::{Catalog, Table as CatalogTable};
use centinel_engine::EngineError;
use centinel_engine::detect::{
    Detector, DetectorLimits, InputOptions, RunOptions, Step, Surroundings, Until, run,
};
use centinel_model::{SourceId, Timestamp};
use centinel_outlet::{LineFile, Outlet};
use centinel_rules::Rule;
use centinel_source::{
    BinlogOptions, Format, Idle, KafkaOptions, KafkaProgress, Password, Setting, Start, TopicName,
    TopicOptions,
};
use centinel_state::{FileStore, Store};
use data_fixtures::write::sql::{HEARTBEAT_TABLE, database, schema};
use data_fixtures::write::{JsonLinesWriter, SqlWriter};
use data_fixtures::{Delivered, Record, SECOND, Source, Table};
use parquet::arrow::ArrowWriter;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Map, Value};
use test_servers::{Kafka, MariaDb};

use crate::{Detected, folder, read_detected};

/// What any wait ends with at the latest.
pub const LONG: Duration = Duration::from_secs(240);
/// The event that the platform publishes at an interval, so that silence can be told from a standstill.
const HEARTBEAT_EVENT: &str = "platform_heartbeat";
const HEARTBEAT_SCHEMA: &str = "centinel: schema/1
event: platform_heartbeat
system: platform
source: business-events
columns:
  beat_at: timestamp
changed_at: beat_at
";
/// Partitions of each topic.
pub const PARTITIONS: u32 = 2;
/// The largest message that the topics take.
const LARGEST_MESSAGE: &str = "4194304";
const EVENTS: [Table; 5] = [
    Table::PaymentCompleted,
    Table::RefundCompleted,
    Table::SettlementCompleted,
    Table::AccountingEntryBooked,
    Table::CashOutSent,
];

/// The servers of the platform, with empty tables and topics.
pub struct Platform {
    /// Holds all its databases.
    pub mariadb: MariaDb,
    /// Holds its events, a topic for each.
    pub kafka: Kafka,
    producer: BaseProducer,
    schemas: tempfile::TempDir,
    sql: BTreeMap<Source, (SqlWriter, Vec<u8>)>,
    lines: JsonLinesWriter,
}

/// Where the servers are reached.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// MariaDB's port.
    pub mariadb: u16,
    /// Kafka's bootstrap servers.
    pub kafka: String,
    /// Centinel's user of the MariaDB, and its password.
    pub user: (String, String),
}

impl Platform {
    /// Starts the servers.
    pub fn start() -> Platform {
        let kafka = Kafka::start();
        for topic in EVENTS
            .iter()
            .map(|table| table.name())
            .chain([HEARTBEAT_EVENT])
        {
            kafka.create_topic(topic, PARTITIONS, &[("max.message.bytes", LARGEST_MESSAGE)]);
        }
        let mariadb = MariaDb::start(&["--sync-binlog=0"]);
        mariadb.execute(&schema());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap())
            .set("linger.ms", "5")
            .set("enable.idempotence", "true")
            .set("message.max.bytes", LARGEST_MESSAGE)
            .set("topic.metadata.refresh.interval.ms", "500")
            .create()
            .expect("a producer");
        Platform {
            mariadb,
            kafka,
            producer,
            schemas: test_schemas(),
            sql: BTreeMap::new(),
            lines: JsonLinesWriter::default(),
        }
    }

    /// Where the servers themselves are reached.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            mariadb: self.mariadb.port(),
            kafka: self.kafka.bootstrap(),
            user: (self.mariadb.user().into(), self.mariadb.password().into()),
        }
    }

    /// The folder of the shipped schemas and that of the heartbeat.
    pub fn schemas(&self) -> &Path {
        self.schemas.path()
    }

    /// Commits and publishes these records. The databases share a server, whose log has one order: rows must come in
    /// the order of their commit times ([`in_commit_order`]).
    pub fn live(&mut self, records: &[Delivered]) {
        let mut script = Vec::new();
        for record in records {
            match (&record.record, record.source) {
                (Record::Event(_), _) | (Record::Heartbeat(_), Source::BusinessEvents) => {
                    self.publish(record);
                }
                (_, source) => {
                    let (writer, open) = self.sql.entry(source).or_default();
                    writer.write(open, record);
                    // Transactions of several sources are not mixed; one that is open waits for its rest.
                    if !matches!(&record.record, Record::Change(change) if !change.last) {
                        script.append(open);
                    }
                }
            }
        }
        if !script.is_empty() {
            let script = String::from_utf8(script).expect("the writer writes UTF-8");
            self.mariadb.execute(&script);
        }
        self.producer
            .flush(LONG)
            .expect("the broker takes the events");
    }

    /// The last word of every source: nothing was committed up to some time after this moment.
    pub fn say_that_it_ended(&mut self, end: i64) {
        let word = |source| Delivered {
            arrival: end,
            source,
            record: Record::Heartbeat(end + 10 * SECOND),
        };
        self.live(&Source::ALL.map(word));
    }

    fn publish(&mut self, record: &Delivered) {
        let (topic, key, message) = match &record.record {
            Record::Event(event) => {
                let mut line = Vec::new();
                self.lines.write(&mut line, record);
                let mut line: Map<String, Value> =
                    serde_json::from_slice(&line).expect("a line is JSON");
                let Some(Value::Object(mut message)) = line.remove("after") else {
                    panic!("an event without its row");
                };
                for name in ["message_id", "committed_at"] {
                    message.insert(name.into(), line[name].clone());
                }
                let key = line["message_id"].to_string();
                (event.row.table().name(), key, message)
            }
            other => {
                let mut at = Vec::new();
                data_fixtures::push_time(
                    &mut at,
                    other.committed_at(),
                    data_fixtures::TimeStyle::Rfc3339,
                );
                let at = Value::from(String::from_utf8(at).expect("a time is text"));
                let message = Map::from_iter([
                    ("message_id".to_owned(), at.clone()),
                    ("committed_at".to_owned(), at.clone()),
                    ("beat_at".to_owned(), at),
                ]);
                (HEARTBEAT_EVENT, String::new(), message)
            }
        };
        self.send(topic, &key, Value::Object(message).to_string().as_bytes());
    }

    /// Publishes any bytes; the broker has them when something was [committed](Platform::live) next.
    pub fn send(&self, topic: &str, key: &str, message: &[u8]) {
        let record = BaseRecord::to(topic).key(key).payload(message);
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("the producer takes an event");
        self.producer.poll(Duration::ZERO);
    }

    /// How many records a partition ever got.
    pub fn records_in(&self, topic: &str, partition: u32) -> i64 {
        let partition = i32::try_from(partition).expect("partitions are few");
        let client = self.producer.client();
        let (_, next) = client
            .fetch_watermarks(topic, partition, LONG)
            .expect("the broker says where a partition ends");
        next
    }

    /// Writes the tables as the MariaDB has them now, and the events that were published, as a Parquet snapshot.
    pub fn snapshot(&self, catalog: &Catalog, records: &[Delivered], into: &Path) {
        for table in Table::ALL {
            let id = catalog.table_id(table.name()).expect("the schemas have it");
            let described = catalog.table(id);
            let rows = match EVENTS.contains(&table) {
                true => published(described, table, records),
                false => self.select(described, table),
            };
            write_parquet(described, &rows, into);
        }
    }

    fn select(&self, described: &CatalogTable, table: Table) -> Vec<Vec<Option<String>>> {
        let names: Vec<&str> = described
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        self.mariadb.query(&format!(
            "SELECT {} FROM {}.{}",
            names.join(", "),
            database(table.source()),
            table.name()
        ))
    }
}

/// The shipped schemas, and one for the heartbeat.
fn test_schemas() -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(folder("schemas")).expect("the shipped schemas") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let name = path.file_name().expect("a name");
            std::fs::copy(&path, copy.path().join(name)).expect("a schema is copied");
        }
    }
    std::fs::write(
        copy.path().join("platform_heartbeat.yaml"),
        HEARTBEAT_SCHEMA,
    )
    .expect("a schema is written");
    copy
}

/// The same records by the time of their commit, each source in its own order.
pub fn in_commit_order(records: &[Delivered]) -> Vec<Delivered> {
    let mut records = records.to_vec();
    records.sort_by_key(|record| record.record.committed_at());
    records
}

/// The events of a table as texts, without those of its messages that came twice.
fn published(
    described: &CatalogTable,
    table: Table,
    records: &[Delivered],
) -> Vec<Vec<Option<String>>> {
    let mut writer = JsonLinesWriter::default();
    let mut rows = BTreeMap::new();
    for record in records {
        let Record::Event(event) = &record.record else {
            continue;
        };
        if event.row.table() != table {
            continue;
        }
        let mut line = Vec::new();
        writer.write(&mut line, record);
        let line: Value = serde_json::from_slice(&line).expect("a line is JSON");
        let id = line["message_id"]
            .as_str()
            .expect("a message id")
            .to_owned();
        let cells = described
            .columns
            .iter()
            .map(|column| match column.name.as_str() {
                "message_id" => Some(id.clone()),
                name => text_of(&line["after"][name]),
            });
        let cells: Vec<Option<String>> = cells.collect();
        rows.insert(id, cells);
    }
    rows.into_values().collect()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn write_parquet(described: &CatalogTable, rows: &[Vec<Option<String>>], into: &Path) {
    let schema = described.storage_schema();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let texts: StringArray = rows.iter().map(|row| row[index].as_deref()).collect();
        cast(&texts, field.data_type()).expect("texts become values")
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("the columns fit");
    let path = into.join(format!("{}.parquet", described.name));
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, schema, None).expect("a writer");
    writer.write(&batch).expect("rows are written");
    writer.close().expect("the file is whole");
}

impl Addresses {
    /// All sources of the shipped schemas: six databases and the events.
    pub fn inputs(&self) -> Vec<InputOptions> {
        let databases = Source::ALL
            .into_iter()
            .filter(|source| *source != Source::BusinessEvents);
        let mut inputs: Vec<InputOptions> = databases.map(|source| self.binlog(source)).collect();
        inputs.push(self.events());
        inputs
    }

    fn binlog(&self, source: Source) -> InputOptions {
        let password = Password::new(self.user.1.clone());
        let mut options = BinlogOptions::new(
            source.name(),
            "127.0.0.1",
            self.mariadb,
            &self.user.0,
            password,
        );
        options.server_id = 9_100 + source as u32;
        // The simulated times are ahead of the server's own.
        options.idle = Idle::Table {
            table: format!("{}.{HEARTBEAT_TABLE}", database(source)),
        };
        options.timeouts.heartbeat = Duration::from_millis(500);
        options.timeouts.back_off = Duration::from_millis(500);
        InputOptions::Binlog(options)
    }

    fn events(&self) -> InputOptions {
        let topics = EVENTS
            .iter()
            .map(|table| table.name())
            .chain([HEARTBEAT_EVENT]);
        let topics = topics.map(|event| TopicOptions {
            name: TopicName::Exact(event.into()),
            format: Format::JsonEvent {
                event: event.into(),
            },
        });
        let quick = [
            ("reconnect.backoff.max.ms", "500"),
            ("socket.timeout.ms", "5000"),
        ];
        InputOptions::Kafka(KafkaOptions {
            source: Source::BusinessEvents.name().into(),
            brokers: self.kafka.clone(),
            group: "centinel".into(),
            topics: topics.collect(),
            progress: KafkaProgress::Heartbeat {
                table: HEARTBEAT_EVENT.into(),
            },
            start: Start::Earliest,
            settings: quick
                .map(|(name, value)| Setting {
                    name: name.into(),
                    value: value.into(),
                })
                .into(),
        })
    }
}

/// How long is waited for databases to be read before the platform lives.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// Detection over the platform, from its state on.
pub struct Watching<'a> {
    /// What is watched.
    pub inputs: Vec<InputOptions>,
    /// Holds the state and the file of findings.
    pub folder: PathBuf,
    /// The platform's schemas.
    pub catalog: &'a Arc<Catalog>,
    /// The rules that are asked.
    pub rules: &'a [Arc<Rule>],
    /// Until when the sources have to be read; in microseconds since 1970.
    pub until: i64,
}

impl Watching<'_> {
    /// Reads until every source has said that it stands behind the end, while `meanwhile` runs beside it. It is
    /// given what tells how many changes were read.
    ///
    /// # Errors
    /// What stopped detection.
    pub fn run(
        &self,
        at_step: &(dyn Fn(Step) + Sync),
        meanwhile: impl FnOnce(&dyn Fn() -> u64) + Send,
    ) -> Result<Detected, EngineError> {
        let store = FileStore::open(&self.folder.join("state"), 64 << 20)?;
        let store: Arc<dyn Store> = Arc::new(store);
        let limits = DetectorLimits::default();
        let mut detector = Detector::new(Arc::clone(self.catalog), self.rules, store, limits)?;
        let findings = self.folder.join("findings.jsonl");
        let mut outlet = LineFile::open(&findings).expect("the file of findings opens");
        let (read, done) = (std::sync::atomic::AtomicU64::new(0), AtomicBool::new(false));
        let sources: Vec<SourceId> = self
            .inputs
            .iter()
            .filter_map(|input| self.source(input))
            .collect();
        let began = Instant::now();
        let databases: Vec<SourceId> = self
            .inputs
            .iter()
            .filter(|input| matches!(input, InputOptions::Binlog(_)))
            .filter_map(|input| self.source(input))
            .collect();
        let begun = AtomicBool::new(false);
        let mut observe = |detector: &Detector, _: &[_]| {
            let is_read = |source: &SourceId| detector.progress(*source) > Timestamp::MIN;
            begun.fetch_or(databases.iter().all(is_read), Ordering::Relaxed);
            read.store(detector.counters.changes, Ordering::Relaxed);
            let reached = |source: &SourceId| detector.progress(*source).0 >= self.until;
            done.store(sources.iter().all(reached), Ordering::Relaxed);
        };
        let options = RunOptions {
            inputs: self.inputs.clone(),
            until: Until::Stopped,
            limits: Limits {
                max_rows: 500,
                ..Limits::default()
            },
            silent_after: centinel_model::Duration::seconds(600),
            archive: None,
            bootstrap: None,
            quiet_after: None,
            backlog: Default::default(),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _told = TellsPanic(&done);
                // What happens before a first snapshot was taken is one row in it, however often that changed.
                while !begun.load(Ordering::Relaxed) && began.elapsed() < BEGINS_WITHIN {
                    std::thread::sleep(Duration::from_millis(20));
                }
                meanwhile(&|| read.load(Ordering::Relaxed));
            });
            let surroundings = Surroundings {
                now: &wall_clock,
                stop: &|| done.load(Ordering::Relaxed) || began.elapsed() > LONG,
                observe: &mut observe,
                at_step,
            };
            run(
                &mut detector,
                &mut outlet as &mut dyn Outlet,
                &options,
                surroundings,
            )
        })?;
        assert!(
            done.load(Ordering::Relaxed),
            "the platform was not read to its end in {LONG:?}; the sources stand at {:?}",
            detector.every_progress().collect::<Vec<_>>()
        );
        Ok(read_detected(&detector, &findings))
    }

    fn source(&self, input: &InputOptions) -> Option<SourceId> {
        match input {
            InputOptions::Binlog(options) => self.catalog.source_id(&options.source),
            InputOptions::Kafka(options) => self.catalog.source_id(&options.source),
            InputOptions::File(_) => None,
        }
    }
}

/// Ends the run when the thread that holds it panics; the scope then passes the panic on.
struct TellsPanic<'a>(&'a AtomicBool);

impl Drop for TellsPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// The machine's time.
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
