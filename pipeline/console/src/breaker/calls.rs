//! One call for each thing that a person may ask or do.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::forms::{
    Ask, Cause, CauseHeld, Draft, Hold, Point, Preview, Release, Scope, Status, Trip, TripState,
};

/// What one call may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// What one answer may have: a page of a thousand holds has about a tenth of it.
const MOST_BYTES: usize = 8 << 20;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakerProblem {
    /// The breaker said no, in its own words.
    #[error("{text}")]
    Refused {
        /// The status.
        status: u16,
        /// `unauthenticated`, `forbidden`, `conflict`, `full`, `rate`, `invalid`, `unknown`, `busy`, `unavailable`, …
        code: String,
        /// Why, and what to do.
        text: String,
    },
    /// Nothing came back. Whether an act was done is not known; sent again with the same request id it is done once.
    #[error("the breaker does not answer: {0}")]
    Away(String),
    /// What came back is none of its answers.
    #[error("the breaker answered something else than it should: {0}")]
    Strange(String),
}

impl BreakerProblem {
    /// Whether the person has to sign in again.
    pub fn signed_out(&self) -> bool {
        matches!(self, BreakerProblem::Refused { status: 401, .. })
    }

    /// Whether what was asked for is not there.
    pub fn unknown(&self) -> bool {
        matches!(self, BreakerProblem::Refused { status: 404, .. })
    }
}

/// Calls the breaker at one address. Cheap to clone.
#[derive(Clone)]
pub struct Breaker {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    code: String,
}

#[derive(Deserialize)]
struct Trips {
    trips: Vec<Trip>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Holds {
    holds: Vec<Hold>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Causes {
    causes: Vec<CauseHeld>,
}

#[derive(Deserialize)]
struct Releases {
    releases: Vec<Release>,
    next: Option<String>,
}

type Called<T> = Result<T, BreakerProblem>;

impl Breaker {
    /// Calls that address through this client, which knows whom it trusts.
    pub fn new(http: reqwest::Client, url: &str) -> Breaker {
        Breaker {
            http,
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    /// The breaker in figures.
    pub async fn status(&self, token: &str) -> Called<Status> {
        self.get(token, "/v1/status", &[]).await
    }

    /// Trips, the newest first, older than `before`; and where the next page begins.
    pub async fn trips(
        &self,
        token: &str,
        before: Option<&str>,
        limit: usize,
        state: Option<TripState>,
    ) -> Called<(Vec<Trip>, Option<String>)> {
        let limit = limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(before.map(|before| ("before", before)));
        query.extend(state.map(|state| ("state", state.as_str())));
        let page: Trips = self.get(token, "/v1/trips", &query).await?;
        Ok((page.trips, page.next))
    }

    /// One trip.
    pub async fn trip(&self, token: &str, id: &str) -> Called<Trip> {
        self.get(token, &format!("/v1/trips/{}", segment(id)), &[])
            .await
    }

    /// What a trip would hold. Nothing is set.
    pub async fn preview(&self, token: &str, scope: &Scope, points: &[Point]) -> Called<Preview> {
        let wish = json!({"scope": scope, "points": points});
        self.post(token, "/v1/trips/preview", &wish).await
    }

    /// Sets a trip, or proposes one.
    pub async fn set(&self, token: &str, draft: &Draft) -> Called<Trip> {
        self.post(token, "/v1/trips", draft).await
    }

    /// Confirms a proposed trip, or declines it.
    pub async fn decide_trip(&self, token: &str, id: &str, confirm: bool) -> Called<Trip> {
        let act = if confirm { "confirm" } else { "decline" };
        let path = format!("/v1/trips/{}/{act}", segment(id));
        self.post(token, &path, &json!({})).await
    }

    /// Which causes hold how many requests.
    pub async fn causes(&self, token: &str) -> Called<Vec<CauseHeld>> {
        let answer: Causes = self.get(token, "/v1/holds", &[]).await?;
        Ok(answer.causes)
    }

    /// What a cause holds, in the order of its claims, behind `after`; and where the next page begins.
    pub async fn holds(
        &self,
        token: &str,
        cause: &Cause,
        after: u64,
        limit: usize,
    ) -> Called<(Vec<Hold>, Option<u64>)> {
        let (cause, after, limit) = (cause.to_string(), after.to_string(), limit.to_string());
        let query = [
            ("cause", cause.as_str()),
            ("after", after.as_str()),
            ("limit", limit.as_str()),
        ];
        let page: Holds = self.get(token, "/v1/holds", &query).await?;
        Ok((page.holds, page.next))
    }

    /// Everything that was held of an order, ended holds too, at most 1,000; and whether there is more.
    pub async fn holds_of_order(&self, token: &str, order_no: &str) -> Called<(Vec<Hold>, bool)> {
        let query = [("order_no", order_no), ("limit", "1000")];
        let page: Holds = self.get(token, "/v1/holds", &query).await?;
        Ok((page.holds, page.next.is_some()))
    }

    /// One hold, by the request that is held.
    pub async fn hold(&self, token: &str, request_id: &str) -> Called<Hold> {
        self.get(token, &format!("/v1/holds/{}", segment(request_id)), &[])
            .await
    }

    /// Releases, the newest first, older than `before`; and where the next page begins.
    pub async fn releases(
        &self,
        token: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Called<(Vec<Release>, Option<String>)> {
        let limit = limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(before.map(|before| ("before", before)));
        let page: Releases = self.get(token, "/v1/releases", &query).await?;
        Ok((page.releases, page.next))
    }

    /// One release.
    pub async fn release(&self, token: &str, id: &str) -> Called<Release> {
        self.get(token, &format!("/v1/releases/{}", segment(id)), &[])
            .await
    }

    /// Releases holds, or proposes it where a second person is needed.
    pub async fn let_go(&self, token: &str, ask: &Ask) -> Called<Release> {
        self.post(token, "/v1/releases", ask).await
    }

    /// Confirms a proposed release.
    pub async fn confirm_release(&self, token: &str, id: &str) -> Called<Release> {
        let path = format!("/v1/releases/{}/confirm", segment(id));
        self.post(token, &path, &json!({})).await
    }

    /// Declines a proposed release.
    pub async fn decline_release(&self, token: &str, id: &str, reason: &str) -> Called<Release> {
        let path = format!("/v1/releases/{}/decline", segment(id));
        self.post(token, &path, &json!({"reason": reason})).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        token: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Called<T> {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", segment(value)))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{mark}{}", self.url, query.join("&"));
        self.call(token, self.http.get(url)).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        token: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Called<T> {
        let body = serde_json::to_vec(body)
            .map_err(|error| BreakerProblem::Strange(error.to_string()))?;
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body);
        self.call(token, request).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        token: &str,
        request: reqwest::RequestBuilder,
    ) -> Called<T> {
        let away = |error: reqwest::Error| BreakerProblem::Away(cause_of(&error));
        let mut answer = request
            .bearer_auth(token)
            .timeout(DEADLINE)
            .send()
            .await
            .map_err(away)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(away)? {
            if body.len() + piece.len() > MOST_BYTES {
                let what = format!("more than {MOST_BYTES} bytes");
                return Err(BreakerProblem::Strange(what));
            }
            body.extend_from_slice(&piece);
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| BreakerProblem::Strange(error.to_string()));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => Err(BreakerProblem::Refused {
                status: status.as_u16(),
                code: refusal.code,
                text: refusal.error,
            }),
            Err(_) => Err(BreakerProblem::Strange(format!("status {status}"))),
        }
    }
}

/// What lies at the bottom of an error, without the address.
fn cause_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error.is_timeout() {
        true => format!("no answer within {} seconds", DEADLINE.as_secs()),
        false => cause.to_string(),
    }
}

/// A text as one segment of a path or one value of a query, whatever it holds.
pub(crate) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("T1"), "T1");
        assert_eq!(segment("../trips?x=1"), "%2E%2E%2Ftrips%3Fx%3D1");
        assert_eq!(segment("单 1"), "%E5%8D%95%201");
    }
}
