//! What is not sure yet, at a point that holds by it.

use serde_json::json;

use crate::shop::{Breaker, Shop, payment, until};

const RULE: &str = "settle: 30s\nstatus: stable\ntrip: { points: [cash_out], by: order }";

fn held(breaker: &Breaker, id: &str, order: &str) -> serde_json::Value {
    until("the hold", || {
        let answer = breaker.check(id, "cash_out", order, "M1");
        (answer["decision"] == "hold").then_some(answer)
    })
}

#[test]
fn what_is_suspected_is_held_and_goes_on_by_itself_when_it_passes() {
    let mut shop = Shop::new(true);
    shop.rule("too-large", RULE, "amount > 500");
    let breaker = shop.begin();
    let detection = shop.detect();
    let (first, second) = (payment("P1", "M1", "700.00"), payment("P2", "M1", "800.00"));
    shop.log(&[(None, &first), (None, &second)]);
    let answer = held(&breaker, "c1", "O-P1");
    assert_eq!(
        (&answer["trip"], &answer["rule"]),
        (&json!(null), &json!("too-large")),
        "{answer}"
    );
    held(&breaker, "c2", "O-P2");
    assert_eq!(
        breaker.check("s1", "settlement", "O-P1", "M1")["decision"],
        "allow"
    );
    assert_eq!(shop.told(), [""; 0], "nothing is sure");

    // A restart tells nothing wrong; the first passes, the second becomes sure.
    drop(detection);
    let detection = shop.detect();
    shop.log(&[(Some(&first), &payment("P1", "M1", "70.00"))]);
    until("the first going on", || {
        let answer = breaker.check("c1", "cash_out", "O-P1", "M1");
        (answer["decision"] == "allow").then_some(())
    });
    let late: Vec<String> = (0..40)
        .map(|number| payment(&format!("L{number}"), "M9", "1.00"))
        .collect();
    let late: Vec<(Option<&str>, &str)> = late.iter().map(|row| (None, row.as_str())).collect();
    shop.log(&late);
    let trips = ["in_force {\"order\":\"O-P2\"}"];
    until("the trip", || (breaker.trips() == trips).then_some(()));
    assert_eq!(held(&breaker, "c2", "O-P2")["state"], "held");
    assert_eq!(shop.told(), ["confirmed too-large O-P2"]);
    drop(detection);
}

/// A state that did not tell suspicions tells those that it has when it is asked to; a rule that does not trip any more
/// lets go of what it suspected.
#[test]
fn what_was_suspected_before_is_told_when_it_is_asked_for() {
    let mut shop = Shop::new(true);
    let config = std::fs::read_to_string(shop.path("centinel.toml")).unwrap();
    let without = config.replace("suspicions = true", "suspicions = false");
    shop.write("centinel.toml", &without);
    shop.rule("too-large", RULE, "amount > 500");
    let breaker = shop.begin();
    shop.log(&[(None, &payment("P1", "M1", "700.00"))]);
    let (status, out, said) = shop.run(&["detect", "--config", "centinel.toml", "--until-now"]);
    assert_eq!(status, 0, "{out}{said}");
    assert_eq!(
        breaker.check("c0", "cash_out", "O-P1", "M1")["decision"],
        "allow"
    );

    shop.write("centinel.toml", &config);
    let mut detection = shop.detect();
    held(&breaker, "c1", "O-P1");
    shop.rule("too-large", "settle: 30s\nstatus: stable", "amount > 500");
    detection.wait_said("taken over: `too-large` changed");
    until("the hold's end", || {
        let answer = breaker.check("c1", "cash_out", "O-P1", "M1");
        (answer["decision"] == "allow").then_some(())
    });
}
