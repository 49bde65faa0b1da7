use serde_json::json;

use crate::support::{Service, release, request, trip};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_held_stored_and_released() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let (ann, bob) = (
        service.person(&root, "ann", "operator").await,
        service.person(&root, "bob", "approver").await,
    );
    let key = service.key(&root, &["check", "dispositions"]).await;

    let allowed = service.check(&key, "r1", "refund", "M1", "10.00").await;
    assert_eq!(allowed["decision"], "allow");
    assert_eq!(
        (&allowed["default"], &allowed["stored"]),
        (&json!(false), &json!(false))
    );
    assert!(allowed["staleness_ms"].is_null(), "detection never spoke");

    // What it would hold, before it is set.
    let wish = json!({"scope": {"merchant": "M1"}, "points": ["refund", "settlement"]});
    let preview = service.post("/v1/trips/preview", &ann, wish).await;
    assert_eq!(
        (&preview["requests"], &preview["merchants"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(preview["money"], json!({"CNY": "10.00"}));

    let set = service
        .post(
            "/v1/trips",
            &ann,
            trip("k1", "M1", &["refund", "settlement"]),
        )
        .await;
    assert_eq!(
        (&set["id"], &set["state"]),
        (&json!("T1"), &json!("in_force"))
    );
    let again = service
        .post(
            "/v1/trips",
            &ann,
            trip("k1", "M1", &["refund", "settlement"]),
        )
        .await;
    assert_eq!(again["id"], "T1");

    for (id, point) in [("r1", "refund"), ("r2", "settlement"), ("r3", "settlement")] {
        let held = service.check(&key, id, point, "M1", "10.00").await;
        assert_eq!(
            (&held["decision"], &held["trip"]),
            (&json!("hold"), &json!("T1"))
        );
        assert_eq!(
            (&held["stored"], &held["reason"]),
            (&json!(true), &json!("double refunds"))
        );
    }
    let elsewhere = service.check(&key, "r4", "settlement", "M2", "10.00").await;
    assert_eq!(elsewhere["decision"], "allow");

    // Another request under its id is refused.
    let (status, _) = service
        .call(
            "POST",
            "/v1/checks",
            &key,
            request("r1", "refund", "M1", "11.00"),
        )
        .await;
    assert_eq!(status, 409);

    // All of it is there after a start, in the same state.
    service.restart().await;
    let bob_again = service.sign_in("bob").await;
    assert_eq!(
        service.check(&key, "r2", "settlement", "M1", "10.00").await["trip"],
        "T1"
    );
    assert_eq!(
        service.call("GET", "/v1/trips", &bob, json!(null)).await.0,
        401,
        "sessions end"
    );
    let held = service.get("/v1/holds?cause=T1", &bob_again).await;
    assert_eq!(held["holds"].as_array().unwrap().len(), 3);

    // One to reject, the rest to resume.
    let chosen = release("a1", "T1", Some(&["r2"]), "reject");
    let done = service
        .post("/v1/releases", &bob_again, chosen.clone())
        .await;
    assert_eq!(
        (&done["state"], &done["decided"]),
        (&json!("done"), &json!(1))
    );
    assert_eq!(
        service.post("/v1/releases", &bob_again, chosen).await["id"],
        done["id"]
    );
    service
        .post(
            "/v1/releases",
            &bob_again,
            release("a2", "T1", None, "resume"),
        )
        .await;
    let told = service
        .get("/v1/dispositions?after=0&wait_ms=100", &key)
        .await;
    let told: Vec<String> = told["dispositions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| {
            format!(
                "{} {} {}",
                told["sequence"], told["request_id"], told["disposition"]
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "1 \"r2\" \"reject\"",
            "2 \"r1\" \"resume\"",
            "3 \"r3\" \"resume\""
        ]
    );
    assert_eq!(
        service.check(&key, "r2", "settlement", "M1", "10.00").await["state"],
        "rejected"
    );
    // What was held of an order stays to be seen when it has ended, after a start as well.
    service.restart().await;
    let bob = service.sign_in("bob").await;
    let of_order = service.get("/v1/holds?order_no=O-r2", &bob).await;
    let of_order = of_order["holds"].as_array().unwrap();
    assert_eq!(of_order.len(), 1);
    assert_eq!(of_order[0]["state"], "rejected");
    let none = service.get("/v1/holds?order_no=O-r4", &bob).await;
    assert_eq!(none, json!({"holds": [], "next": null}));
    let resumed = service.check(&key, "r1", "refund", "M1", "10.00").await;
    assert_eq!(
        (&resumed["decision"], &resumed["state"]),
        (&json!("allow"), &json!("resumed"))
    );
    assert_eq!(service.get("/v1/trips/T1", &bob).await["state"], "released");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_release_needs_a_second_person_and_goes_on_in_steps() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "operator").await;
    let bob = service.person(&root, "bob", "approver").await;
    let cid = service.person(&root, "cid", "approver").await;
    let key = service.key(&root, &["check", "dispositions"]).await;
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["settlement"]))
        .await;
    let held = futures::future::join_all((0..2_500).map(|number| {
        let (service, key) = (&service, &key);
        async move {
            let id = format!("r{number}");
            service.check(key, &id, "settlement", "M1", "1.00").await["stored"] == true
        }
    }));
    assert!(held.await.iter().all(|stored| *stored));

    let proposed = service
        .post("/v1/releases", &bob, release("a1", "T1", None, "resume"))
        .await;
    assert_eq!(
        (&proposed["state"], &proposed["count"]),
        (&json!("proposed"), &json!(2_500))
    );
    let confirm = format!("/v1/releases/{}/confirm", proposed["id"].as_str().unwrap());
    for (person, status) in [(&ann, 403), (&bob, 403), (&cid, 200)] {
        assert_eq!(
            service.call("POST", &confirm, person, json!(null)).await.0,
            status
        );
    }
    let (mut after, mut told) = (0, 0);
    while told < 2_500 {
        let page = service
            .get(
                &format!("/v1/dispositions?after={after}&limit=1000&wait_ms=5000"),
                &key,
            )
            .await;
        for one in page["dispositions"].as_array().unwrap() {
            told += 1;
            assert_eq!(
                (&one["sequence"], &one["by"]),
                (&json!(told), &json!("cid"))
            );
        }
        after = page["next"].as_u64().unwrap();
    }
    // What is told is read from the store, the release from what is shown a moment later.
    let mut done = service.get("/v1/releases/R1", &ann).await;
    for _ in 0..200 {
        if done["state"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        done = service.get("/v1/releases/R1", &ann).await;
    }
    assert_eq!(
        (&done["state"], &done["decided"]),
        (&json!("done"), &json!(2_500))
    );
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_finding_trips_within_its_limits() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let bob = service.person(&root, "bob", "approver").await;
    let key = service.key(&root, &["check"]).await;
    let detection = service.key(&root, &["findings"]).await;
    service
        .post("/v1/progress", &detection, json!({"lag_ms": 1_500}))
        .await;
    let fresh = service.check(&key, "r0", "cash_out", "M1", "1.00").await;
    assert_eq!(fresh["decision"], "allow");
    assert!((1_500..20_000).contains(&fresh["staleness_ms"].as_u64().unwrap()));

    let report = |finding: &str, sequence: u64, verdict: &str, merchant: &str, risk: &str| {
        json!({
            "finding_id": finding, "sequence": sequence, "occurrence": 1, "rule": "settled-twice",
            "stable": true, "owner": "settlement", "verdict": verdict, "scope": {"merchant": merchant},
            "points": ["settlement", "cash_out"],
            "declared": {"points": ["settlement", "cash_out"], "by": "merchant"},
            "amount": risk, "currency": "CNY",
        })
    };
    let suspected = report("F1", 1, "suspected", "M1", "50.00");
    assert!(service.post("/v1/findings", &detection, suspected).await["trip"].is_null());
    let held = service.check(&key, "r1", "cash_out", "M1", "1.00").await;
    assert_eq!(
        (&held["finding_id"], &held["rule"]),
        (&json!("F1"), &json!("settled-twice"))
    );
    let confirmed = report("F1", 2, "confirmed", "M1", "50.00");
    let tripped = service.post("/v1/findings", &detection, confirmed).await;
    assert_eq!(
        (&tripped["trip"]["state"], &tripped["trip"]["automatic"]),
        (&json!("in_force"), &json!(true))
    );
    let held = service.check(&key, "r2", "settlement", "M1", "1.00").await;
    assert_eq!(
        (&held["trip"], &held["rule"]),
        (&json!("T1"), &json!("settled-twice"))
    );

    let small = report("F2", 1, "confirmed", "M2", "9.00");
    let proposed = service.post("/v1/findings", &detection, small).await;
    assert_eq!(proposed["trip"]["state"], "proposed");
    assert_eq!(
        service.check(&key, "r3", "settlement", "M2", "1.00").await["decision"],
        "allow"
    );
    service
        .post("/v1/trips/T2/confirm", &bob, json!(null))
        .await;
    assert_eq!(
        service.check(&key, "r3", "settlement", "M2", "1.00").await["trip"],
        "T2"
    );
    let findings = service.get("/v1/findings", &bob).await;
    assert_eq!(findings["findings"].as_array().unwrap().len(), 2);
    service.stop().await;
}
