//! The client against the real service.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use centinel_breaker::{Declared, Points, Report, Scope, ScopeKind, TripState};
use centinel_breaker_client::{
    Checked, Client, ClientError, Decision, Name, Options, Point, ReportError, Reporter, Request,
    Source,
};
use centinel_breaker_service::{Config, create_first_admin, serve_over, sqlite};
use centinel_model::{Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Severity, Verdict};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const PASSWORD: &str = "correct horse battery staple";

struct Service {
    url: String,
    end: Option<oneshot::Sender<()>>,
    _folder: tempfile::TempDir,
}

impl Service {
    async fn start() -> Service {
        let folder = tempfile::tempdir().unwrap();
        let point = "on_error = \"hold\"\ndeadline = \"2s\"\non_suspected = \"allow\"\non_undetermined = \"allow\"\n\
                     max_staleness = \"5m\"\nbeyond_max_staleness = \"allow\"\n";
        let points = ["refund", "settlement", "cash_out"]
            .map(|name| format!("[breaker.points.{name}]\n{point}"));
        let text = format!(
            "[breaker]\nlisten = \"127.0.0.1:0\"\nstore = \"{}\"\nsecond_person_above = {{ CNY = \"1000\" }}\n{}\n\
             [breaker.automatic]\nleast_at_risk = {{}}\nmost_held = {{ CNY = \"1000\" }}\nmost_in_an_hour = 1\nlasts = \"1h\"\n",
            folder.path().join("breaker.db").display(),
            points.join("\n"),
        );
        let config = Config::read(&text).unwrap();
        let open = sqlite(&config);
        create_first_admin(&open, "root", PASSWORD).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, ended) = oneshot::channel::<()>();
        tokio::spawn(serve_over(config, open, listener, async {
            let _ = ended.await;
        }));
        Service {
            url,
            end: Some(end),
            _folder: folder,
        }
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Value {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .bearer_auth(token);
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn token(&self, path: &str, token: &str, body: Value) -> String {
        self.post(path, token, body).await["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A key for the client, and an approver.
    async fn people(&self) -> (String, String) {
        let sign_in = |name: &str| json!({"name": name, "password": PASSWORD});
        let root = self.token("/v1/sessions", "", sign_in("root")).await;
        let account = json!({"name": "ann", "role": "approver", "password": PASSWORD});
        self.post("/v1/accounts", &root, account).await;
        let key = json!({"name": "p", "scopes": ["check", "changes", "findings"], "lasts": "1h"});
        let key = self.token("/v1/keys", &root, key).await;
        (key, self.token("/v1/sessions", "", sign_in("ann")).await)
    }
}

fn options(url: &str, key: &str, cache: bool) -> Options {
    Options {
        url: url.to_owned(),
        key: key.to_owned(),
        deadline: Duration::from_secs(5),
        on_error: Decision::Hold,
        max_cache_age: cache.then_some(Duration::from_secs(3)),
        ca: None,
    }
}

fn request(id: &str, merchant: &str) -> Request {
    let request = json!({
        "request_id": id, "point": "refund", "business_code": "B", "merchant_no": merchant,
        "order_no": format!("O-{id}"), "amount": "1.00", "currency": "CNY",
    });
    serde_json::from_value(request).unwrap()
}

async fn until(what: &str, is: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !is() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{what} did not come"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_allows_and_every_hold_reaches_the_store() {
    let mut service = Service::start().await;
    let (key, ann) = service.people().await;
    let client = Client::new(options(&service.url, &key, true)).unwrap();
    until("the cache", || {
        client.cached(&request("r1", "M1")).is_some()
    })
    .await;
    let cached = client.check(&request("r1", "M1")).await.unwrap();
    assert!(matches!(cached.source, Source::Cache { age } if age < Duration::from_secs(3)));
    assert_eq!(cached.decision, Decision::Allow);

    let trip = json!({
        "request_id": "k1", "scope": {"merchant": "M1"}, "points": ["refund"], "reason": "because",
        "owner": "o", "lasts": "1h",
    });
    service.post("/v1/trips", &ann, trip).await;
    let took = until("the trip", || client.cached(&request("r1", "M1")).is_none()).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let held = client.check(&request("r1", "M1")).await.unwrap();
    assert_eq!(
        (held.decision, &held.source),
        (Decision::Hold, &Source::Breaker)
    );
    assert!(held.answer.unwrap().stored);

    // The trip ends: what it did not hold is allowed from the cache, and what was rejected never.
    let release = |id: &str, holds: Value, disposition: &str| {
        json!({
            "request_id": id, "cause": {"trip": "T1"}, "holds": holds, "disposition": disposition, "reason": "because",
        })
    };
    service
        .post("/v1/releases", &ann, release("a1", json!(["r1"]), "reject"))
        .await;
    service
        .post("/v1/releases", &ann, release("a2", json!(null), "resume"))
        .await;
    until("the release", || {
        client.cached(&request("r2", "M1")).is_some()
    })
    .await;
    assert!(client.cached(&request("r1", "M1")).is_none());
    let rejected = client.check(&request("r1", "M1")).await.unwrap();
    assert_eq!(
        (rejected.decision, &rejected.source),
        (Decision::Hold, &Source::Breaker)
    );

    // The breaker is gone: the cache grows too old, then the default.
    service.end.take();
    until("the end of the cache", || {
        client.cached(&request("r2", "M1")).is_none()
    })
    .await;
    let alone = client.check(&request("r2", "M1")).await.unwrap();
    let by_default = Checked {
        decision: Decision::Hold,
        source: Source::Default,
        answer: None,
    };
    assert_eq!(alone, by_default);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_the_caller_are_not_hidden_and_deadlines_are_kept() {
    let service = Service::start().await;
    let client = Client::new(options(&service.url, "cbk.no.key", false)).unwrap();
    let refused = client.check(&request("r1", "M1")).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::Refused { status: 401, .. }),
        "{refused}"
    );

    // A server that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let slow = Options {
        deadline: Duration::from_millis(100),
        ..options(&url, "k", false)
    };
    let client = Client::new(slow).unwrap();
    let start = Instant::now();
    assert_eq!(
        client.check(&request("r1", "M1")).await.unwrap().source,
        Source::Default
    );
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_detection_confirms_trips_and_counts_once() {
    let service = Service::start().await;
    let (key, _) = service.people().await;
    let reporter = Reporter::new(&service.url, &key, Duration::from_secs(5), None).unwrap();
    reporter
        .progress(Duration::from_millis(1_500))
        .await
        .unwrap();
    let finding = Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new("settled-twice", ["O-1"]),
        sequence: 1,
        rule: "settled-twice".into(),
        rule_version: "0".into(),
        title: "An order is settled once".into(),
        entity: "order".into(),
        entity_key: "O-1".into(),
        key: vec![("order_no".into(), "O-1".into())],
        verdict: Verdict::Confirmed,
        occurrence: 1,
        severity: Severity::Critical,
        owner: "settlement".into(),
        amount: Some("50.00".into()),
        currency: Some("CNY".into()),
        hint: None,
        evidence: Evidence::default(),
        positions: Positions::default(),
        anchor: "2026-11-22T08:00:00Z".into(),
        judged_at: "2026-11-22T08:00:30Z".into(),
        checkpoint: None,
        status: Some("stable".into()),
        trip: None,
    };
    let points = Points::new(&[Point::Refund]).unwrap();
    let scope = Scope::Order(Name::new("O-1").unwrap());
    let declared = Some(Declared {
        points,
        by: ScopeKind::Order,
    });
    let report = Report::of(&finding, true, scope.clone(), points, declared).unwrap();
    let trip = reporter.report(&report).await.unwrap().unwrap();
    assert_eq!((trip.state, &trip.scope), (TripState::InForce, &scope));
    assert_eq!(reporter.report(&report).await.unwrap().unwrap().id, trip.id);
    let client = Client::new(options(&service.url, &key, false)).unwrap();
    let mut asked = request("r1", "M1");
    asked.order_no = Name::new("O-1").unwrap();
    let held = client.check(&asked).await.unwrap().answer.unwrap();
    assert_eq!(
        (held.trip, held.rule.unwrap().as_str()),
        (Some(trip.id), "settled-twice")
    );
    assert!(held.staleness_ms.unwrap() >= 1_500);

    // A scope wider than the rule declares is a mistake that sending again does not mend.
    let wide = Report {
        scope: Scope::Merchant(Name::new("M1").unwrap()),
        sequence: 2,
        ..report
    };
    assert!(matches!(
        reporter.report(&wide).await,
        Err(ReportError::Refused(_))
    ));
}
