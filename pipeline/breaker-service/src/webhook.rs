//! Dispositions to the platform's webhook: at least once, in their order, signed.
//!
//! The header `Centinel-Signature: t=SECONDS,v1=HEX` holds the HMAC-SHA256, by the shared secret, of the seconds since
//! 1970, a point, and the body. What is not answered with 2xx is sent again, slower and slower, and what is behind it waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use centinel_breaker::Told;
use ring::hmac;
use serde_json::json;

use crate::config::Webhook;
use crate::shared::Shared;
use crate::writer::Act;

const MOST_AT_ONCE: usize = 100;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The signature of a body.
pub fn signature(secret: &[u8], seconds: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}

/// Delivers until the service ends.
pub async fn deliver(
    shared: Arc<Shared>,
    webhook: Webhook,
    secret: String,
    client: reqwest::Client,
) {
    let (mut news, mut ending) = (shared.told.subscribe(), shared.ending.clone());
    let (mut pause, mut at_once) = (FIRST_PAUSE, MOST_AT_ONCE);
    let mut said = false;
    while !*ending.borrow() {
        let after = shared.delivered.load(Ordering::Relaxed);
        let told = shared.read(move |store| store.told(after, at_once)).await;
        let sent = match &told {
            Ok(told) if told.is_empty() => {
                tokio::select! {
                    _ = news.changed() => {}
                    _ = ending.changed() => {}
                }
                continue;
            }
            Ok(told) => send(&webhook, &secret, &client, told).await,
            Err(error) => Err(error.to_string()),
        };
        match (sent, told) {
            (Ok(()), Ok(told)) => {
                let last = told.last().map_or(after, |told| told.sequence);
                shared.delivered.store(last, Ordering::Relaxed);
                // When this is not stored they are sent once more after the next start.
                let _ = shared.command(
                    String::new(),
                    "",
                    serde_json::Value::Null,
                    Act::Delivered(last),
                );
                if said {
                    eprintln!("breaker: the webhook takes dispositions again.");
                }
                (pause, at_once, said) = (FIRST_PAUSE, MOST_AT_ONCE, false);
            }
            (sent, _) => {
                if !said && let Err(why) = sent {
                    eprintln!(
                        "breaker: the webhook does not take dispositions: {why}. They are sent again until it does."
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
    }
}

async fn send(
    webhook: &Webhook,
    secret: &str,
    client: &reqwest::Client,
    told: &[Told],
) -> Result<(), String> {
    let body = json!({"schema": "centinel/dispositions/1", "dispositions": told}).to_string();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    let request = client
        .post(&webhook.url)
        .timeout(webhook.timeout.std())
        .header("content-type", "application/json")
        .header(
            "centinel-signature",
            signature(secret.as_bytes(), seconds, &body),
        )
        .body(body);
    // The address may hold a secret; it is not told.
    let answer = request
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(format!("it answered {}", answer.status())),
    }
}
