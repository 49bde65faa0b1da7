//! `/healthz` and `/readyz` tell the truth.

use std::process::Command;
use std::time::Duration;

use crate::shop::Shop;

#[test]
fn a_silent_source_is_not_ready_until_it_speaks_again() {
    let mut shop = Shop::new();
    shop.configure("[detection]\nsilent_after = \"3s\"\n");
    let mut running = shop.detect();
    // Nothing was heard yet.
    let (status, reasons) = running.health("/readyz").unwrap();
    assert_eq!(status, 503, "{reasons:?}");
    shop.pay(1, "5.00");
    shop.beat();
    running.wait("readiness", |running| {
        shop.beat();
        let (status, reasons) = running.health("/readyz")?;
        assert_eq!(status == 200, reasons.is_empty(), "{reasons:?}");
        (status == 200).then_some(())
    });
    let reasons = running.wait("silence", |running| {
        let (status, reasons) = running.health("/readyz")?;
        let told = reasons.iter().any(|reason| reason.contains("is silent"));
        assert!(!told || status == 503);
        told.then_some(reasons)
    });
    assert!(
        reasons[0].starts_with("source payment-db is silent: it was read up to 20"),
        "{reasons:?}"
    );
    // A new start would not help.
    assert_eq!(running.health("/healthz").unwrap().0, 200);
    let behind = r#"centinel_source_behind{source="payment-db"}"#;
    let found = running.scrape();
    assert_eq!(
        (
            found[behind],
            found["centinel_ready"],
            found["centinel_alive"]
        ),
        (1.0, 0.0, 1.0)
    );
    running.wait("readiness again", |running| {
        shop.beat();
        (running.health("/readyz")?.0 == 200).then_some(())
    });
    assert_eq!(running.scrape()["centinel_ready"], 1.0);
    assert_eq!(running.terminate(), 0);
    assert_eq!(running.get("/healthz"), None);
}

#[test]
fn a_source_that_catches_up_is_not_ready() {
    let shop = Shop::new();
    shop.configure("[detection]\nsilent_after = \"30s\"\n");
    shop.write(r#"{"heartbeat":"payment-db","committed_at":"2026-01-01T00:00:00Z"}"#);
    let mut running = shop.detect();
    let reasons = running.wait("a reason", |running| {
        let (status, reasons) = running.health("/readyz")?;
        let told = reasons.iter().any(|reason| reason.contains("catching up"));
        told.then(|| assert_eq!(status, 503)).map(|()| reasons)
    });
    assert!(
        reasons[0].contains("payment-db is catching up: it was read up to 2026-01-01T00:00:00Z"),
        "{reasons:?}"
    );
    running.wait("readiness", |running| {
        shop.beat();
        (running.health("/readyz")?.0 == 200).then_some(())
    });
}

/// The file of findings cannot grow any more, as on a disk that is full. Detection ends, and while it does, it says why.
#[test]
fn an_outlet_whose_disk_is_gone_is_not_alive() {
    let mut shop = Shop::new();
    // Nobody listens there: the end waits some seconds for the breaker.
    shop.configure("[breaker_report]\nurl = \"http://127.0.0.1:9\"\nkey = { file = \"secret\" }\ndeadline = \"200ms\"\n");
    for number in 0..3_000 {
        shop.pay(number, "-1.00");
    }
    shop.beat();
    let mut running = shop.detect_without_signal();
    let findings = shop.path("findings.jsonl");
    let lines = || {
        std::fs::read_to_string(&findings)
            .unwrap_or_default()
            .lines()
            .count()
    };
    running.wait("all findings", |_| (lines() >= 3_000).then_some(()));
    let reasons = running.wait("the breaker", |running| {
        let (_, reasons) = running.health("/readyz")?;
        let told = reasons
            .iter()
            .any(|reason| reason.starts_with("breaker report: "));
        told.then_some(reasons)
    });
    assert_eq!(running.health("/healthz").unwrap().0, 200, "{reasons:?}");
    let most = std::fs::metadata(&findings).unwrap().len() + 100;
    let limited = Command::new("prlimit")
        .args([
            "--pid",
            &running.id().to_string(),
            &format!("--fsize={most}"),
        ])
        .status();
    assert!(limited.unwrap().success());
    shop.pay(9_999, "-1.00");
    shop.beat();
    let (status, reasons) = running.wait("its end", |running| {
        let (status, reasons) = running.health("/healthz")?;
        (status != 200).then_some((status, reasons))
    });
    assert_eq!(status, 503);
    let why = reasons
        .iter()
        .find(|reason| reason.starts_with("detection has ended: "));
    let why = why.unwrap_or_else(|| panic!("{reasons:?}"));
    assert!(why.contains("File too large"), "{why}");
    assert_eq!(running.health("/readyz").unwrap().0, 503);
    assert_eq!(running.scrape()["centinel_alive"], 0.0);
    assert_eq!(running.ended(), 3);
    assert_eq!(running.get("/healthz"), None);
    assert!(
        running.said().contains("File too large"),
        "{}",
        running.said()
    );

    // With room again it goes on, and nothing was lost.
    let mut running = shop.detect();
    running.wait("the finding", |_| (lines() == 3_001).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(lines(), 3_001);
}
