//! The circuit breaker, as the console asks it: every call bears the token of the person who wants it, so that its own roles hold.

mod about;
mod calls;
mod forms;
mod held;
mod words;

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::role::Role;

pub use forms::{
    Ask, Cause, Disposition, Draft, Hold, Money, Origin, Point, Preview, Release, ReleaseState,
    Scope, Trip, TripState,
};
pub use held::Held;

/// Longer than the breaker takes for anything.
const PATIENCE: Duration = Duration::from_secs(8);
/// The largest answer: 1,000 audit entries with whole records.
const MOST_ANSWER: usize = 32 << 20;

/// Why the breaker did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakerProblem {
    /// It does not answer, or not as it should.
    #[error("the breaker does not answer: {0}")]
    Unreachable(String),
    /// The person's session there has ended.
    #[error("you are signed out")]
    SignedOut,
    /// Too many attempts or requests.
    #[error("too many requests: wait a little")]
    TooMany,
    /// It says no, and why: status, code and text of its answer.
    #[error("{2}")]
    Refused(u16, String, String),
}

/// The breaker's HTTP interface.
pub struct Breaker {
    client: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Said {
    error: String,
    #[serde(default)]
    code: String,
}

/// Who signed in.
#[derive(Deserialize)]
pub struct SignedIn {
    /// The token that goes with every call.
    pub token: String,
    /// What the person is.
    pub role: Role,
}

/// `GET /v1/status`. Fields that are not there are of another version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// Trips that are in force or proposed.
    pub trips: u64,
    /// Requests that are remembered.
    pub holds: u64,
    /// Those that are held now.
    pub held: u64,
    /// Findings that it was told of and that stand.
    pub open_findings: u64,
    /// Since when it has heard nothing of detection; absent before it heard anything.
    pub staleness_ms: Option<u64>,
    /// `working` or `failing`.
    pub store: String,
}

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditEntry {
    /// Counts from 1.
    pub sequence: u64,
    /// JSON: `at`, `by`, `act`, `about`, `changes`.
    pub body: String,
    /// Chains it to all before.
    pub hash: String,
}

#[derive(Deserialize)]
struct Audit {
    entries: Vec<AuditEntry>,
}

#[derive(Deserialize)]
struct Who {
    role: Role,
}

#[derive(Serialize)]
struct Credentials<'a> {
    name: &'a str,
    password: &'a str,
}

impl Breaker {
    /// At this address, such as `https://breaker.example.com:7070`; `ca` is a file of certificates (PEM) to trust besides
    /// the system's.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub fn at(url: &str, ca: Option<&Path>) -> Result<Breaker, String> {
        let mut builder = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(path) = ca {
            let wrong = |error: &dyn std::fmt::Display| {
                format!(
                    "{}: {error}: name a file of certificates (PEM)",
                    path.display()
                )
            };
            let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
            for certificate in
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?
            {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder
            .build()
            .map_err(|error| format!("no client of the breaker can be made: {error}"))?;
        Ok(Breaker {
            client,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &str,
    ) -> Result<T, BreakerProblem> {
        self.call(Method::GET, path, token, None::<&()>).await
    }

    /// Does something.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &str,
        body: &impl Serialize,
    ) -> Result<T, BreakerProblem> {
        self.call(Method::POST, path, token, Some(body)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, BreakerProblem> {
        let unreachable =
            |error: &dyn std::fmt::Display| BreakerProblem::Unreachable(error.to_string());
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(|error| unreachable(&error))?;
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        // Where it is stands in the configuration; a page needs not show it.
        let answer = request
            .send()
            .await
            .map_err(|error| unreachable(&error.without_url()))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        let mut stream = answer.bytes_stream();
        while let Some(part) = stream.next().await {
            bytes.extend_from_slice(&part.map_err(|error| unreachable(&error.without_url()))?);
            if bytes.len() > MOST_ANSWER {
                return Err(unreachable(&"its answer is too long"));
            }
        }
        match status {
            StatusCode::OK => serde_json::from_slice(&bytes)
                .map_err(|error| unreachable(&format!("its answer is of another form: {error}"))),
            StatusCode::UNAUTHORIZED => Err(BreakerProblem::SignedOut),
            StatusCode::TOO_MANY_REQUESTS => Err(BreakerProblem::TooMany),
            _ => match serde_json::from_slice::<Said>(&bytes) {
                Ok(said) => Err(BreakerProblem::Refused(
                    status.as_u16(),
                    said.code,
                    said.error,
                )),
                Err(_) => Err(unreachable(&format!("it answers with status {status}"))),
            },
        }
    }

    /// Signs somebody in. [`BreakerProblem::SignedOut`] where name and password do not fit.
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<SignedIn, BreakerProblem> {
        self.post("/v1/sessions", "", &Credentials { name, password })
            .await
    }

    /// Ends all sessions of a person.
    pub async fn sign_out(&self, token: &str) -> Result<(), BreakerProblem> {
        let done: Result<serde_json::Value, _> = self
            .call(Method::DELETE, "/v1/sessions", token, None::<&()>)
            .await;
        done.map(|_| ())
    }

    /// What the person is now.
    pub async fn role(&self, token: &str) -> Result<Role, BreakerProblem> {
        let who: Who = self.get("/v1/sessions", token).await?;
        Ok(who.role)
    }

    /// How it is.
    pub async fn status(&self, token: &str) -> Result<Status, BreakerProblem> {
        self.get("/v1/status", token).await
    }

    /// The entries of its audit log that end before a sequence, at most 1,000, in their order.
    pub async fn audit(
        &self,
        token: &str,
        before: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, BreakerProblem> {
        let audit: Audit = self
            .get(&format!("/v1/audit?before={before}&limit={limit}"), token)
            .await?;
        Ok(audit.entries)
    }
}
