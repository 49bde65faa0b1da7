//! `--until-quiet` beside the databases and topics that a platform's own integration tests use.

use std::time::Duration;

use test_servers::{Kafka, MariaDb};

use crate::shop::{PASSWORD, PAYMENT, Running, Shop, TOPIC, publish};

/// Both servers and the shop over them; the configuration is given more lines.
fn shop(more: &str) -> (MariaDb, Kafka, Shop) {
    let (mariadb, kafka) = (MariaDb::start(&[]), Kafka::start());
    kafka.create_topic(TOPIC, 2, &[]);
    mariadb.execute(
        "CREATE DATABASE shop; CREATE TABLE shop.payment (payment_no BIGINT PRIMARY KEY, \
         order_no VARCHAR(32) NOT NULL, amount DECIMAL(18,2) NOT NULL)",
    );
    let mut shop = Shop::new();
    shop.write("schemas/payment.yaml", PAYMENT);
    let select = "SELECT order_no, payment_no, amount FROM payment WHERE amount <= 0";
    shop.rule("payment-is-positive", "0s", select);
    // That nothing more comes is what makes these sure.
    let select = "SELECT p.order_no, p.payment_no, e.amount FROM payment p JOIN payment_completed e \
                  ON e.order_no = p.order_no AND e.payment_no = p.payment_no WHERE e.amount <> p.amount";
    shop.rule("published-is-paid", "10m", select);
    let select = "SELECT p.order_no, p.payment_no, p.amount FROM payment p WHERE NOT EXISTS \
                  (SELECT 1 FROM payment_completed e WHERE e.order_no = p.order_no AND e.payment_no = p.payment_no)";
    shop.rule("paid-is-published", "10m", select);
    shop.configure(more);
    shop.configure(&format!(
        "[sources.payment-db]\nkind = \"binlog\"\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\n\
         password = {{ env = \"{PASSWORD}\" }}\nserver_id = 4712\nsnapshot = true\n",
        mariadb.port(),
        mariadb.user()
    ));
    shop.read_events(&kafka.bootstrap(), "");
    (mariadb, kafka, shop)
}

fn pay(mariadb: &MariaDb, number: u32, amount: &str) {
    mariadb.execute(&format!(
        "INSERT INTO shop.payment VALUES ({number}, 'E{number}', {amount})"
    ));
}

fn detect(shop: &Shop, mariadb: &MariaDb, quiet: &str) -> Running {
    let arguments = [
        "detect",
        "--config",
        "centinel.toml",
        "--junit",
        "junit.xml",
    ];
    let mut command = shop.centinel(&arguments, mariadb.password());
    command.args(["--until-quiet", quiet]);
    Running::start(command)
}

/// What JUnit says of one rule.
fn case<'a>(junit: &'a str, rule: &str) -> &'a str {
    let (_, rest) = junit
        .split_once(&format!("<testcase name=\"{rule}\""))
        .unwrap_or_else(|| panic!("no {rule} in {junit}"));
    let (head, body) = rest.split_once('>').unwrap();
    match head.ends_with('/') {
        true => "",
        false => body.split("</testcase>").next().unwrap().trim(),
    }
}

#[test]
fn it_ends_when_the_servers_are_quiet_and_junit_says_what_the_tests_broke() {
    let (mariadb, kafka, shop) = shop("");
    pay(&mariadb, 1, "10.00");
    publish(&kafka, &[(1, 1_000)]);
    let running = detect(&shop, &mariadb, "8s");
    for (number, amount, fen) in [
        (2, "20.00", 2_000),
        (3, "30.00", 300_000),
        (5, "50.00", 5_000),
    ] {
        pay(&mariadb, number, amount);
        std::thread::sleep(Duration::from_millis(500));
        publish(&kafka, &[(number, fen)]);
    }
    pay(&mariadb, 4, "40.00");
    let status = running.wait_for_end();
    let junit = std::fs::read_to_string(shop.path("junit.xml")).unwrap();
    assert_eq!(status, 2, "{junit}");
    let broken = case(&junit, "published-is-paid");
    assert!(
        broken.contains("<failure") && broken.contains("E3"),
        "{junit}"
    );
    let broken = case(&junit, "paid-is-published");
    assert!(
        broken.contains("<failure") && broken.contains("E4"),
        "{junit}"
    );
    assert_eq!(case(&junit, "payment-is-positive"), "", "{junit}");
    for healthy in ["E1", "E2", "E5"] {
        assert!(!junit.contains(healthy), "{junit}");
    }
    assert_eq!(shop.findings().lines().count(), 2, "{}", shop.findings());
}

/// What a broker holds that is away might have made the payment good.
#[test]
fn a_server_that_is_away_when_all_is_quiet_is_named_and_nothing_false_is_found() {
    let (mariadb, mut kafka, shop) = shop("[detection]\nsilent_after = \"6s\"\n");
    pay(&mariadb, 1, "-1.00");
    publish(&kafka, &[(1, 100)]);
    let mut running = detect(&shop, &mariadb, "5s");
    running.wait("the first finding", || {
        shop.findings().contains("payment-is-positive")
    });
    kafka.kill();
    pay(&mariadb, 2, "20.00");
    let status = running.wait_for_end();
    let (junit, findings) = (
        std::fs::read_to_string(shop.path("junit.xml")).unwrap(),
        shop.findings(),
    );
    assert_eq!(status, 3, "{junit}");
    assert!(
        junit.contains("business-events did not say that it was read to its end"),
        "{junit}"
    );
    assert!(!findings.contains("E2"), "{findings}");
}
