//! What a run of detection is to do, from the configuration file: secrets are read here and nowhere else.

use std::fmt::Display;
use std::path::Path;

use centinel_batch::Limits;
use centinel_catalog::read_file;
use centinel_engine::detect::BootstrapOptions;
use centinel_outlet::archive::ArchiveOptions;
use centinel_source::{
    AvroOptions, BinlogOptions, DebeziumOptions, Decimals, Format, Idle, InputFile, InputOptions,
    IntegerTimes, KafkaOptions, KafkaProgress, Password, Registry, RegistryOptions, Setting, Start,
    Tls, TopicName, TopicOptions,
};
use regex::Regex;

use crate::breaker_report::{Reporting, Telling};
use crate::config::{
    self, ArchiveConfig, ArchiveLocation, AvroConfig, BinlogConfig, BinlogProgress,
    BreakerReportConfig, Config, DebeziumConfig, FormatConfig, KafkaConfig, Problem, SettingValue,
    Source, SourceConfig, TopicConfig,
};
use crate::detect::{limits, std_duration};
use crate::exit::Status;
use crate::printer::complain;

/// Certificates are some kilobytes.
const MAX_CA_BYTES: u64 = 1 << 20;

/// Begins to tell the breaker what is written to the file of findings.
///
/// # Errors
/// When the key or the certificates cannot be read, or it cannot be known how far the breaker was told.
pub fn reporting(
    report: &BreakerReportConfig,
    findings: &Path,
    state: &Path,
) -> Result<Reporting, Status> {
    let wrong = |problem: &dyn Display| {
        complain(format_args!("error: [breaker_report]: {problem}"));
        Status::WrongUsage
    };
    let ca = report.ca.as_ref().map(|path| {
        read_file(path, MAX_CA_BYTES)
            .map_err(|error| wrong(&format_args!("{}: {error}", path.display())))
    });
    let key = report.key.clone();
    let read = move || match key.read() {
        Ok(key) => Ok(key.reveal().to_owned()),
        Err(problem) => Err(problem.to_string()),
    };
    Reporting::begin(Telling {
        url: report.url.clone(),
        key: Box::new(read),
        ca: ca.transpose()?,
        deadline: std_duration(report.deadline),
        findings: findings.to_owned(),
        place: state.join("breaker-report.json"),
        trip: Box::new(|_| {}),
    })
    .map_err(|problem| wrong(&problem))
}

/// Every source as an input. A file that several sources name is one input.
///
/// # Errors
/// Every secret that cannot be read, and what this program cannot do.
pub fn inputs(config: &Config) -> Result<Vec<InputOptions>, Vec<Problem>> {
    let mut inputs: Vec<InputOptions> = Vec::new();
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for source in &config.sources {
        if let SourceConfig::File(file) = &source.config {
            if files.contains(&&file.path) {
                continue;
            }
            files.push(&file.path);
        }
        match input(config, source) {
            Ok(input) => inputs.push(input),
            Err(more) => problems.extend(more),
        }
    }
    match problems.is_empty() {
        true => Ok(inputs),
        false => Err(problems),
    }
}

/// One source as an input.
///
/// # Errors
/// As [`inputs`].
pub fn input(config: &Config, source: &Source) -> Result<InputOptions, Vec<Problem>> {
    match &source.config {
        SourceConfig::File(file) => Ok(InputOptions::File(InputFile {
            name: file.path.display().to_string(),
            path: file.path.clone(),
            sources: in_file(config, &file.path),
        })),
        SourceConfig::Binlog(binlog) => binlog_options(source, binlog)
            .map(InputOptions::Binlog)
            .map_err(|problem| vec![problem]),
        SourceConfig::Kafka(kafka) => kafka_options(config, source, kafka).map(InputOptions::Kafka),
    }
}

/// The sources that name this file.
fn in_file(config: &Config, path: &Path) -> Vec<String> {
    let names_it = |source: &&Source| match &source.config {
        SourceConfig::File(file) => file.path == path,
        _ => false,
    };
    let sources = config.sources.iter().filter(names_it);
    sources.map(|source| source.name.clone()).collect()
}

/// A database, with its password.
///
/// # Errors
/// When the password cannot be read.
pub fn binlog_options(source: &Source, binlog: &BinlogConfig) -> Result<BinlogOptions, Problem> {
    let password = Password::new(binlog.password.read()?.reveal());
    Ok(BinlogOptions {
        server_id: binlog.server_id,
        tls: match binlog.tls {
            config::Tls::Off => Tls::Off,
            config::Tls::Required => Tls::Required {
                ca: binlog.ca.clone(),
            },
        },
        snapshot: binlog.snapshot,
        idle: match &binlog.progress {
            BinlogProgress::Server => Idle::Server,
            BinlogProgress::HeartbeatTable { database, table } => Idle::Table {
                table: format!("{database}.{table}"),
            },
        },
        ..BinlogOptions::new(
            &source.name,
            &binlog.host,
            binlog.port,
            &binlog.user,
            password,
        )
    })
}

/// Topics, with the secrets among their settings. Topics of one schema registry share it.
///
/// # Errors
/// As [`inputs`].
pub fn kafka_options(
    config: &Config,
    source: &Source,
    kafka: &KafkaConfig,
) -> Result<KafkaOptions, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut settings = Vec::new();
    for setting in &kafka.settings {
        let value = match &setting.value {
            SettingValue::Plain(value) => Ok(value.clone()),
            SettingValue::Secret(secret) => secret.read().map(|text| text.reveal().to_owned()),
        };
        match value {
            Ok(value) => settings.push(Setting {
                name: setting.name.clone(),
                value,
            }),
            Err(problem) => problems.push(problem),
        }
    }
    let (mut topics, mut registries) = (Vec::new(), Vec::new());
    for topic in &kafka.topics {
        match topic_options(config, topic, &mut registries) {
            Ok(topic) => topics.push(topic),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(KafkaOptions {
        source: source.name.clone(),
        brokers: kafka.brokers.clone(),
        group: kafka.group.clone(),
        topics,
        progress: match &kafka.progress {
            config::KafkaProgress::Broker { delay } => KafkaProgress::Broker { delay: *delay },
            config::KafkaProgress::Heartbeat { table } => KafkaProgress::Heartbeat {
                table: table.clone(),
            },
        },
        start: match kafka.start {
            config::Start::Earliest => Start::Earliest,
            config::Start::Latest => Start::Latest,
        },
        settings,
    })
}

fn topic_options(
    config: &Config,
    topic: &TopicConfig,
    registries: &mut Vec<Registry>,
) -> Result<TopicOptions, Problem> {
    let name = match &topic.name {
        config::TopicName::Exact(name) => TopicName::Exact(name.clone()),
        config::TopicName::Pattern(pattern) => {
            TopicName::Pattern(Regex::new(pattern).map_err(|error| {
                Problem::new(
                    &config.file,
                    topic.line,
                    format!("`pattern` is no regular expression: {error}"),
                    "write one such as '^shop[.]payment_[0-9]+$'",
                )
            })?)
        }
    };
    let debezium = |options: &DebeziumConfig, flattened| {
        Format::Debezium(DebeziumOptions {
            flattened,
            decimals: Some(match options.decimals {
                config::Decimals::Precise => Decimals::Precise,
                config::Decimals::String => Decimals::String,
                config::Decimals::Numeric => Decimals::Numeric,
            }),
            times: options.times.map(|times| match times {
                config::TimeUnit::Millis => IntegerTimes::Millis,
                config::TimeUnit::Micros => IntegerTimes::Micros,
            }),
            servers: options.servers.iter().copied().map(u64::from).collect(),
        })
    };
    let format = match &topic.format {
        FormatConfig::JsonEvent { event } => Format::JsonEvent {
            event: event.clone(),
        },
        FormatConfig::Lines => Format::Lines,
        FormatConfig::Debezium(options) => debezium(options, false),
        FormatConfig::DebeziumFlat(options) => debezium(options, true),
        FormatConfig::Canal => Format::Canal,
        FormatConfig::Maxwell => Format::Maxwell,
        FormatConfig::DebeziumAvro(avro) => Format::DebeziumAvro(AvroOptions {
            registry: registry(avro, registries)?,
            servers: avro.servers.iter().copied().map(u64::from).collect(),
        }),
    };
    Ok(TopicOptions { name, format })
}

/// A schema registry: one of those that are there, if it is reached in the same way.
fn registry(avro: &AvroConfig, registries: &mut Vec<Registry>) -> Result<Registry, Problem> {
    let account = match &avro.account {
        Some((user, password)) => Some((user.clone(), Password::new(password.read()?.reveal()))),
        None => None,
    };
    let options = RegistryOptions {
        ca: avro.ca.clone(),
        ..RegistryOptions::new(&avro.registry, account)
    };
    let known = registries.iter().find(|known| *known.options() == options);
    if let Some(known) = known {
        return Ok(known.clone());
    }
    let registry = Registry::new(options);
    registries.push(registry.clone());
    Ok(registry)
}

/// When a micro-batch is full.
pub fn batch_limits(config: &Config) -> Limits {
    Limits {
        max_rows: config.detection.batch_rows,
        max_wait: config.detection.batch_wait,
        ..limits()
    }
}

/// The snapshot that a new state begins with; credentials are the environment's.
pub fn bootstrap(config: &Config) -> Option<BootstrapOptions> {
    let bootstrap = config.detection.bootstrap.as_ref()?;
    Some(BootstrapOptions {
        location: bootstrap.location.clone(),
        store_options: crate::audit::environment(),
        as_of: bootstrap.as_of,
    })
}

/// The archive, with its credentials.
///
/// # Errors
/// When a secret cannot be read.
pub fn archive(config: &Config) -> Result<Option<ArchiveOptions>, Problem> {
    let Some(archive) = &config.archive else {
        return Ok(None);
    };
    let location = match &archive.location {
        ArchiveLocation::Folder(folder) => folder.display().to_string(),
        ArchiveLocation::S3(url) => url.clone(),
    };
    Ok(Some(ArchiveOptions {
        store_options: store_options(archive)?,
        segment_bytes: archive.segment_bytes,
        segment_age: archive.segment_age,
        spool_limit: archive.spool_bytes,
        ..ArchiveOptions::new(location, config.state.join("archive"))
    }))
}

/// What the object store is told; what the file does not say is taken from the environment.
fn store_options(archive: &ArchiveConfig) -> Result<Vec<(String, String)>, Problem> {
    let mut options = crate::audit::environment();
    let mut set = |name: &str, value: &str| options.push((name.to_owned(), value.to_owned()));
    if let Some(endpoint) = &archive.endpoint {
        set("aws_endpoint", endpoint);
        if endpoint.starts_with("http://") {
            set("aws_allow_http", "true");
        }
    }
    if let Some(region) = &archive.region {
        set("aws_region", region);
    }
    if let Some(key) = &archive.access_key {
        set("aws_access_key_id", key.id.read()?.reveal());
        set("aws_secret_access_key", key.secret.read()?.reveal());
    }
    Ok(options)
}
