//! Synthetic orders with a planted loss, beside real ones.

use crate::shop::Shop;

const CHECK: &str = "[self_check]\nevery = \"5s\"\nwithin = \"20s\"\n\
                     [alerts.record]\nkind = \"file\"\npath = \"alerts.jsonl\"\nseverity = \"info\"\nwait = \"0s\"\n\
                     fallback = true\n";

/// What detection said of synthetic orders, with this verdict.
fn of_itself(shop: &Shop, verdict: &str) -> usize {
    let told = shop.lines("findings.jsonl").into_iter();
    told.filter(|line| line["rule"] == "centinel-self-check" && line["verdict"] == verdict)
        .count()
}

#[test]
fn planted_losses_are_found_and_reach_no_figure() {
    let mut shop = Shop::new();
    shop.configure(&format!("[archive]\nurl = \"archive\"\n{CHECK}"));
    let mut running = shop.detect();
    running.wait("three rounds", || of_itself(&shop, "recovered") >= 3);
    assert!(of_itself(&shop, "confirmed") >= 3);
    let (status, said) = running.terminate();
    // Nothing real was found, and nobody was told anything.
    assert_eq!(status, 0, "{said}");
    assert!(!said.contains("self-check"), "{said}");
    assert_eq!(shop.lines("alerts.jsonl"), Vec::<serde_json::Value>::new());
    let (status, listed, _) = shop.centinel(&["findings", "list"]);
    assert_eq!(status, 0, "{listed}");
    assert!(
        listed.contains("0 of 0 findings") || listed.contains("no findings"),
        "{listed}"
    );

    // It goes on where it stopped, beside a real finding, after it was killed in the middle of a round.
    let running = shop.detect();
    std::thread::sleep(std::time::Duration::from_millis(700));
    running.kill();
    let rounds = of_itself(&shop, "recovered");
    let mut running = shop.detect();
    shop.break_rule(0..1);
    running.wait("two rounds more", || {
        of_itself(&shop, "recovered") >= rounds + 2
    });
    running.wait("the real one", || shop.lines("alerts.jsonl").len() == 1);
    assert_eq!(running.terminate().0, 2);
    assert_eq!(shop.lines("alerts.jsonl")[0]["rule"], "amount-is-positive");
    // One log is left, whatever came before.
    let logs = std::fs::read_dir(shop.path("state/self-check")).unwrap();
    assert_eq!(logs.count(), 2, "a log and its lock");
    // A run that ends by itself plants nothing.
    let before = of_itself(&shop, "confirmed");
    let (status, _, said) = shop.centinel(&["detect", "--until-now"]);
    assert_eq!(status, 2, "{said}");
    assert!(!said.contains("no heartbeat"), "{said}");
    assert_eq!(of_itself(&shop, "confirmed"), before);
    // An audit of the archive knows nothing of them.
    let (status, judged, said) = shop.centinel_alone(&[
        "audit",
        "--archive",
        &shop.at("archive"),
        "--schemas",
        &shop.at("schemas"),
        "--rules",
        &shop.at("rules"),
    ]);
    assert!(matches!(status, 2 | 3), "{judged}{said}");
    assert!(
        !judged.contains("self-check") && !judged.contains("SELF-CHECK"),
        "{judged}"
    );
}

#[test]
fn it_is_turned_off_without_a_new_state() {
    let mut shop = Shop::new();
    shop.configure(CHECK);
    let mut running = shop.detect();
    running.wait("a round", || of_itself(&shop, "recovered") >= 1);
    assert_eq!(running.terminate().0, 0);
    shop.configure("");
    shop.break_rule(0..1);
    let mut running = shop.detect();
    running.wait("the real one", || shop.told("confirmed").len() == 1);
    let rounds = of_itself(&shop, "confirmed");
    std::thread::sleep(std::time::Duration::from_secs(7));
    assert_eq!(of_itself(&shop, "confirmed"), rounds);
    let (status, said) = running.terminate();
    assert_eq!(status, 2, "{said}");
    shop.configure(CHECK);
    let before = of_itself(&shop, "recovered");
    let mut running = shop.detect();
    running.wait("a round again", || of_itself(&shop, "recovered") > before);
    assert_eq!(running.terminate().0, 2);
}

/// Detection that is too slow: people are told, once; and once more when it is in time again.
#[test]
fn what_is_not_found_in_time_is_an_alarm() {
    let shop = Shop::new();
    let slow = CHECK.replace("within = \"20s\"", "within = \"1s\"");
    shop.configure(&format!("[detection]\nbatch_wait = \"10s\"\n{slow}"));
    let mut running = shop.detect();
    running.wait_said("error: the self-check fails: ");
    running.wait("the alarm", || !shop.lines("alerts.jsonl").is_empty());
    std::thread::sleep(std::time::Duration::from_secs(12));
    let (status, said) = running.terminate();
    assert_eq!(status, 0, "{said}");
    assert_eq!(said.matches("the self-check fails").count(), 1, "{said}");
    let alarms = shop.lines("alerts.jsonl");
    assert_eq!(alarms.len(), 1);
    assert_eq!(alarms[0]["rule"], "centinel/self-check");
    assert_eq!(alarms[0]["severity"], "critical");
    assert_eq!(alarms[0]["kind"], "confirmed");

    shop.configure(CHECK);
    let mut running = shop.detect();
    running.wait("its end", || shop.lines("alerts.jsonl").len() == 2);
    assert_eq!(running.terminate().0, 0);
    assert_eq!(shop.lines("alerts.jsonl")[1]["kind"], "recovered");
}
