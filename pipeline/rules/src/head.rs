//! The head of a rule file: YAML in one leading `/* --- … --- */` comment.

use std::ops::Range;

use centinel_model::{Duration, Severity};
use serde::Deserialize;

use crate::mistakes::{Mistakes, SourceFile, suggest};
use crate::rule::{Point, Status};

const OPENING: &str = "/* ---";
const CLOSING: &str = "--- */";
const FIELDS: [&str; 17] = [
    "id",
    "title",
    "entity",
    "severity",
    "key",
    "amount",
    "currency",
    "owner",
    "tags",
    "settle",
    "retries",
    "retry_interval",
    "max_wait",
    "since",
    "on",
    "trip",
    "status",
];
const DEFAULT_RETRIES: u32 = 3;
const MOST_RETRIES: u32 = 1_000;

/// The head as written, with spans and counts read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub id: String,
    pub title: String,
    pub entity: String,
    pub severity: Severity,
    pub key: Vec<String>,
    #[serde(default)]
    pub amount: Option<String>,
    #[serde(default)]
    pub currency: Option<String>,
    pub owner: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    settle: Option<String>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    retry_interval: Option<String>,
    #[serde(default)]
    max_wait: Option<String>,
    #[serde(default)]
    pub since: Option<String>,
    #[serde(default)]
    pub on: Vec<String>,
    #[serde(default)]
    pub trip: Option<TripHead>,
    #[serde(default)]
    pub status: Status,
    #[serde(default)]
    pub runbook: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TripHead {
    pub points: Vec<Point>,
    pub by: String,
}

/// The spans of a head.
pub(crate) struct Waiting {
    pub settle: Duration,
    pub retries: u32,
    pub retry_interval: Duration,
    pub max_wait: Duration,
}

impl Head {
    /// Reads the head of a file, or tells what is wrong with it.
    pub fn read(file: &SourceFile, mistakes: &mut Mistakes<'_>) -> Option<Head> {
        let text = &file.text;
        let Some(start) = opening(text) else {
            let first_line = 0..text.find('\n').unwrap_or(text.len());
            mistakes.add(
                Some(first_line),
                "the file does not begin with a head",
                "begin with `/* ---`, the rule's id, title, entity, severity, key and owner, and `--- */`",
            );
            return None;
        };
        let Some(length) = text[start..].find(CLOSING) else {
            mistakes.add(
                Some(0..OPENING.len()),
                "the head does not end",
                "end it with `--- */`",
            );
            return None;
        };
        let yaml = &text[start..start + length];
        match serde_saphyr::from_str::<Head>(yaml) {
            Ok(head) => Some(head),
            Err(error) => {
                let lines_before = text[..start].matches('\n').count() as u64;
                let place = error.location().and_then(|location| {
                    let line = lines_before + location.line();
                    place_of(mistakes, text, line, location.column())
                });
                let said = error.to_string();
                let (problem, remedy) = explain(&said);
                mistakes.add(place, problem, remedy);
                None
            }
        }
    }

    /// The spans, with mistakes for those that cannot be read.
    pub fn waiting(&self, mistakes: &mut Mistakes<'_>) -> Waiting {
        let mut span = |name: &str, text: &Option<String>, default: Duration| match text {
            None => default,
            Some(text) => Duration::parse(text).unwrap_or_else(|error| {
                let place = mistakes.field(name);
                mistakes.add(
                    place,
                    format!("`{name}` {error}"),
                    "write a span such as 30s, 2m or 24h",
                );
                default
            }),
        };
        let settle = span("settle", &self.settle, Duration::ZERO);
        let retry_interval = span(
            "retry_interval",
            &self.retry_interval,
            Duration::seconds(10),
        );
        let max_wait = span("max_wait", &self.max_wait, Duration::seconds(3_600));
        let retries = self.retries.unwrap_or(DEFAULT_RETRIES);
        if retries > MOST_RETRIES {
            let place = mistakes.field("retries");
            mistakes.add(
                place,
                format!("{retries} retries"),
                format!("at most {MOST_RETRIES}"),
            );
        }
        Waiting {
            settle,
            retries,
            retry_interval,
            max_wait,
        }
    }
}

/// Where the YAML begins: behind the opening, which stands first in the file.
fn opening(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(OPENING)?;
    let line_end = rest.find('\n')?;
    rest[..line_end].trim().is_empty().then_some(OPENING.len())
}

/// From a place in the file to the end of its line.
fn place_of(mistakes: &Mistakes<'_>, text: &str, line: u64, column: u64) -> Option<Range<usize>> {
    let start = mistakes.range((line, column), (line, column))?.start;
    let end = text[start..]
        .find('\n')
        .map_or(text.len(), |length| start + length);
    Some(start..start + text[start..end].trim_end().len())
}

/// What is wrong and what would be right, from what the YAML reader says.
fn explain(said: &str) -> (String, String) {
    let said = said.lines().next().unwrap_or(said);
    if let Some((_, rest)) = said.split_once("unknown field")
        && let Some(wrong) = rest.split(['`', '\'', '"']).nth(1)
    {
        let remedy = suggest(wrong, FIELDS.into_iter().chain(["runbook", "points", "by"]));
        return (format!("`{wrong}` is not a field of the head"), remedy);
    }
    let problem = format!("the head cannot be read: {said}");
    (
        problem,
        "see the rule format: id, title, entity, severity, key and owner are needed".into(),
    )
}
