//! The real program, killed with SIGKILL at any moment under load: what it acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use centinel_breaker_service::verify_log;
use serde_json::{Value, json};

use crate::support::{PASSWORD, config_text, release, request, trip};

const KILLS: usize = 40;

/// What was acknowledged over all lives.
#[derive(Default)]
struct Acknowledged {
    holds: BTreeSet<String>,
    trips: BTreeMap<String, String>,
    released: BTreeSet<String>,
}

/// Kills the program when the test ends early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(config: &Path) -> Running {
    let program = Command::new(env!("CARGO_BIN_EXE_breaker_serve"))
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(program.unwrap())
}

/// One call; `None` when it was not answered with success.
async fn attempt(
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

async fn persist(
    client: &reqwest::Client,
    method: &str,
    url: &str,
    token: &str,
    body: &Value,
) -> Value {
    for _ in 0..500 {
        if let Some(answer) = attempt(client, method, url, token, body).await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{url} was not answered")
}

/// Holds without end. An identity is asked for again until it is acknowledged.
async fn hold(
    url: String,
    key: String,
    worker: usize,
    from: usize,
    known: Arc<Mutex<Acknowledged>>,
) {
    let client = reqwest::Client::new();
    for number in from.. {
        let id = format!("w{worker}-{number}");
        let body = request(&id, "settlement", "M1", "1.00");
        let Some(answer) = attempt(&client, "POST", &format!("{url}/v1/checks"), &key, &body).await
        else {
            return;
        };
        if answer["stored"] == true {
            assert_eq!(answer["decision"], "hold");
            known.lock().unwrap().holds.insert(id);
        }
    }
}

/// Trips and releases without end; what was not acknowledged is sent again in the next life, under the same id.
async fn act(url: String, person: String, life: usize, known: Arc<Mutex<Acknowledged>>) {
    let client = reqwest::Client::new();
    for number in 0.. {
        let id = format!("k{life}-{number}");
        let body = trip(&id, &format!("M-{id}"), &["refund"]);
        let Some(set) = attempt(&client, "POST", &format!("{url}/v1/trips"), &person, &body).await
        else {
            return;
        };
        known
            .lock()
            .unwrap()
            .trips
            .insert(id.clone(), set["id"].as_str().unwrap().to_owned());

        let free = {
            let known = known.lock().unwrap();
            known.holds.difference(&known.released).next().cloned()
        };
        let Some(free) = free else { continue };
        let body = release(&format!("a-{free}"), "T1", Some(&[&free]), "resume");
        let Some(_) = attempt(
            &client,
            "POST",
            &format!("{url}/v1/releases"),
            &person,
            &body,
        )
        .await
        else {
            return;
        };
        known.lock().unwrap().released.insert(free);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_loses_nothing_and_applies_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (store, config) = (
        folder.path().join("breaker.db"),
        folder.path().join("centinel.toml"),
    );
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = config_text(&store)
        .replace("127.0.0.1:0", &format!("127.0.0.1:{port}"))
        .replace("{ CNY = \"1000\" }", "{ CNY = \"100000000\" }");
    let limits = "[breaker.limits]\nperson_requests_per_second = 100000\n";
    std::fs::write(&config, format!("{text}\n{limits}")).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_breaker_serve"))
        .args([config.as_os_str(), "first-admin".as_ref(), "root".as_ref()])
        .env("BREAKER_PASSWORD", PASSWORD)
        .status();
    assert!(made.unwrap().success());
    let url = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::new();
    let sign_in = |name: &'static str| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let body = json!({"name": name, "password": PASSWORD});
            let answer = persist(&client, "POST", &format!("{url}/v1/sessions"), "", &body).await;
            answer["token"].as_str().unwrap().to_owned()
        }
    };

    let running = start(&config);
    let root = sign_in("root").await;
    let account = json!({"name": "ann", "role": "approver", "password": PASSWORD});
    persist(
        &client,
        "POST",
        &format!("{url}/v1/accounts"),
        &root,
        &account,
    )
    .await;
    let key = json!({"name": "load", "scopes": ["check", "dispositions"], "lasts": "30d"});
    let key = persist(&client, "POST", &format!("{url}/v1/keys"), &root, &key).await;
    let key = key["token"].as_str().unwrap().to_owned();
    let person = sign_in("ann").await;
    persist(
        &client,
        "POST",
        &format!("{url}/v1/trips"),
        &person,
        &trip("k", "M1", &["settlement"]),
    )
    .await;
    drop(running);

    let known = Arc::new(Mutex::new(Acknowledged::default()));
    for life in 0..KILLS {
        let mut running = start(&config);
        let person = sign_in("ann").await;
        let mut load: Vec<_> = (0..4)
            .map(|worker| {
                let from = known.lock().unwrap().holds.len();
                tokio::spawn(hold(url.clone(), key.clone(), worker, from, known.clone()))
            })
            .collect();
        load.push(tokio::spawn(act(url.clone(), person, life, known.clone())));
        tokio::time::sleep(Duration::from_millis((life as u64 * 37) % 160)).await;
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        for one in load {
            one.await.unwrap();
        }
    }

    let _running = start(&config);
    let person = sign_in("ann").await;
    let known = std::mem::take(&mut *known.lock().unwrap());
    assert!(
        known.holds.len() > 300 && known.trips.len() > 50 && known.released.len() > 50,
        "{} holds, {} trips, {} releases",
        known.holds.len(),
        known.trips.len(),
        known.released.len()
    );
    let page = |path: String, token: String| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            persist(
                &client,
                "GET",
                &format!("{url}{path}"),
                &token,
                &Value::Null,
            )
            .await
        }
    };
    // Every disposition is told once, without a gap, and every acknowledged release is among them.
    let (mut after, mut resumed) = (0u64, BTreeSet::new());
    loop {
        let told = page(
            format!("/v1/dispositions?after={after}&limit=1000"),
            key.clone(),
        )
        .await;
        let told = told["dispositions"].as_array().unwrap().clone();
        for one in &told {
            after += 1;
            assert_eq!(one["sequence"], after);
            assert!(
                resumed.insert(one["request_id"].as_str().unwrap().to_owned()),
                "told twice: {one}"
            );
        }
        if told.is_empty() {
            break;
        }
    }
    assert!(known.released.is_subset(&resumed));
    for id in &known.holds {
        let hold = page(format!("/v1/holds/{id}"), person.clone()).await;
        let expected = if resumed.contains(id) {
            "resumed"
        } else {
            "held"
        };
        assert_eq!(
            (&hold["state"], &hold["round"]),
            (&json!(expected), &json!(1)),
            "{id}"
        );
    }
    // Every acknowledged trip is there under the number that was told, and no wish made two.
    let (mut trips, mut before) = (BTreeMap::new(), None);
    loop {
        let from = before.map_or(String::new(), |before: String| format!("&before={before}"));
        let listed = page(format!("/v1/trips?limit=1000{from}"), person.clone()).await;
        for one in listed["trips"].as_array().unwrap() {
            let wish = one["request_id"].as_str().unwrap().to_owned();
            let id = one["id"].as_str().unwrap().to_owned();
            assert!(trips.insert(wish, id).is_none(), "set twice: {one}");
        }
        match listed["next"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    for (wish, id) in &known.trips {
        assert_eq!(trips.get(wish), Some(id));
    }
    assert_eq!(
        verify_log(&store, None).unwrap().wrong,
        Vec::<String>::new()
    );
}
