//! `centinel quarantine`, as people call it: beside a detection that follows its log, and without one.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What any wait ends with at the latest.
const LIMIT: Duration = Duration::from_secs(120);

const PAYMENT: &str = "centinel: schema/1
table: payment
system: payment
source: payment-db
primary_key: [payment_no]
entities: { order: [order_no] }
columns:
  payment_no: text
  order_no: text
  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }
  updated_at: timestamp
changed_at: updated_at
";
const MENDED: &str = "  channel: { type: text, nullable: true }\nchanged_at: updated_at\n";
const RULE: &str = "/* ---
id: no-large-payment
title: No payment is large
entity: order
severity: error
key: [order_no, payment_no]
amount: amount
currency: CNY
owner: payment
settle: 0s
retries: 0
status: stable
--- */
SELECT order_no, payment_no, amount
FROM payment
WHERE amount > 100
";

struct Shop(tempfile::TempDir);

impl Shop {
    /// Three large payments. The second and the third were made small again, which could not be read; nor could a line of
    /// which nobody knows whose it was, long before.
    fn new() -> Shop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let shop = Shop(tempfile::tempdir().unwrap());
        shop.write(
            "schemas/entities.yaml",
            "centinel: entities/1\nentities: { order: { key: [order_no] } }\n",
        );
        shop.write("schemas/payment.yaml", PAYMENT);
        shop.write("rules/no-large-payment.sql", RULE);
        shop.write("token", "0123456789abcdef0123456789abcdef");
        shop.write(
            "centinel.toml",
            &format!(
                "centinel = \"config/1\"\nschemas = \"schemas\"\nrules = \"rules\"\nstate = \"state\"\n\
                 [findings]\nfile = \"findings.jsonl\"\n\
                 [interface]\nlisten = \"127.0.0.1:{port}\"\ntoken = {{ file = \"token\" }}\n\
                 [sources.payment-db]\nkind = \"file\"\npath = \"log.jsonl\"\n"
            ),
        );
        let row = |number: u64, amount: &str, more: &str| {
            format!(
                r#"{{"payment_no":"P{number}","order_no":"O{number}","amount":"{amount}","updated_at":"2026-11-22T08:00:00Z"{more}}}"#
            )
        };
        let change = |sequence: u64, minute: u64, images: &str| {
            format!(
                r#"{{"table":"payment","op":"{}","epoch":1,"sequence":{sequence},"ordinal":0,"last":true,"committed_at":"2026-11-22T08:{minute:02}:00Z",{images}}}"#,
                if images.starts_with("\"before") {
                    "update"
                } else {
                    "insert"
                }
            )
        };
        let heartbeat = |minute: u64| {
            format!(
                r#"{{"heartbeat":"payment-db","committed_at":"2026-11-22T08:{minute:02}:30Z"}}"#
            )
        };
        let mut lines = vec![
            heartbeat(0),
            r#"{"table":"payment","op":"ins"#.into(),
            heartbeat(1),
        ];
        for number in 1..=3 {
            let images = format!(r#""after":{}"#, row(number, "500.00", ""));
            lines.push(change(number, 30, &images));
        }
        for number in 2..=3 {
            let (large, small) = (
                row(number, "500.00", ""),
                row(number, "50.00", r#","channel":"WX""#),
            );
            let images = format!(r#""before":{large},"after":{small}"#);
            lines.push(change(number + 2, 31, &images));
        }
        lines.push(heartbeat(59));
        shop.write("log.jsonl", &format!("{}\n", lines.join("\n")));
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    }

    fn mend(&self) {
        self.write(
            "schemas/payment.yaml",
            &PAYMENT.replace("changed_at: updated_at\n", MENDED),
        );
    }

    /// `centinel` with this configuration.
    fn centinel(&self, arguments: &[&str]) -> (i32, String, String) {
        let done = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            done.status.code().unwrap(),
            text(done.stdout),
            text(done.stderr),
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn told(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("findings.jsonl")).unwrap_or_default();
        let lines = text.lines().filter(|line| line.ends_with('}'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The last verdict on the payment of each order, `O1` first.
    fn verdicts(&self) -> Vec<String> {
        let told = self.told();
        let last = |order: &str| {
            let own = told.iter().rev().find(|message| {
                message["rule"] == "no-large-payment" && message["entity_key"] == *order
            });
            own.map_or(String::new(), |own| {
                own["verdict"].as_str().unwrap().to_owned()
            })
        };
        ["O1", "O2", "O3"].map(last).into()
    }

    fn settled(&self) -> Vec<(u64, String)> {
        let told = self.told().into_iter();
        let told = told.filter(|message| message["schema"] == "centinel/settled/1");
        told.map(|message| {
            assert_eq!(message["by"], "Li Wei");
            (
                message["number"].as_u64().unwrap(),
                message["to"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
    }
}

const BY: [&str; 4] = ["--by", "Li Wei", "--reason", "as it should be"];

fn with<'a>(task: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["quarantine", task], arguments].concat()
}

fn settle<'a>(task: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&with(task, arguments), &BY[..]].concat()
}

#[test]
fn without_detection_the_state_is_opened() {
    let shop = Shop::new();
    let detect = ["detect", "--config", "centinel.toml", "--until-now"];
    let (status, _, complaint) = shop.centinel(&detect);
    assert_eq!(status, 3, "{complaint}");
    assert!(
        complaint.contains("3 records wait in quarantine"),
        "{complaint}"
    );
    assert_eq!(
        shop.verdicts(),
        ["confirmed", "undetermined", "undetermined"]
    );

    let (status, listed, _) = shop.centinel(&with("list", &[]));
    assert_eq!(status, 3, "{listed}");
    let numbers: Vec<&str> = listed
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(numbers, ["3", "2", "1"], "{listed}");
    assert!(listed.contains("unknown_column payment in"), "{listed}");
    assert!(listed.contains("[order O3]"), "{listed}");
    let (status, shown, _) = shop.centinel(&with("show", &["1"]));
    assert_eq!(status, 0);
    assert!(
        shown.contains("  {\"table\":\"payment\",\"op\":\"ins"),
        "{shown}"
    );
    let (_, jsonl, _) = shop.centinel(&with(
        "list",
        &["--format", "jsonl", "--reason-like", "malformed"],
    ));
    let record: Value = serde_json::from_str(jsonl.trim()).unwrap();
    assert_eq!(
        (record["number"].as_u64(), record["standing"].as_str()),
        (Some(1), Some("waiting"))
    );

    // Nothing is done that is not asked for whole.
    for (arguments, why) in [
        (settle("accept", &[]), "name records by their numbers"),
        (settle("accept", &["9"]), "none of these records"),
        (
            settle("accept", &["1-3", "--most", "2"]),
            "more than 2 records",
        ),
        (with("accept", &["1"]), "--by"),
        (settle("accept", &["3-1"]), "stands first"),
    ] {
        let (status, _, complaint) = shop.centinel(&arguments);
        assert_eq!(status, 64, "{arguments:?}: {complaint}");
        assert!(complaint.contains(why), "{arguments:?}: {complaint}");
    }
    let (status, _, complaint) = shop.centinel(&settle("redrive", &["1-3"]));
    assert_eq!(status, 3, "{complaint}");
    assert_eq!(
        complaint.matches("still cannot be read").count(),
        3,
        "{complaint}"
    );
    assert_eq!(shop.centinel(&with("list", &[])).1, listed);

    // One is accepted as it is; what it was about stays as found.
    let (status, done, complaint) = shop.centinel(&settle("accept", &["1", "3"]));
    assert_eq!((status, complaint.as_str()), (0, ""), "{done}");
    assert!(
        done.starts_with("record 1: accepted\nrecord 3: accepted\n2 records settled"),
        "{done}"
    );
    let (_, listed, _) = shop.centinel(&with("list", &[]));
    assert!(
        listed.starts_with("2 ") && listed.lines().count() == 1,
        "{listed}"
    );
    let (_, all, _) = shop.centinel(&with("list", &["--all"]));
    assert!(all.contains("accepted by Li Wei at 20"), "{all}");
    assert!(
        shop.settled().is_empty(),
        "nothing is told before detection runs"
    );
    assert_eq!(shop.centinel(&detect).0, 3);
    assert_eq!(shop.verdicts(), ["confirmed", "undetermined", "confirmed"]);
    assert_eq!(
        shop.settled(),
        [(1, "accepted".into()), (3, "accepted".into())]
    );

    // The other is read after all.
    shop.mend();
    let (status, done, complaint) =
        shop.centinel(&settle("redrive", &["--reason-like", "unknown_column"]));
    assert_eq!(status, 0, "{complaint}");
    assert!(
        done.starts_with("record 2: re-driven\n1 record settled"),
        "{done}"
    );
    let (status, _, complaint) = shop.centinel(&detect);
    assert_eq!(status, 2, "{complaint}");
    assert_eq!(shop.verdicts(), ["confirmed", "cleared", "confirmed"]);
    assert_eq!(shop.settled().len(), 3);
    let (status, listed, _) = shop.centinel(&with("list", &[]));
    assert_eq!((status, listed.as_str()), (0, "no record\n"));

    // By the state alone, and in the store of findings.
    let (status, listed, complaint) = shop.centinel(&with(
        "list",
        &[
            "--all",
            "--state",
            "state",
            "--schemas",
            "schemas",
            "--rules",
            "rules",
        ],
    ));
    assert_eq!((status, listed.lines().count()), (0, 3), "{complaint}");
    let (status, _, complaint) = shop.centinel(&[
        "findings",
        "list",
        "--store",
        "findings.db",
        "--from",
        "findings.jsonl",
    ]);
    assert_eq!((status, complaint.as_str()), (2, ""));
}

/// A process that is ended with the test.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn follow(shop: &Shop, log: &Path) -> Following {
    let complaints = std::fs::File::create(log).unwrap();
    let mut command = shop.command(&["detect", "--config", "centinel.toml"]);
    let child = command.stdout(Stdio::null()).stderr(complaints).spawn();
    Following(child.unwrap())
}

#[test]
fn a_detection_that_runs_is_asked() {
    let shop = Shop::new();
    let complaints = shop.path("complaints");
    let mut following = follow(&shop, &complaints);
    until("what was read is judged", || {
        shop.verdicts() == ["confirmed", "undetermined", "undetermined"]
    });
    let (status, listed, complaint) = shop.centinel(&with("list", &[]));
    assert_eq!(
        (status, listed.lines().count()),
        (3, 3),
        "{listed}{complaint}"
    );
    let (status, shown, _) = shop.centinel(&with("show", &["2"]));
    assert!(
        status == 0 && shown.contains("\"channel\":\"WX\""),
        "{shown}"
    );
    assert_eq!(shop.centinel(&with("show", &["4"])).0, 64);
    let (status, _, complaint) = shop.centinel(&settle("redrive", &["2"]));
    assert_eq!(status, 3, "{complaint}");
    assert!(complaint.contains("still cannot be read"), "{complaint}");
    // The state itself is in use.
    let (status, _, complaint) = shop.centinel(&with("list", &["--state", "state"]));
    assert!(
        status == 3 && complaint.contains("detection runs"),
        "{complaint}"
    );

    let (status, done, complaint) = shop.centinel(&settle("accept", &["3", "1"]));
    assert_eq!(status, 0, "{complaint}");
    assert!(done.ends_with("judged again now\n"), "{done}");
    assert_eq!(
        shop.settled(),
        [(1, "accepted".into()), (3, "accepted".into())]
    );
    until("the doubt has ended", || {
        shop.verdicts() == ["confirmed", "undetermined", "confirmed"]
    });

    shop.mend();
    until("the schemas are taken over", || {
        std::fs::read_to_string(&complaints)
            .unwrap()
            .contains("taken over: schemas")
    });
    until("it is read again", || {
        shop.centinel(&settle("redrive", &["2"])).0 == 0
    });
    until("what it says is judged", || {
        shop.verdicts() == ["confirmed", "cleared", "confirmed"]
    });
    let (status, _, complaint) = shop.centinel(&settle("accept", &["2"]));
    assert!(
        status == 64 && complaint.contains("none of these records"),
        "{complaint}"
    );

    // Killed at any moment: what was answered stays.
    following.0.kill().unwrap();
    following.0.wait().unwrap();
    drop(following);
    let (status, _, _) = shop.centinel(&with("list", &[]));
    assert_eq!(status, 0);
    let detect = ["detect", "--config", "centinel.toml", "--until-now"];
    assert_eq!(shop.centinel(&detect).0, 2);
    let settled = [
        (1, "accepted".into()),
        (3, "accepted".into()),
        (2, "redriven".into()),
    ];
    assert_eq!(shop.settled(), settled);
}
