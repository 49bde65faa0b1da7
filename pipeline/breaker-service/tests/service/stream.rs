use centinel_breaker::{Known, Request, Update};
use futures::StreamExt;
use serde_json::json;

use crate::support::{Service, release, request, trip};

/// Follows a stream into a cache.
struct Follower {
    stream:
        std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<axum::body::Bytes>> + Send>>,
    text: String,
    known: Known,
}

impl Follower {
    async fn over(service: &Service, key: &str) -> Follower {
        let request = service.client.get(format!("{}/v1/changes", service.url));
        let answer = request
            .header("authorization", format!("Bearer {key}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Follower {
            stream: Box::pin(answer.bytes_stream()),
            text: String::new(),
            known: Known::default(),
        }
    }

    /// Takes updates until the next sign of life.
    async fn until_alive(&mut self) {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let update: Update =
                    serde_json::from_str(event.trim().strip_prefix("data: ").unwrap()).unwrap();
                let alive = matches!(update, Update::Alive { .. });
                self.known.take(update);
                if alive {
                    return;
                }
            }
            let piece = self.stream.next().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    fn allows(&self, id: &str, point: &str, merchant: &str) -> bool {
        let request: Request =
            serde_json::from_value(request(id, point, merchant, "1.00")).unwrap();
        self.known.allows(&request, 0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_follows_allows_only_what_the_service_would() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check", "changes", "findings"]).await;
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["settlement"]))
        .await;
    for id in ["r1", "r2", "r3"] {
        service.check(&key, id, "settlement", "M1", "1.00").await;
    }
    service
        .post(
            "/v1/releases",
            &ann,
            release("a1", "T1", Some(&["r3"]), "reject"),
        )
        .await;

    // What there was before.
    let mut cache = Follower::over(&service, &key).await;
    cache.until_alive().await;
    assert!(!cache.allows("r9", "settlement", "M1") && cache.allows("r9", "refund", "M1"));
    assert!(cache.allows("r9", "settlement", "M2") && !cache.allows("r1", "settlement", "M2"));
    // Detection never spoke, and cash-outs hold then.
    assert!(!cache.allows("r9", "cash_out", "M2"));
    service
        .post("/v1/progress", &key, json!({"lag_ms": 0}))
        .await;
    cache.until_alive().await;
    assert!(cache.allows("r9", "cash_out", "M2"));

    // What changes, within a second.
    service
        .post("/v1/trips", &ann, trip("k2", "M2", &["refund"]))
        .await;
    let suspected = json!({
        "finding_id": "F1", "sequence": 1, "occurrence": 1, "rule": "a-rule", "stable": true, "owner": "o",
        "verdict": "suspected", "scope": {"merchant": "M3"}, "points": ["refund", "cash_out"],
    });
    service.post("/v1/findings", &key, suspected).await;
    cache.until_alive().await;
    assert!(!cache.allows("r9", "refund", "M2"));
    assert!(!cache.allows("r9", "cash_out", "M3") && cache.allows("r9", "refund", "M3"));

    // The trip is over; what it held stays held until it is let go, and what was rejected stays so.
    service
        .post(
            "/v1/releases",
            &ann,
            release("a2", "T1", Some(&["r1"]), "resume"),
        )
        .await;
    service
        .post("/v1/releases", &ann, release("a3", "T1", None, "resume"))
        .await;
    cache.until_alive().await;
    assert!(cache.allows("r9", "settlement", "M1") && cache.allows("r1", "settlement", "M1"));
    assert!(cache.allows("r2", "settlement", "M1") && !cache.allows("r3", "settlement", "M1"));

    // A second reader sees the same from the beginning.
    let mut second = Follower::over(&service, &key).await;
    second.until_alive().await;
    assert_eq!(second.known.len(), cache.known.len());
    assert!(!second.allows("r3", "settlement", "M1") && second.allows("r2", "settlement", "M1"));
    service.stop().await;
}
