//! Dispositions to the platform: at least once, in their order, by each way that is configured.
//!
//! A way is given the next messages behind those that it delivered. What it does not take is given to it again, slower
//! and slower, and what is behind waits. How far it came is stored, so that a service that starts again goes on there.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use centinel_breaker::Told;
use serde_json::Value;

use crate::shared::Shared;
use crate::store::Way;
use crate::writer::Act;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Some messages were not taken.
#[derive(Debug)]
pub struct Undelivered {
    /// How many of the first ones were, without a gap.
    pub taken: usize,
    /// Why the next one was not. Holds no secret.
    pub why: String,
}

/// What takes messages to the platform.
pub trait Deliver: Send + 'static {
    /// Under which its place is kept.
    const WAY: Way;
    /// What it is called, such as `the webhook`.
    const NAME: &'static str;
    /// Most messages at once.
    const MOST_AT_ONCE: usize;

    /// Delivers messages in their order. When it is done, all of them are where they are safe.
    fn deliver(&mut self, told: &[Told]) -> impl Future<Output = Result<(), Undelivered>> + Send;
}

/// Delivers until the service ends.
pub async fn run<D: Deliver>(shared: Arc<Shared>, mut to: D) {
    let (mut news, mut ending) = (shared.told.subscribe(), shared.ending.clone());
    let (mut pause, mut at_once) = (FIRST_PAUSE, D::MOST_AT_ONCE);
    let mut said = false;
    while !*ending.borrow() {
        let after = shared.delivered(D::WAY).load(Ordering::Relaxed);
        let told = shared.read(move |store| store.told(after, at_once)).await;
        let (told, done) = match told {
            Ok(told) if told.is_empty() => {
                tokio::select! {
                    _ = news.changed() => {}
                    _ = ending.changed() => {}
                }
                continue;
            }
            Ok(told) => {
                let done = tokio::select! {
                    done = to.deliver(&told) => done,
                    _ = ending.changed() => break,
                };
                (told, done)
            }
            Err(error) => {
                let (taken, why) = (0, error.to_string());
                (vec![], Err(Undelivered { taken, why }))
            }
        };
        let taken = done.as_ref().map_or_else(|not| not.taken, |()| told.len());
        if let Some(last) = told[..taken].last() {
            went(&shared, D::WAY, last.sequence);
        }
        let Err(Undelivered { why, .. }) = done else {
            if said {
                tracing::info!("breaker: {} takes dispositions again.", D::NAME);
            }
            (pause, at_once, said) = (FIRST_PAUSE, D::MOST_AT_ONCE, false);
            continue;
        };
        if !said {
            let name = D::NAME;
            tracing::error!(
                "breaker: {name} does not take dispositions: {why}. They are sent again until it does."
            );
            said = true;
        }
        at_once = (at_once / 2).max(1);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = ending.changed() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn went(shared: &Shared, way: Way, last: u64) {
    shared.delivered(way).store(last, Ordering::Relaxed);
    // When this is not stored they are sent once more after the next start.
    let _ = shared.command(String::new(), "", Value::Null, Act::Delivered(way, last));
}
