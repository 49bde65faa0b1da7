//! A DingTalk group's custom robot: signed by time and secret, and its mistakes stand in the body of a 200.

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

/// Of text; a message may have 20 KB in all, and a sign that is replaced takes three bytes.
const MOST_BYTES: usize = 5_000;
/// Above its limit a robot is silenced for so long.
const SILENCED: Duration = Duration::seconds(600);
/// Sent too fast, by its two names.
const TOO_FAST: [i64; 2] = [130_101, 410_100];
/// What it says of a message that it will never take: form, length, content.
const NEVER: [i64; 7] = [40_035, 400_105, 430_101, 430_102, 430_103, 430_104, 460_101];

/// A robot.
pub struct DingTalk {
    pub(crate) http: Http,
    /// Where the robot has signatures on.
    pub(crate) secret: Option<String>,
}

/// Data in a line of Markdown. DingTalk does not know all escapes, so what could begin a mark, a link or a mention becomes
/// the wide form of the same sign.
fn escape(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let word = |index: Option<usize>| {
        let letter = index.and_then(|index| letters.get(index));
        letter.is_some_and(|letter| letter.is_alphanumeric())
    };
    let mut out = String::with_capacity(text.len());
    for (index, letter) in letters.iter().enumerate() {
        let inside = word(index.checked_sub(1)) && word(index.checked_add(1));
        out.push(match letter {
            '_' if inside => '_',
            // An address would become a link by itself.
            '/' if index > 0 && matches!(letters[index - 1], ':' | '/') => '／',
            '*' | '_' | '~' | '`' | '#' | '[' | ']' | '(' | ')' | '<' | '>' | '!' | '|' | '\\'
            | '@' | '&' | '$' => {
                // The wide forms stand in the order of ASCII.
                char::from_u32(u32::from(*letter) + 0xfee0).unwrap_or(' ')
            }
            letter => *letter,
        });
    }
    out
}

fn markdown(page: &Page) -> String {
    let mark = match page.mood {
        Mood::Bad => "🔴",
        Mood::Unsure => "🟡",
        Mood::Ended => "🟢",
    };
    let mut text = format!("#### {mark} {}\n\n", escape(&page.title));
    for row in &page.rows {
        text.push_str(&format!("- **{}**: {}\n", row.label, escape(&row.value)));
    }
    let links = page.links.iter();
    let links: Vec<String> = links
        .map(|(name, url)| format!("[{name}]({url})"))
        .collect();
    if !links.is_empty() {
        text.push_str(&format!("\n{}\n", links.join(" · ")));
    }
    text
}

impl Outlet for DingTalk {
    fn send<'a>(&'a self, message: &'a Message, now: Timestamp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let mut url = self.http.url();
            if let Some(secret) = &self.secret {
                let millis = now.0.div_euclid(1_000).to_string();
                let tag = hmac_sha256(secret.as_bytes(), format!("{millis}\n{secret}").as_bytes());
                url.query_pairs_mut()
                    .append_pair("timestamp", &millis)
                    .append_pair("sign", &STANDARD.encode(tag));
            }
            let page = Page::of(message, MOST_BYTES);
            let body = json!({
                "msgtype": "markdown",
                "markdown": {"title": escape(&page.title), "text": markdown(&page)},
                "at": {"isAtAll": false},
            });
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

fn outcome(answer: &Answer) -> Outcome {
    if let Some(outcome) = answer.by_status() {
        return outcome;
    }
    let said = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    let Some(code) = said["errcode"].as_i64() else {
        let why = format!(
            "it answered {} without an errcode: {}",
            answer.status,
            answer.shown()
        );
        return Outcome::Later { why, after: None };
    };
    let text = clean(said["errmsg"].as_str().unwrap_or_default(), 200);
    let why = format!("errcode {code}: {text}");
    match code {
        0 => Outcome::Delivered,
        _ if TOO_FAST.contains(&code) => Outcome::Later {
            why,
            after: Some(SILENCED),
        },
        _ if NEVER.contains(&code) => Outcome::Refused { why },
        _ => Outcome::Later { why, after: None },
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn data_marks_nothing() {
        assert_eq!(escape("pay_1_2"), "pay_1_2");
        assert_eq!(
            escape("_x_ *b* `c` # [a](b)"),
            "＿x＿ ＊b＊ ｀c｀ ＃ ［a］（b）"
        );
        assert_eq!(escape("https://evil.example"), "https:／／evil.example");
        assert_eq!(
            escape("@all <b> ![i](u) a|b \\ &lt;"),
            "＠all ＜b＞ ！［i］（u） a｜b ＼ ＆lt;"
        );
    }
}
