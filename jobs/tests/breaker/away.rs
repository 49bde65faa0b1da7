//! Either of the two is away for a while, or is killed.

use std::time::Duration;

use crate::shop::{Shop, payment, until};

const TRIPS: &str = "status: stable\ntrip: { points: [settlement], by: order }";

fn orders(count: u64) -> Vec<String> {
    let mut orders: Vec<String> = (0..count)
        .map(|number| format!("in_force {{\"order\":\"O-P{number}\"}}"))
        .collect();
    orders.sort();
    orders
}

/// Findings come while nobody takes them: detection goes on, and all of it is told afterwards.
#[test]
fn what_is_found_while_the_breaker_is_away_is_told_when_it_is_back() {
    let mut shop = Shop::new(false);
    shop.rule("too-large", TRIPS, "amount > 500");
    let breaker = shop.begin();
    let mut detection = shop.detect();
    shop.log(&[(None, &payment("P0", "M1", "700.00"))]);
    until("the first trip", || {
        (breaker.trips() == orders(1)).then_some(())
    });
    until("its first word of detection", || {
        let status = breaker.get("/v1/status");
        status["staleness_ms"].is_u64().then_some(())
    });
    assert_eq!(breaker.running.terminate(), 0);

    for number in 1..5 {
        shop.log(&[(None, &payment(&format!("P{number}"), "M1", "700.00"))]);
    }
    detection.wait("all findings", |_| shop.told().len() == 5);
    detection.wait_said("findings wait in their file");
    detection.wait_said("the breaker does not hear how far detection is");
    // A start while the breaker is away.
    assert_eq!(detection.terminate(), 2);
    let mut detection = shop.detect();
    for number in 5..10 {
        shop.log(&[(None, &payment(&format!("P{number}"), "M1", "700.00"))]);
    }
    detection.wait("all findings", |_| shop.told().len() == 10);

    let breaker = shop.serve();
    until("all trips", || {
        (breaker.trips() == orders(10)).then_some(())
    });
    detection.wait_said("the breaker takes findings again");
    assert_eq!(detection.terminate(), 2);
}

/// SIGKILL of one and then the other, again and again: each finding trips once, and what was held is held once.
#[test]
fn killed_on_either_side_nothing_is_lost_and_nothing_applied_twice() {
    const ROUNDS: u64 = 6;
    const EACH: u64 = 8;
    let mut shop = Shop::new(false);
    shop.rule("too-large", TRIPS, "amount > 500");
    let mut breaker = shop.begin();
    let mut detection = Some(shop.detect());
    for round in 0..ROUNDS {
        let rows: Vec<String> = (0..EACH)
            .map(|number| payment(&format!("P{}", round * EACH + number), "M1", "700.00"))
            .collect();
        let rows: Vec<(Option<&str>, &str)> = rows.iter().map(|row| (None, row.as_str())).collect();
        shop.log(&rows);
        // At another moment of the way each time.
        std::thread::sleep(Duration::from_millis(40 * round));
        match round % 2 {
            0 => {
                drop(detection.take());
                detection = Some(shop.detect());
            }
            _ => breaker = breaker.killed_and_back(&shop),
        }
        let order = format!("O-P{}", round * EACH);
        let id = format!("s{round}");
        until("the hold", || {
            let answer = breaker.check(&id, "settlement", &order, "M1");
            (answer["decision"] == "hold").then_some(())
        });
    }
    let all = orders(ROUNDS * EACH);
    until("all trips", || (breaker.trips() == all).then_some(()));
    drop(detection.take());
    // Whatever is told again at a start counts once.
    let detection = shop.detect();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(breaker.trips(), all);
    let held = breaker.get("/v1/status");
    assert_eq!(held["held"], ROUNDS, "{held}");
    assert_eq!(shop.told().len() as u64, ROUNDS * EACH);
    drop(detection);
    let (status, out, said) = shop.run(&["breaker", "verify-log"]);
    assert_eq!(status, 0, "{out}{said}");
}

/// A key that was rotated is read anew; until then nothing is lost.
#[test]
fn a_key_that_is_refused_is_read_anew() {
    let mut shop = Shop::new(false);
    shop.rule("too-large", TRIPS, "amount > 500");
    let breaker = shop.begin();
    let key = breaker.key(&["findings"]);
    shop.write("report.key", "cbk.none.such");
    let mut detection = shop.detect();
    shop.log(&[(None, &payment("P0", "M1", "700.00"))]);
    detection.wait_said("findings wait in their file");
    assert!(!detection.said().contains("cbk."), "{}", detection.said());
    shop.write("report.key", &key);
    until("the trip", || (breaker.trips() == orders(1)).then_some(()));
}
