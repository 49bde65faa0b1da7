//! Findings go into their store while detection runs.

use crate::shop::Shop;

#[test]
fn a_store_that_cannot_be_written_is_told_once_and_waited_for() {
    let mut shop = Shop::new();
    shop.configure("");
    // Nothing can be opened there.
    std::fs::create_dir(shop.path("findings.db")).unwrap();
    shop.break_rule(0..30);
    let mut running = shop.detect();
    running.wait_said("findings wait in");
    running.wait("the findings in their file", || {
        shop.told("confirmed").len() == 30
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(
        running.said().matches("findings wait in").count(),
        1,
        "{}",
        running.said()
    );
    std::fs::remove_dir(shop.path("findings.db")).unwrap();
    running.wait_said("the store of findings takes findings in again");
    shop.break_rule(30..31);
    let exported = || {
        let store = [
            "findings",
            "list",
            "--store",
            &shop.at("findings.db"),
            "--limit",
            "500",
            "--format",
            "jsonl",
        ];
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_centinel"))
            .args(store)
            .output();
        String::from_utf8(done.unwrap().stdout)
            .unwrap()
            .lines()
            .count()
    };
    // The store alone is asked: nobody takes in the file but the thread.
    running.wait("all of it in the store", || exported() == 31);
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
    let system = [
        "findings", "list", "--system", "payment", "--format", "jsonl", "--limit", "500",
    ];
    assert_eq!(shop.centinel(&system).1.lines().count(), 31);
}

/// A run that ends by itself takes everything in before it ends.
#[test]
fn at_the_end_the_rest_is_taken_in() {
    let mut shop = Shop::new();
    shop.configure("");
    shop.break_rule(0..3_000);
    assert_eq!(shop.centinel(&["detect", "--until-now"]).0, 2);
    let store = [
        "findings",
        "list",
        "--store",
        &shop.at("findings.db"),
        "--limit",
        "1",
    ];
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_centinel"))
        .args(store)
        .output();
    let text = String::from_utf8(done.unwrap().stdout).unwrap();
    assert!(text.contains("1 of 3000 findings"), "{text}");
}
