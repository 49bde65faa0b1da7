//! Messages → the world: each channel's own form, behind one trait.

mod alertmanager;
mod dingtalk;
mod feishu;
mod file;
mod kafka;
mod slack;
mod webhook;

use centinel_model::Timestamp;
use futures::future::BoxFuture;
use ring::hmac;

use crate::dispatch::Outcome;
use crate::message::Message;

pub use alertmanager::Alertmanager;
pub use dingtalk::DingTalk;
pub use feishu::Feishu;
pub use file::LinesFile;
pub use kafka::Topic;
pub use slack::Slack;
pub use webhook::{Webhook, signature};

/// Where messages go. A message may come more than once, with the same id.
pub trait Outlet: Send + Sync {
    /// Sends one message; `now` is the time of signatures. It ends by itself, within the channel's time-out.
    fn send<'a>(&'a self, message: &'a Message, now: Timestamp) -> BoxFuture<'a, Outcome>;
}

/// HMAC-SHA256.
fn hmac_sha256(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

/// One JSON object in one line. A message holds nothing that JSON cannot say.
fn json(message: &impl serde::Serialize) -> Result<String, Outcome> {
    serde_json::to_string(message).map_err(|error| Outcome::Refused {
        why: format!("the message cannot be written as JSON: {error}"),
    })
}
