//! The README's "Connect your platform", run as it is written but for the ports, beside a real MariaDB and a real Kafka.
#![allow(clippy::unwrap_used, clippy::panic)]

mod terminal;

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use terminal::{Background, Terminal, blocks};
use test_servers::{Kafka, MariaDb};

/// What any wait ends with at the latest.
const LONG: Duration = Duration::from_secs(90);
const DETECT: &str = "centinel detect ";

/// A terminal with what a platform's people have on their path.
fn terminal(mariadb: &MariaDb, kafka: &Kafka) -> Terminal {
    let broker = kafka.bootstrap();
    let broker = broker.rsplit(':').next().unwrap().parse().unwrap();
    let ports = vec![("3306", mariadb.port()), ("9092", broker)];
    let terminal = Terminal::new(mariadb.admin_password(), ports);
    for (name, class) in [
        ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
        (
            "kafka-console-producer.sh",
            "org.apache.kafka.tools.ConsoleProducer",
        ),
    ] {
        terminal.install(name, &Kafka::command_line(class));
    }
    terminal
}

/// The section's shell blocks, in order.
fn shell_blocks() -> Vec<String> {
    let blocks = blocks("Connect your platform").into_iter();
    let blocks = blocks.filter(|block| block.language == "sh");
    blocks.map(|block| block.text).collect()
}

#[test]
fn from_running_servers_to_a_first_finding() {
    let (mariadb, kafka) = (MariaDb::start(&[]), Kafka::start());
    let terminal = terminal(&mariadb, &kafka);
    // The README makes this user itself.
    mariadb.execute(&format!("DROP USER '{}'@'%'", mariadb.user()));
    let blocks = shell_blocks();
    assert!(blocks.len() >= 7, "{blocks:#?}");
    let mut detection = None;
    for block in &blocks {
        if block.starts_with(DETECT) {
            // The shell becomes the program, so that it is the program that ends with the test.
            let child = terminal
                .shell(&format!("exec {block}"))
                .stderr(Stdio::piped())
                .spawn();
            detection = Some(Background(child.unwrap()));
            continue;
        }
        let said = terminal.run(block);
        if block.contains("centinel check") {
            assert!(said.contains("payment-db: can be read"), "{said}");
            assert!(said.contains("business-events: can be read"), "{said}");
        }
    }
    let mut detection = detection.expect("the README runs detection");
    let findings = terminal.folder.path().join("shop/findings.jsonl");
    let began = Instant::now();
    let told = loop {
        let told = std::fs::read_to_string(&findings).unwrap_or_default();
        if told.ends_with('\n') {
            break told;
        }
        if began.elapsed() > LONG {
            let _ = detection.0.kill();
            let mut complaints = String::new();
            let mut said = detection.0.stderr.take().unwrap();
            said.read_to_string(&mut complaints).unwrap();
            panic!("nothing was found in {LONG:?}: {complaints}");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(told.lines().count(), 1, "{told}");
    let finding: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(finding["rule"], "published-is-paid");
    assert_eq!(finding["entity_key"], "E1");
    assert_eq!(finding["amount"], "1237.50");
    assert_eq!(finding["verdict"], "confirmed");
    assert!(
        finding["hint"].as_str().unwrap().contains("100"),
        "{finding}"
    );
}

/// What is printed is what a server takes, and it beats by itself from then on.
#[test]
fn the_heartbeat_that_is_printed_beats() {
    let (mariadb, kafka) = (MariaDb::start(&[]), Kafka::start());
    let terminal = terminal(&mariadb, &kafka);
    let files = shell_blocks();
    for block in files
        .iter()
        .filter(|block| block.contains("<<'YAML'") || block.contains("<<'TOML'"))
    {
        terminal.run(block);
    }
    let config = terminal.folder.path().join("shop/centinel.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let table = "snapshot = true\nprogress = { heartbeat_table = \"shop.centinel_heartbeat\" }";
    std::fs::write(&config, text.replace("snapshot = true", table)).unwrap();
    let printed = terminal.run("centinel heartbeats --config shop/centinel.toml");
    mariadb.execute("CREATE DATABASE shop");
    mariadb.execute(&printed);
    let beat = || mariadb.query("SELECT MAX(beat_at) FROM shop.centinel_heartbeat")[0][0].clone();
    let began = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        seen.extend(beat());
        assert!(began.elapsed() < LONG, "{seen:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
