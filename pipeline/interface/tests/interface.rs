//! The service and its client, over real connections.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use centinel_interface::{
    Access, Client, ClientError, Health, Inside, Options, Problem, QuarantinedBytes,
    QuarantinedRecord, RuleStatus, Settle, SourceStatus, Standing, serve,
};
use centinel_trace::{Completeness, HISTORY_SCHEMA, History};
use tokio::net::TcpListener;
use tokio::sync::watch;

const TOKEN: &str = "a-token-of-more-than-thirty-two-letters";
/// What a key may hold: parts of a path, of a query, of a page, of a terminal's language.
const KEYS: [&str; 7] = [
    "O-1",
    "..",
    "../../v1/rules",
    "a/b?c=d&key=e#f%2e",
    "<script>alert(1)</script>",
    "\u{1b}[2J'; DROP TABLE refund; --",
    "退款 订单",
];

#[derive(Default)]
struct Detection {
    asked: AtomicUsize,
    slow: bool,
    ready: bool,
}

impl Inside for Detection {
    fn health(&self) -> Health {
        Health {
            alive: true,
            ready: self.ready,
            reasons: vec!["it catches up".into()],
        }
    }

    fn metrics(&self) -> String {
        "# EOF\n".into()
    }

    fn sources(&self) -> Vec<SourceStatus> {
        Vec::new()
    }

    fn rules(&self) -> Vec<RuleStatus> {
        Vec::new()
    }

    fn history(&self, entity: &str, key: &str) -> Result<Option<History>, Problem> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.slow {
            std::thread::sleep(Duration::from_millis(500));
        }
        if entity != "order" {
            return Err(Problem::NotFound(format!("no entity {entity}")));
        }
        Ok((key != "unknown").then(|| History {
            schema: HISTORY_SCHEMA.into(),
            entity: entity.into(),
            key: key.into(),
            changes: Vec::new(),
            rules: Vec::new(),
            completeness: Completeness::default(),
        }))
    }

    fn quarantine(
        &self,
        below: Option<u64>,
        most: usize,
    ) -> Result<Vec<QuarantinedRecord>, Problem> {
        let numbers = (1..below.unwrap_or(2_000)).rev().take(most);
        Ok(numbers.map(record).collect())
    }

    fn quarantined(&self, number: u64) -> Result<QuarantinedBytes, Problem> {
        Ok(QuarantinedBytes {
            text: number.to_string(),
            whole: true,
        })
    }

    fn settle(&self, number: u64, settle: &Settle) -> Result<QuarantinedRecord, Problem> {
        match settle.by.as_str() {
            "ann" => Ok(record(number)),
            _ => Err(Problem::Refused("it was settled before".into())),
        }
    }
}

fn record(number: u64) -> QuarantinedRecord {
    QuarantinedRecord {
        number,
        input: "log".into(),
        position: "byte 7".into(),
        reason: "unknown_column".into(),
        message: "it has a column too many".into(),
        table: None,
        entities: Vec::new(),
        bytes_total: 3,
        standing: Standing::Waiting,
        settled: None,
    }
}

struct Served {
    url: String,
    detection: Arc<Detection>,
    _ending: watch::Sender<bool>,
}

async fn served(detection: Detection) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let detection = Arc::new(detection);
    let (ending, ended) = watch::channel(false);
    let inside: Arc<dyn Inside> = detection.clone();
    tokio::spawn(serve(listener, None, inside, Access::by(TOKEN), ended));
    Served {
        url,
        detection,
        _ending: ending,
    }
}

fn client(served: &Served, token: &str) -> Client {
    Client::new(Options {
        url: served.url.clone(),
        token: token.into(),
        deadline: Duration::from_secs(5),
        ca: None,
    })
    .unwrap()
}

fn status<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> u16 {
    match answer {
        Err(ClientError::Refused { status, .. }) => status,
        other => panic!("{other:?} is no refusal"),
    }
}

#[tokio::test]
async fn any_text_may_be_a_key() {
    let served = served(Detection::default()).await;
    let client = client(&served, TOKEN);
    for key in KEYS {
        let found = client.history("order", key).await.unwrap().unwrap();
        assert_eq!(found.key, key);
    }
    assert_eq!(client.history("order", "unknown").await, Ok(None));
    assert_eq!(status(client.history("../order", "O1").await), 404);
}

#[tokio::test]
async fn without_the_token_nothing_is_asked() {
    let served = served(Detection::default()).await;
    for wrong in [
        "",
        &TOKEN[1..],
        &format!("{TOKEN}x"),
        "b-token-of-more-than-thirty-two-letters",
    ] {
        let client = client(&served, wrong);
        assert_eq!(status(client.history("order", "O-1").await), 401, "{wrong}");
        assert_eq!(status(client.sources().await), 401);
        assert_eq!(status(client.rules().await), 401);
        assert_eq!(status(client.quarantine(None, 5).await), 401);
        assert_eq!(status(client.quarantined(1).await), 401);
        let settle = Settle {
            to: Standing::Accepted,
            by: "ann".into(),
            reason: "mended".into(),
        };
        assert_eq!(status(client.settle(1, &settle).await), 401);
    }
    assert_eq!(served.detection.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn health_and_metrics_are_open_and_true() {
    for (ready, code) in [(true, 200), (false, 503)] {
        let served = served(Detection {
            ready,
            ..Detection::default()
        })
        .await;
        assert_eq!(client(&served, "").health().await.unwrap().ready, ready);
        let get = async |path: &str| reqwest::get(format!("{}{path}", served.url)).await.unwrap();
        assert_eq!(get("/readyz").await.status().as_u16(), code);
        assert_eq!(get("/healthz").await.status().as_u16(), 200);
        let metrics = get("/metrics").await;
        let headers = metrics.headers().clone();
        assert_eq!(metrics.text().await.unwrap(), "# EOF\n");
        let kind = headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"));
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_settled_record_is_settled_once() {
    let served = served(Detection::default()).await;
    let client = client(&served, TOKEN);
    let settle = |by: &str| Settle {
        to: Standing::Redriven,
        by: by.into(),
        reason: "the schema was mended".into(),
    };
    assert_eq!(client.settle(7, &settle("ann")).await.unwrap().number, 7);
    assert_eq!(status(client.settle(7, &settle("bob")).await), 409);
    assert_eq!(client.quarantined(7).await.unwrap().text, "7");
    let page = client.quarantine(Some(3), 500).await.unwrap();
    let numbers: Vec<u64> = page.iter().map(|record| record.number).collect();
    assert_eq!(numbers, [2, 1]);
    let most = client.quarantine(None, 1_000_000).await.unwrap();
    assert_eq!(most.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_questions_at_once_and_no_more() {
    let served = served(Detection {
        slow: true,
        ..Detection::default()
    })
    .await;
    let asked = (0..40).map(|_| {
        let client = client(&served, TOKEN);
        tokio::spawn(async move { client.history("order", "O-1").await })
    });
    let asked: Vec<_> = asked.collect();
    let (mut answered, mut refused) = (0, 0);
    for answer in asked {
        match answer.await.unwrap() {
            Ok(_) => answered += 1,
            Err(error) => {
                assert_eq!(status::<()>(Err(error)), 503);
                refused += 1;
            }
        }
    }
    assert!(answered >= 16 && refused > 0, "{answered} {refused}");
    // Those that were refused took nobody's place for good.
    let client = client(&served, TOKEN);
    assert!(client.history("order", "O-1").await.is_ok());
}

#[tokio::test]
async fn what_is_too_long_or_no_question_is_refused() {
    let served = served(Detection::default()).await;
    let http = reqwest::Client::new();
    let post = |body: String| {
        let call = http.post(format!("{}/v1/quarantine/1", served.url));
        let call = call
            .bearer_auth(TOKEN)
            .header("content-type", "application/json");
        call.body(body).send()
    };
    let status = async |body: String| post(body).await.unwrap().status().as_u16();
    assert_eq!(status(format!("\"{}\"", "x".repeat(1 << 20))).await, 413);
    assert_eq!(status("{}".into()).await, 422);
    assert_eq!(status("{".into()).await, 400);
    let get = http
        .get(format!("{}/v1/nothing", served.url))
        .bearer_auth(TOKEN);
    assert_eq!(get.send().await.unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn nobody_there_is_told_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(Options {
        url,
        token: TOKEN.into(),
        deadline: Duration::from_secs(2),
        ca: None,
    });
    let answer = client.unwrap().history("order", "O-1").await;
    let Err(ClientError::Unreachable(why)) = answer else {
        panic!("{answer:?}");
    };
    assert!(!why.contains("O-1") && !why.contains(TOKEN), "{why}");
}
