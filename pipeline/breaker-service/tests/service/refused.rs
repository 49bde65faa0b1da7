//! What was refused is in the audit log, whoever tried it and however often.

use serde_json::{Value, json};

use crate::support::{PASSWORD, Service, release, request, trip, until};

/// The entries of refusals: who, and what is said of it.
async fn refusals(service: &Service, person: &str) -> Vec<(String, Value)> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = service
            .get(&format!("/v1/audit?after={after}&limit=1000"), person)
            .await;
        let entries = page["entries"].as_array().unwrap();
        for entry in entries {
            let body: Value = serde_json::from_str(entry["body"].as_str().unwrap()).unwrap();
            if body["act"] == "refused" {
                found.push((
                    body["by"].as_str().unwrap().to_owned(),
                    body["about"].clone(),
                ));
            }
        }
        if entries.is_empty() {
            return found;
        }
        after = page["next"].as_u64().unwrap();
    }
}

/// Waits for an entry of whom, at which route, with which code; gives what it says.
async fn wait_for(service: &Service, person: &str, by: &str, route: &str, code: &str) -> Value {
    until(&format!("{by} at {route}: {code}"), || async {
        let found = refusals(service, person).await;
        let fits = |(who, about): &(String, Value)| {
            who.starts_with(by) && about["route"] == route && about["code"] == code
        };
        found.into_iter().find(fits).map(|(_, about)| about)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_refusal_is_logged_with_who_and_why() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "operator").await;
    let bob = service.person(&root, "bob", "approver").await;
    let key = service.key(&root, &["check"]).await;
    let refused =
        |status: u16, method: &'static str, path: &'static str, token: &str, body: Value| {
            let (service, token) = (&service, token.to_owned());
            async move {
                let (found, answer) = service.call(method, path, &token, body).await;
                assert_eq!(found, status, "{method} {path}: {answer}");
            }
        };

    // By role, and a key by its scope and by its points.
    refused(403, "POST", "/v1/keys", &ann, json!({})).await;
    refused(403, "GET", "/v1/trips", &key, Value::Null).await;
    let bound =
        json!({"name": "refunds", "scopes": ["check"], "points": ["refund"], "lasts": "1h"});
    let bound = service.post("/v1/keys", &root, bound).await;
    let bound = bound["token"].as_str().unwrap();
    let cash_out = request("r1", "cash_out", "M1", "1.00");
    refused(403, "POST", "/v1/checks", bound, cash_out).await;
    // A wrong secret of a key that there is, and one that is nobody's.
    let wrong = format!("{}.wrong", key.rsplit_once('.').unwrap().0);
    let ask = request("r1", "refund", "M1", "1.00");
    refused(401, "POST", "/v1/checks", &wrong, ask.clone()).await;
    // A wrong password of an account that there is, of one that is not, and a wrong old one.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let sign_in = |name: &str| json!({"name": name, "password": "a wrong password"});
    refused(401, "POST", "/v1/sessions", "", sign_in("ann")).await;
    refused(
        401,
        "POST",
        "/v1/sessions",
        "",
        sign_in("typed-in-the-wrong-place"),
    )
    .await;
    let old = json!({"old": "a wrong password", "new": "another one, long enough"});
    refused(401, "POST", "/v1/password", &bob, old).await;
    // The second person is the first one; what is over is confirmed; a request under another's id.
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["settlement"]))
        .await;
    service
        .check(&key, "r2", "settlement", "M1", "5000.00")
        .await;
    let proposed = service
        .post("/v1/releases", &bob, release("a1", "T1", None, "resume"))
        .await;
    assert_eq!(proposed["state"], "proposed");
    refused(403, "POST", "/v1/releases/R1/confirm", &bob, Value::Null).await;
    let why = json!({"reason": "not yet"});
    service.post("/v1/releases/R1/decline", &bob, why).await;
    let cid = service.person(&root, "cid", "approver").await;
    refused(409, "POST", "/v1/releases/R1/confirm", &cid, Value::Null).await;
    let other = request("r2", "settlement", "M1", "6000.00");
    refused(409, "POST", "/v1/checks", &key, other).await;

    let expected = [
        ("ann", "POST /v1/keys", "forbidden", "role"),
        ("key a program", "GET /v1/trips", "forbidden", "role"),
        ("key refunds", "POST /v1/checks", "forbidden", "cash_out"),
        (
            "nobody",
            "POST /v1/checks",
            "unauthenticated",
            "no valid key",
        ),
        (
            "nobody",
            "POST /v1/sessions",
            "unauthenticated",
            "no such account",
        ),
        (
            "bob",
            "POST /v1/password",
            "unauthenticated",
            "old password",
        ),
        ("bob", "POST /v1/releases/{id}/confirm", "forbidden", "R1"),
        ("cid", "POST /v1/releases/{id}/confirm", "conflict", "R1"),
        ("key a program", "POST /v1/checks", "conflict", "r2"),
    ];
    for (by, route, code, why) in expected {
        let about = wait_for(&service, &root, by, route, code).await;
        assert!(about["why"].as_str().unwrap().contains(why), "{about}");
        assert_eq!(about["so_far"], 1, "{about}");
    }
    let found = refusals(&service, &root).await;
    let claimed: Vec<&str> = found
        .iter()
        .filter_map(|(_, about)| about["claimed"].as_str())
        .collect();
    assert!(claimed.contains(&"ann"), "{claimed:?}");
    assert!(claimed.iter().any(|who| who.starts_with("key a program (")));
    // No secret, nor what may be one in the wrong place.
    let all = format!("{found:?}");
    for secret in ["a wrong password", "typed-in", PASSWORD, "another one"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    // What was declined is an act of its own.
    let audit = service.get("/v1/audit?limit=1000", &root).await.to_string();
    assert!(audit.contains("release.decline") && audit.contains("not yet"));
    service.stop().await;
    let path = service.store();
    let verified = centinel_breaker_service::verify_log(&path, None).unwrap();
    assert_eq!(verified.wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_counted_and_fills_no_disk() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "viewer").await;
    let before = service.get("/v1/audit?limit=1000", &root).await["next"]
        .as_u64()
        .unwrap();
    let flood = futures::future::join_all((0..3_000).map(|number| {
        let (service, token) = (&service, format!("cbk.id-{number}.secret"));
        let path = if number % 2 == 0 {
            "/v1/trips"
        } else {
            "/v1/keys"
        };
        async move { service.call("GET", path, &token, Value::Null).await.0 }
    }));
    assert!(flood.await.iter().all(|status| *status == 401));
    // What somebody inside tries meanwhile has an entry of its own.
    let status = service.call("GET", "/v1/keys", &ann, Value::Null).await.0;
    assert_eq!(status, 403);
    wait_for(&service, &root, "ann", "GET /v1/keys", "forbidden").await;
    let after = service.get("/v1/audit?limit=1000", &root).await["next"]
        .as_u64()
        .unwrap();
    assert!(after - before < 10, "{before} to {after}");

    // What was not said of the minute yet is said at the end.
    service.restart().await;
    let root = service.sign_in("root").await;
    let all = refusals(&service, &root).await;
    let sum: u64 = all
        .iter()
        .filter(|(by, _)| by == "nobody")
        .filter_map(|(_, about)| about["in_minute"].as_u64())
        .sum();
    assert_eq!(sum, 3_000, "{all:?}");
    service.stop().await;
}
