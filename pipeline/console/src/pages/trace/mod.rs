//! The trace of one order, or of any entity: what happened to it in every system, as swim lanes with a slider.

mod compose;
mod shown;
mod stage;
mod words;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::html;

pub use compose::Kept;

use crate::Console;
use crate::language::text;
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::routes::{Route, look};
use crate::visit::{Person, address, part};

pub const ROUTES: &[Route] = &[
    look("/trace", Needs::Look, || get(search)),
    look("/trace/{entity}/{key}", Needs::Look, || get(trace)),
];

/// Longer ones are no entity's.
const LONGEST_NAME: usize = 100;
const LONGEST_KEY: usize = 1_000;

/// The address of a trace, as a person may know it: whoever sees keys masked goes there by a finding.
pub fn link(person: &Person, entity: &str, key: &str, finding_id: Option<&str>) -> Option<String> {
    match (person.may(Needs::Plain), finding_id) {
        (true, _) => Some(format!("/trace/{}/{}", part(entity), part(key))),
        (false, Some(id)) => Some(address("/trace", [("finding", id)])),
        (false, None) => None,
    }
}

fn asked<'a>(person: &'a Person, name: &str) -> Option<&'a str> {
    let found = person.visit.query.iter().find(|(known, _)| known == name);
    found
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

/// By a key that somebody types, or by a finding.
async fn search(State(console): State<Arc<Console>>, person: Person) -> Answered {
    if let Some(id) = asked(&person, "finding") {
        let wanted = id.to_owned();
        let row = console
            .findings
            .read(move |store| store.get(&wanted))
            .await?;
        let unknown = || Problem::unknown("there is no such finding");
        let finding = row.ok_or_else(unknown)?.finding;
        return shown(&console, &person, &finding.entity, &finding.entity_key).await;
    }
    let entity = asked(&person, "entity").unwrap_or("order");
    if let Some(key) = asked(&person, "key") {
        let to = format!("/trace/{}/{}", part(entity), part(key));
        return Ok(Redirect::to(&to).into_response());
    }
    let body = html! {
        (search_form(&person, entity, ""))
        p.hint {
            (person.say(text(
                "Everything that happened to one order in every system, change by change, with the rules' verdicts, what the breaker held and what people did.",
                "一个订单在各系统中逐条变更的全过程，以及规则判定、熔断拦截和人员操作。",
            )))
        }
    };
    Ok(person.page(person.say(text("Trace", "订单轨迹")), &body))
}

fn search_form(person: &Person, entity: &str, key: &str) -> maud::Markup {
    html! {
        form.bar role="search" action="/trace" method="get" {
            div {
                label for="entity" { (person.say(text("What", "对象"))) }
                input #entity name="entity" value=(entity) required maxlength=(LONGEST_NAME) autocapitalize="none" spellcheck="false";
            }
            div {
                label for="key" { (person.say(text("Number", "编号"))) }
                input #key name="key" value=(key) required maxlength=(LONGEST_KEY) autocomplete="off" autocapitalize="none" spellcheck="false";
            }
            button type="submit" { (person.say(text("Show the trace", "查看轨迹"))) }
        }
    }
}

async fn trace(
    State(console): State<Arc<Console>>,
    person: Person,
    Path((entity, key)): Path<(String, String)>,
) -> Answered {
    shown(&console, &person, &entity, &key).await
}

async fn shown(console: &Console, person: &Person, entity: &str, key: &str) -> Answered {
    if entity.len() > LONGEST_NAME || key.len() > LONGEST_KEY {
        return Err(Problem::refused(
            "no entity has a name or a key as long as this",
        ));
    }
    let of = asked(person, "of").and_then(|steps| steps.parse().ok());
    let told = compose::told(console, person, (entity, key), of).await?;
    let wanted = asked(person, "stage").and_then(|stage| stage.parse().ok());
    let stage = crate::lanes::stage(&told.trace, wanted);
    if let Some(steps) = of {
        let part = stage::stage(person, &told.trace, stage);
        let mut response: Response = axum::response::Html(part.into_string()).into_response();
        if told.trace.steps.len() != steps {
            // Stages are other ones by now: the page has to be another as well.
            let again = HeaderValue::from_static("true");
            response.headers_mut().insert("hx-refresh", again);
        }
        return Ok(response);
    }
    Ok(shown::page(person, &told, stage))
}
