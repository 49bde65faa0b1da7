//! Money that did not leave, as the breaker knows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use centinel_findings::Sum;
use serde::Deserialize;

use crate::Console;
use crate::breaker::{Breaker, BreakerProblem};
use crate::visit::address;

/// Pages of 1,000 that are read at most, of held requests and of releases.
const MOST_PAGES: usize = 20;
/// For so long an answer serves everybody.
const FRESH: Duration = Duration::from_secs(10);

/// Sums of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// How many.
    pub count: u64,
    /// Their money, by currency.
    pub money: BTreeMap<String, Sum>,
}

/// What the breaker keeps from leaving, or kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prevented {
    /// Held now.
    pub held: Requests,
    /// Rejected by releases that it remembers.
    pub rejected: Requests,
    /// Whether that is all: there was not too much to read.
    pub whole: bool,
}

/// The last answer.
pub type Kept = tokio::sync::Mutex<Option<(Duration, Arc<Prevented>)>>;

impl Requests {
    fn add(&mut self, count: u64, amount: &str, currency: &str) {
        self.count += count;
        if let Some(sum) = Sum::parse(amount) {
            // 63 digits are enough for all money.
            let _ = self.money.entry(currency.to_owned()).or_default().add(&sum);
        }
    }

    /// As text.
    pub fn shown(&self) -> BTreeMap<String, String> {
        let shown = |(currency, sum): (&String, &Sum)| (currency.clone(), sum.to_string());
        self.money.iter().map(shown).collect()
    }
}

#[derive(Deserialize)]
struct Causes {
    causes: Vec<CauseSeen>,
}

#[derive(Deserialize)]
struct CauseSeen {
    cause: Cause,
    held: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    Trip(String),
    Finding(String),
    Stale,
}

#[derive(Deserialize)]
struct Holds {
    holds: Vec<Hold>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Hold {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    amount: String,
    currency: String,
}

#[derive(Deserialize)]
struct Releases {
    releases: Vec<Release>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Release {
    ask: Ask,
    state: String,
    count: u64,
    decided: u64,
    money: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Ask {
    disposition: String,
}

/// What is held and was rejected. An answer that is some seconds old serves, too.
///
/// # Errors
/// What the breaker fails with.
pub async fn prevented(console: &Console, token: &str) -> Result<Arc<Prevented>, BreakerProblem> {
    let now = (console.surroundings.steady)();
    // One asks, and the others wait for it.
    let mut kept = console.prevented.lock().await;
    if let Some((at, prevented)) = &*kept
        && now.saturating_sub(*at) < FRESH
    {
        return Ok(prevented.clone());
    }
    let prevented = Arc::new(ask(&console.breaker, token).await?);
    *kept = Some((now, prevented.clone()));
    Ok(prevented)
}

async fn ask(breaker: &Breaker, token: &str) -> Result<Prevented, BreakerProblem> {
    let mut prevented = Prevented {
        whole: true,
        ..Prevented::default()
    };
    let causes: Causes = breaker.get("/v1/holds", token).await?;
    let mut pages = 0;
    for CauseSeen { cause, held } in causes.causes {
        let cause = match cause {
            Cause::Trip(trip) => trip,
            Cause::Finding(finding) => format!("finding:{finding}"),
            Cause::Stale => "stale".to_owned(),
        };
        let mut after = 0;
        while held > 0 {
            pages += 1;
            if pages > MOST_PAGES {
                prevented.whole = false;
                break;
            }
            let from = after.to_string();
            let query = [
                ("cause", cause.as_str()),
                ("after", from.as_str()),
                ("limit", "1000"),
            ];
            let holds: Holds = breaker.get(&address("/v1/holds", query), token).await?;
            for hold in &holds.holds {
                prevented
                    .held
                    .add(1, &hold.request.amount, &hold.request.currency);
            }
            match holds.next {
                Some(next) => after = next,
                None => break,
            }
        }
    }
    let mut before = None;
    for _ in 0..MOST_PAGES {
        let from = before
            .iter()
            .map(|before: &String| ("before", before.as_str()));
        let path = address("/v1/releases", from.chain([("limit", "1000")]));
        let releases: Releases = breaker.get(&path, token).await?;
        for release in &releases.releases {
            prevented.whole &= rejected(&mut prevented.rejected, release);
        }
        before = releases.next;
        if before.is_none() {
            return Ok(prevented);
        }
    }
    prevented.whole = false;
    Ok(prevented)
}

/// Adds what a release rejected; false where that is not known.
fn rejected(requests: &mut Requests, release: &Release) -> bool {
    if release.ask.disposition != "reject" || release.state != "done" || release.decided == 0 {
        return true;
    }
    // Of some of them something else decided: their money is not told apart.
    if release.decided != release.count {
        return false;
    }
    requests.count += release.count;
    for (currency, amount) in &release.money {
        requests.add(0, amount, currency);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(disposition: &str, state: &str, count: u64, decided: u64) -> Release {
        Release {
            ask: Ask {
                disposition: disposition.into(),
            },
            state: state.into(),
            count,
            decided,
            money: BTreeMap::from([("CNY".into(), "12.50".into()), ("USD".into(), "1".into())]),
        }
    }

    #[test]
    fn only_what_was_rejected_counts_and_what_is_not_known_is_said() {
        let mut requests = Requests::default();
        for (release, known) in [
            (release("reject", "done", 2, 2), true),
            (release("reject", "done", 3, 3), true),
            (release("resume", "done", 9, 9), true),
            (release("reject", "proposed", 9, 0), true),
            (release("reject", "done", 9, 4), false),
        ] {
            assert_eq!(rejected(&mut requests, &release), known);
        }
        assert_eq!(requests.count, 5);
        let money =
            [("CNY", "25"), ("USD", "2")].map(|(code, sum)| (code.to_owned(), sum.to_owned()));
        assert_eq!(requests.shown(), BTreeMap::from(money));
    }
}
