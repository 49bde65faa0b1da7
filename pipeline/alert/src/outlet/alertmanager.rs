//! Alertmanager's API, version 2. It keeps alerts by their labels for as long as it hears of them: so it is told how each
//! cause stands, again and again, and that it has ended.

use std::collections::BTreeMap;

use centinel_model::{Duration, Timestamp};
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Serialize;

use super::{Outlet, json};
use crate::dispatch::Outcome;
use crate::http::Http;
use crate::message::{Alert, Body, Cause, Message};
use crate::page::{self, Page};

/// Letters of an annotation, at most.
const MOST_BYTES: usize = 6_000;

/// An Alertmanager.
pub struct Alertmanager {
    pub(crate) http: Http,
    /// The whole header, such as `Bearer …`.
    pub(crate) authorization: Option<HeaderValue>,
    /// An alert that is not heard of for so long has ended for it.
    pub(crate) lasts: Duration,
}

#[derive(Serialize)]
struct Posted {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

impl Alertmanager {
    fn posted(&self, message: &Message, alert: &Alert, now: Timestamp) -> Posted {
        // It is told how a cause stands, not what is new.
        let alert = &Alert {
            count: 0,
            changed: 0,
            money: alert.open.money.clone(),
            ..alert.clone()
        };
        let facts = &alert.facts;
        let cause = match &alert.cause {
            Cause::None => (String::new(), String::new()),
            Cause::Is { column, value } => (column.clone(), value.clone()),
            Cause::Many => ("many".into(), String::new()),
        };
        let tags = facts.tags.iter().map(|tag| format!("{tag},"));
        let tags: String = tags.collect();
        let labels = [
            ("alertname", facts.rule.clone()),
            ("severity", facts.severity.as_str().to_owned()),
            ("owner", facts.owner.clone()),
            ("verdict", alert.kind.as_str().to_owned()),
            ("cause", cause.0),
            ("cause_value", cause.1),
            (
                "tags",
                if tags.is_empty() {
                    tags
                } else {
                    format!(",{tags}")
                },
            ),
        ];
        let whole = Message {
            body: Body::Alert(Box::new(alert.clone())),
            ..message.clone()
        };
        let page = Page::of(&whole, MOST_BYTES);
        let lines = page
            .rows
            .iter()
            .map(|row| format!("{}: {}", row.label, row.value));
        let trace = alert
            .largest
            .iter()
            .find_map(|example| example.trace.clone());
        let runbook = match page::is_link(&facts.runbook) {
            true => ("runbook_url", facts.runbook.clone()),
            false => ("runbook", facts.runbook.clone()),
        };
        let annotations = [
            ("summary", page::headline(alert)),
            ("description", lines.collect::<Vec<_>>().join("\n")),
            ("open", alert.open.count.to_string()),
            ("money", alert.open.money.to_string()),
            ("trace", trace.clone().unwrap_or_default()),
            runbook,
        ];
        // It refuses an alert that ends before it starts, and a clock may run ahead.
        let ends = match alert.open.count {
            0 => now,
            _ => now.plus(self.lasts),
        };
        let some = |(_, value): &(&str, String)| !value.is_empty();
        Posted {
            labels: labels.into_iter().filter(some).collect(),
            annotations: annotations.into_iter().filter(some).collect(),
            starts_at: alert.since.min(now).to_string(),
            ends_at: ends.to_string(),
            generator_url: trace,
        }
    }

    /// A digest is one alert that lasts as others do.
    fn digest(&self, message: &Message, now: Timestamp) -> Posted {
        let page = Page::of(message, MOST_BYTES);
        let lines = page
            .rows
            .iter()
            .map(|row| format!("{}: {}", row.label, row.value));
        let labels = [
            ("alertname", "centinel/digest".to_owned()),
            ("severity", message.body.severity().as_str().to_owned()),
        ];
        let annotations = [
            ("summary", page.title.clone()),
            ("description", lines.collect::<Vec<_>>().join("\n")),
        ];
        Posted {
            labels: labels.into_iter().collect(),
            annotations: annotations.into_iter().collect(),
            starts_at: message.made_at.min(now).to_string(),
            ends_at: now.plus(self.lasts).to_string(),
            generator_url: None,
        }
    }
}

impl Outlet for Alertmanager {
    fn send<'a>(&'a self, message: &'a Message, now: Timestamp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let posted: Vec<Posted> = match &message.body {
                Body::Alert(alert) => vec![self.posted(message, alert, now)],
                Body::Standing(standing) => {
                    let alerts = standing.alerts.iter();
                    alerts
                        .map(|alert| self.posted(message, alert, now))
                        .collect()
                }
                Body::Digest(_) => vec![self.digest(message, now)],
            };
            let body = match json(&posted) {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            let mut headers = HeaderMap::new();
            if let Some(value) = &self.authorization {
                headers.insert(AUTHORIZATION, value.clone());
            }
            match self.http.post(self.http.url(), headers, body).await {
                Ok(answer) => answer.by_status().unwrap_or(Outcome::Delivered),
                Err(outcome) => outcome,
            }
        })
    }
}
