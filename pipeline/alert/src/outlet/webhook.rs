//! Any receiver: the message as JSON, signed.
//!
//! The header `Centinel-Signature: t=SECONDS,v1=HEX` holds the HMAC-SHA256, by the shared secret, of the seconds since
//! 1970, a point, and the body.

use centinel_model::Timestamp;
use futures::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Outlet, hmac_sha256, json};
use crate::dispatch::Outcome;
use crate::http::Http;
use crate::message::Message;

/// A signed webhook.
pub struct Webhook {
    pub(crate) http: Http,
    pub(crate) secret: String,
}

/// The signature of a body, as the header has it.
pub fn signature(secret: &[u8], seconds: i64, body: &str) -> String {
    let tag = hmac_sha256(secret, format!("{seconds}.{body}").as_bytes());
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("t={seconds},v1={hex}")
}

impl Outlet for Webhook {
    fn send<'a>(&'a self, message: &'a Message, now: Timestamp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let body = match json(message) {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            let seconds = now.0.div_euclid(1_000_000);
            let mut headers = HeaderMap::new();
            // Digits and letters, which every header takes.
            if let Ok(value) =
                HeaderValue::from_str(&signature(self.secret.as_bytes(), seconds, &body))
            {
                headers.insert(HeaderName::from_static("centinel-signature"), value);
            }
            match self.http.post(self.http.url(), headers, body).await {
                Ok(answer) => answer.by_status().unwrap_or(Outcome::Delivered),
                Err(outcome) => outcome,
            }
        })
    }
}
