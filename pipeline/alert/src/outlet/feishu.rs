//! A Feishu (Lark) group's custom robot: signed in the body, and its mistakes stand in the body of a 200.
//!
//! The card is plain text and buttons, so that nothing in data is a mark, a link or a mention.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use centinel_model::{Duration, Timestamp};
use futures::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::{Outlet, hmac_sha256};
use crate::dispatch::Outcome;
use crate::http::{Answer, Http};
use crate::message::Message;
use crate::page::{Mood, Page};
use crate::text::clean;

/// Of text; a card may have 20 KB in all.
const MOST_BYTES: usize = 6_000;
/// Too many messages: for this robot, or for the whole service.
const TOO_FAST: i64 = 11_232;
const PAUSE: Duration = Duration::seconds(60);
/// The request cannot be read; by some this code also says that there were too many.
const BAD_REQUEST: i64 = 9_499;
/// The content is not taken: keywords aside, which are a matter of the robot's settings.
const NEVER: [i64; 3] = [11_246, 19_002, 19_003];

/// A robot.
pub struct Feishu {
    pub(crate) http: Http,
    /// Where the robot has signatures on.
    pub(crate) secret: Option<String>,
}

fn card(page: &Page) -> Value {
    let colour = match page.mood {
        Mood::Bad => "red",
        Mood::Unsure => "yellow",
        Mood::Ended => "green",
    };
    let plain = |text: &str| json!({"tag": "plain_text", "content": text});
    let rows = page.rows.iter().map(|row| {
        let text = plain(&format!("{}: {}", row.label, row.value));
        json!({"tag": "div", "text": text})
    });
    let mut elements: Vec<Value> = rows.collect();
    let links = page.links.iter().map(
        |(name, url)| json!({"tag": "button", "type": "default", "text": plain(name), "url": url}),
    );
    let links: Vec<Value> = links.collect();
    if !links.is_empty() {
        elements.push(json!({"tag": "action", "actions": links}));
    }
    json!({
        "config": {"wide_screen_mode": true},
        "header": {"title": plain(&page.title), "template": colour},
        "elements": elements,
    })
}

impl Outlet for Feishu {
    fn send<'a>(&'a self, message: &'a Message, now: Timestamp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let page = Page::of(message, MOST_BYTES);
            let mut body = json!({"msg_type": "interactive", "card": card(&page)});
            if let Some(secret) = &self.secret {
                let seconds = now.0.div_euclid(1_000_000).to_string();
                // Time and secret are the key here, and nothing is the text.
                let tag = hmac_sha256(format!("{seconds}\n{secret}").as_bytes(), b"");
                body["timestamp"] = Value::String(seconds);
                body["sign"] = Value::String(STANDARD.encode(tag));
            }
            let url = self.http.url();
            match self
                .http
                .post(url, HeaderMap::new(), body.to_string())
                .await
            {
                Ok(answer) => outcome(&answer),
                Err(outcome) => outcome,
            }
        })
    }
}

/// The body counts before the status: a limit also comes as a 400.
fn outcome(answer: &Answer) -> Outcome {
    let said = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    // Older answers have it under another name, some under both.
    let code = said["code"].as_i64().or(said["StatusCode"].as_i64());
    let Some(code) = code else {
        let why = format!(
            "it answered {} without a code: {}",
            answer.status,
            answer.shown()
        );
        let later = Outcome::Later { why, after: None };
        return answer.by_status().unwrap_or(later);
    };
    let text = said["msg"].as_str().or(said["StatusMessage"].as_str());
    let text = clean(text.unwrap_or_default(), 200);
    let why = format!("code {code}: {text}");
    let too_fast =
        code == TOO_FAST || (code == BAD_REQUEST && text.to_ascii_lowercase().contains("too many"));
    match code {
        0 => answer.by_status().unwrap_or(Outcome::Delivered),
        _ if too_fast || answer.status == 429 => Outcome::Later {
            why,
            after: Some(answer.retry_after().unwrap_or(PAUSE)),
        },
        code if code == BAD_REQUEST || NEVER.contains(&code) => Outcome::Refused { why },
        _ => Outcome::Later { why, after: None },
    }
}
