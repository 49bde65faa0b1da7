//! `centinel detect` beside a real MariaDB whose table loses a column that a rule uses: what it says and how it ends.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use test_servers::MariaDb;

const SCHEMAS: [(&str, &str); 2] = [
    (
        "entities.yaml",
        "centinel: entities/1\nentities: { order: { key: [order_no] } }\n",
    ),
    (
        "payment.yaml",
        "centinel: schema/1\ntable: payment\nsystem: payment\nsource: payment-db\nfrom: shop.payment\n\
         primary_key: [payment_no]\nentities: { order: [order_no] }\ncolumns:\n  payment_no: integer\n\
         \x20 order_no: text\n  amount: { type: \"decimal(18,2)\", money: { currency: CNY, unit: major } }\n\
         \x20 status: text\n",
    ),
];

/// A rule over payments, by its condition.
fn rule(id: &str, condition: &str) -> String {
    format!(
        "/* ---\nid: {id}\ntitle: It holds\nentity: order\nseverity: error\nkey: [order_no, payment_no]\n\
         owner: payment\nsettle: 0s\nretries: 0\nstatus: stable\n--- */\n\
         SELECT order_no, payment_no FROM payment WHERE {condition}\n"
    )
}

fn config(server: &MariaDb) -> String {
    format!(
        "centinel = \"config/1\"\nschemas = \"schemas\"\nrules = \"rules\"\nstate = \"state\"\n\n[findings]\n\
         file = \"findings.jsonl\"\n\n[sources.payment-db]\nkind = \"binlog\"\nhost = \"127.0.0.1\"\nport = {}\n\
         user = \"{}\"\npassword = {{ env = \"PAYMENT_DB_PASSWORD\" }}\nserver_id = 4711\nsnapshot = true\n",
        server.port(),
        server.user()
    )
}

/// Reads what there is; the exit status, and what is told since the beginning: rule, verdict and entity.
fn detect(folder: &Path, server: &MariaDb) -> (Option<i32>, Vec<String>) {
    let done = Command::new(env!("CARGO_BIN_EXE_centinel"))
        .args(["detect", "--until-now", "--config"])
        .arg(folder.join("centinel.toml"))
        .env("PAYMENT_DB_PASSWORD", server.password())
        .output()
        .unwrap();
    let told = std::fs::read_to_string(folder.join("findings.jsonl")).unwrap_or_default();
    let messages = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    // That a column is gone which no rule uses any more is a note.
    let findings = messages.filter(|message| message["schema"] == "centinel/finding/1");
    let lines = findings.map(|finding| {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        format!(
            "{} {} {}",
            text("rule"),
            text("verdict"),
            text("entity_key")
        )
    });
    let complaint = String::from_utf8_lossy(&done.stderr);
    println!("{complaint}{told}");
    (done.status.code(), lines.collect())
}

#[test]
fn a_lost_column_is_told_and_counts_until_the_rules_are_mended() {
    let server = MariaDb::start(&[]);
    server.execute(
        "CREATE DATABASE shop; CREATE TABLE shop.payment (payment_no BIGINT PRIMARY KEY, \
         order_no VARCHAR(32) NOT NULL, amount DECIMAL(18,2) NOT NULL, status VARCHAR(16) NOT NULL); \
         INSERT INTO shop.payment VALUES (1, 'E1', 12.50, 'PAID')",
    );
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (name, text) in SCHEMAS {
        write(&format!("schemas/{name}"), text);
    }
    write("rules/small.sql", &rule("small", "amount > 500"));
    write("rules/known.sql", &rule("known", "status <> 'PAID'"));
    write("centinel.toml", &config(&server));
    let none: Vec<String> = Vec::new();
    assert_eq!(detect(folder.path(), &server), (Some(0), none));

    server.execute(
        "ALTER TABLE shop.payment DROP COLUMN amount; INSERT INTO shop.payment VALUES (2, 'E2', 'ODD')",
    );
    let mut told = vec![
        "centinel/schema-drift confirmed ",
        "known confirmed E2",
        "small undetermined E2",
    ];
    let (status, mut found) = detect(folder.path(), &server);
    found.sort();
    assert_eq!(
        (status, found),
        (
            Some(3),
            told.iter().map(|line| (*line).to_owned()).collect()
        )
    );
    let (again, found) = detect(folder.path(), &server);
    assert_eq!((again, found.len()), (Some(3), 3), "each is told once");

    // Without the rule nothing is suspended, and what is broken for sure is left.
    std::fs::remove_file(folder.path().join("rules/small.sql")).unwrap();
    told.extend([
        "centinel/schema-drift rule_changed ",
        "small rule_changed E2",
    ]);
    told.sort_unstable();
    let (status, mut found) = detect(folder.path(), &server);
    found.sort();
    assert_eq!(
        (status, found),
        (
            Some(2),
            told.iter().map(|line| (*line).to_owned()).collect()
        )
    );
    server.execute("UPDATE shop.payment SET status = 'PAID'");
    let (status, found) = detect(folder.path(), &server);
    assert_eq!(status, Some(0));
    assert!(
        found.contains(&"known recovered E2".to_owned()),
        "{found:#?}"
    );
}
