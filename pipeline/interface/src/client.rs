//! Asks a running detection.

use std::time::Duration;

use centinel_trace::History;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::forms::{Health, QuarantinedBytes, QuarantinedRecord, RuleStatus, Settle, SourceStatus};

/// An answer that is longer is none.
const LONGEST_ANSWER: usize = 256 << 20;

/// How to ask.
#[derive(Clone)]
pub struct Options {
    /// Where the interface is, such as `http://127.0.0.1:9464`.
    pub url: String,
    /// The token of `[interface]`.
    pub token: String,
    /// How long an answer may take in all.
    pub deadline: Duration,
    /// A certificate authority to trust besides the system's, PEM.
    pub ca: Option<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The options make no client.
    #[error("detection's interface: {0}")]
    Options(String),
    /// Nobody answers there, or not in time.
    #[error("detection's interface does not answer: {0}")]
    Unreachable(String),
    /// It said no.
    #[error("detection's interface refused ({status}): {text}")]
    Refused {
        /// The HTTP status: 401 for a wrong token, 404 for what is not there, 409 for what cannot be, 503 for what cannot
        /// be now.
        status: u16,
        /// Why, in a sentence.
        text: String,
    },
    /// What answers there is not this interface, or one of another version.
    #[error("what answers is not detection's interface: {0}")]
    Form(String),
}

/// A client. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
    deadline: Duration,
}

impl Client {
    /// A client, which asks nothing yet.
    ///
    /// # Errors
    /// A URL that is none, a certificate that cannot be read.
    pub fn new(options: Options) -> Result<Client, ClientError> {
        let wrong = |error: &dyn std::fmt::Display| ClientError::Options(error.to_string());
        let base = Url::parse(&options.url).map_err(|error| wrong(&error))?;
        if base.cannot_be_a_base() {
            return Err(wrong(&"write its address as http://127.0.0.1:9464"));
        }
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true);
        if let Some(ca) = &options.ca {
            let ca = reqwest::Certificate::from_pem(ca).map_err(|error| wrong(&error))?;
            http = http.add_root_certificate(ca);
        }
        Ok(Client {
            http: http.build().map_err(|error| wrong(&error))?,
            base,
            token: options.token,
            deadline: options.deadline,
        })
    }

    /// All sources, by name.
    ///
    /// # Errors
    /// See [`ClientError`]; so do all other questions.
    pub async fn sources(&self) -> Result<Vec<SourceStatus>, ClientError> {
        self.get("v1/sources", &[]).await
    }

    /// All rules in force, by id.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn rules(&self) -> Result<Vec<RuleStatus>, ClientError> {
        self.get("v1/rules", &[]).await
    }

    /// What state has of one entity; none where it knows nothing of it.
    ///
    /// # Errors
    /// See [`ClientError`]; 404 where there is no entity of this name.
    pub async fn history(&self, entity: &str, key: &str) -> Result<Option<History>, ClientError> {
        let asked = [("entity", entity.to_owned()), ("key", key.to_owned())];
        self.get("v1/history", &asked).await
    }

    /// Records that could not be read, the newest first, below a number; 500 at most.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn quarantine(
        &self,
        below: Option<u64>,
        most: usize,
    ) -> Result<Vec<QuarantinedRecord>, ClientError> {
        let mut asked = vec![("most", most.to_string())];
        asked.extend(below.map(|below| ("below", below.to_string())));
        self.get("v1/quarantine", &asked).await
    }

    /// The bytes of one of them.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn quarantined(&self, number: u64) -> Result<QuarantinedBytes, ClientError> {
        self.get(&format!("v1/quarantine/{number}/bytes"), &[])
            .await
    }

    /// Settles one of them. It is done when this returns; without an answer it may be done or not: ask how it stands.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn settle(
        &self,
        number: u64,
        settle: &Settle,
    ) -> Result<QuarantinedRecord, ClientError> {
        let body =
            serde_json::to_vec(settle).map_err(|error| ClientError::Form(error.to_string()))?;
        let url = self.url(&format!("v1/quarantine/{number}"), &[])?;
        let (status, body) = self.ask(Method::POST, url, body).await?;
        answer(status, &body)
    }

    /// Whether detection does what it is there for. Needs no token.
    ///
    /// # Errors
    /// See [`ClientError`]. That it is not ready is none.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let url = self.url("readyz", &[])?;
        match self.ask(Method::GET, url, Vec::new()).await? {
            (200 | 503, body) => read(&body),
            (status, body) => answer(status, &body),
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        asked: &[(&str, String)],
    ) -> Result<T, ClientError> {
        let url = self.url(path, asked)?;
        let (status, body) = self.ask(Method::GET, url, Vec::new()).await?;
        answer(status, &body)
    }

    fn url(&self, path: &str, asked: &[(&str, String)]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url.set_query(None);
        if !asked.is_empty() {
            url.query_pairs_mut().extend_pairs(asked);
        }
        Ok(url)
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let unreachable =
            |error: reqwest::Error| ClientError::Unreachable(why(&error.without_url()));
        let mut call = self
            .http
            .request(method, url)
            .bearer_auth(&self.token)
            .timeout(self.deadline);
        if !body.is_empty() {
            call = call.header("content-type", "application/json").body(body);
        }
        let mut answer = call.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + piece.len() > LONGEST_ANSWER {
                return Err(ClientError::Form("its answer has no end".into()));
            }
            body.extend_from_slice(&piece);
        }
        Ok((status, body))
    }
}

/// An error with what it comes from, which says more than the error itself.
fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

fn answer<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, ClientError> {
    if status == 200 {
        return read(body);
    }
    let text = match serde_json::from_slice::<Refused>(body) {
        Ok(refused) => refused.error,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    Err(ClientError::Refused {
        status,
        text: text.chars().take(500).collect(),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Form(error.to_string()))
}
