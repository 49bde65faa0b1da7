//! What detection confirms trips by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::shop::{Shop, payment, until};

const BY_ORDER: &str = "status: stable\ntrip: { points: [settlement, cash_out], by: order }";
const BY_MERCHANT: &str = "status: stable\ntrip: { points: [cash_out], by: merchant }";

#[test]
fn a_finding_trips_by_itself_and_the_next_check_is_held() {
    let mut shop = Shop::new(false);
    shop.rule("too-large", BY_ORDER, "amount > 500");
    shop.rule("is-negative", BY_MERCHANT, "amount < 0");
    shop.rule(
        "is-round",
        "status: shadow\ntrip: { points: [refund], by: order }",
        "amount = 100",
    );
    let breaker = shop.begin();
    shop.log(&[(None, &payment("P1", "M1", "20.00"))]);
    let detection = shop.detect();
    until("the breaker's first word of detection", || {
        let status = breaker.get("/v1/status");
        status["staleness_ms"].is_u64().then_some(())
    });
    assert_eq!(
        breaker.check("s0", "settlement", "O-P2", "M2")["decision"],
        "allow"
    );

    let began = Instant::now();
    shop.log(&[
        (None, &payment("P2", "M2", "700.00")),
        (None, &payment("P3", "M3", "-200.00")),
        (None, &payment("P4", "M4", "100.00")),
    ]);
    let held = until("the hold", || {
        let answer = breaker.check("s1", "settlement", "O-P2", "M2");
        (answer["decision"] == "hold").then_some(answer)
    });
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(
        (&held["rule"], &held["stored"], &held["default"]),
        (&json!("too-large"), &json!(true), &json!(false))
    );
    assert!(
        held["reason"].as_str().unwrap().contains("too-large"),
        "{held}"
    );
    let trips = [
        "in_force {\"merchant\":\"M3\"}",
        "in_force {\"order\":\"O-P2\"}",
    ];
    until("both trips", || (breaker.trips() == trips).then_some(()));
    // Never wider than declared, neither by scope nor by point.
    for (point, order, merchant, decision) in [
        ("settlement", "O-P9", "M2", "allow"),
        ("refund", "O-P2", "M2", "allow"),
        ("cash_out", "O-P2", "M2", "hold"),
        ("cash_out", "O-P8", "M3", "hold"),
        ("settlement", "O-P3", "M3", "allow"),
        ("refund", "O-P4", "M4", "allow"),
    ] {
        let answer = breaker.check(&format!("{point}-{order}"), point, order, merchant);
        assert_eq!(answer["decision"], decision, "{point} {order}: {answer}");
    }
    assert_eq!(detection.terminate(), 2);
    assert_eq!(breaker.running.terminate(), 0);
}

#[test]
fn rules_that_take_over_trip_as_they_declare_from_then_on() {
    let mut shop = Shop::new(false);
    shop.rule("too-large", "status: shadow", "amount > 500");
    let breaker = shop.begin();
    shop.log(&[(None, &payment("P1", "M1", "700.00"))]);
    let mut detection = shop.detect();
    detection.wait("the first finding", |_| {
        shop.told() == ["confirmed too-large O-P1"]
    });
    shop.rule("too-large", BY_MERCHANT, "amount > 500");
    detection.wait_said("taken over: `too-large` changed");
    shop.log(&[(None, &payment("P2", "M2", "800.00"))]);
    let trips = ["in_force {\"merchant\":\"M2\"}"];
    until("the trip", || (breaker.trips() == trips).then_some(()));
    shop.rule("too-large", BY_ORDER, "amount > 500");
    detection.wait("the second take-over", |running| {
        running.said().matches("taken over").count() == 2
    });
    shop.log(&[(None, &payment("P3", "M3", "900.00"))]);
    let trips = [
        "in_force {\"merchant\":\"M2\"}",
        "in_force {\"order\":\"O-P3\"}",
    ];
    until("the third finding's trip", || {
        (breaker.trips() == trips).then_some(())
    });
}

/// What could not be judged is held where the point says so, also by rules that trip nothing.
#[test]
fn what_could_not_be_judged_is_told_too() {
    let mut shop = Shop::new(false);
    shop.rule("too-large", "status: stable", "amount > 500");
    let breaker = shop.begin();
    let detection = shop.detect();
    // A record of this order that cannot be read, and then one that breaks the rule.
    let mut log = std::fs::OpenOptions::new()
        .append(true)
        .open(shop.path("log.jsonl"))
        .unwrap();
    let broken = payment("P1", "M1", "no amount");
    std::io::Write::write_all(
        &mut log,
        format!(r#"{{"table":"payment","op":"insert","epoch":1,"sequence":1,"ordinal":0,"last":true,"committed_at":"2026-11-22T08:00:00Z","after":{{{broken}}}}}
"#).as_bytes(),
    )
    .unwrap();
    shop.log(&[(None, &payment("P1", "M1", "700.00"))]);
    let held = until("the hold", || {
        let answer = breaker.check("c1", "cash_out", "O-P1", "M1");
        (answer["decision"] == "hold").then_some(answer)
    });
    assert_eq!(
        (&held["rule"], &held["trip"]),
        (&json!("too-large"), &json!(null)),
        "{held}"
    );
    assert_eq!(shop.told(), ["undetermined too-large O-P1"]);
    assert_eq!(
        breaker.check("s1", "settlement", "O-P1", "M1")["decision"],
        "allow"
    );
    assert_eq!(breaker.trips(), [""; 0]);
    drop(detection);
}
