//! How far every source is.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use centinel_interface::{Health, SourceStatus};
use centinel_model::Timestamp;
use maud::{Markup, html};

use crate::Console;
use crate::language::text;
use crate::problem::Answered;
use crate::role::Needs;
use crate::routes::{Route, look};
use crate::visit::Person;

pub const ROUTES: &[Route] = &[look("/sources", Needs::Look, || get(sources))];

async fn sources(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let now = (console.surroundings.now)();
    let sources = console.detection.sources().await;
    let health = console.detection.health().await;
    let body = html! {
        @match &sources {
            Err(problem) => p.problem role="alert" {
                (person.say(text("Detection was not reached: how far sources are is not known.", "检测服务不可用：无法得知来源进度。"))) " (" (problem) ")"
            },
            Ok(sources) => {
                @if let Ok(health) = &health { (reasons(&person, health)) }
                @if sources.is_empty() { p.empty { (person.say(text("There are no sources.", "没有来源。"))) } } @else { (table(&person, sources, now)) }
            },
        }
    };
    Ok(person.page(person.say(text("Sources", "数据来源")), &body))
}

fn reasons(person: &Person, health: &Health) -> Markup {
    let well = health.alive && health.ready;
    html! {
        @if well {
            p.good role="status" { (person.say(text("Detection is up to date.", "检测服务运行正常，数据最新。"))) }
        } @else {
            div.warning role="status" {
                strong {
                    @if health.alive { (person.say(text("What detection tells is not fresh or not whole:", "检测结果可能不新或不完整："))) }
                    @else { (person.say(text("Detection cannot go on by itself:", "检测服务无法自行恢复："))) }
                }
                ul { @for reason in &health.reasons { li { (reason) } } }
            }
        }
    }
}

/// A span for people, in whole seconds.
fn lag(progress: &str, now: Timestamp) -> Option<String> {
    let progress = Timestamp::parse(progress).ok()?;
    let seconds = now.0.checked_sub(progress.0)?.max(0) / 1_000_000;
    Some(match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    })
}

fn table(person: &Person, sources: &[SourceStatus], now: Timestamp) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Sources", "数据来源"))) {
            table {
                thead { tr {
                    th scope="col" { (person.say(text("Source", "来源"))) }
                    th scope="col" { (person.say(text("Read up to", "已读取至"))) }
                    th.number scope="col" { (person.say(text("Lag", "延迟"))) }
                    th.number scope="col" { (person.say(text("Changes since the start", "启动以来变更数"))) }
                    th.number scope="col" { (person.say(text("Quarantined", "隔离记录"))) }
                    th scope="col" { (person.say(text("Tables and events", "表与事件"))) }
                    th scope="col" { (person.say(text("Where its inputs stand", "输入位置"))) }
                } }
                tbody { @for source in sources {
                    tr {
                        th scope="row" {
                            (source.name)
                            @if source.behind { " " strong.badge.bad { (person.say(text("behind", "落后"))) } }
                        }
                        td { @match &source.progress {
                            Some(progress) => time datetime=(progress) { (progress) },
                            None => (person.say(text("it has not said so yet", "尚未上报"))),
                        } }
                        td.number { @if let Some(lag) = source.progress.as_deref().and_then(|progress| lag(progress, now)) { (lag) } @else { "–" } }
                        td.number { (source.changes) }
                        td.number { @if source.quarantined > 0 { a href="/quarantine" { (source.quarantined) } } @else { "0" } }
                        td { (source.tables.join(", ")) }
                        td { @for position in &source.positions { code { (person.masked_text(position)) } br; } }
                    }
                } }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_told_in_the_unit_that_fits() {
        let now = Timestamp::parse("2026-11-22T08:00:00Z").unwrap();
        for (progress, told) in [
            ("2026-11-22T07:59:58.5Z", Some("1 s")),
            ("2026-11-22T07:55:00Z", Some("5 min 0 s")),
            ("2026-11-21T07:00:00Z", Some("25 h 0 min")),
            // Of clocks that differ a little nothing is made.
            ("2026-11-22T08:00:05Z", Some("0 s")),
            ("nothing", None),
        ] {
            assert_eq!(lag(progress, now).as_deref(), told, "{progress}");
        }
    }
}
