//! What a right file says.

use super::*;
use crate::schedule::{Cron, Missed};

const EXAMPLE: &str = include_str!("../../../centinel.example.toml");
const PAGE: &str = include_str!("../../../README.md");

#[test]
fn every_field_is_read() {
    let topic = |line, name: &str, format| TopicConfig {
        line,
        name: TopicName::Exact(name.to_owned()),
        format,
    };
    let setting = |name: &str, value| Setting {
        name: name.to_owned(),
        value,
    };
    let plain = |value: &str| SettingValue::Plain(value.to_owned());
    let expected = Config {
        file: "etc/centinel.toml".into(),
        schemas: "etc/the-schemas".into(),
        rules: "/rules".into(),
        state: "etc/the-state".into(),
        findings: Some("etc/f.jsonl".into()),
        findings_store: Some("etc/f.db".into()),
        archive: Some(ArchiveConfig {
            line: 8,
            location: ArchiveLocation::S3("s3://bucket/archive".to_owned()),
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            region: Some("cn-north-1".to_owned()),
            access_key: Some(AccessKey {
                id: variable("KEY_ID"),
                secret: in_file("etc/key"),
            }),
            segment_bytes: 2 << 20,
            segment_age: Duration::seconds(600),
            spool_bytes: 4 << 20,
        }),
        detection: DetectionConfig {
            batch_rows: 16,
            batch_wait: Duration(70_000),
            cache_mib: 64,
            silent_after: Duration::seconds(120),
            bootstrap: Some(BootstrapConfig {
                line: 22,
                location: "etc/snapshot".to_owned(),
                as_of: Timestamp::parse("2026-11-22T08:00:00Z").ok(),
            }),
            forget: true,
        },
        sources: vec![
            Source {
                name: "a-db".to_owned(),
                line: 25,
                config: SourceConfig::Binlog(BinlogConfig {
                    host: "127.0.0.1".to_owned(),
                    port: 3307,
                    user: "reader".to_owned(),
                    password: variable("A_PASSWORD"),
                    server_id: 4711,
                    tls: Tls::Required,
                    ca: Some("etc/ca.pem".into()),
                    snapshot: true,
                    progress: BinlogProgress::HeartbeatTable {
                        database: "pay".to_owned(),
                        table: "beat".to_owned(),
                    },
                }),
            },
            Source {
                name: "b-events".to_owned(),
                line: 36,
                config: SourceConfig::Kafka(KafkaConfig {
                    brokers: "one:9092,[::1]:9093".to_owned(),
                    group: "shown".to_owned(),
                    progress: KafkaProgress::Broker {
                        delay: Duration::seconds(3),
                    },
                    start: Start::Latest,
                    settings: vec![
                        setting("log.queue", plain("true")),
                        setting(
                            "sasl.password",
                            SettingValue::Secret(variable("B_PASSWORD")),
                        ),
                        setting("socket.timeout.ms", plain("1000")),
                    ],
                    topics: vec![
                        topic(
                            46,
                            "paid",
                            FormatConfig::JsonEvent {
                                event: "payment_completed".to_owned(),
                            },
                        ),
                        topic(51, "lines", FormatConfig::Lines),
                    ],
                }),
            },
            Source {
                name: "c-topics".to_owned(),
                line: 54,
                config: SourceConfig::Kafka(KafkaConfig {
                    brokers: "one:9092".to_owned(),
                    group: "centinel".to_owned(),
                    progress: KafkaProgress::Heartbeat {
                        table: "beat".to_owned(),
                    },
                    start: Start::Earliest,
                    settings: Vec::new(),
                    topics: vec![
                        TopicConfig {
                            line: 58,
                            name: TopicName::Pattern(r"^c\.(a|b)$".to_owned()),
                            format: FormatConfig::Debezium(DebeziumConfig {
                                decimals: Decimals::Numeric,
                                times: Some(TimeUnit::Micros),
                                servers: vec![7, 8],
                            }),
                        },
                        topic(
                            63,
                            "avro",
                            FormatConfig::DebeziumAvro(AvroConfig {
                                registry: "https://registry:8081".to_owned(),
                                account: Some(("reader".to_owned(), in_file("/run/registry"))),
                                ca: Some("etc/registry.pem".into()),
                                servers: vec![9],
                            }),
                        ),
                        topic(
                            71,
                            "flat",
                            FormatConfig::DebeziumFlat(DebeziumConfig {
                                decimals: Decimals::Precise,
                                times: None,
                                servers: Vec::new(),
                            }),
                        ),
                        topic(75, "canal", FormatConfig::Canal),
                        topic(78, "maxwell", FormatConfig::Maxwell),
                    ],
                }),
            },
            Source {
                name: "d-log".to_owned(),
                line: 81,
                config: SourceConfig::File(FileConfig {
                    path: "etc/../log.jsonl".into(),
                }),
            },
        ],
        audits: vec![nightly(), past()],
        breaker: None,
        breaker_report: Some(BreakerReportConfig {
            line: 104,
            url: "https://breaker:7070".to_owned(),
            key: variable("REPORT_KEY"),
            ca: Some("etc/breaker.pem".into()),
            deadline: Duration::seconds(3),
            suspicions: true,
        }),
        alerts: None,
        self_check: None,
        interface: Some(InterfaceConfig {
            line: 110,
            listen: "0.0.0.0:9000".parse().unwrap(),
            token: variable("INTERFACE_TOKEN"),
            tls: Some(InterfaceTls {
                certificate: "etc/chain.pem".into(),
                key: "etc/key.pem".into(),
                ca: Some("etc/ca.pem".into()),
            }),
        }),
        console: None,
        drills: Vec::new(),
    };
    let config = parse(EVERY_FIELD).unwrap();
    assert_eq!(config, expected);
    let lines: Vec<usize> = config.secrets().iter().map(|secret| secret.line).collect();
    assert_eq!(lines, [12, 13, 30, 45, 69, 106, 112]);
}

fn nightly() -> AuditConfig {
    let place = Place::parse("lake/%Y-%m-%d").unwrap();
    AuditConfig {
        name: "nightly".to_owned(),
        line: 84,
        input: AuditInput::Snapshot(place.below(Path::new("etc/"))),
        lag: Duration::seconds(86_400),
        cut: AuditCut::Scheduled,
        folders: vec!["etc/rules".into(), "/quality".into()],
        rules: vec!["a".to_owned(), "b".to_owned()],
        tags: vec!["c".to_owned()],
        timing: Timing {
            cron: Cron::parse("30 2 * * *").unwrap(),
            zone: "Asia/Shanghai".parse().unwrap(),
            missed: Missed::Skip,
            differs: true,
        },
        baseline: Some("etc/known.yaml".into()),
        reports: "etc/the-reports".into(),
        keep: 30,
        timeout: Duration::seconds(3_600),
        memory: 1 << 30,
        fail_on: Severity::Warn,
        sudden_change: Some(SuddenChange {
            rows_percent: Some(50),
            totals_percent: Some(60),
            over: 9,
            from: 4,
            severity: Severity::Warn,
        }),
    }
}

/// As little as an audit can say.
fn past() -> AuditConfig {
    AuditConfig {
        name: "past".to_owned(),
        line: 101,
        input: AuditInput::Archive(Place::parse("s3://bucket/archive").unwrap()),
        lag: Duration::seconds(900),
        cut: AuditCut::Manifest,
        folders: Vec::new(),
        rules: Vec::new(),
        tags: Vec::new(),
        timing: Timing {
            cron: Cron::parse("@hourly").unwrap(),
            zone: chrono_tz::Tz::UTC,
            missed: Missed::CatchUp,
            differs: true,
        },
        baseline: None,
        reports: "etc/reports".into(),
        keep: 100,
        timeout: Duration::seconds(6 * 3_600),
        memory: 4 << 30,
        fail_on: Severity::Error,
        sudden_change: None,
    }
}

#[test]
fn who_only_audits_needs_no_sources_and_no_state() {
    let text = EVERY_FIELD.split("[audits.nightly]").nth(1).unwrap();
    let text = text.split("[breaker_report]").next().unwrap();
    let config = parse(&format!("centinel = \"config/1\"\n[audits.nightly]{text}")).unwrap();
    assert_eq!((config.sources.len(), config.audits.len()), (0, 2));
    assert_eq!(config.state, Path::new("etc/state"));
}

#[test]
fn what_is_left_out_is_as_the_page_says() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.schemas, Path::new("etc/schemas"));
    assert_eq!(config.rules, Path::new("etc/sql-rules"));
    let detection = DetectionConfig {
        batch_rows: 10,
        ..DetectionConfig::default()
    };
    assert_eq!(config.detection, detection);
    let archive = config.archive.unwrap();
    assert_eq!(archive.segment_bytes, 64 << 20);
    assert_eq!(archive.segment_age, Duration::seconds(300));
    assert_eq!(archive.spool_bytes, 20 << 30);
    let SourceConfig::Binlog(binlog) = &config.sources[0].config else {
        panic!("{:?}", config.sources[0]);
    };
    assert_eq!((binlog.port, binlog.tls), (3306, Tls::Required));
    assert_eq!((binlog.snapshot, &binlog.ca), (false, &None));
    assert_eq!(binlog.progress, BinlogProgress::Server);
    let SourceConfig::Kafka(kafka) = &config.sources[1].config else {
        panic!("{:?}", config.sources[1]);
    };
    let delay = Duration::seconds(2);
    assert_eq!(kafka.progress, KafkaProgress::Broker { delay });
    assert_eq!(
        (kafka.group.as_str(), kafka.start),
        ("centinel", Start::Earliest)
    );
    let report = "[breaker_report]\nurl = \"http://127.0.0.1:7070\"\nkey = { env = \"KEY\" }\n";
    let report = parse(&format!("{SMALL}{report}")).unwrap().breaker_report;
    let report = report.unwrap();
    assert_eq!(
        (report.deadline, report.suspicions),
        (Duration::seconds(2), false)
    );
    assert_eq!(report.ca, None);
    let interface = "[interface]\ntoken = { env = \"TOKEN\" }\n";
    let interface = parse(&format!("{SMALL}{interface}")).unwrap().interface;
    let interface = interface.unwrap();
    assert_eq!(interface.listen, "127.0.0.1:9464".parse().unwrap());
    assert_eq!(interface.tls, None);
    let little = SMALL.split("[archive]").next().unwrap();
    let config = parse(little).unwrap();
    assert_eq!((config.archive, config.findings), (None, None));
}

#[test]
fn only_what_stays_on_this_machine_goes_in_the_clear_unasked() {
    let hosts = [
        ("127.0.0.1", Tls::Off),
        ("127.8.9.1", Tls::Off),
        ("localhost", Tls::Off),
        ("::1", Tls::Off),
        ("10.0.0.1", Tls::Required),
        ("localhost.example.com", Tls::Required),
        ("127.0.0.1.example.com", Tls::Required),
    ];
    for (host, tls) in hosts {
        let config = parse(&SMALL.replace("db.example.com", host)).unwrap();
        let SourceConfig::Binlog(binlog) = &config.sources[0].config else {
            panic!("{host}");
        };
        assert_eq!(binlog.tls, tls, "{host}");
    }
}

#[test]
fn archives_lie_in_folders_too() {
    let at = |url: &str| {
        let config = parse(&SMALL.replace("s3://bucket/archive", url)).unwrap();
        config.archive.unwrap().location
    };
    assert_eq!(at("archive"), ArchiveLocation::Folder("etc/archive".into()));
    assert_eq!(
        at("file:///archive"),
        ArchiveLocation::Folder("/archive".into())
    );
}

#[test]
fn a_file_may_have_the_breaker_alone_and_the_breaker_reads_any() {
    let alone = format!("centinel = \"config/1\"\n{BREAKER}");
    for text in [alone.clone(), format!("{EVERY_FIELD}{BREAKER}")] {
        let breaker = parse(&text).unwrap().breaker.unwrap();
        assert_eq!(breaker.service.store, Path::new("etc/breaker.db"));
        assert_eq!(breaker.holds_suspected(), ["cash_out"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("centinel.toml");
    // What is wrong elsewhere does not keep the breaker from starting.
    for (text, starts) in [
        (alone.clone(), true),
        (format!("{BREAKER}centinel = \"config/1\"\n"), false),
        (format!("{alone}[sources.db]\nkind = \"mongodb\"\n"), true),
        ("centinel = \"config/1\"\n".to_owned(), false),
        (alone.replace("config/1", "config/2"), false),
    ] {
        std::fs::write(&path, &text).unwrap();
        let loaded = Config::load_breaker(&path);
        assert_eq!(loaded.is_ok(), starts, "{text}: {loaded:?}");
    }
}

#[test]
fn the_example_is_right_and_complete() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::parse(EXAMPLE, &manifest.join("centinel.example.toml")).unwrap();
    let catalog = centinel_catalog::load(&config.schemas).unwrap();
    let names: Vec<&str> = catalog.sources.iter().map(String::as_str).collect();
    assert_eq!(check_against(&config, &names), []);
}

#[test]
fn the_page_names_every_field() {
    for line in EVERY_FIELD.lines() {
        if let Some((name, _)) = line.split_once(" = ")
            && !name.starts_with('"')
        {
            assert!(
                PAGE.contains(&format!("`{name}`")),
                "README.md tells nothing of `{name}`"
            );
        }
    }
}

#[test]
fn sources_and_schemas_must_name_the_same() {
    let config = parse(SMALL).unwrap();
    let found = |names: &[&str]| -> Vec<(usize, String, String)> {
        let found = check_against(&config, names).into_iter();
        found
            .map(|found| (found.line, found.problem, found.remedy))
            .collect()
    };
    let text = |line, problem: &str, remedy: &str| (line, problem.to_owned(), remedy.to_owned());
    assert_eq!(found(&["db", "events", "log"]), []);
    assert_eq!(
        found(&["db", "event", "log"]),
        [text(
            9,
            "no schema file names the source `events`",
            "did you mean `event`?"
        )],
    );
    assert_eq!(
        found(&["db", "events"]),
        [text(
            17,
            "no schema file names the source `log`",
            "remove the entry, or name it as `source` in a schema file"
        )],
    );
    assert_eq!(
        found(&["db", "events", "log", "cash.out"]),
        [text(
            0,
            "nothing says where the source `cash.out` of the schemas is read",
            "add [sources.\"cash.out\"] with its `kind`: binlog, kafka or file"
        )],
    );
    assert_eq!(
        found(&["db", "log", "settlement-db"]),
        [
            text(
                9,
                "no schema file names the source `events`",
                "use one of those that have no entry yet: `settlement-db`"
            ),
            text(
                0,
                "nothing says where the source `settlement-db` of the schemas is read",
                "add [sources.settlement-db] with its `kind`: binlog, kafka or file"
            ),
        ],
    );
}
