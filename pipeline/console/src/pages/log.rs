//! Who did what: people's acts on findings, and the breaker's audit log.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use centinel_model::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::finding::what;
use crate::Console;
use crate::breaker::AuditEntry;
use crate::language::text;
use crate::mask;
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::routes::{Route, look};
use crate::shown;
use crate::visit::{Person, part};

pub const ROUTES: &[Route] = &[
    look("/log", Needs::Look, || get(findings)),
    look("/log/breaker", Needs::Look, || get(breaker)),
];

const PAGE: usize = 100;
/// Of one entry's details so many characters are shown.
const MOST_SHOWN: usize = 600;

fn tabs(person: &Person) -> Markup {
    let here = |path: &str| (person.visit.path == path).then_some("page");
    html! {
        nav.switches aria-label=(person.say(text("Logs", "记录类别"))) { ul {
            li { a href="/log" aria-current=[here("/log")] { (person.say(text("On findings", "异常处理"))) } }
            li { a href="/log/breaker" aria-current=[here("/log/breaker")] { (person.say(text("At the breaker", "熔断操作"))) } }
        } }
    }
}

/// The place behind which a page begins, `TIME_NUMBER`.
fn place(person: &Person) -> Result<Option<(Timestamp, u64)>, Problem> {
    let Some((_, text)) = person.visit.query.iter().find(|(name, _)| name == "before") else {
        return Ok(None);
    };
    let place = text
        .split_once('_')
        .and_then(|(at, number)| Some((Timestamp(at.parse().ok()?), number.parse().ok()?)));
    place
        .map(Some)
        .ok_or_else(|| Problem::refused("this is no place in the log: begin with its first page"))
}

async fn findings(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let before = place(&person)?;
    let acts = console
        .findings
        .read(move |store| store.acts_of_people(before, PAGE))
        .await?;
    let next = acts.last().filter(|_| acts.len() == PAGE);
    let next = next.and_then(|(_, entry)| {
        Some(format!(
            "{}_{}",
            Timestamp::parse(&entry.at).ok()?.0,
            entry.number
        ))
    });
    let body = html! {
        (tabs(&person))
        @if acts.is_empty() { p.empty { (person.say(text("Nobody has done anything to a finding yet.", "尚无人处理过异常。"))) } }
        @else {
            table.list {
                caption.hidden { (person.say(text("What people did to findings", "异常处理记录"))) }
                thead { tr {
                    th scope="col" { (person.say(text("When (UTC)", "时间（UTC）"))) }
                    th scope="col" { (person.say(text("Who", "人员"))) }
                    th scope="col" { (person.say(text("What", "操作"))) }
                    th scope="col" { (person.say(text("Finding", "异常"))) }
                } }
                tbody { @for (finding, entry) in &acts {
                    tr {
                        td data-label=(person.say(text("When (UTC)", "时间（UTC）"))) { (shown::time(&entry.at)) }
                        th scope="row" data-label=(person.say(text("Who", "人员"))) { (person.masked_text(&entry.by)) }
                        td data-label=(person.say(text("What", "操作"))) { (what(&person, &entry.what)) }
                        td data-label=(person.say(text("Finding", "异常"))) { a href={ "/findings/" (part(finding)) } { code { (finding.get(..12).unwrap_or(finding)) "…" } } }
                    }
                } }
            }
        }
        (older(&person, next.as_deref()))
    };
    Ok(person.page(person.say(text("Who did what", "操作记录")), &body))
}

fn older(person: &Person, next: Option<&str>) -> Markup {
    html! {
        nav.pager aria-label=(person.say(text("Pages", "分页"))) {
            @if let Some(next) = next { a href=(person.visit.with("before", Some(next))) rel="next" { (person.say(text("Earlier", "更早"))) " →" } }
        }
    }
}

/// What an entry of the breaker's log says, as far as it is shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    at: String,
    by: String,
    act: String,
    about: Value,
}

async fn breaker(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let before = match person.visit.query.iter().find(|(name, _)| name == "before") {
        Some((_, before)) => before.parse().map_err(|_| {
            Problem::refused("this is no place in the log: begin with its first page")
        })?,
        None => u64::MAX,
    };
    let entries = console.breaker.audit(person.token(), before, PAGE).await?;
    let next = entries
        .first()
        .map(|entry| entry.sequence)
        .filter(|first| *first > 1);
    let body = html! {
        (tabs(&person))
        table.list {
            caption.hidden { (person.say(text("The breaker's audit log", "熔断审计日志"))) }
            thead { tr {
                th.number scope="col" { (person.say(text("Entry", "序号"))) }
                th scope="col" { (person.say(text("When (UTC)", "时间（UTC）"))) }
                th scope="col" { (person.say(text("Who", "人员"))) }
                th scope="col" { (person.say(text("What", "操作"))) }
                th scope="col" { (person.say(text("About", "详情"))) }
            } }
            tbody { @for entry in entries.iter().rev() { (entry_row(&person, entry)) } }
        }
        p.hint { (person.say(text(
            "Each entry is chained to those before by its hash. Whether the log is whole says `centinel breaker verify-log`.",
            "每条记录以哈希与之前的记录相连。日志是否完整可用 centinel breaker verify-log 校验。",
        ))) }
        (older(&person, next.map(|next| next.to_string()).as_deref()))
    };
    Ok(person.page(person.say(text("Who did what", "操作记录")), &body))
}

fn entry_row(person: &Person, entry: &AuditEntry) -> Markup {
    let body: Body = serde_json::from_str(&entry.body).unwrap_or_default();
    let mut facts = Vec::new();
    flatten(person, "", &body.about, &mut facts);
    html! {
        tr {
            td.number data-label=(person.say(text("Entry", "序号"))) { (entry.sequence) }
            td data-label=(person.say(text("When (UTC)", "时间（UTC）"))) { (shown::time(&body.at)) }
            th scope="row" data-label=(person.say(text("Who", "人员"))) { (person.masked_text(&body.by)) }
            td data-label=(person.say(text("What", "操作"))) { code { (body.act) } }
            td data-label=(person.say(text("About", "详情"))) {
                @for (name, value) in &facts { div { @if !name.is_empty() { span.hint { (name) ": " } } (value) } }
                small.hint title=(entry.hash) { (entry.hash.get(..12).unwrap_or_default()) "…" }
            }
        }
    }
}

/// The values of what an entry is about, by their paths.
fn flatten(person: &Person, path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    const MOST: usize = 20;
    if into.len() >= MOST {
        return;
    }
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Null => {}
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| flatten(person, &below(name), value, into)),
        Value::Array(values)
            if values
                .iter()
                .any(|value| value.is_object() || value.is_array()) =>
        {
            values
                .iter()
                .for_each(|value| flatten(person, path, value, into));
        }
        Value::Array(values) => {
            let values: Vec<String> = values
                .iter()
                .map(|value| scalar(person, path, value))
                .collect();
            into.push((path.to_owned(), shortened(&values.join(", "))));
        }
        scalar_value => into.push((
            path.to_owned(),
            shortened(&scalar(person, path, scalar_value)),
        )),
    }
}

fn scalar(person: &Person, path: &str, value: &Value) -> String {
    /// Names of whom or what; words of the breaker's own are plain.
    const NAMES: [&str; 10] = [
        "order",
        "merchant",
        "business_code",
        "request_id",
        "name",
        "owner",
        "claimed",
        "holds",
        "key",
        "id",
    ];
    let last = path.rsplit('.').next().unwrap_or(path);
    match value {
        Value::String(text) if NAMES.contains(&last) => person.masked(text).into_owned(),
        Value::String(text) => person.masked_text(text).into_owned(),
        other => mask::visible(&other.to_string()).into_owned(),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
