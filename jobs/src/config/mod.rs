//! `centinel.toml`, form `config/1`: everything that a running Centinel is told. `jobs/README.md` describes it.
//!
//! It is read as a whole: either everything is right, or every mistake is listed with its line. Secrets stand
//! elsewhere ([`Secret`]) and are read when they are needed.

mod against;
mod alerts;
mod archive;
mod audits;
mod binlog;
mod bootstrap;
mod breaker;
mod console;
mod drills;
mod form;
mod interface;
mod kafka;
mod problem;
mod read;
mod secret;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use centinel_model::{Duration, Severity, Timestamp};
use data_fixtures::FaultKind;

pub use against::check_against;
pub use problem::{Problem, suggest};
pub use secret::Secret;

use crate::schedule::{Place, Timing};

/// The form that this program reads.
pub const FORM: &str = "config/1";
/// The largest configuration file, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// A configuration file. All paths in it are as they are seen from the working folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file itself.
    pub file: PathBuf,
    /// Folder of schema files.
    pub schemas: PathBuf,
    /// Folder of rule files.
    pub rules: PathBuf,
    /// Folder of the durable state.
    pub state: PathBuf,
    /// Where findings are written as JSON Lines; standard output if nowhere.
    pub findings: Option<PathBuf>,
    /// The store that findings are kept in, with what people say of them.
    pub findings_store: Option<PathBuf>,
    /// Where changes are kept for later.
    pub archive: Option<ArchiveConfig>,
    /// Limits of detection.
    pub detection: DetectionConfig,
    /// By name, in order.
    pub sources: Vec<Source>,
    /// Audits that are run by the clock, by name, in order.
    pub audits: Vec<AuditConfig>,
    /// Drills that are run by the clock, by name, in order.
    pub drills: Vec<DrillConfig>,
    /// The circuit breaker that is served by this file.
    pub breaker: Option<BreakerConfig>,
    /// The circuit breaker that detection tells what it finds.
    pub breaker_report: Option<BreakerReportConfig>,
    /// Who is told what is found.
    pub alerts: Option<AlertsConfig>,
    /// How often Centinel checks itself.
    pub self_check: Option<SelfCheckConfig>,
    /// Where a running detection is asked.
    pub interface: Option<InterfaceConfig>,
    /// The pages for people.
    pub console: Option<ConsoleConfig>,
}

/// The pages for people, and whom they ask.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsoleConfig {
    /// The line at which `[console]` begins.
    pub line: usize,
    /// The address that it listens on.
    pub listen: std::net::SocketAddr,
    /// Where browsers reach it, where that is not its own address.
    pub origin: Option<String>,
    /// Where the breaker is, without a slash at the end.
    pub breaker: String,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Where a running detection is, its token, and certificates to trust there.
    pub interface: Option<(String, Secret, Option<PathBuf>)>,
    /// Folders of reports beside those of the file's own audits and drills.
    pub reports: Vec<PathBuf>,
    /// Certificate chain and key, both PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Who is told what is found.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertsConfig {
    /// The line at which `[alerts]` begins.
    pub line: usize,
    /// The channels, as the alerts read them.
    pub channels: centinel_alert::Channels,
}

/// How often Centinel checks itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfCheckConfig {
    /// How far two checks are apart.
    pub every: Duration,
    /// A planted loss must be found within.
    pub within: Duration,
}

/// Where a running detection is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceConfig {
    /// The line at which `[interface]` begins.
    pub line: usize,
    /// The address that it listens on.
    pub listen: std::net::SocketAddr,
    /// Who shows it may ask.
    pub token: Secret,
    /// Whether it is encrypted.
    pub tls: Option<InterfaceTls>,
}

/// Files of TLS, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceTls {
    /// The chain of certificates.
    pub certificate: PathBuf,
    /// The key of the first of them.
    pub key: PathBuf,
    /// Who asks trusts these besides the system's.
    pub ca: Option<PathBuf>,
}

/// The circuit breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerConfig {
    /// The line at which `[breaker]` begins.
    pub line: usize,
    /// As the breaker reads it.
    pub service: centinel_breaker_service::Config,
}

/// The circuit breaker that detection tells what it finds.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerReportConfig {
    /// The line at which `[breaker_report]` begins.
    pub line: usize,
    /// Where it is, without a slash at the end.
    pub url: String,
    /// A key of scope `findings`.
    pub key: Secret,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// How long one call may take.
    pub deadline: Duration,
    /// Whether it is told what is only suspected.
    pub suspicions: bool,
}

/// A drill that is run by the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct DrillConfig {
    /// Its name, which no audit has; its history lies in a folder of this name.
    pub name: String,
    /// The line at which its entry begins.
    pub line: usize,
    /// Change logs to copy; without any a platform is simulated.
    pub input: Vec<PathBuf>,
    /// By what draws are made.
    pub seed: u64,
    /// Orders of the simulated platform.
    pub orders: u64,
    /// The faults; all where none is named.
    pub kinds: Vec<FaultKind>,
    /// Whether a breaker of its own is tried, too.
    pub with_breaker: bool,
    /// When it is run.
    pub timing: Timing,
    /// Below it lies the drill's own folder.
    pub reports: PathBuf,
    /// A run that takes longer is cut off.
    pub timeout: Duration,
}

/// An audit that is run by the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditConfig {
    /// Its name; its reports lie in a folder of this name.
    pub name: String,
    /// The line at which its entry begins.
    pub line: usize,
    /// What is audited.
    pub input: AuditInput,
    /// The data is of so long before the time that it is run for.
    pub lag: Duration,
    /// As of when a snapshot is judged.
    pub cut: AuditCut,
    /// Folders of rule files; the configuration's own where there is none.
    pub folders: Vec<PathBuf>,
    /// Rules by id, and
    pub rules: Vec<String>,
    /// rules by tag; all that are not drafts where neither is named.
    pub tags: Vec<String>,
    /// When it is run.
    pub timing: Timing,
    /// Findings that a person accepted.
    pub baseline: Option<PathBuf>,
    /// Below it lies the audit's own folder with its history and its reports.
    pub reports: PathBuf,
    /// How many reports are kept.
    pub keep: usize,
    /// A run that takes longer is cut off.
    pub timeout: Duration,
    /// Bytes that a run may use.
    pub memory: usize,
    /// The least severity that makes the exit status other than 0.
    pub fail_on: Severity,
    /// Limits of what may change between runs.
    pub sudden_change: Option<SuddenChange>,
}

/// What an audit reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditInput {
    /// A snapshot.
    Snapshot(Place),
    /// An archive, as of a moment.
    Archive(Place),
}

/// As of when a snapshot is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditCut {
    /// As its manifest says.
    Manifest,
    /// As of the time that it is run for, less the lag.
    Scheduled,
    /// Nothing is on its way any more.
    AtRest,
}

/// How far figures may be from those of past runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuddenChange {
    /// Of a table's rows, in percent.
    pub rows_percent: Option<u64>,
    /// Of the sum of a money column, in percent.
    pub totals_percent: Option<u64>,
    /// They are compared with the median of so many past runs.
    pub over: usize,
    /// Nothing is judged before there are so many.
    pub from: usize,
    /// The severity of such a finding.
    pub severity: Severity,
}

/// The archive.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchiveConfig {
    /// The line at which `[archive]` begins.
    pub line: usize,
    /// Where it lies.
    pub location: ArchiveLocation,
    /// `http://` or `https://` address of a server that speaks S3; Amazon's own by default.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// Who writes, and the secret that proves it; both or neither.
    pub access_key: Option<AccessKey>,
    /// Bytes after which a segment is closed.
    pub segment_bytes: u64,
    /// Time after which a segment is closed.
    pub segment_age: Duration,
    /// Bytes that may wait on the local disk while the archive takes nothing.
    pub spool_bytes: u64,
}

/// Where an archive lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveLocation {
    /// A local folder.
    Folder(PathBuf),
    /// `s3://bucket/prefix`, without credentials in it.
    S3(String),
}

/// Credentials of an object store.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessKey {
    /// The key's id.
    pub id: Secret,
    /// The key.
    pub secret: Secret,
}

/// Limits of detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectionConfig {
    /// Changes in one micro-batch.
    pub batch_rows: usize,
    /// How long a change waits for others.
    pub batch_wait: Duration,
    /// MiB of state kept in memory.
    pub cache_mib: usize,
    /// A source that does not move for so long is told to be behind.
    pub silent_after: Duration,
    /// What a new state begins with.
    pub bootstrap: Option<BootstrapConfig>,
    /// Whether entities that are at rest leave state.
    pub forget: bool,
}

/// The snapshot that a new state begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapConfig {
    /// The line at which it is named.
    pub line: usize,
    /// A folder, or a URL without credentials in it.
    pub location: String,
    /// As of when it was taken, where its manifest does not say it.
    pub as_of: Option<Timestamp>,
}

impl Default for DetectionConfig {
    fn default() -> DetectionConfig {
        DetectionConfig {
            batch_rows: 20_000,
            batch_wait: Duration(50_000),
            cache_mib: 512,
            silent_after: Duration::seconds(30),
            bootstrap: None,
            forget: false,
        }
    }
}

/// One source of the schemas and where it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name in the schemas.
    pub name: String,
    /// The line at which its entry begins.
    pub line: usize,
    /// How it is read.
    pub config: SourceConfig,
}

/// How a source is read.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceConfig {
    /// The binary log of a MySQL or MariaDB server.
    Binlog(BinlogConfig),
    /// Topics of a Kafka cluster.
    Kafka(KafkaConfig),
    /// A change and event log, each line a JSON object.
    File(FileConfig),
}

/// A change and event log. It may hold the lines of several sources, which then name the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// Where it lies.
    pub path: PathBuf,
}

/// A MySQL or MariaDB server whose binary log is read as a replica would.
#[derive(Clone, Debug, PartialEq)]
pub struct BinlogConfig {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The account.
    pub user: String,
    /// The account's password.
    pub password: Secret,
    /// Names this reader among all replicas of the server; from 1.
    pub server_id: u32,
    /// Whether the connection is encrypted.
    pub tls: Tls,
    /// Certificates (PEM) that sign the server's, instead of the well-known ones.
    pub ca: Option<PathBuf>,
    /// Whether the rows that are there at the first start are read from the tables.
    pub snapshot: bool,
    /// How it is known up to which time everything was read.
    pub progress: BinlogProgress,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Encrypted, with the server's certificate and name checked.
    Required,
    /// In the clear.
    Off,
}

/// How it is known up to which time everything in a binary log was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BinlogProgress {
    /// The server's own heartbeats: this server is where the platform writes.
    Server,
    /// The platform writes to this physical table at an interval: this server is itself a replica.
    HeartbeatTable {
        /// Its database.
        database: String,
        /// Its name.
        table: String,
    },
}

/// Topics of a Kafka cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaConfig {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// Under which offsets are shown to those who watch the brokers.
    pub group: String,
    /// How it is known up to which time everything was read.
    pub progress: KafkaProgress,
    /// Where a partition without a stored position begins.
    pub start: Start,
    /// Settings of librdkafka, by name.
    pub settings: Vec<Setting>,
    /// At least one.
    pub topics: Vec<TopicConfig>,
}

/// How it is known up to which time everything in the topics was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaProgress {
    /// Producers write directly: everything that was there at some time was read.
    Broker {
        /// What a record may take from its commit time to the broker.
        delay: Duration,
    },
    /// The platform writes to this table, or publishes this event, at an interval.
    Heartbeat {
        /// Its name in the schemas.
        table: String,
    },
}

/// Where a partition without a stored position begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its first record.
    Earliest,
    /// Behind its last record.
    Latest,
}

/// One setting of librdkafka.
#[derive(Clone, PartialEq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SettingValue,
}

/// The value of a setting, or where it is.
#[derive(Clone, PartialEq)]
pub enum SettingValue {
    /// As it is.
    Plain(String),
    /// To be read elsewhere.
    Secret(Secret),
}

impl std::fmt::Debug for Setting {
    /// Without a plain value, in which somebody may have hidden a secret that is not known as one.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            SettingValue::Plain(_) => write!(out, "{}=…", self.name),
            SettingValue::Secret(secret) => write!(out, "{}={:?}", self.name, secret.origin),
        }
    }
}

/// One topic, or all whose names match.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// The line at which its entry begins.
    pub line: usize,
    /// Which.
    pub name: TopicName,
    /// What the messages are.
    pub format: FormatConfig,
}

/// A topic's name, or what names look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicName {
    /// This one.
    Exact(String),
    /// A regular expression for whole names, from `^` to `$`.
    Pattern(String),
}

/// What the messages of a topic are.
#[derive(Clone, Debug, PartialEq)]
pub enum FormatConfig {
    /// Each message is one event, as its schema's `json` says.
    JsonEvent {
        /// The event's name in the schemas.
        event: String,
    },
    /// Lines of the change log, one or several in a message.
    Lines,
    /// Debezium's change events in JSON, with or without their schemas.
    Debezium(DebeziumConfig),
    /// The same, flattened by Debezium's ExtractNewRecordState.
    DebeziumFlat(DebeziumConfig),
    /// Debezium's change events in Avro.
    DebeziumAvro(AvroConfig),
    /// Canal's flat messages.
    Canal,
    /// Maxwell's messages.
    Maxwell,
}

/// How a Debezium connector is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebeziumConfig {
    /// How decimals are written where the message does not say it.
    pub decimals: Decimals,
    /// What times of day count where they are whole numbers and the message does not say it.
    pub times: Option<TimeUnit>,
    /// `server_id`s of the databases that were read, oldest first.
    pub servers: Vec<u32>,
}

/// How Debezium writes decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimals {
    /// Base64 of the unscaled number: `decimal.handling.mode=precise`, Debezium's default.
    Precise,
    /// Text: `decimal.handling.mode=string`.
    String,
    /// JSON numbers with all digits: `precise` with `decimal.format=NUMERIC`.
    Numeric,
}

/// What a time that is a whole number counts, since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
}

/// Where the schemas of Avro messages are.
#[derive(Clone, Debug, PartialEq)]
pub struct AvroConfig {
    /// `http://` or `https://` address of the schema registry.
    pub registry: String,
    /// Account and password there.
    pub account: Option<(String, Secret)>,
    /// PEM file of the certificates that sign the registry's, beside the well-known ones.
    pub ca: Option<PathBuf>,
    /// As for [`DebeziumConfig::servers`].
    pub servers: Vec<u32>,
}

impl Config {
    /// Every secret that the configuration names, to see whether all can be read.
    pub fn secrets(&self) -> Vec<&Secret> {
        let archive = self.archive.iter().flat_map(|archive| &archive.access_key);
        let mut secrets: Vec<&Secret> = archive.flat_map(|key| [&key.id, &key.secret]).collect();
        for source in &self.sources {
            match &source.config {
                SourceConfig::Binlog(binlog) => secrets.push(&binlog.password),
                SourceConfig::Kafka(kafka) => {
                    secrets.extend(kafka.settings.iter().filter_map(
                        |setting| match &setting.value {
                            SettingValue::Secret(secret) => Some(secret),
                            SettingValue::Plain(_) => None,
                        },
                    ));
                    secrets.extend(kafka.topics.iter().filter_map(|topic| match &topic.format {
                        FormatConfig::DebeziumAvro(avro) => {
                            avro.account.as_ref().map(|(_, password)| password)
                        }
                        _ => None,
                    }));
                }
                SourceConfig::File(_) => {}
            }
        }
        secrets.extend(self.breaker_report.iter().map(|report| &report.key));
        secrets.extend(self.interface.iter().map(|interface| &interface.token));
        let console = self.console.iter().flat_map(|console| &console.interface);
        secrets.extend(console.map(|(_, token, _)| token));
        secrets
    }
}
