//! Posts to one address: redirects are not followed, proxies of the environment not used, answers read up to a limit,
//! and the connection goes to an address that the guard has seen.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use centinel_model::Duration;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;

use crate::dispatch::Outcome;
use crate::guard::{Guard, GuardedNames};
use crate::text::clean;

/// Bytes of an answer that are read.
const MOST_BYTES: usize = 64 << 10;
/// Letters of an answer that are shown.
const MOST_SHOWN: usize = 200;

/// One address, and how it is reached.
pub(crate) struct Http {
    client: reqwest::Client,
    /// It may hold a secret: it is never shown.
    url: Url,
    guard: Guard,
    timeout: StdDuration,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    retry_after: Option<Duration>,
    /// The first 64 KiB.
    pub(crate) body: String,
}

impl Http {
    /// `guard` decides about the addresses that the URL's host leads to.
    pub(crate) fn new(url: &str, guard: Guard, timeout: Duration) -> Result<Http, String> {
        let url = Url::parse(url).map_err(|_| "its address is no URL".to_owned())?;
        let timeout = StdDuration::from_micros(u64::try_from(timeout.0).unwrap_or(0));
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(GuardedNames(guard.clone())))
            .user_agent(concat!("centinel/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("it cannot be sent to: {}", without_url(error)))?;
        Ok(Http {
            client,
            url,
            guard,
            timeout,
        })
    }

    /// The address, for those who add to it.
    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }

    /// Sends JSON. What is no answer is an outcome already.
    pub(crate) async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: String,
    ) -> Result<Answer, Outcome> {
        let later = |why: String| Outcome::Later { why, after: None };
        // An address that is a number is not resolved, so the resolver does not see it.
        let host = url.host_str().unwrap_or_default();
        let number = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = number.parse::<IpAddr>() {
            self.guard
                .check(address)
                .map_err(|why| later(why.to_string()))?;
        }
        let request = self
            .client
            .post(url)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/json; charset=utf-8"),
            )
            .headers(headers)
            .body(body);
        match tokio::time::timeout(self.timeout, read(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(later(without_url(error))),
            Err(_) => Err(later(format!(
                "it did not answer within {} ms",
                self.timeout.as_millis()
            ))),
        }
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u32>().ok())
        .map(|seconds| Duration::seconds(i64::from(seconds)));
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MOST_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == MOST_BYTES {
            break;
        }
    }
    Ok(Answer {
        status: response.status().as_u16(),
        retry_after,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// What went wrong, with its causes, without the address.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        text.push_str(": ");
        text.push_str(&because.to_string());
        cause = because.source();
    }
    clean(&text, 400)
}

impl Answer {
    /// How long it said to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What it says, to be shown.
    pub(crate) fn shown(&self) -> String {
        clean(&self.body, MOST_SHOWN)
    }

    /// What its status alone says; none where that is success.
    pub(crate) fn by_status(&self) -> Option<Outcome> {
        let why = format!("it answered {}: {}", self.status, self.shown());
        match self.status {
            200..=299 => None,
            300..=399 => Some(Outcome::Later {
                why: format!(
                    "it answered {}, a redirect, and those are not followed: name the address that it leads to",
                    self.status
                ),
                after: None,
            }),
            400 | 413 | 415 | 422 => Some(Outcome::Refused { why }),
            _ => Some(Outcome::Later {
                why,
                after: self.retry_after,
            }),
        }
    }
}
