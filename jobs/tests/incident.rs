//! The README's "Repair without a second loss", run as it is written but for the port, beside a real MariaDB. What comes
//! of it is compared with the simulated platform before its incident, which shares no code with Centinel.
#![allow(clippy::unwrap_used, clippy::panic)]

mod terminal;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use data_fixtures::incident::Incident;
use data_fixtures::{Row, Settlement, SettlementKind};
use serde_json::Value;
use terminal::{Background, Done, Terminal, blocks, root};
use test_servers::MariaDb;

/// What any wait ends with at the latest.
const LONG: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(250);
/// The seed of the committed set.
const SEED: u64 = 4;
const UNBALANCED: &str = "settled-equals-paid-minus-refunded";
const NOT_TAKEN_BACK: &str = "refund-is-settled-back";
const BY_HAND: &str = "manual-change-settlement";
/// All that somebody changed by hand: fen, in one settlement.
const EXTRA: i64 = 5_000;

/// What of the incident must be found, by the simulated platform.
struct Truth {
    healthy: Vec<Row>,
    /// By order, what is settled too much, in fen.
    hit: BTreeMap<String, i64>,
    /// Orders of which a refund was settled in the hour.
    refunded: BTreeSet<String>,
}

impl Truth {
    fn new() -> Truth {
        let incident = Incident::simulate(SEED);
        let healthy: Vec<Row> = incident.healthy().copied().collect();
        let mut truth = Truth {
            healthy,
            hit: BTreeMap::new(),
            refunded: BTreeSet::new(),
        };
        for row in settlements(&truth.healthy) {
            let order = row.order_no.text();
            if incident.is_hit(row) {
                *truth.hit.entry(order).or_default() += 99 * row.amount;
            } else if incident.is_hit(&of_payment(row)) {
                truth.refunded.insert(order);
            }
        }
        truth
    }

    /// What every settlement was meant to be, in fen.
    fn amounts(&self) -> BTreeMap<String, i64> {
        let rows = settlements(&self.healthy);
        rows.map(|row| (row.settlement_no.text(), row.amount))
            .collect()
    }
}

fn settlements(rows: &[Row]) -> impl Iterator<Item = &Settlement> {
    rows.iter().filter_map(|row| match row {
        Row::Settlement(row) => Some(row),
        _ => None,
    })
}

/// The same as if it settled a payment.
fn of_payment(row: &Settlement) -> Settlement {
    Settlement {
        kind: SettlementKind::Payment,
        ..*row
    }
}

/// The exit status with which a block must end.
fn expected(block: &str) -> i32 {
    let findings = [
        "centinel audit",
        "centinel changes",
        "centinel repair plan --snapshot snapshot --sql first.sql",
    ];
    match findings.iter().any(|found| block.contains(found)) {
        true => 2,
        false => 0,
    }
}

/// Whether this stands in what was said, whatever blanks are between its words; `…` is any text within a line.
fn stands(line: &str, said: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = plain(line);
    said.lines().map(plain).any(|told| {
        let mut rest = told.as_str();
        line.split('…').all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

/// The last word on each finding, by rule and order.
fn told(findings: &Path) -> BTreeMap<(String, String), Value> {
    let text = std::fs::read_to_string(findings).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let named = |value: &Value, field: &str| value[field].as_str().unwrap().to_owned();
    lines
        .filter(|line| line["schema"].as_str().unwrap().contains("finding"))
        .map(|line| ((named(&line, "rule"), named(&line, "entity_key")), line))
        .collect()
}

/// The orders of which this rule's finding is confirmed.
fn confirmed(findings: &Path, rule: &str) -> BTreeSet<String> {
    let told = told(findings).into_iter();
    told.filter(|((of, _), finding)| of == rule && finding["verdict"] == "confirmed")
        .map(|((_, order), _)| order)
        .collect()
}

fn fen(yuan: &str) -> i64 {
    let (whole, cents) = yuan.split_once('.').unwrap();
    assert_eq!(cents.len(), 2, "{yuan}");
    format!("{whole}{cents}").parse().unwrap()
}

fn wait(what: &str, mut done: impl FnMut() -> Option<String>) {
    let began = Instant::now();
    while let Some(so_far) = done() {
        assert!(began.elapsed() < LONG, "{what}: {so_far}");
        std::thread::sleep(PAUSE);
    }
}

/// One run of the section.
struct Walk {
    mariadb: MariaDb,
    terminal: Terminal,
    truth: Truth,
    detection: Option<Background>,
    /// The last block, and what it came to.
    last: Option<(String, Done)>,
    /// Where the server's log stood after the change by hand.
    by_hand: Option<String>,
}

impl Walk {
    fn run(&mut self, block: &str) {
        if block.starts_with("centinel detect") {
            return self.detect(block);
        }
        let done = self.terminal.done(block);
        // What is asked about detection is asked again until it has come so far.
        if !asks_detection(block) {
            let complaints = &done.complaints;
            assert_eq!(
                done.status,
                expected(block),
                "{block}\n{}\n{complaints}",
                done.said
            );
        }
        self.last = Some((block.to_owned(), done));
        if block.contains("cp -r") {
            self.set_port();
        } else if block.contains("centinel audit") {
            self.check_audit();
        } else if block.contains("first.sql") {
            self.check_first();
        } else if block.contains("--execute") {
            self.by_hand = Some(self.mariadb.gtid_position());
        }
    }

    /// What the README says that was said.
    fn check(&mut self, text: &str) {
        let (block, mut done) = self.last.take().unwrap();
        wait("the README shows something else", || {
            let missing = |done: &Done| text.lines().find(|line| !stands(line, &done.said));
            if asks_detection(&block) && missing(&done).is_some() {
                done = self.terminal.done(&block);
            }
            let so_far = format!(
                "{}\nis not in\n{}{}",
                missing(&done)?,
                done.said,
                done.complaints
            );
            assert!(asks_detection(&block), "{so_far}");
            Some(so_far)
        });
        assert_eq!(done.status, expected(&block), "{}", done.said);
    }

    /// The README's folder is told where this server listens.
    fn set_port(&self) {
        let config = self.terminal.here().join("centinel.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, self.terminal.with_ports(&text)).unwrap();
    }

    /// Another terminal: the shell becomes the program, so that it is the program that ends with the test.
    fn detect(&mut self, block: &str) {
        let mut shell = self.terminal.shell(&format!("exec {block}"));
        let complaints = self.terminal.folder.path().join("detection");
        let file = std::fs::File::create(&complaints).unwrap();
        let child = shell.stderr(Stdio::from(file)).spawn().unwrap();
        self.detection = Some(Background(child));
        let findings = self.findings();
        let hit: BTreeSet<String> = self.truth.hit.keys().cloned().collect();
        wait("detection finds the incident", || {
            let found = confirmed(&findings, UNBALANCED);
            let said = std::fs::read_to_string(&complaints).unwrap();
            (found != hit).then(|| format!("{} of {}: {said}", found.len(), hit.len()))
        });
    }

    fn findings(&self) -> std::path::PathBuf {
        self.terminal.here().join("findings.jsonl")
    }

    /// The audit finds every order that the incident hit, with what is settled too much, and nothing else.
    fn check_audit(&self) {
        let done = self
            .terminal
            .done("centinel audit --snapshot snapshot --format jsonl");
        let lines = done.said.lines();
        let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let findings: Vec<Value> = lines
            .filter(|line| line["verdict"] == "confirmed")
            .collect();
        assert!(findings.iter().all(|finding| finding["rule"] == UNBALANCED));
        let found: BTreeMap<String, i64> = findings
            .iter()
            .map(|finding| {
                let text = |field: &str| finding[field].as_str().unwrap();
                (text("entity_key").to_owned(), fen(text("amount")).abs())
            })
            .collect();
        assert_eq!(found, self.truth.hit);
    }

    /// The first plan makes a second loss: refunds that were settled in the hour are not taken back any more.
    fn check_first(&self) {
        let done = self
            .terminal
            .done("centinel repair plan --snapshot snapshot --sql first.sql --format json");
        let plan: Value = serde_json::from_str(&done.said).unwrap();
        let introduced = plan["result"]["violations"]["introduced"].as_array();
        let of_refunds = introduced.unwrap().iter();
        let found: BTreeSet<String> = of_refunds
            .filter(|violation| violation["rule"] == NOT_TAKEN_BACK)
            .map(|violation| violation["entity_key"].as_str().unwrap().to_owned())
            .collect();
        assert!(!found.is_empty());
        assert_eq!(found, self.truth.refunded);
    }

    /// The rows of a query.
    fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let rows = self.mariadb.query(sql).into_iter();
        rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
            .collect()
    }

    /// All that the repair was not to touch.
    fn rest(&self) -> Vec<Vec<String>> {
        self.query(
            "SELECT * FROM incident.payment ORDER BY 1; SELECT * FROM incident.refund ORDER BY 1; \
             SELECT settlement_no, order_no, merchant_no, kind, status, cash_out_no, settled_at \
             FROM incident.settlement ORDER BY 1",
        )
    }

    fn amounts(&self) -> BTreeMap<String, i64> {
        let rows = self.query("SELECT settlement_no, amount FROM incident.settlement");
        rows.into_iter()
            .map(|row| (row[0].clone(), row[1].parse().unwrap()))
            .collect()
    }

    /// Orders that are settled otherwise than paid less refunded, asked of the server itself.
    fn unbalanced(&self) -> BTreeSet<String> {
        let rows = self.query(
            "SELECT order_no FROM (
               SELECT order_no, amount * 100 AS due FROM incident.payment WHERE status = 'PAID'
               UNION ALL SELECT order_no, amount * -100 FROM incident.refund WHERE status = 'SUCCESS'
               UNION ALL SELECT order_no, -amount FROM incident.settlement WHERE status = 'SETTLED') moved
             GROUP BY order_no HAVING SUM(due) <> 0",
        );
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }
}

fn asks_detection(block: &str) -> bool {
    block.contains("--findings")
}

#[test]
fn an_incident_is_repaired_without_a_second_loss() {
    let mariadb = MariaDb::start(&[]);
    // The README makes this user itself.
    mariadb.execute(&format!("DROP USER '{}'@'%'", mariadb.user()));
    let terminal = Terminal::new(mariadb.admin_password(), vec![("3306", mariadb.port())]);
    let fixtures = terminal.folder.path().join("data-fixtures");
    std::os::unix::fs::symlink(root().join("data-fixtures"), fixtures).unwrap();
    let mut walk = Walk {
        mariadb,
        terminal,
        truth: Truth::new(),
        detection: None,
        last: None,
        by_hand: None,
    };
    let mut untouched = None;
    for block in blocks("Repair without a second loss") {
        match block.language.as_str() {
            "sh" => walk.run(&block.text),
            "text" => walk.check(&block.text),
            other => panic!("what is a block of `{other}`?"),
        }
        if untouched.is_none() {
            untouched = Some(walk.rest());
            let hit: BTreeSet<String> = walk.truth.hit.keys().cloned().collect();
            assert_eq!(walk.unbalanced(), hit, "what was loaded");
        }
    }
    // The last block said that the plan was carried out. Detection tells nothing else of it later.
    std::thread::sleep(Duration::from_secs(5));
    let findings = walk.findings();
    assert_eq!(walk.rest(), untouched.unwrap());
    let (found, mut meant) = (walk.amounts(), walk.truth.amounts());
    let differs: Vec<&String> = meant.keys().filter(|no| found[*no] != meant[*no]).collect();
    let [extra] = differs[..] else {
        panic!("{differs:?} are not as they were meant to be")
    };
    let extra = extra.clone();
    *meant.get_mut(&extra).unwrap() += EXTRA;
    assert_eq!(found, meant);

    // One order is wrong now, by the server and by detection: that of the row that was changed by hand.
    let wrong = walk.unbalanced();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    for rule in [UNBALANCED, BY_HAND] {
        assert_eq!(confirmed(&findings, rule), wrong, "{rule}");
    }
    let told = told(&findings);
    assert!(
        told.keys()
            .all(|(rule, _)| !rule.starts_with("planned-change-")),
        "{told:#?}"
    );
    let of_hand = &told[&(BY_HAND.to_owned(), wrong.first().unwrap().clone())];
    let row = &of_hand["evidence"]["rows"][0];
    assert_eq!(row["settlement_no"], extra.as_str(), "{of_hand}");
    // Who: the transaction that the server had just logged. The thread stands in the logs of newer servers only.
    assert_eq!(
        row["transaction_id"].as_str(),
        walk.by_hand.as_deref(),
        "{of_hand}"
    );
    assert_eq!(of_hand["checkpoint"]["verdict"], "violated", "{of_hand}");
}

/// The example's rules are the shipped ones, but for how long they wait.
#[test]
fn its_rules_are_the_shipped_ones() {
    let folder = root().join("data-fixtures/incident/sql-rules");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "sql") {
            continue;
        }
        seen += 1;
        let shipped = root().join("sql-rules").join(path.file_name().unwrap());
        let without_waits = |path: &Path| {
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().filter(|line| {
                let waits = ["settle: ", "retries: ", "retry_interval: "];
                !waits.iter().any(|wait| line.starts_with(wait))
            });
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            without_waits(&path),
            without_waits(&shipped),
            "{}",
            path.display()
        );
    }
    assert!(seen >= 2, "{seen} rules");
}
