//! Whether the breaker and detection do what they are there for.

use centinel_interface::{Health, Problem, SourceStatus};
use centinel_model::Timestamp;
use maud::{Markup, html};

use crate::breaker::{BreakerProblem, Status};
use crate::language::text;
use crate::shown;
use crate::visit::Person;

pub fn breaker(person: &Person, status: Result<&Status, &BreakerProblem>) -> Markup {
    let works = matches!(status, Ok(status) if status.store == "working");
    html! {
        section.card aria-labelledby="breaker" {
            h2 #breaker { a href="/breaker" { (person.say(text("Circuit breaker", "熔断"))) } }
            @match status {
                Ok(status) => {
                    p {
                        @if works { span.badge.good { (person.say(text("works", "正常"))) } }
                        @else { span.badge.bad { (person.say(text("its store fails", "存储故障"))) } }
                    }
                    dl.facts {
                        dt { (person.say(text("Trips", "熔断规则"))) } dd.number { (status.trips) }
                        dt { (person.say(text("Requests held", "拦截中的请求"))) } dd.number { (status.held) }
                        dt { (person.say(text("Heard of detection", "最近收到检测消息"))) }
                        dd { @match status.staleness_ms {
                            Some(age) => { (shown::span(i64::try_from(age / 1_000).unwrap_or(i64::MAX))) " " (person.say(text("ago", "前"))) },
                            None => span.badge.doubt { (person.say(text("never", "从未"))) },
                        } }
                    }
                },
                Err(problem) => p { span.badge.bad { (person.say(text("does not answer", "无响应"))) } " " (problem) },
            }
        }
    }
}

pub fn detection(
    person: &Person,
    health: Result<&Health, &Problem>,
    sources: Result<&[SourceStatus], &Problem>,
    now: Timestamp,
) -> Markup {
    html! {
        section.card aria-labelledby="detection" {
            h2 #detection { a href="/sources" { (person.say(text("Detection and its sources", "检测与数据源"))) } }
            @match health {
                Ok(health) => {
                    p {
                        @match (health.alive, health.ready) {
                            (true, true) => span.badge.good { (person.say(text("reads and judges", "运行正常"))) },
                            (true, false) => span.badge.doubt { (person.say(text("what it tells is not whole", "结论可能不完整"))) },
                            (false, _) => span.badge.bad { (person.say(text("does not work", "已停止工作"))) },
                        }
                    }
                    @if !health.reasons.is_empty() { ul { @for reason in &health.reasons { li { (person.masked_text(reason)) } } } }
                },
                Err(problem) => p { span.badge.doubt { (person.say(text("not known", "未知"))) } " " (problem) },
            }
            @if let Ok(sources) = sources {
                div.scroll role="region" tabindex="0" aria-label=(person.say(text("Sources", "数据源"))) {
                    table {
                        caption.hidden { (person.say(text("Sources", "数据源"))) }
                        thead { tr {
                            th scope="col" { (person.say(text("Source", "数据源"))) }
                            th scope="col" { (person.say(text("State", "状态"))) }
                            th.number scope="col" { (person.say(text("Lag", "延迟"))) }
                            th.number scope="col" { (person.say(text("Quarantined", "隔离记录"))) }
                        } }
                        tbody { @for source in sources {
                            tr {
                                th scope="row" { (source.name) }
                                td {
                                    @if source.behind { span.badge.bad { (person.say(text("behind", "落后"))) } }
                                    @else { span.badge.good { (person.say(text("in time", "正常"))) } }
                                }
                                td.number { (lag(source, now)) }
                                td.number { (source.quarantined) }
                            }
                        } }
                    }
                }
            }
        }
    }
}

/// How long ago the source was whole.
fn lag(source: &SourceStatus, now: Timestamp) -> String {
    let progress = source
        .progress
        .as_deref()
        .and_then(|progress| Timestamp::parse(progress).ok());
    progress.map_or("—".into(), |progress| {
        shown::span(now.since(progress).0 / 1_000_000)
    })
}
