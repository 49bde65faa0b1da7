//! Records that could not be read: what they may concern is in doubt until somebody settles them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use centinel_interface::{Problem as Asked, QuarantinedRecord, Settle, Standing};
use maud::{Markup, html};

use super::breaker::{Fields, Sent};
use crate::Console;
use crate::language::{Text, text};
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::routes::{Route, act, look};
use crate::shown;
use crate::visit::Person;

pub const ROUTES: &[Route] = &[
    look("/quarantine", Needs::Look, || get(list)),
    look("/quarantine/{number}", Needs::Look, || get(record)),
    act("/quarantine/{number}", Needs::Act, || post(settle)),
];

/// Records of one page.
const PAGE: usize = 100;
/// The longest reason, in bytes.
const LONGEST_REASON: usize = 1_000;

fn standing(standing: Standing) -> (Text, &'static str) {
    match standing {
        Standing::Waiting => (text("waits", "待处理"), "doubt"),
        Standing::Redriven => (text("read after all", "已重新读取"), "good"),
        Standing::Accepted => (text("left out", "已接受遗漏"), "accepted"),
    }
}

async fn list(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let query = Fields::from(&person);
    let below = query.get("below").parse().ok();
    let records = console.detection.quarantine(below, PAGE).await?;
    let next = records.last().filter(|_| records.len() == PAGE);
    let body = html! {
        p.hint { (person.say(text(
            "Records that could not be read. What they may concern is undetermined until they are read after all, or somebody answers for leaving them out.",
            "无法读取的记录。在重新读取成功或有人确认可忽略之前，其可能涉及的内容均为无法判定。",
        ))) }
        @if records.is_empty() { p.empty { (person.say(text("There are none.", "没有记录。"))) } } @else { (table(&person, &records)) }
        @if let Some(next) = next {
            p { a href=(person.visit.with("below", Some(&next.number.to_string()))) rel="next" { (person.say(text("Older records", "更早的记录"))) " →" } }
        }
    };
    Ok(person.page(person.say(text("Quarantine", "隔离区")), &body))
}

fn table(person: &Person, records: &[QuarantinedRecord]) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Quarantined records", "隔离记录"))) {
            table {
                thead { tr {
                    th scope="col" { (person.say(text("Number", "编号"))) }
                    th scope="col" { (person.say(text("Standing", "状态"))) }
                    th scope="col" { (person.say(text("Concerns", "涉及"))) }
                    th scope="col" { (person.say(text("What is wrong", "问题"))) }
                    th scope="col" { (person.say(text("Table", "表"))) }
                    th scope="col" { (person.say(text("Input", "输入"))) }
                } }
                tbody { @for record in records {
                    @let (told, class) = standing(record.standing);
                    tr {
                        th scope="row" { a href={ "/quarantine/" (record.number) } { (record.number) } }
                        td { span class={ "badge " (class) } { (person.say(told)) } }
                        td { (entities(person, record)) }
                        td { code { (record.reason) } " " (person.masked_text(&record.message)) }
                        td { @if let Some(table) = &record.table { (table) } }
                        td { (record.input) }
                    }
                } }
            }
        }
    }
}

fn entities(person: &Person, record: &QuarantinedRecord) -> Markup {
    html! {
        @if record.entities.is_empty() { (person.say(text("not known: anything of that time", "未知：可能涉及该时段的任何内容"))) }
        @for (number, (entity, key)) in record.entities.iter().enumerate() {
            @if number > 0 { ", " }
            @match super::trace::link(person, entity, key, None) {
                Some(to) => a href=(to) { (entity) " " (key) },
                None => { (entity) " " (person.masked(key)) },
            }
        }
    }
}

/// The record with this number: the newest one below the next number.
async fn find(console: &Console, number: u64) -> Result<QuarantinedRecord, Problem> {
    let unknown = || Problem::unknown("there is no such record");
    let below = number.checked_add(1).ok_or_else(unknown)?;
    let found = console.detection.quarantine(Some(below), 1).await?;
    let found = found.into_iter().find(|record| record.number == number);
    found.ok_or_else(unknown)
}

async fn record(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(number): Path<u64>,
) -> Answered {
    page(&console, &person, number, None).await
}

/// What was wanted of a record, and why nothing came of it.
struct Refused {
    to: Standing,
    reason: String,
    why: String,
}

async fn page(
    console: &Console,
    person: &Person,
    number: u64,
    refused: Option<&Refused>,
) -> Answered {
    let record = find(console, number).await?;
    let (told, class) = standing(record.standing);
    let bytes = match person.may(Needs::Plain) {
        true => Some(console.detection.quarantined(number).await),
        false => None,
    };
    let body = html! {
        @if let Some(refused) = refused { (refusal(person, &record, refused)) }
        p { span class={ "badge " (class) } { (person.say(told)) } " " code { (record.reason) } }
        p { (person.masked_text(&record.message)) }
        dl.facts {
            dt { (person.say(text("Input", "输入"))) } dd { (record.input) }
            dt { (person.say(text("Position", "位置"))) } dd { code { (person.masked_text(&record.position)) } }
            @if let Some(table) = &record.table { dt { (person.say(text("Table", "表"))) } dd { (table) } }
            dt { (person.say(text("Concerns", "涉及"))) } dd { (entities(person, &record)) }
            dt { (person.say(text("Bytes", "字节数"))) } dd { (record.bytes_total) }
            @if let Some(settled) = &record.settled {
                dt { (person.say(text("Settled by", "处理人"))) } dd { (settled.by) ", " (shown::time(&settled.at)) }
                dt { (person.say(text("Why", "原因"))) } dd { (person.masked_text(&settled.reason)) }
            }
        }
        h2 { (person.say(text("The record itself", "原始记录"))) }
        @match &bytes {
            None => p.hint { (person.say(text("Your role may not see it: it may name people.", "您的角色无权查看：其中可能包含个人信息。"))) },
            Some(Err(problem)) => p.warning role="status" { (problem) },
            Some(Ok(bytes)) => {
                @if !bytes.whole { p.hint { (person.say(text("Not all of it, or not exactly as it was.", "内容不完整或与原始字节不完全一致。"))) } }
                pre.record tabindex="0" { (visible(&bytes.text)) }
            },
        }
        @if record.standing == Standing::Waiting { (settle_forms(person, number, refused)) }
    };
    let title = format!(
        "{} {number}",
        person.say(text("Quarantined record", "隔离记录"))
    );
    Ok(person.page(&title, &body))
}

fn refusal(person: &Person, record: &QuarantinedRecord, refused: &Refused) -> Markup {
    html! {
        div.problem role="alert" {
            p { strong { (person.say(text("Nothing was changed:", "未作任何改动："))) } " " (person.masked_text(&refused.why)) }
            @if refused.to == Standing::Redriven && record.standing == Standing::Waiting {
                p { (person.say(text(
                    "Where a schema is the cause, mend it. A detection that runs takes it over within seconds, and says so; then re-drive the record again. If nothing of it is needed, leave it out.",
                    "如因模式所致，请先修正模式。运行中的检测会在数秒内采用并给出提示，之后再重新读取本记录。若确认不需要此记录，可接受遗漏。",
                ))) }
            }
        }
    }
}

/// A record as it is read, with marks in the place of what would steer the display.
fn visible(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' => character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        steers if steers.is_control() => '\u{fffd}',
        plain => plain,
    };
    text.chars().map(shown).collect()
}

fn settle_forms(person: &Person, number: u64, refused: Option<&Refused>) -> Markup {
    // What was written is not lost.
    let written = |to: Standing| match refused {
        Some(refused) if refused.to == to => refused.reason.as_str(),
        _ => "",
    };
    let to = format!("/quarantine/{number}");
    html! {
        @if person.may(Needs::Act) {
            div.two {
                form.fields.card method="post" action=(to) aria-labelledby="again" {
                    h2 #again { (person.say(text("Read it again", "重新读取"))) }
                    p { (person.say(text("After schemas or the program can read it now. If they still cannot, nothing changes.", "当模式或程序已能读取时使用。若仍无法读取，则不产生任何变化。"))) }
                    (person.csrf())
                    input type="hidden" name="to" value="redriven";
                    div {
                        label for="again-reason" { (person.say(text("Why", "原因"))) }
                        textarea #again-reason name="reason" required maxlength=(LONGEST_REASON) rows="2" { (written(Standing::Redriven)) }
                    }
                    button type="submit" { (person.say(text("Re-drive", "重新读取"))) }
                }
                form.fields.card method="post" action=(to) aria-labelledby="leave" {
                    h2 #leave { (person.say(text("Leave it out", "接受遗漏"))) }
                    p { (person.say(text("You answer for it that nothing of it is needed: what it concerns is judged without it.", "由您确认不需要此记录：相关内容将在缺少它的情况下判定。"))) }
                    (person.csrf())
                    input type="hidden" name="to" value="accepted";
                    div {
                        label for="leave-reason" { (person.say(text("Why", "原因"))) }
                        textarea #leave-reason name="reason" required maxlength=(LONGEST_REASON) rows="2" { (written(Standing::Accepted)) }
                    }
                    button.danger type="submit" { (person.say(text("Accept", "接受"))) }
                }
            }
        } @else {
            p.hint { (person.say(text("An operator or an approver may settle it.", "由操作员或审批人处理。"))) }
        }
    }
}

async fn settle(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(number): Path<u64>,
    sent: Sent,
) -> Answered {
    let fields = Fields::of(sent)?;
    let to = match fields.get("to") {
        "redriven" => Standing::Redriven,
        "accepted" => Standing::Accepted,
        _ => return Err(Problem::refused("say what is to become of it")),
    };
    let reason = fields.get("reason");
    if reason.is_empty() || reason.len() > LONGEST_REASON {
        return Err(Problem::refused("say why, in at most 1,000 bytes"));
    }
    let settle = Settle {
        to,
        by: person.name().to_owned(),
        reason: reason.to_owned(),
    };
    match console.detection.settle(number, &settle).await {
        Ok(_) => Ok(Redirect::to(&format!("/quarantine/{number}")).into_response()),
        // It was tried, and what came of it is the page.
        Err(Asked::Refused(why)) => {
            let reason = settle.reason;
            let refused = Refused { to, reason, why };
            page(&console, &person, number, Some(&refused)).await
        }
        Err(problem) => Err(problem.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn nothing_in_a_record_steers_the_display() {
        assert_eq!(
            visible("a\u{1b}[31m\u{202e}\tb\0"),
            "a\u{fffd}[31m\u{fffd}\tb\u{fffd}"
        );
    }
}
