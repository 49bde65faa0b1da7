//! Asks the fund circuit breaker: with a deadline, an explicit default, and a cache that may only allow.
//!
//! ```no_run
//! # async fn example() -> Result<(), centinel_breaker_client::ClientError> {
//! use centinel_breaker_client::{Client, Decision, Options};
//! use std::time::Duration;
//!
//! let client = Client::new(Options {
//!     url: "https://breaker.example:7070".into(),
//!     key: std::env::var("BREAKER_KEY").unwrap_or_default(),
//!     deadline: Duration::from_millis(300),
//!     on_error: Decision::Hold,
//!     max_cache_age: Some(Duration::from_secs(3)),
//!     ca: None,
//! })?;
//! # let request = serde_json::from_str("{}").unwrap();
//! let answer = client.check(&request).await?;
//! if answer.decision == Decision::Allow { /* the money may move */ }
//! # Ok(()) }
//! ```

mod reporter;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

pub use centinel_breaker::{
    Answer, Currency, Decision, HoldState, Name, Point, Request, read_amount,
};
use centinel_breaker::{Known, Update};
pub use reporter::{ReportError, Reporter};

use futures::StreamExt;
use tokio::task::JoinHandle;

/// How to ask. Nothing is implied.
#[derive(Clone)]
pub struct Options {
    /// Where the breaker is.
    pub url: String,
    /// An API key: of scope `check`, and `changes` with a cache.
    pub key: String,
    /// How long a check may take in all.
    pub deadline: Duration,
    /// What is decided without an answer: as the point's own `on_error`.
    pub on_error: Decision,
    /// How long ago the cache may have heard the breaker, to allow by itself; `None` for no cache.
    pub max_cache_age: Option<Duration>,
    /// A certificate authority to trust besides the system's, PEM.
    pub ca: Option<Vec<u8>>,
}

/// A mistake of the caller, which no default may hide.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The options make no client.
    #[error("the breaker's client: {0}")]
    Options(String),
    /// The breaker refused the request itself.
    #[error("the breaker refused ({status}): {text}")]
    Refused {
        /// The HTTP status: 400, 401, 403, 409.
        status: u16,
        /// What it said, with a remedy.
        text: String,
    },
}

/// How an answer came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The breaker answered.
    Breaker,
    /// The cache allowed; it had heard the breaker so long ago.
    Cache {
        /// The cache's age.
        age: Duration,
    },
    /// Nobody answered in time: the client's default.
    Default,
}

/// An answer, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether the request may go.
    pub decision: Decision,
    /// How that is known.
    pub source: Source,
    /// The breaker's whole answer; absent from the cache and by default.
    pub answer: Option<Answer>,
}

/// What the cache knows, and when it heard it.
#[derive(Default)]
struct Cache {
    known: RwLock<(Known, Option<Instant>)>,
}

impl Cache {
    /// The age at which it allows; `None` when the breaker must be asked.
    fn allows(&self, request: &Request, most: Duration) -> Option<Duration> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let age = known.1?.elapsed();
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        (age <= most && known.0.allows(request, milliseconds)).then_some(age)
    }

    /// Allows nothing until the breaker has said all again.
    fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).1 = None;
    }

    fn take(&self, update: Update) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match update {
            Update::Begin { .. } => known.1 = None,
            Update::Alive { .. } => known.1 = Some(Instant::now()),
            _ => {}
        }
        known.0.take(update);
    }
}

/// A client. Cheap to share; its cache follows the breaker until it is dropped.
pub struct Client {
    http: reqwest::Client,
    options: Options,
    cache: Arc<Cache>,
    following: Option<JoinHandle<()>>,
}

/// Longest event of the stream.
const LONGEST_EVENT: usize = 1 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The breaker speaks every second: a stream that is silent for so long is begun anew.
const SILENCE: Duration = Duration::from_secs(5);

impl Client {
    /// A client. With a cache it begins to follow the breaker at once, and must be made within a tokio runtime.
    pub fn new(options: Options) -> Result<Client, ClientError> {
        let http = http(&options.url, options.ca.as_deref())?;
        let cache = Arc::new(Cache::default());
        let following = options.max_cache_age.map(|_| {
            tokio::spawn(follow(
                http.clone(),
                options.url.clone(),
                options.key.clone(),
                cache.clone(),
            ))
        });
        Ok(Client {
            http,
            options,
            cache,
            following,
        })
    }

    /// Whether the cache allows this request now, and its age. "No" says nothing: [`check`](Client::check) asks.
    pub fn cached(&self, request: &Request) -> Option<Duration> {
        self.cache.allows(request, self.options.max_cache_age?)
    }

    /// May this go? From the cache where that allows, else from the breaker, else by default.
    pub async fn check(&self, request: &Request) -> Result<Checked, ClientError> {
        if let Some(age) = self.cached(request) {
            return Ok(Checked {
                decision: Decision::Allow,
                source: Source::Cache { age },
                answer: None,
            });
        }
        let by_default = Checked {
            decision: self.options.on_error,
            source: Source::Default,
            answer: None,
        };
        match tokio::time::timeout(self.options.deadline, self.ask(request)).await {
            Ok(Ok(answer)) => Ok(Checked {
                decision: answer.decision,
                source: Source::Breaker,
                answer: Some(answer),
            }),
            Ok(Err(Some(refused))) => Err(refused),
            Ok(Err(None)) | Err(_) => Ok(by_default),
        }
    }

    /// The breaker's answer; an error of the caller, or `None` for one that the default stands for.
    async fn ask(&self, request: &Request) -> Result<Answer, Option<ClientError>> {
        let body = serde_json::to_vec(request)
            .map_err(|error| Some(ClientError::Options(error.to_string())))?;
        let call = self
            .http
            .post(format!("{}/v1/checks", self.options.url))
            .bearer_auth(&self.options.key)
            .header("content-type", "application/json")
            .body(body);
        let answer = call.send().await.map_err(|_| None)?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|_| None)?;
        match status {
            200 => serde_json::from_slice(&body).map_err(|_| None),
            // Too much, too long, or not at all: nothing that another request would do better.
            408 | 429 | 500.. => Err(None),
            status => Err(Some(ClientError::Refused {
                status,
                text: String::from_utf8_lossy(&body).chars().take(500).collect(),
            })),
        }
    }
}

fn http(url: &str, ca: Option<&[u8]>) -> Result<reqwest::Client, ClientError> {
    let wrong = |error: &dyn std::fmt::Display| ClientError::Options(error.to_string());
    reqwest::Url::parse(url).map_err(|error| wrong(&error))?;
    let mut http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true);
    if let Some(ca) = ca {
        let ca = reqwest::Certificate::from_pem(ca).map_err(|error| wrong(&error))?;
        http = http.add_root_certificate(ca);
    }
    http.build().map_err(|error| wrong(&error))
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}

async fn follow(http: reqwest::Client, url: String, key: String, cache: Arc<Cache>) {
    let mut pause = FIRST_PAUSE;
    loop {
        if follow_once(&http, &url, &key, &cache).await {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Follows one stream to its end. Whether it ever was complete.
async fn follow_once(http: &reqwest::Client, url: &str, key: &str, cache: &Cache) -> bool {
    let request = http.get(format!("{url}/v1/changes")).bearer_auth(key);
    let answer = tokio::time::timeout(SILENCE, request.send()).await;
    let Ok(Ok(answer)) = answer else { return false };
    if !answer.status().is_success() {
        return false;
    }
    let (mut stream, mut waiting, mut complete) = (answer.bytes_stream(), Vec::new(), false);
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(SILENCE, stream.next()).await {
        waiting.extend_from_slice(&piece);
        let mut begin = 0;
        while let Some(length) = waiting[begin..].windows(2).position(|two| two == b"\n\n") {
            let event = &waiting[begin..begin + length];
            begin += length + 2;
            let update = event
                .strip_prefix(b"data: ")
                .and_then(|json| serde_json::from_slice(json).ok());
            // What cannot be read might hold something: begin anew.
            let Some(update) = update else {
                cache.forget();
                return complete;
            };
            complete |= matches!(update, Update::Alive { .. });
            cache.take(update);
        }
        waiting.drain(..begin);
        if waiting.len() > LONGEST_EVENT {
            return complete;
        }
    }
    complete
}
