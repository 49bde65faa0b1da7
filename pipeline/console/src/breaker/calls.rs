//! One call for each thing that a person may ask or do at the breaker.

use serde::Deserialize;
use serde_json::json;

use super::forms::{
    Ask, Cause, CauseHeld, Draft, Hold, Point, Preview, Release, Scope, Trip, TripState,
};
use super::{Breaker, BreakerProblem};

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
        let page: Trips = self.get(&with("/v1/trips", &query), token).await?;
        Ok((page.trips, page.next))
    }

    /// One trip.
    pub async fn trip(&self, token: &str, id: &str) -> Called<Trip> {
        self.get(&format!("/v1/trips/{}", segment(id)), token).await
    }

    /// What a trip would hold. Nothing is set.
    pub async fn preview(&self, token: &str, scope: &Scope, points: &[Point]) -> Called<Preview> {
        let wish = json!({"scope": scope, "points": points});
        self.post("/v1/trips/preview", token, &wish).await
    }

    /// Sets a trip, or proposes one.
    pub async fn set(&self, token: &str, draft: &Draft) -> Called<Trip> {
        self.post("/v1/trips", token, draft).await
    }

    /// Confirms a proposed trip, or declines it.
    pub async fn decide_trip(&self, token: &str, id: &str, confirm: bool) -> Called<Trip> {
        let act = if confirm { "confirm" } else { "decline" };
        let path = format!("/v1/trips/{}/{act}", segment(id));
        self.post(&path, token, &json!({})).await
    }

    /// Which causes hold how many requests.
    pub async fn causes(&self, token: &str) -> Called<Vec<CauseHeld>> {
        let answer: Causes = self.get("/v1/holds", token).await?;
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
        let page: Holds = self.get(&with("/v1/holds", &query), token).await?;
        Ok((page.holds, page.next))
    }

    /// Everything that was held of an order, ended holds too, at most 1,000; and whether there is more.
    pub async fn holds_of_order(&self, token: &str, order_no: &str) -> Called<(Vec<Hold>, bool)> {
        let query = [("order_no", order_no), ("limit", "1000")];
        let page: Holds = self.get(&with("/v1/holds", &query), token).await?;
        Ok((page.holds, page.next.is_some()))
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
        let page: Releases = self.get(&with("/v1/releases", &query), token).await?;
        Ok((page.releases, page.next))
    }

    /// One release.
    pub async fn release(&self, token: &str, id: &str) -> Called<Release> {
        self.get(&format!("/v1/releases/{}", segment(id)), token)
            .await
    }

    /// Releases holds, or proposes it where a second person is needed.
    pub async fn let_go(&self, token: &str, ask: &Ask) -> Called<Release> {
        self.post("/v1/releases", token, ask).await
    }

    /// Confirms a proposed release.
    pub async fn confirm_release(&self, token: &str, id: &str) -> Called<Release> {
        let path = format!("/v1/releases/{}/confirm", segment(id));
        self.post(&path, token, &json!({})).await
    }

    /// Declines a proposed release.
    pub async fn decline_release(&self, token: &str, id: &str, reason: &str) -> Called<Release> {
        let path = format!("/v1/releases/{}/decline", segment(id));
        self.post(&path, token, &json!({"reason": reason})).await
    }
}

/// A path with a query.
fn with(path: &str, query: &[(&str, &str)]) -> String {
    let query = query
        .iter()
        .map(|(name, value)| format!("{name}={}", segment(value)));
    format!("{path}?{}", query.collect::<Vec<_>>().join("&"))
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
