use std::collections::BTreeSet;
use std::time::Duration;

use centinel_breaker_service::{ROUTES, Sqlite, Store};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Service, request};

/// Who may call what, written down a second time: the table of routes must agree with it.
const MAY: &[(&str, &str)] = &[
    ("GET /v1/health", "nobody"),
    ("GET /v1/openapi.json", "nobody"),
    ("GET /metrics", "nobody"),
    ("POST /v1/sessions", "nobody"),
    ("GET /v1/sessions", "viewer operator approver admin"),
    ("DELETE /v1/sessions", "viewer operator approver admin"),
    ("POST /v1/checks", "check"),
    (
        "GET /v1/dispositions",
        "dispositions viewer operator approver admin",
    ),
    ("GET /v1/changes", "changes"),
    ("POST /v1/findings", "findings"),
    ("POST /v1/progress", "findings"),
    ("GET /v1/findings", "viewer operator approver admin"),
    ("POST /v1/trips/preview", "viewer operator approver admin"),
    ("POST /v1/trips", "operator approver"),
    ("GET /v1/trips", "viewer operator approver admin"),
    ("GET /v1/trips/{id}", "viewer operator approver admin"),
    ("POST /v1/trips/{id}/confirm", "approver"),
    ("POST /v1/trips/{id}/decline", "approver"),
    ("GET /v1/holds", "viewer operator approver admin"),
    (
        "GET /v1/holds/{request_id}",
        "viewer operator approver admin",
    ),
    ("POST /v1/releases", "operator approver"),
    ("GET /v1/releases", "viewer operator approver admin"),
    ("GET /v1/releases/{id}", "viewer operator approver admin"),
    ("POST /v1/releases/{id}/confirm", "approver"),
    ("POST /v1/releases/{id}/decline", "approver"),
    ("GET /v1/audit", "viewer operator approver admin"),
    ("GET /v1/status", "viewer operator approver admin"),
    ("GET /v1/accounts", "admin"),
    ("POST /v1/accounts", "admin"),
    ("PATCH /v1/accounts/{name}", "admin"),
    ("POST /v1/password", "viewer operator approver admin"),
    ("GET /v1/keys", "admin"),
    ("POST /v1/keys", "admin"),
    ("DELETE /v1/keys/{id}", "admin"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_may_and_nobody_else() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let mut callers = vec![
        ("nobody", String::new()),
        ("forged", "cbk.abc.def".to_owned()),
    ];
    for scope in ["check", "dispositions", "changes", "findings"] {
        callers.push((scope, service.key(&root, &[scope]).await));
    }
    for role in ["viewer", "operator", "approver", "admin"] {
        callers.push((role, service.person(&root, role, role).await));
    }
    let named: BTreeSet<String> = MAY.iter().map(|(route, _)| (*route).to_owned()).collect();
    let there: BTreeSet<String> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(named, there);

    for (caller, token) in &callers {
        // Signing out comes last, or the rest would be tried without a session.
        let (last, others): (Vec<_>, Vec<_>) = MAY
            .iter()
            .partition(|(route, _)| *route == "DELETE /v1/sessions");
        for (route, may) in others.iter().chain(&last) {
            let (method, path) = route.split_once(' ').unwrap();
            let path = path
                .replace("{id}", "T9")
                .replace("{name}", "nobody")
                .replace("{request_id}", "r9");
            let mut request = service
                .client
                .request(method.parse().unwrap(), format!("{}{path}", service.url));
            if !token.is_empty() {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            // The body is read only once the caller is let in; of a stream only the head is waited for.
            let answer = request
                .body("{}")
                .timeout(Duration::from_secs(20))
                .send()
                .await
                .unwrap();
            let status = answer.status().as_u16();
            let in_there = !matches!(status, 401 | 403);
            let may = may.split(' ').any(|who| who == *caller || who == "nobody");
            assert_eq!(in_there, may, "{caller} at {route}: {status}");
            if !may {
                let expected = if matches!(*caller, "nobody" | "forged") {
                    401
                } else {
                    403
                };
                assert_eq!(status, expected, "{caller} at {route}");
            }
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_scoped_expire_and_are_rotated_without_a_gap() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let make = |lasts: &str, points: Value| {
        let body = json!({"name": "refund service", "scopes": ["check"], "points": points, "lasts": lasts});
        let (service, root) = (&service, &root);
        async move { service.post("/v1/keys", root, body).await }
    };
    let first = make("1h", json!(["refund"])).await;
    let short = make("1s", json!([])).await;
    let (first_token, short_token) = (
        first["token"].as_str().unwrap(),
        short["token"].as_str().unwrap(),
    );
    let try_it = |token: String, point: &'static str| {
        let service = &service;
        async move {
            service
                .call(
                    "POST",
                    "/v1/checks",
                    &token,
                    request("r1", point, "M1", "1.00"),
                )
                .await
                .0
        }
    };
    assert_eq!(try_it(first_token.to_owned(), "refund").await, 200);
    assert_eq!(try_it(first_token.to_owned(), "cash_out").await, 403);
    let second = make("1h", json!([])).await;
    let second_token = second["token"].as_str().unwrap();
    assert_eq!(try_it(first_token.to_owned(), "refund").await, 200);
    assert_eq!(try_it(second_token.to_owned(), "refund").await, 200);
    let revoke = format!("/v1/keys/{}", first["id"].as_str().unwrap());
    assert_eq!(
        service.call("DELETE", &revoke, &root, Value::Null).await.0,
        200
    );
    assert_eq!(try_it(first_token.to_owned(), "refund").await, 401);
    assert_eq!(try_it(second_token.to_owned(), "refund").await, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(try_it(short_token.to_owned(), "refund").await, 401);

    // A secret that is almost right is wrong.
    let mut almost = second_token.to_owned();
    let last = almost.pop().unwrap();
    almost.push(if last == 'A' { 'B' } else { 'A' });
    assert_eq!(try_it(almost, "refund").await, 401);

    // Neither secrets nor passwords are in the store, in lists or in the audit log.
    let listed = service.get("/v1/keys", &root).await.to_string();
    let logged = service.get("/v1/audit?limit=1000", &root).await.to_string();
    let secret = second_token.rsplit('.').next().unwrap();
    service.restart().await;
    assert_eq!(
        service
            .call(
                "POST",
                "/v1/checks",
                second_token,
                request("r1", "refund", "M1", "1.00")
            )
            .await
            .0,
        200
    );
    let mut store = Sqlite::open(&service.store()).unwrap();
    let stored = format!("{:?}", store.load().unwrap());
    for text in [&listed, &logged, &stored] {
        assert!(!text.contains(secret) && !text.contains(PASSWORD));
    }
    assert!(!logged.contains("argon2") && stored.contains("$argon2id$"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_change_and_the_last_admin_stays() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "viewer").await;
    let change = |name: &'static str, body: Value| {
        let (service, root) = (&service, &root);
        async move {
            service
                .call("PATCH", &format!("/v1/accounts/{name}"), root, body)
                .await
                .0
        }
    };
    assert_eq!(change("root", json!({"disabled": true})).await, 409);
    assert_eq!(change("root", json!({"role": "viewer"})).await, 409);
    // A role counts at once, and a shut account is out at once.
    let trip = crate::support::trip("k1", "M1", &["refund"]);
    assert_eq!(
        service
            .call("POST", "/v1/trips", &ann, trip.clone())
            .await
            .0,
        403
    );
    assert_eq!(change("ann", json!({"role": "operator"})).await, 200);
    let session = service.get("/v1/sessions", &ann).await;
    assert_eq!(session, json!({"name": "ann", "role": "operator"}));
    assert_eq!(service.call("POST", "/v1/trips", &ann, trip).await.0, 200);
    assert_eq!(change("ann", json!({"disabled": true})).await, 200);
    assert_eq!(
        service.call("GET", "/v1/trips", &ann, Value::Null).await.0,
        401
    );
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let sign_in = |password: &'static str| {
        let service = &service;
        async move {
            service
                .call(
                    "POST",
                    "/v1/sessions",
                    "",
                    json!({"name": "ann", "password": password}),
                )
                .await
                .0
        }
    };
    assert_eq!(sign_in(PASSWORD).await, 401);
    assert_eq!(
        change("ann", json!({"disabled": false, "password": "short"})).await,
        400
    );
    assert_eq!(change("ann", json!({"disabled": false})).await, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(sign_in("another password that is long").await, 401);
    // Guessing is slow.
    assert_eq!(sign_in(PASSWORD).await, 429);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let ann = service.sign_in("ann").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let new = json!({"old": PASSWORD, "new": "a new password, and long"});
    assert_eq!(service.call("POST", "/v1/password", &ann, new).await.0, 200);
    assert_eq!(
        service.call("GET", "/v1/trips", &ann, Value::Null).await.0,
        401
    );
    service.stop().await;
}
