//! A Slack incoming webhook.
//!
//! Data stands in plain text, where nothing is a mark; only links, whose addresses are encoded, stand in Slack's Markdown.

use centinel_model::Timestamp;
use futures::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::Outlet;
use crate::dispatch::Outcome;
use crate::http::{Answer, Http};
use crate::message::Message;
use crate::page::{Mood, Page};
use crate::text::clean;

/// Of text: it fits into three sections.
const MOST_BYTES: usize = 6_000;
/// Letters of a header and of a section, of which Slack takes 150 and 3000.
const HEADER: usize = 140;
const SECTION: usize = 2_800;

/// A webhook.
pub struct Slack {
    pub(crate) http: Http,
}

/// Data in Slack's Markdown: with these three signs gone, nothing is a link, a channel or a mention.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// An address inside `<…|…>`.
fn address(url: &str) -> String {
    escape(
        &url.replace('|', "%7C")
            .replace('<', "%3C")
            .replace('>', "%3E"),
    )
}

fn blocks(page: &Page) -> Vec<Value> {
    let mark = match page.mood {
        Mood::Bad => "🔴",
        Mood::Unsure => "🟡",
        Mood::Ended => "🟢",
    };
    let plain = |text: &str| json!({"type": "plain_text", "text": text, "emoji": false});
    let title = clean(&format!("{mark} {}", page.title), HEADER);
    let mut blocks = vec![json!({"type": "header", "text": plain(&title)})];
    let mut section = String::new();
    let mut push = |section: &mut String| {
        if !section.is_empty() {
            blocks.push(json!({"type": "section", "text": plain(section)}));
            section.clear();
        }
    };
    for row in &page.rows {
        let line = clean(&format!("{}: {}", row.label, row.value), SECTION);
        if section.chars().count() + line.chars().count() + 1 > SECTION {
            push(&mut section);
        }
        if !section.is_empty() {
            section.push('\n');
        }
        section.push_str(&line);
    }
    push(&mut section);
    let links = page.links.iter();
    let links: Vec<String> = links
        .map(|(name, url)| format!("<{}|{name}>", address(url)))
        .collect();
    if !links.is_empty() {
        let text = json!({"type": "mrkdwn", "text": links.join(" · "), "verbatim": true});
        blocks.push(json!({"type": "section", "text": text}));
    }
    blocks
}

impl Outlet for Slack {
    fn send<'a>(&'a self, message: &'a Message, _: Timestamp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let page = Page::of(message, MOST_BYTES);
            let body = json!({"text": escape(&page.title), "blocks": blocks(&page)});
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

fn outcome(answer: &Answer) -> Outcome {
    match answer.by_status() {
        Some(outcome) => outcome,
        None if answer.body.trim() == "ok" => Outcome::Delivered,
        None => Outcome::Later {
            why: format!(
                "it answered {} and not `ok`: {}",
                answer.status,
                answer.shown()
            ),
            after: None,
        },
    }
}
