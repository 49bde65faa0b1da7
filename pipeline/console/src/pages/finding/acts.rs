//! What people do to a finding.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use centinel_findings::{Act, FindingsError, Handling, LONGEST_NAME, LONGEST_TEXT, Row};
use maud::{Markup, html};
use serde::Deserialize;

use super::Refused;
use crate::Console;
use crate::language::text;
use crate::mask;
use crate::problem::{Answered, Problem};
use crate::visit::{Person, part};

#[derive(Deserialize)]
pub struct Wanted {
    act: String,
    /// The last entry that the person saw.
    seen: u64,
    #[serde(default)]
    said: String,
    #[serde(default)]
    owner: String,
}

impl Wanted {
    fn act(&self) -> Option<Act> {
        // Browsers end lines with two characters.
        let said = self.said.replace("\r\n", "\n").trim().to_owned();
        Some(match self.act.as_str() {
            "acknowledge" => Act::Acknowledge {
                note: Some(said).filter(|said| !said.is_empty()),
            },
            "resolve" => Act::Resolve { reason: said },
            "false_alarm" => Act::FalseAlarm { reason: said },
            "reopen" => Act::Reopen { reason: said },
            "note" => Act::Note { text: said },
            "assign" => Act::Assign {
                owner: Some(self.owner.trim().to_owned()).filter(|owner| !owner.is_empty()),
            },
            _ => return None,
        })
    }
}

pub async fn act(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
    Form(wanted): Form<Wanted>,
) -> Answered {
    let act = wanted
        .act()
        .ok_or_else(|| Problem::refused("there is no such act"))?;
    let (finding, by, seen) = (id.clone(), person.name().to_owned(), wanted.seen);
    let now = (console.surroundings.now)();
    let done = console
        .findings
        .write(move |store| {
            if store.get(&finding)?.is_none() {
                return Ok(None);
            }
            store.act(&finding, &act, &by, Some(seen), now).map(Some)
        })
        .await;
    let (status, why) = match done {
        Ok(Some(_)) => {
            let to = format!("/findings/{}#history", part(&id));
            return Ok(Redirect::to(&to).into_response());
        }
        Ok(None) => return Err(Problem::unknown("there is no such finding")),
        Err(FindingsError::Changed(_)) => {
            let why = text(
                "Something has happened to it since you opened this page. Nothing was done: look at it again; what you wrote is still here.",
                "打开本页之后该异常已有变化，操作未执行。请重新查看，您填写的内容仍然保留。",
            );
            (StatusCode::CONFLICT, person.say(why).to_owned())
        }
        Err(FindingsError::Refused { problem, remedy }) => {
            (StatusCode::BAD_REQUEST, format!("{problem}: {remedy}"))
        }
        Err(error) => return Err(error.into()),
    };
    let refused = Refused {
        status,
        why,
        said: wanted.said,
        owner: wanted.owner,
    };
    super::shown(&console, &person, &id, Some(refused)).await
}

pub fn forms(person: &Person, row: &Row, refused: Option<&Refused>) -> Markup {
    let to = format!("/findings/{}/acts", part(&row.finding.finding_id.0));
    let closed = matches!(row.handling, Handling::Resolved | Handling::FalseAlarm);
    // As it was written, but for what steers a display.
    let written = |text: &str| mask::visible(&text.replace("\r\n", "\n")).into_owned();
    let said = refused.map_or(String::new(), |refused| written(&refused.said));
    let owner = refused.map_or(String::new(), |refused| written(&refused.owner));
    let hidden = html! { (person.csrf()) input type="hidden" name="seen" value=(row.last_entry); };
    html! {
        form.act method="post" action=(to) {
            (hidden)
            label for="said" { (person.say(text("What you found or did", "发现或处理的内容"))) }
            textarea #said name="said" rows="4" maxlength=(LONGEST_TEXT) aria-describedby="said-hint" { (said) }
            p.hint #said-hint { (person.say(text("Needed for all but acknowledging. It stays for ever, with your name.", "除“知悉”外必填。将连同您的名字永久保留。"))) }
            div.buttons {
                @if !closed && row.handling != Handling::Acknowledged { (button(person, "acknowledge", text("Acknowledge", "知悉"), "")) }
                @if !closed || row.handling != Handling::Resolved { (button(person, "resolve", text("Resolve", "解决"), "good")) }
                @if row.handling != Handling::FalseAlarm { (button(person, "false_alarm", text("False alarm", "误报"), "quiet")) }
                @if row.handling != Handling::New { (button(person, "reopen", text("Open again", "重新打开"), "quiet")) }
                (button(person, "note", text("Note only", "仅备注"), "quiet"))
            }
        }
        form.act method="post" action=(to) {
            (hidden)
            label for="owner" { (person.say(text("Give it to", "指派给"))) }
            input #owner name="owner" value=(owner) maxlength=(LONGEST_NAME) autocomplete="off" spellcheck="false"
                placeholder=(person.say(text("nobody in particular: its rule's owner", "留空则为规则负责人")));
            div.buttons { (button(person, "assign", text("Assign", "指派"), "quiet")) }
        }
    }
}

fn button(person: &Person, act: &str, name: crate::language::Text, class: &str) -> Markup {
    html! { button type="submit" name="act" value=(act) class=(class) { (person.say(name)) } }
}
