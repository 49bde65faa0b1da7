use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use centinel_breaker_service::{Config, Webhook, create_first_admin, signature, sqlite};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{PASSWORD, Service, config_text, release, trip, until};

/// `PATH` is the one variable that is surely there and long enough; a real secret is set for this alone.
const SECRET_ENV: &str = "PATH";

#[tokio::test(flavor = "multi_thread")]
async fn dispositions_come_signed_in_order_and_again_until_they_are_taken() {
    let (taken, refusals) = (
        Arc::new(Mutex::new(Vec::<Value>::new())),
        Arc::new(AtomicUsize::new(0)),
    );
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/breaker", receiver.local_addr().unwrap());
    let take = {
        let (taken, refusals) = (taken.clone(), refusals.clone());
        move |headers: HeaderMap, body: Bytes| {
            let (taken, refusals) = (taken.clone(), refusals.clone());
            async move {
                let text = std::str::from_utf8(&body).unwrap();
                let sent = headers["centinel-signature"].to_str().unwrap();
                let seconds = sent
                    .strip_prefix("t=")
                    .unwrap()
                    .split(',')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
                let secret = std::env::var(SECRET_ENV).unwrap();
                assert_eq!(sent, signature(secret.as_bytes(), seconds, text));
                // Two of three are refused.
                if refusals.fetch_add(1, Ordering::Relaxed) % 3 != 2 {
                    return StatusCode::SERVICE_UNAVAILABLE;
                }
                let body: Value = serde_json::from_str(text).unwrap();
                assert_eq!(body["schema"], "centinel/dispositions/1");
                taken
                    .lock()
                    .unwrap()
                    .extend(body["dispositions"].as_array().unwrap().clone());
                StatusCode::OK
            }
        }
    };
    let router = axum::Router::new().route("/breaker", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(receiver, router).await });

    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut config = Config::read(&config_text(&folder.path().join("breaker.db"))).unwrap();
    config.webhook = Some(Webhook {
        url,
        secret_env: SECRET_ENV.into(),
        timeout: centinel_breaker_service::Span(centinel_model::Duration::seconds(5)),
    });
    let open = sqlite(&config);
    create_first_admin(&open, "root", PASSWORD).unwrap();
    let mut service = Service::over(config, open, folder).await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check"]).await;
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["refund"]))
        .await;
    for number in 0..5 {
        service
            .check(&key, &format!("r{number}"), "refund", "M1", "1.00")
            .await;
    }
    service
        .post(
            "/v1/releases",
            &ann,
            release("a1", "T1", Some(&["r3"]), "reject"),
        )
        .await;
    service
        .post("/v1/releases", &ann, release("a2", "T1", None, "resume"))
        .await;
    until("all dispositions", || async {
        (taken.lock().unwrap().len() >= 5).then_some(())
    })
    .await;
    let sequences: Vec<u64> = taken
        .lock()
        .unwrap()
        .iter()
        .map(|told| told["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    assert_eq!(taken.lock().unwrap()[0]["request_id"], "r3");
    until("the place", || async {
        (service.get("/v1/status", &root).await["webhook_delivered"] == 5).then_some(())
    })
    .await;
    // A service that starts again goes on behind what was taken.
    service.restart().await;
    let root = service.sign_in("root").await;
    assert_eq!(
        service.get("/v1/status", &root).await["webhook_delivered"],
        5
    );
    service.stop().await;
}

#[test]
fn a_signature_is_what_any_library_makes_of_it() {
    // printf '7.{"a":1}' | openssl dgst -sha256 -hmac secret
    let output = std::process::Command::new("python3")
        .args([
            "-c",
            "import hmac;print(hmac.new(b'secret',b'7.{\"a\":1}','sha256').hexdigest())",
        ])
        .output()
        .unwrap();
    let expected = format!(
        "t=7,v1={}",
        String::from_utf8(output.stdout).unwrap().trim()
    );
    assert_eq!(signature(b"secret", 7, "{\"a\":1}"), expected);
}
