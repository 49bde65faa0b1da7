//! The README's "Connect your platform", run as it is written but for the ports, beside a real MariaDB and a real Kafka.
#![allow(clippy::unwrap_used, clippy::panic)]

mod readme;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use readme::blocks;
use test_servers::{Kafka, MariaDb};

/// What any wait ends with at the latest.
const LONG: Duration = Duration::from_secs(90);
const DETECT: &str = "centinel detect ";

/// A terminal in a folder, with what a platform's people have on their path.
struct Terminal {
    folder: tempfile::TempDir,
    path: String,
    password: &'static str,
    ports: [(String, String); 2],
}

impl Terminal {
    fn new(mariadb: &MariaDb, kafka: &Kafka) -> Terminal {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_centinel"), bin.join("centinel")).unwrap();
        for (name, class) in [
            ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
            (
                "kafka-console-producer.sh",
                "org.apache.kafka.tools.ConsoleProducer",
            ),
        ] {
            let script = format!("#!/bin/sh\nexec {} \"$@\"\n", Kafka::command_line(class));
            std::fs::write(bin.join(name), script).unwrap();
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(bin.join(name), executable).unwrap();
        }
        let broker = kafka.bootstrap();
        Terminal {
            path: format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
            folder,
            password: mariadb.admin_password(),
            ports: [
                ("3306".into(), mariadb.port().to_string()),
                ("9092".into(), broker.rsplit(':').next().unwrap().into()),
            ],
        }
    }

    fn shell(&self, block: &str) -> Command {
        let mut block = block.to_owned();
        for (usual, port) in &self.ports {
            block = block.replace(usual, port);
        }
        let mut shell = Command::new("bash");
        shell
            .args(["-e", "-u", "-o", "pipefail", "-c", &block])
            .current_dir(self.folder.path());
        shell
            .env("PATH", &self.path)
            .env("MYSQL_PWD", self.password);
        shell.env("PAYMENT_DB_PASSWORD", "change me");
        shell
    }

    fn run(&self, block: &str) -> String {
        let done = self.shell(block).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{block}\n{said}\n{complaint}");
        said
    }
}

/// Ends with the test, whatever its end.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn from_running_servers_to_a_first_finding() {
    let (mariadb, kafka) = (MariaDb::start(&[]), Kafka::start());
    let terminal = Terminal::new(&mariadb, &kafka);
    // The README makes this user itself.
    mariadb.execute(&format!("DROP USER '{}'@'%'", mariadb.user()));
    let blocks = blocks("Connect your platform");
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
    let terminal = Terminal::new(&mariadb, &kafka);
    let files = blocks("Connect your platform");
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
