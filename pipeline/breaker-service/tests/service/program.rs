//! The real program in a folder of its own.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use centinel_breaker_service::verify_log;
use serde_json::{Value, json};

use crate::support::{PASSWORD, config_text};

/// Kills the program when the test ends early.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One call; `None` when it was not answered with success.
pub async fn attempt(
    client: &reqwest::Client,
    method: &str,
    url: &str,
    token: &str,
    body: &Value,
) -> Option<Value> {
    let mut request = client
        .request(method.parse().unwrap(), url)
        .timeout(Duration::from_secs(5));
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.ok()?;
    let success = answer.status().is_success();
    let text = answer.text().await.ok()?;
    success.then(|| serde_json::from_str(&text).unwrap())
}

/// The program's folder, and how it is called.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub url: String,
    pub client: reqwest::Client,
}

impl Place {
    /// A new store with the first admin, and no limits that a test would meet.
    pub fn new(second_person_above: &str) -> Place {
        Place::with(second_person_above, "")
    }

    /// With further tables of the configuration.
    pub fn with(second_person_above: &str, tables: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        let text = config_text(&folder.path().join("breaker.db"))
            .replace("127.0.0.1:0", &address)
            .replace(
                "{ CNY = \"1000\" }",
                &format!("{{ CNY = \"{second_person_above}\" }}"),
            );
        let limits = "[breaker.limits]\nperson_requests_per_second = 100000\n";
        let place = Place {
            folder,
            url: format!("http://{address}"),
            client: reqwest::Client::new(),
        };
        std::fs::write(place.config(), format!("{text}\n{limits}\n{tables}")).unwrap();
        let made = Command::new(env!("CARGO_BIN_EXE_breaker_serve"))
            .arg(place.config())
            .args(["first-admin", "root"])
            .env("BREAKER_PASSWORD", PASSWORD)
            .status();
        assert!(made.unwrap().success());
        place
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("centinel.toml")
    }

    /// What the program says is in `said` of the folder.
    pub fn start(&self) -> Running {
        self.start_with(&[])
    }

    /// With variables of the environment.
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Running {
        let said = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("said"))
            .unwrap();
        let program = Command::new(env!("CARGO_BIN_EXE_breaker_serve"))
            .arg(self.config())
            .envs(variables.iter().copied())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn();
        Running(program.unwrap())
    }

    /// Calls until it is answered with success.
    pub async fn persist(&self, method: &str, path: &str, token: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.url);
        for _ in 0..500 {
            if let Some(answer) = attempt(&self.client, method, &url, token, &body).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{url} was not answered with success")
    }

    pub async fn sign_in(&self, name: &str) -> String {
        let body = json!({"name": name, "password": PASSWORD});
        let answer = self.persist("POST", "/v1/sessions", "", body).await;
        answer["token"].as_str().unwrap().to_owned()
    }

    /// A new approver.
    pub async fn approver(&self, root: &str, name: &str) {
        let account = json!({"name": name, "role": "approver", "password": PASSWORD});
        self.persist("POST", "/v1/accounts", root, account).await;
    }

    pub async fn key(&self, root: &str) -> String {
        let key = json!({"name": "load", "scopes": ["check", "dispositions"], "lasts": "30d"});
        let key = self.persist("POST", "/v1/keys", root, key).await;
        key["token"].as_str().unwrap().to_owned()
    }

    /// The requests of all dispositions. Every one is told once, without a gap.
    pub async fn told(&self, key: &str) -> BTreeSet<String> {
        let (mut after, mut requests) = (0u64, BTreeSet::new());
        loop {
            let path = format!("/v1/dispositions?after={after}&limit=1000");
            let told = self.persist("GET", &path, key, Value::Null).await;
            let told = told["dispositions"].as_array().unwrap();
            for one in told {
                after += 1;
                assert_eq!(one["sequence"], after);
                let request = one["request_id"].as_str().unwrap().to_owned();
                assert!(requests.insert(request), "told twice: {one}");
            }
            if told.is_empty() {
                return requests;
            }
        }
    }

    pub fn verify(&self) {
        let verified = verify_log(&self.folder.path().join("breaker.db"), None).unwrap();
        assert_eq!(verified.wrong, Vec::<String>::new());
    }
}
