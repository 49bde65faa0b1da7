//! Trips, holds and releases asked in SQL beside the breaker that runs, against what the breaker itself says.

use serde_json::{Value, json};

use crate::shop::{Shop, payment, until};

const BY_ORDER: &str = "status: stable\ntrip: { points: [settlement, cash_out], by: order }";

fn rows(shop: &Shop, sql: &str) -> Vec<Value> {
    let (status, out, said) = shop.run(&["query", sql, "--format", "jsonl"]);
    assert_eq!((status, said.as_str()), (0, ""), "{sql}");
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn trips_holds_and_releases_are_what_the_breaker_says() {
    let mut shop = Shop::new(false);
    shop.rule("too-large", BY_ORDER, "amount > 500");
    let breaker = shop.begin();
    shop.log(&[(None, &payment("P2", "M2", "700.00"))]);
    let detection = shop.detect();
    until("the trip", || (!breaker.trips().is_empty()).then_some(()));
    for (id, point) in [("s1", "settlement"), ("c1", "cash_out"), ("r1", "refund")] {
        breaker.check(id, point, "O-P2", "M2");
    }
    let bob = breaker.person("bob", "approver");
    let asked = json!({"request_id": "x1", "cause": {"trip": "T1"}, "holds": ["s1"], "disposition": "reject",
        "reason": "settled twice"});
    breaker.post_as(&bob, "/v1/releases", asked);

    let told = breaker.get("/v1/trips/T1");
    let trips = rows(&shop, "SELECT * FROM trips");
    assert_eq!(trips.len(), 1);
    let trip = &trips[0];
    assert_eq!(
        (&trip["trip"], &trip["scope"], &trip["scope_key"]),
        (&"T1".into(), &"order".into(), &"O-P2".into())
    );
    assert_eq!(trip["points"], "settlement, cash_out");
    for same in ["state", "reason", "owner", "set_at", "automatic"] {
        assert_eq!(trip[same], told[same], "{same}: {told}");
    }
    assert_eq!(
        (&trip["rule"], &trip["amount"], &trip["currency"]),
        (&"too-large".into(), &"700.00000000".into(), &"CNY".into())
    );

    let sql = "SELECT request_id, point, state, amount, cause, trip, decided_by, reason FROM holds ORDER BY request_id";
    let holds = rows(&shop, sql);
    assert_eq!(
        holds,
        [
            json!({"request_id": "c1", "point": "cash_out", "state": "held", "amount": "250.00000000", "cause": "trip",
                "trip": "T1", "decided_by": null, "reason": null}),
            json!({"request_id": "s1", "point": "settlement", "state": "rejected", "amount": "250.00000000", "cause": "trip",
                "trip": "T1", "decided_by": "bob", "reason": "settled twice"}),
        ]
    );
    let releases = rows(
        &shop,
        "SELECT release, state, disposition, trip, asked_by, holds, decided, alone FROM releases",
    );
    assert_eq!(
        releases,
        [
            json!({"release": "R1", "state": "done", "disposition": "reject", "trip": "T1", "asked_by": "bob", "holds": 1,
            "decided": 1, "alone": true})
        ]
    );
    // Nobody can ask for passwords or keys.
    for table in ["accounts", "keys", "facts", "audit"] {
        assert_eq!(
            shop.run(&["query", &format!("SELECT * FROM {table}")]).0,
            64
        );
    }
    drop(detection);
    // The breaker goes on, and without it the store can be asked as well.
    breaker.check("s2", "settlement", "O-P2", "M2");
    assert_eq!(breaker.running.terminate(), 0);
    let held = rows(
        &shop,
        "SELECT count(*) AS n FROM holds WHERE state = 'held'",
    );
    assert_eq!(held, [json!({"n": 2})]);
}
