//! A console over a real breaker and a real store, and people who use it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use centinel_breaker_service::{Config, create_first_admin, serve_over, sqlite};
use centinel_console::{Console, Settings, Surroundings};
use centinel_findings::{Store, follow};
use centinel_model::{FindingId, Timestamp};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::fake::Fake;

pub const PASSWORD: &str = "correct horse battery staple";

const BREAKER: &str = r#"
[breaker]
listen = "127.0.0.1:0"
store = "STORE"
second_person_above = { CNY = "1000" }

[breaker.points.refund]
on_error = "allow"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "5m"
beyond_max_staleness = "allow"

[breaker.points.settlement]
on_error = "hold"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "5m"
beyond_max_staleness = "allow"

[breaker.points.cash_out]
on_error = "hold"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "5m"
beyond_max_staleness = "allow"

[breaker.automatic]
least_at_risk = { CNY = "10" }
most_held = { CNY = "1000000" }
most_in_an_hour = 20
lasts = "4h"
"#;

pub struct Stage {
    pub url: String,
    pub breaker: String,
    pub detection: Arc<Fake>,
    pub folder: tempfile::TempDir,
    pub http: reqwest::Client,
    /// A key of the breaker with which the platform asks.
    pub key: String,
    _end: (oneshot::Sender<()>, watch::Sender<bool>),
}

/// A finding of the order, as detection writes it.
pub fn told(rule: &str, order: &str, change: Value) -> Value {
    let mut message = json!({
        "schema": "centinel/finding/1", "finding_id": id(rule, order), "sequence": 1, "rule": rule,
        "rule_version": "0123456789abcdef", "title": "What was settled is what was paid", "entity": "order",
        "entity_key": order, "key": [["order_no", order]], "verdict": "confirmed", "occurrence": 1,
        "severity": "critical", "owner": "settlement", "amount": "112.50", "currency": "CNY", "hint": null,
        "evidence": {"rows": [{"order_no": order, "paid": "12.50", "settled": "125.00"}], "total": 1},
        "positions": {}, "anchor": "2026-11-22T08:00:00Z", "judged_at": "2026-11-22T08:05:00Z",
    });
    for (name, value) in change.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

pub fn id(rule: &str, order: &str) -> String {
    FindingId::new(rule, [order]).0
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_micros()).unwrap())
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl Stage {
    pub async fn new() -> Stage {
        Stage::with(&[told("settled-equals-paid", "O-1", json!({}))]).await
    }

    /// With these findings.
    pub async fn with(findings: &[Value]) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("findings.db");
        take_in(&folder.path().join("findings.jsonl"), &store, findings);
        reports(&folder.path().join("reports"));

        let text = BREAKER.replace("STORE", folder.path().join("breaker.db").to_str().unwrap());
        let config = Config::read(&text).unwrap();
        let open = sqlite(&config);
        create_first_admin(&open, "root", PASSWORD).unwrap();
        let (taken, breaker) = listener().await;
        let (end, ended) = oneshot::channel::<()>();
        tokio::spawn(serve_over(config, open, taken, async {
            let _ = ended.await;
        }));

        let detection = Arc::new(Fake::new());
        let settings = Settings {
            findings: store,
            breaker: breaker.clone(),
            ca: None,
            origin: None,
            tls: None,
            reports: vec![folder.path().join("reports")],
        };
        let around = Surroundings::of_the_machine(now);
        let console = Console::new(settings, around, detection.clone()).unwrap();
        let (taken, url) = listener().await;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            centinel_console::serve(taken, console, stopped)
                .await
                .unwrap();
        });
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut stage = Stage {
            url,
            breaker,
            detection,
            folder,
            http,
            key: String::new(),
            _end: (end, stop),
        };
        stage.staff().await;
        stage
    }

    /// One of each role, and two approvers.
    async fn staff(&mut self) {
        let signed_in = self
            .call(
                "/v1/sessions",
                "",
                json!({"name": "root", "password": PASSWORD}),
            )
            .await;
        let root = signed_in["token"].as_str().unwrap().to_owned();
        for (name, role) in [
            ("vera", "viewer"),
            ("olga", "operator"),
            ("anna", "approver"),
            ("bert", "approver"),
        ] {
            let account = json!({"name": name, "role": role, "password": PASSWORD});
            self.call("/v1/accounts", &root, account).await;
        }
        let key = json!({"name": "platform", "scopes": ["check", "findings"], "lasts": "30d"});
        let key = self.call("/v1/keys", &root, key).await;
        self.key = key["token"].as_str().unwrap().to_owned();
    }

    async fn call(&self, path: &str, token: &str, body: Value) -> Value {
        let mut request = self.http.post(format!("{}{path}", self.breaker));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The platform asks whether money may move.
    pub async fn check(&self, request: &str, order: &str, amount: &str) -> Value {
        let body = json!({
            "request_id": request, "point": "settlement", "business_code": "B1", "merchant_no": "MERCHANT-9001",
            "order_no": order, "amount": amount, "currency": "CNY",
        });
        self.call("/v1/checks", &self.key, body).await
    }

    pub async fn person(&self, name: &str) -> Person<'_> {
        let person = Person {
            stage: self,
            cookie: String::new(),
        };
        let answer = person
            .send("/sign-in", &[("name", name), ("password", PASSWORD)])
            .await;
        let headers = answer.headers.get_all(SET_COOKIE);
        let mut cookies = headers.iter().filter_map(|cookie| cookie.to_str().ok());
        let cookie = cookies.find(|cookie| cookie.starts_with("centinel="));
        let cookie = cookie.unwrap_or_else(|| panic!("{name}: {}: {}", answer.status, answer.body));
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Person { cookie, ..person }
    }
}

fn take_in(file: &Path, store: &Path, findings: &[Value]) {
    let text: String = findings.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(file, text).unwrap();
    let taken_at = || Timestamp::parse("2026-11-22T08:06:00Z").unwrap();
    follow(&mut Store::open(store).unwrap(), file, &taken_at).unwrap();
}

/// An audit that finished, one that was cut off, a drill, and a plan.
fn reports(folder: &Path) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let line = |rest: &str| {
        format!("{{\"schema\":\"centinel/audit-run/1\",\"at\":\"2026-11-22T02:30:00Z\",{rest}}}\n")
    };
    let began = r#""event":"began","run":"RUN","run_for":"2026-11-22T02:30:00Z","started_by":"schedule","input":"/snapshots/day""#;
    let ended = r#""event":"ended","run":"r1","outcome":"finished","exit_status":3,"duration_ms":61500,"problem":null,"result":{"as_of":"2026-11-22T02:00:00Z","rules":12,"rules_version":"abc","rows":1000,"tables":[],"findings":2,"accepted":1,"in_flight":0,"could_not_judge":4,"at_risk":{"CNY":"99.10"},"compared":{"with":"r0","new":1,"still_there":1,"gone":0,"unsure":0}}"#;
    let history = [
        line(r#""event":"declared""#),
        line(&began.replace("RUN", "r1")),
        line(ended),
        line(&began.replace("RUN", "r2")),
    ];
    write("nightly/history.jsonl", &history.concat());
    write(
        "nightly/r1/report.html",
        "<!DOCTYPE html><html lang=en><title>r</title><style>p{color:red}</style><p>order O-1</p><script>document.title='ran'</script></html>",
    );
    write("nightly/secret.txt", "not to be served");
    let drill = [
        line(&format!("{},\"drill\":true", began.replace("RUN", "d1"))),
        line(
            r#""event":"ended","run":"d1","outcome":"finished","exit_status":2,"duration_ms":900,"drill":{"drill":"DRILL-1","told":"21 detected, 1 unnoticed"}"#,
        ),
    ];
    write("weekly/history.jsonl", &drill.concat());
    write(
        "weekly/drills.jsonl",
        "{\"schema\":\"centinel/drill/1\",\"drill\":\"DRILL-1\",\"at\":\"2026-11-22T02:30:00Z\",\"name\":\"weekly\",\"input\":\"simulated\",\"seed\":1,\"orders\":500,\"lines\":9,\"rules\":4,\"rules_version\":\"x\",\"duration_ms\":900,\"exit_status\":2,\"detected\":21,\"incomplete\":0,\"unnoticed\":1,\"could_not_judge\":0,\"false_alarms\":0,\"problems\":[],\"breaker\":null,\"faults\":[{\"kind\":\"paid_twice\",\"verdict\":\"unnoticed\",\"rule\":null,\"took_ms\":null,\"due_ms\":null}],\"compared\":null}\n",
    );
    write(
        "plan.json",
        r#"{"schema":"centinel/repair-plan/1","id":"abc","planned_at":"2026-11-22T08:00:00Z","snapshot":{},"judged_by":{},"changes":[{"new":{"card":"6222000011112222"}}],"result":{"verdict":"unsafe","reasons":["a violation is introduced"],"as_of":null,"at_rest":true,"age":null,"cuts":{},"rows":{"refund":{"inserted":0,"updated":1,"deleted":0}},"entities":{"order":1},"quality":{"counts":{},"found":[]},"violations":{"fixed":[],"introduced":[{"rule":"refunded-at-most-paid","severity":"critical","entity":"order","entity_key":"ORDER-5566","key":[],"amount":"3.00","currency":"CNY","in_flight":false,"evidence":{}}],"changed":[],"untouched":[]},"money":{"moved":[],"totals":[{"table":"refund","column":"amount","currency":"CNY","before":"1.00","after":"4.00","conserved":false}]},"could_not_judge":[],"notes":[]}}"#,
    );
}

/// Somebody at a browser, as far as HTTP goes.
pub struct Person<'a> {
    stage: &'a Stage,
    pub cookie: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    async fn of(answer: reqwest::Response) -> Answer {
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    }

    pub fn to(&self) -> &str {
        let to = self.headers.get(LOCATION);
        to.unwrap_or_else(|| panic!("leads nowhere: {}: {}", self.status, self.body))
            .to_str()
            .unwrap()
    }

    /// The value of the first input of this name.
    pub fn value(&self, name: &str) -> String {
        let begin = format!("name=\"{name}\" value=\"");
        let (_, rest) = self
            .body
            .split_once(&begin)
            .unwrap_or_else(|| panic!("no {name} in {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Person<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        let request = self.stage.http.get(format!("{}{path}", self.stage.url));
        let request = request.header(COOKIE, &self.cookie);
        Answer::of(
            request
                .timeout(Duration::from_secs(30))
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// A page that must be there.
    pub async fn page(&self, path: &str) -> Answer {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    }

    /// Sends a form, with nothing added.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = String::new();
        for (name, value) in fields {
            let encoded = |text: &str| -> String {
                text.bytes().map(|byte| format!("%{byte:02X}")).collect()
            };
            body.push_str(&format!("{}={}&", encoded(name), encoded(value)));
        }
        let request = self.stage.http.post(format!("{}{path}", self.stage.url));
        let request = request
            .header(COOKIE, &self.cookie)
            .header(ORIGIN, &self.stage.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        Answer::of(
            request
                .timeout(Duration::from_secs(30))
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Sends the form of a page, with its token.
    pub async fn act(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.page(page).await.value("csrf");
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.send(path, &all).await
    }
}
