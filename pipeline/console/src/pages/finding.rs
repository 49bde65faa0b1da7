//! One finding: what detection knows of it, the rows that show it, what happened to it, and what people can do.

mod acts;
mod evidence;
mod history;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use centinel_findings::{Entry, Row};
use centinel_interface::RuleStatus;
use centinel_model::Finding;
use maud::{Markup, html};

use crate::Console;
use crate::language::text;
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::routes::{Route, act, look};
use crate::shown;
use crate::visit::{Person, address, part};
use crate::words;

pub use history::what;

pub const ROUTES: &[Route] = &[
    look("/findings/{id}", Needs::Look, || get(finding)),
    act("/findings/{id}/acts", Needs::Act, || post(acts::act)),
];

/// Entries of its history on one page.
const ENTRIES: usize = 100;
/// How long detection may take to say what the rule is.
const PATIENCE: Duration = Duration::from_millis(800);

/// What was to be done and was not: what is shown above, and what had been written.
struct Refused {
    status: StatusCode,
    why: String,
    said: String,
    owner: String,
}

async fn finding(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Answered {
    shown(&console, &person, &id, None).await
}

async fn shown(console: &Console, person: &Person, id: &str, refused: Option<Refused>) -> Answered {
    let after = person
        .visit
        .query
        .iter()
        .find(|(name, _)| name == "entries");
    let after = after.and_then(|(_, after)| after.parse().ok()).unwrap_or(0);
    let wanted = id.to_owned();
    let asked = console.findings.read(move |store| {
        let Some(row) = store.get(&wanted)? else {
            return Ok(None);
        };
        let entries = store.history(&wanted, after, ENTRIES)?;
        let before = match row.finding.sequence.checked_sub(1) {
            Some(sequence) if sequence > 0 => store.told(&wanted, sequence)?,
            _ => None,
        };
        Ok(Some((row, entries, before)))
    });
    let rules = tokio::time::timeout(PATIENCE, console.detection.rules());
    let (found, rules) = tokio::join!(asked, rules);
    let Some((row, entries, before)) = found? else {
        let why = text("There is no finding of this number.", "没有此编号的异常。");
        return Err(Problem::unknown(person.say(why)));
    };
    let rule = match rules {
        Ok(Ok(rules)) => rules.into_iter().find(|rule| rule.id == row.finding.rule),
        _ => None,
    };
    let told = Told {
        row: &row,
        entries: &entries,
        before: before.as_ref(),
        rule: rule.as_ref(),
    };
    let mut response = page(person, &told, refused.as_ref());
    if let Some(refused) = refused {
        *response.status_mut() = refused.status;
    }
    Ok(response)
}

struct Told<'a> {
    row: &'a Row,
    entries: &'a [Entry],
    before: Option<&'a Finding>,
    rule: Option<&'a RuleStatus>,
}

fn page(person: &Person, told: &Told, refused: Option<&Refused>) -> Response {
    let Told { row, .. } = told;
    let body = html! {
        @if let Some(refused) = refused { p.problem role="alert" { (refused.why) } }
        p.badges {
            (shown::severity(person, row.finding.severity)) " "
            (shown::verdict(person, row.finding.verdict)) " "
            (shown::handling(person, row.handling)) " "
            @if row.worse { span.badge.bad { (person.say(text("worse than when it was acknowledged", "知悉后情况恶化"))) } " " }
            @if !row.open { span.badge.plain { (person.say(text("closed", "已关闭"))) } }
        }
        p.news data-news="findings" role="status" hidden {
            a href={ "/findings/" (part(&row.finding.finding_id.0)) } { (person.say(text("Something has happened to findings: load this page again", "数据已更新：重新加载本页"))) }
        }
        (links(person, told))
        div.columns {
            section.card aria-labelledby="facts" {
                h2 #facts { (person.say(text("What is known", "基本信息"))) }
                (facts(person, told))
            }
            @if person.may(Needs::Act) {
                section.card aria-labelledby="acts" {
                    h2 #acts { (person.say(text("What to do", "处理"))) }
                    (acts::forms(person, row, refused))
                }
            }
        }
        section.card aria-labelledby="evidence" {
            h2 #evidence { (person.say(text("Evidence", "证据"))) }
            (evidence::table(person, &row.finding, told.before))
        }
        section.card aria-labelledby="history" {
            h2 #history { (person.say(text("What happened to it", "处理经过"))) }
            (history::list(person, told.entries))
            @if let Some(last) = told.entries.last().filter(|_| told.entries.len() == ENTRIES) {
                p { a href=(person.visit.with("entries", Some(&last.number.to_string()))) rel="next" { (person.say(text("What happened then", "更多记录"))) " →" } }
            }
        }
    };
    person.page(&person.masked_text(&row.finding.title), &body)
}

/// Where one goes from here. For whoever sees keys masked, none stands in an address.
fn links(person: &Person, told: &Told) -> Markup {
    let finding = &told.row.finding;
    let id = finding.finding_id.0.as_str();
    let trace = match person.may(Needs::Plain) {
        true => format!(
            "/trace/{}/{}",
            part(&finding.entity),
            part(&finding.entity_key)
        ),
        false => address("/trace", [("finding", id)]),
    };
    let trip = match finding.entity.as_str() {
        "order" => address(
            "/breaker/trips/new",
            [("order", finding.entity_key.as_str()), ("finding", id)],
        ),
        _ => address("/breaker/trips/new", [("finding", id)]),
    };
    let runbook = told.rule.and_then(|rule| rule.runbook.as_deref());
    html! {
        ul.links {
            li { a.button href=(trace) { (person.say(text("Trace", "订单轨迹"))) } }
            li { a.button href={ "/rules/" (part(&finding.rule)) } { (person.say(text("Rule", "规则"))) } }
            @if let Some(runbook) = runbook {
                @match runbook.starts_with("https://") || runbook.starts_with("http://") {
                    true => li { a.button href=(runbook) rel="noreferrer noopener" target="_blank" { (person.say(text("Runbook", "处置手册"))) } },
                    false => li { (person.say(text("Runbook", "处置手册"))) ": " code { (runbook) } },
                }
            }
            @if person.may(Needs::Act) {
                li { a.button.danger href=(trip) { (person.say(text("Trip the breaker", "触发熔断"))) } }
            }
        }
    }
}

fn facts(person: &Person, told: &Told) -> Markup {
    let (row, finding) = (told.row, &told.row.finding);
    html! {
        dl.facts {
            dt { (person.say(text("Money at risk", "风险金额"))) }
            dd { (shown::amount(finding.amount.as_deref(), finding.currency.as_deref())) }
            @for (column, value) in &finding.key {
                dt { code { (column) } }
                dd { code { (person.masked(value)) } }
            }
            @if !finding.key.iter().any(|(_, value)| *value == finding.entity_key) {
                dt { (finding.entity) }
                dd { code { (person.masked(&finding.entity_key)) } }
            }
            @if let Some(hint) = &finding.hint {
                dt { (person.say(text("Hint", "提示"))) } dd { (person.masked_text(hint)) }
            }
            dt { (person.say(text("Broken since (UTC)", "起始时间（UTC）"))) } dd { (shown::time(&row.since)) }
            dt { (person.say(text("Judged as of (UTC)", "判定时间（UTC）"))) } dd { (shown::time(&finding.judged_at)) }
            dt { (person.say(text("Occurrence", "第几次发生"))) } dd { (finding.occurrence) }
            dt { (person.say(text("Owner", "负责人"))) } dd { (person.masked_text(&row.owner)) }
            dt { (person.say(text("Rule", "规则"))) }
            dd { code { (finding.rule) } @if let Some(status) = &finding.status { " (" (status) ")" } " " small.hint { (finding.rule_version) } }
            @if let Some(handled) = &row.handled {
                dt { (person.say(words::handling(row.handling))) }
                dd {
                    (person.masked_text(&handled.by)) ", " (shown::time(&handled.at))
                    @if let Some(reason) = &handled.reason { p.said { (person.masked_text(reason)) } }
                }
            }
            @if let Some(checkpoint) = &finding.checkpoint {
                dt { (person.say(text("Checkpoint", "检查点"))) }
                dd {
                    (checkpoint.name) ": " (person.say(words::checkpoint(checkpoint.verdict)))
                    ul { @for rule in &checkpoint.rules {
                        li { code { (rule.rule) } ": " (person.say(words::checkpoint(rule.verdict))) " " (shown::amount(rule.amount.as_deref(), None)) }
                    } }
                }
            }
            @if let Some(trip) = &finding.trip {
                dt { (person.say(text("Wants held", "建议熔断"))) }
                dd {
                    (trip.by) " " @if let Some(key) = &trip.key { code { (person.masked(key)) } }
                    " " (person.say(text("at", "环节"))) " " (trip.points.join(", "))
                }
            }
            @if row.missing > 0 {
                dt { (person.say(text("Missing", "缺失"))) }
                dd { (row.missing) " " (person.say(text("messages of detection never came", "条检测消息未收到"))) }
            }
            dt { (person.say(text("Number", "编号"))) } dd { code.wrap { (finding.finding_id.0) } }
        }
    }
}
