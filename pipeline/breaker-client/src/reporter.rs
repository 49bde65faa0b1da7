use std::time::Duration;

use centinel_breaker::{Report, Trip};
use serde_json::json;

use crate::{ClientError, http};

/// Tells the breaker what detection knows. Every report may be sent again: it counts once, by its sequence.
pub struct Reporter {
    http: reqwest::Client,
    url: String,
    key: String,
    deadline: Duration,
}

/// Why a report did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It may arrive when it is sent again.
    #[error("the breaker does not answer: {0}. Send it again")]
    Unreachable(String),
    /// It never will.
    #[error(transparent)]
    Refused(#[from] ClientError),
}

impl Reporter {
    /// With an API key of scope `findings`, and a certificate authority to trust besides the system's (PEM).
    pub fn new(
        url: &str,
        key: &str,
        deadline: Duration,
        ca: Option<&[u8]>,
    ) -> Result<Reporter, ClientError> {
        Ok(Reporter {
            http: http(url, ca)?,
            url: url.to_owned(),
            key: key.to_owned(),
            deadline,
        })
    }

    /// Reports a finding; the trip that it set or proposed, or that stands for it already. Reports of one finding
    /// must arrive in the order of their sequences.
    pub async fn report(&self, report: &Report) -> Result<Option<Trip>, ReportError> {
        #[derive(serde::Deserialize)]
        struct Reported {
            trip: Option<Trip>,
        }
        let body =
            serde_json::to_vec(report).map_err(|error| ClientError::Options(error.to_string()))?;
        let answer = self.post("/v1/findings", body).await?;
        let read = serde_json::from_slice::<Reported>(&answer);
        Ok(read
            .map_err(|error| ReportError::Unreachable(error.to_string()))?
            .trip)
    }

    /// Says how far detection is behind its sources. Say it every second: without it the breaker's knowledge grows old.
    pub async fn progress(&self, lag: Duration) -> Result<(), ReportError> {
        let lag = u32::try_from(lag.as_millis()).unwrap_or(u32::MAX);
        let body = json!({"lag_ms": lag}).to_string().into_bytes();
        self.post("/v1/progress", body).await.map(drop)
    }

    /// Whether reports would be taken, without sending any: an empty one is refused for its form only by a breaker that
    /// knows the key.
    pub async fn probe(&self) -> Result<(), ReportError> {
        match self.post("/v1/findings", Vec::new()).await {
            Err(ReportError::Refused(ClientError::Refused { status: 400, .. })) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> Result<Vec<u8>, ReportError> {
        let unreachable =
            |error: reqwest::Error| ReportError::Unreachable(error.without_url().to_string());
        let call = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        let call = call.timeout(self.deadline).body(body);
        let answer = call.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(unreachable)?;
        let text = || {
            String::from_utf8_lossy(&body)
                .chars()
                .take(500)
                .collect::<String>()
        };
        match status {
            200 => Ok(body.to_vec()),
            408 | 429 | 500.. => Err(ReportError::Unreachable(format!(
                "it answered {status}: {}",
                text()
            ))),
            status => Err(ClientError::Refused {
                status,
                text: text(),
            }
            .into()),
        }
    }
}
