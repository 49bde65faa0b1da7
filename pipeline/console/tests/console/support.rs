//! A console with everything that it asks: a breaker of its own, a store of findings, a detection that tells what a test
//! says. And people at their browsers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use centinel_breaker_service::{Config, create_first_admin, serve_over, sqlite};
use centinel_console::{Asked, Console, Detection, Settings, Surroundings, serve};
use centinel_findings::{Store, follow};
use centinel_interface::{
    Health, Problem, QuarantinedBytes, QuarantinedRecord, RuleStatus, Settle, SourceStatus,
};
use centinel_model::{
    Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Severity, Timestamp, Verdict,
};
use centinel_trace::History;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

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
on_suspected = "hold"
on_undetermined = "hold"
max_staleness = "5m"
beyond_max_staleness = "hold"

[breaker.automatic]
least_at_risk = { CNY = "10" }
most_held = { CNY = "1000000" }
most_in_an_hour = 20
lasts = "4h"
"#;

/// Detection, as a test wants it.
#[derive(Default)]
pub struct Told {
    pub sources: Mutex<Vec<SourceStatus>>,
    pub rules: Mutex<Vec<RuleStatus>>,
    pub quarantine: Mutex<Vec<QuarantinedRecord>>,
    pub history: Mutex<Option<History>>,
}

fn gives<'a, T: Send + 'a>(value: Result<T, Problem>) -> Asked<'a, T> {
    Box::pin(async move { value })
}

impl Detection for Told {
    fn health(&self) -> Asked<'_, Health> {
        gives(Ok(Health {
            alive: true,
            ready: true,
            reasons: vec![],
        }))
    }
    fn sources(&self) -> Asked<'_, Vec<SourceStatus>> {
        gives(Ok(self.sources.lock().unwrap().clone()))
    }
    fn rules(&self) -> Asked<'_, Vec<RuleStatus>> {
        gives(Ok(self.rules.lock().unwrap().clone()))
    }
    fn history<'a>(&'a self, _: &'a str, _: &'a str) -> Asked<'a, History> {
        let history = self.history.lock().unwrap().clone();
        gives(history.ok_or_else(|| Problem::NotFound("state knows none".into())))
    }
    fn quarantine(&self, below: Option<u64>, most: usize) -> Asked<'_, Vec<QuarantinedRecord>> {
        let records = self.quarantine.lock().unwrap();
        let fit = records
            .iter()
            .filter(|record| below.is_none_or(|below| record.number < below));
        gives(Ok(fit.take(most).cloned().collect()))
    }
    fn quarantined(&self, _: u64) -> Asked<'_, QuarantinedBytes> {
        gives(Ok(QuarantinedBytes {
            text: "{}".into(),
            whole: true,
        }))
    }
    fn settle<'a>(&'a self, _: u64, _: &'a Settle) -> Asked<'a, QuarantinedRecord> {
        gives(Err(Problem::NotFound("there is no such record".into())))
    }
}

pub struct Desk {
    pub folder: tempfile::TempDir,
    pub url: String,
    pub breaker: String,
    pub told: Arc<Told>,
    /// Seconds by which the console's steady clock is ahead.
    ahead: Arc<AtomicU64>,
    root: String,
    client: reqwest::Client,
    end: watch::Sender<bool>,
}

/// The time at which the console believes to be.
pub const NOW: &str = "2026-11-23T09:00:00Z";

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

impl Desk {
    pub async fn new() -> Desk {
        Desk::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let breaker = start_breaker(folder.path()).await;
        let (ahead, told) = (Arc::new(AtomicU64::new(0)), Arc::new(Told::default()));
        let mut settings = Settings {
            findings: folder.path().join("findings.db"),
            breaker: breaker.clone(),
            ca: None,
            origin: None,
            tls: None,
            reports: vec![],
        };
        change(&mut settings);
        let begun = Instant::now();
        let by = ahead.clone();
        let surroundings = Surroundings {
            steady: Arc::new(move || {
                begun.elapsed() + Duration::from_secs(by.load(Ordering::Relaxed))
            }),
            ..Surroundings::of_the_machine(|| at(NOW))
        };
        let console = Console::new(settings, surroundings, told.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, ending) = watch::channel(false);
        tokio::spawn(serve(listener, console, ending));
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut desk = Desk {
            folder,
            url,
            breaker,
            told,
            ahead,
            root: String::new(),
            client,
            end,
        };
        let session = desk
            .at_breaker(
                "POST",
                "/v1/sessions",
                "",
                json!({"name": "root", "password": PASSWORD}),
            )
            .await;
        desk.root = session["token"].as_str().unwrap().to_owned();
        desk
    }

    /// Time goes on for the console.
    pub fn later(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::Relaxed);
    }

    pub async fn at_breaker(&self, method: &str, path: &str, token: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.breaker);
        let mut request = self.client.request(method.parse().unwrap(), url);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// As the admin.
    pub async fn by_root(&self, method: &str, path: &str, body: Value) -> Value {
        self.at_breaker(method, path, &self.root, body).await
    }

    pub async fn account(&self, name: &str, role: &str) {
        let body = json!({"name": name, "role": role, "password": PASSWORD});
        self.by_root("POST", "/v1/accounts", body).await;
    }

    /// Somebody with this role, signed in.
    pub async fn person(&self, name: &str, role: &str) -> Visitor {
        self.account(name, role).await;
        let mut visitor = self.visitor();
        let answer = visitor.sign_in(name, PASSWORD).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        visitor
    }

    pub fn visitor(&self) -> Visitor {
        Visitor {
            client: self.client.clone(),
            url: self.url.clone(),
            cookie: String::new(),
        }
    }

    /// Detection tells findings, and they are taken in.
    pub fn tell(&self, findings: &[Finding]) {
        let path = self.folder.path().join("findings.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap_or_default();
        for finding in findings {
            text += &serde_json::to_string(finding).unwrap();
            text.push('\n');
        }
        std::fs::write(&path, text).unwrap();
        follow(&mut self.store(), &path, &|| at(NOW)).unwrap();
    }

    pub fn store(&self) -> Store {
        Store::open(&self.folder.path().join("findings.db")).unwrap()
    }

    pub fn end(&self) {
        self.end.send_replace(true);
    }
}

async fn start_breaker(folder: &Path) -> String {
    let store = folder.join("breaker.db");
    let config = Config::read(&BREAKER.replace("STORE", store.to_str().unwrap())).unwrap();
    let open = sqlite(&config);
    create_first_admin(&open, "root", PASSWORD).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(serve_over(config, open, listener, std::future::pending()));
    format!("http://{address}")
}

/// A confirmed finding of an order.
pub fn finding(rule: &str, order: &str) -> Finding {
    let row = [
        ("order_no", order),
        ("paid_amount", "100.00"),
        ("settled_amount", "90.00"),
        ("payer_name", "Zhang Sanfeng"),
    ];
    let row = row.map(|(column, value)| (column.to_owned(), Some(value.to_owned())));
    Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new(rule, [order]),
        sequence: 1,
        rule: rule.into(),
        rule_version: "0123456789abcdef".into(),
        title: format!("The title of {rule}"),
        entity: "order".into(),
        entity_key: order.into(),
        key: vec![("order_no".into(), order.into())],
        verdict: Verdict::Confirmed,
        occurrence: 1,
        severity: Severity::Error,
        owner: "settlement".into(),
        amount: Some("10.00".into()),
        currency: Some("CNY".into()),
        hint: None,
        evidence: Evidence {
            rows: vec![row.into_iter().collect()],
            total: 1,
        },
        positions: Positions::default(),
        anchor: "2026-11-22T08:00:00Z".into(),
        judged_at: "2026-11-22T08:01:00Z".into(),
        checkpoint: None,
        status: Some("stable".into()),
        trip: None,
    }
}

pub fn id(rule: &str, order: &str) -> String {
    FindingId::new(rule, [order]).0
}

/// A browser, as far as cookies and heads go. It shows forms' origin as browsers do.
#[derive(Clone)]
pub struct Visitor {
    client: reqwest::Client,
    pub url: String,
    pub cookie: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The token in its forms.
    pub fn csrf(&self) -> String {
        let (_, rest) = self
            .text
            .split_once("name=\"csrf\" value=\"")
            .expect("a form");
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let (_, rest) = self
            .text
            .split_once(&format!("name=\"{name}\" value=\""))
            .expect("a field");
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl Visitor {
    /// Sends anything.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self
            .client
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body);
        }
        let answer = request
            .timeout(Duration::from_secs(20))
            .send()
            .await
            .unwrap();
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("sec-fetch-site", "none")], None)
            .await
    }

    /// A form of this console.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let headers = [
            ("origin", self.url.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send("POST", path, &headers, Some(encoded(fields)))
            .await
    }

    /// The same with the session's token.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.get("/").await.csrf();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.post(path, &all).await
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let answer = self
            .post("/sign-in", &[("name", name), ("password", password)])
            .await;
        if let Some(cookie) = answer.headers.get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        answer
    }
}

pub fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// Waits until something is so, at most 20 seconds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    for _ in 0..400 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come");
}
