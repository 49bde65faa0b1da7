use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use centinel_breaker_service::{
    Config, OpenStore, ServeError, Wall, create_first_admin, serve_by, serve_over, sqlite,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const PASSWORD: &str = "correct horse battery staple";

/// Refund lets go on error, the others hold; cash-out holds in doubt.
pub const CONFIG: &str = r#"
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

pub fn config_text(store: &Path) -> String {
    CONFIG.replace("STORE", store.to_str().unwrap())
}

pub struct Service {
    pub url: String,
    pub client: reqwest::Client,
    pub folder: Arc<tempfile::TempDir>,
    end: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Service {
    /// A new store with the first admin, `root`.
    pub async fn start() -> Service {
        Service::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Service {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut config = Config::read(&config_text(&folder.path().join("breaker.db"))).unwrap();
        change(&mut config);
        let open = sqlite(&config);
        create_first_admin(&open, "root", PASSWORD).unwrap();
        Service::over(config, open, folder).await
    }

    pub async fn over(config: Config, open: OpenStore, folder: Arc<tempfile::TempDir>) -> Service {
        let (listener, url) = listener().await;
        let (end, ended) = oneshot::channel::<()>();
        let ended = async {
            let _ = ended.await;
        };
        let task = tokio::spawn(serve_over(config, open, listener, ended));
        Service::new(url, folder, end, task)
    }

    /// Over the store in a folder, by a wall clock of the test's own.
    pub async fn by(wall: Wall, folder: Arc<tempfile::TempDir>) -> Service {
        let (listener, url) = listener().await;
        let config = Config::read(&config_text(&folder.path().join("breaker.db"))).unwrap();
        let open = sqlite(&config);
        let (end, ended) = oneshot::channel::<()>();
        let ended = async {
            let _ = ended.await;
        };
        let task = tokio::spawn(serve_by(wall, config, open, listener, ended));
        Service::new(url, folder, end, task)
    }

    fn new(
        url: String,
        folder: Arc<tempfile::TempDir>,
        end: oneshot::Sender<()>,
        task: JoinHandle<Result<(), ServeError>>,
    ) -> Service {
        Service {
            url,
            client: reqwest::Client::new(),
            folder,
            end: Some(end),
            task: Some(task),
        }
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("breaker.db")
    }

    pub async fn stop(&mut self) {
        drop(self.end.take());
        self.task.take().unwrap().await.unwrap().unwrap();
    }

    /// Stops and starts over the same store.
    pub async fn restart(&mut self) {
        self.stop().await;
        let config = Config::read(&config_text(&self.store())).unwrap();
        let open = sqlite(&config);
        *self = Service::over(config, open, self.folder.clone()).await;
    }

    pub async fn call(&self, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
        call(
            &self.client,
            method,
            &format!("{}{path}", self.url),
            token,
            body,
        )
        .await
    }

    /// Calls that must succeed.
    pub async fn get(&self, path: &str, token: &str) -> Value {
        let (status, answer) = self.call("GET", path, token, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Value {
        let (status, answer) = self.call("POST", path, token, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn sign_in(&self, name: &str) -> String {
        let body = json!({"name": name, "password": PASSWORD});
        let answer = self.post("/v1/sessions", "", body).await;
        answer["token"].as_str().unwrap().to_owned()
    }

    /// A new account of this role, signed in.
    pub async fn person(&self, root: &str, name: &str, role: &str) -> String {
        let body = json!({"name": name, "role": role, "password": PASSWORD});
        self.post("/v1/accounts", root, body).await;
        self.sign_in(name).await
    }

    pub async fn key(&self, root: &str, scopes: &[&str]) -> String {
        let body = json!({"name": "a program", "scopes": scopes, "lasts": "30d"});
        let answer = self.post("/v1/keys", root, body).await;
        answer["token"].as_str().unwrap().to_owned()
    }

    pub async fn check(
        &self,
        key: &str,
        id: &str,
        point: &str,
        merchant: &str,
        amount: &str,
    ) -> Value {
        self.post("/v1/checks", key, request(id, point, merchant, amount))
            .await
    }
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

pub fn request(id: &str, point: &str, merchant: &str, amount: &str) -> Value {
    json!({
        "request_id": id, "point": point, "business_code": "B1", "merchant_no": merchant,
        "order_no": format!("O-{id}"), "amount": amount, "currency": "CNY",
    })
}

pub fn trip(id: &str, merchant: &str, points: &[&str]) -> Value {
    json!({
        "request_id": id, "scope": {"merchant": merchant}, "points": points,
        "reason": "double refunds", "owner": "settlement", "lasts": "4h",
    })
}

pub fn release(id: &str, trip: &str, holds: Option<&[&str]>, disposition: &str) -> Value {
    json!({
        "request_id": id, "cause": {"trip": trip}, "holds": holds,
        "disposition": disposition, "reason": "mended",
    })
}

pub async fn call(
    client: &reqwest::Client,
    method: &str,
    url: &str,
    token: &str,
    body: Value,
) -> (u16, Value) {
    let mut request = client.request(method.parse().unwrap(), url);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let answer = request
        .timeout(Duration::from_secs(30))
        .send()
        .await
        .unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{url}: {status}: {text}"));
    (status, body)
}

/// Waits until something is so, at most 20 seconds.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut is: impl FnMut() -> F) -> T {
    for _ in 0..1_000 {
        if let Some(found) = is().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come");
}
