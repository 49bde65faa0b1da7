//! Dispositions to the platform's webhook, signed.
//!
//! The header `Centinel-Signature: t=SECONDS,v1=HEX` holds the HMAC-SHA256, by the shared secret, of the seconds since
//! 1970, a point, and the body. What is not answered with 2xx was not taken.

use std::time::SystemTime;

use centinel_breaker::Told;
use ring::hmac;
use serde_json::json;

use crate::ServeError;
use crate::config::Webhook;
use crate::delivery::{Deliver, Undelivered};
use crate::store::Way;

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

/// Posts to the platform's webhook.
pub struct Poster {
    webhook: Webhook,
    secret: String,
    client: reqwest::Client,
}

impl Poster {
    /// With the secret of the environment.
    pub fn new(webhook: Webhook) -> Result<Poster, ServeError> {
        let name = &webhook.secret_env;
        let secret = std::env::var(name).ok().filter(|secret| secret.len() >= 32);
        let secret = secret.ok_or_else(|| {
            ServeError::Start(format!("the environment variable {name} holds no secret of 32 letters at least: set it; the webhook's receiver needs the same"))
        })?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ServeError::Start(format!("no client for the webhook: {error}")))?;
        Ok(Poster {
            webhook,
            secret,
            client,
        })
    }

    async fn post(&self, told: &[Told]) -> Result<(), String> {
        let body = json!({"schema": "centinel/dispositions/1", "dispositions": told}).to_string();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs());
        let signature = signature(self.secret.as_bytes(), seconds, &body);
        let request = self
            .client
            .post(&self.webhook.url)
            .timeout(self.webhook.timeout.std())
            .header("content-type", "application/json")
            .header("centinel-signature", signature)
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
}

impl Deliver for Poster {
    const WAY: Way = Way::Webhook;
    const NAME: &'static str = "the webhook";
    const MOST_AT_ONCE: usize = 100;

    async fn deliver(&mut self, told: &[Told]) -> Result<(), Undelivered> {
        let posted = self.post(told).await;
        posted.map_err(|why| Undelivered { taken: 0, why })
    }
}
