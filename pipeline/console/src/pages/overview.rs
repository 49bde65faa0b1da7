//! The first page: what is at risk, what was saved, and whether everything that should look does.

mod over_time;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use centinel_findings::{By, Figure, Filter, FindingsError, Store};
use centinel_model::Verdict;
use maud::{Markup, html};

use crate::Console;
use crate::breaker::BreakerProblem;
use crate::language::text;
use crate::prevented::prevented;
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::routes::{Route, by_itself, look};
use crate::shown;
use crate::visit::{Person, address};
use crate::words::{self, SEVERITIES};

pub const ROUTES: &[Route] = &[
    look("/", Needs::Look, || get(overview)),
    by_itself("/overview/live", || get(live)),
];

/// Figures of the store.
struct Findings {
    open: Vec<Figure>,
    recovered: Vec<Figure>,
    severities: Vec<Figure>,
    over_time: over_time::OverTime,
}

/// Sums of figures by currency; of one currency there is one figure.
fn sums(figures: &[Figure]) -> BTreeMap<String, String> {
    figures
        .iter()
        .flat_map(|figure| figure.at_risk.clone())
        .collect()
}

fn count(figures: &[Figure]) -> u64 {
    figures.iter().map(|figure| figure.findings).sum()
}

fn of(store: &Store, wanted: &over_time::Wanted) -> Result<Findings, FindingsError> {
    let open = Filter {
        open: Some(true),
        ..Filter::default()
    };
    let recovered = Filter {
        verdicts: vec![Verdict::Recovered],
        ..Filter::default()
    };
    Ok(Findings {
        open: store.figures(&open, By::Currency)?,
        recovered: store.figures(&recovered, By::Currency)?,
        severities: store.figures(&open, By::Severity)?,
        over_time: over_time::of(store, wanted)?,
    })
}

async fn overview(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let body = content(&console, &person).await?;
    Ok(person.page(person.say(text("Overview", "总览")), &body))
}

/// The same without what stands around it, for the page itself.
async fn live(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let body = content(&console, &person).await?;
    Ok(Html(body.into_string()).into_response())
}

async fn content(console: &Console, person: &Person) -> Result<Markup, Problem> {
    let wanted = over_time::Wanted::of(&person.visit.query, (console.surroundings.now)());
    let asked = wanted.clone();
    let findings = console.findings.read(move |store| of(store, &asked));
    let (findings, status, prevented, sources, health) = tokio::join!(
        findings,
        console.breaker.status(person.token()),
        prevented(console, person.token()),
        console.detection.sources(),
        console.detection.health(),
    );
    if matches!(status, Err(BreakerProblem::SignedOut)) {
        return Err(Problem::SignedOut);
    }
    let findings = findings?;
    let now = (console.surroundings.now)();
    let again = address("/overview/live", wanted.query());
    Ok(html! {
        // Asked anew when something has changed, and now and then: lag grows by itself.
        div #overview hx-get=(again) hx-trigger="sse:findings, sse:breaker, sse:sources, every 20s" hx-swap="outerHTML" {
            div.cards {
                (at_risk(person, &findings))
                (saved(person, &findings, prevented.as_deref()))
                (by_severity(person, &findings.severities))
                (state::breaker(person, status.as_ref()))
            }
            (over_time::shown(person, &wanted, &findings.over_time))
            (state::detection(person, health.as_ref(), sources.as_deref(), now))
            p.hint { (person.say(text("As of", "截至"))) " " (shown::time(&now.to_string())) " UTC" }
        }
    })
}

fn at_risk(person: &Person, findings: &Findings) -> Markup {
    let unsummed: u64 = findings.open.iter().map(|figure| figure.unsummed).sum();
    html! {
        section.card aria-labelledby="at-risk" {
            h2 #at-risk { (person.say(text("Money at risk now", "当前风险金额"))) }
            div.large { (shown::money(&sums(&findings.open))) }
            p { a href="/findings" { (shown::grouped(&count(&findings.open).to_string())) " " (person.say(text("open findings", "条待处理异常"))) } }
            @if unsummed > 0 { p.hint { (unsummed) " " (person.say(text("of them have an amount without a currency, which is in no sum.", "条金额没有币种，未计入合计。"))) } }
        }
    }
}

fn saved(
    person: &Person,
    findings: &Findings,
    prevented: Result<&crate::prevented::Prevented, &BreakerProblem>,
) -> Markup {
    html! {
        section.card aria-labelledby="saved" {
            h2 #saved { (person.say(text("Prevented so far", "已避免损失"))) }
            dl.facts {
                @match prevented {
                    Ok(prevented) => {
                        dt { (person.say(text("Held by the breaker now", "熔断拦截中"))) " (" (prevented.held.count) ")" }
                        dd { (shown::money(&prevented.held.shown())) }
                        dt { (person.say(text("Rejected after a hold", "拦截后已拒绝"))) " (" (prevented.rejected.count) ")" }
                        dd { (shown::money(&prevented.rejected.shown())) }
                    },
                    Err(_) => {
                        dt { (person.say(text("Held or rejected", "已拦截或拒绝"))) }
                        dd { span.badge.doubt { (person.say(text("not known", "未知"))) } }
                    },
                }
                dt { (person.say(text("Findings that have recovered", "已恢复的异常"))) " (" (count(&findings.recovered)) ")" }
                dd { (shown::money(&sums(&findings.recovered))) }
            }
            @if prevented.is_ok_and(|prevented| !prevented.whole) {
                p.hint { (person.say(text("At least: there is more than was added up.", "至少如此：还有未计入的部分。"))) }
            }
            p.hint { (person.say(text(
                "Held and rejected: amounts of requests that the breaker remembers. Recovered: money that was at risk in findings that pass again. One loss may be in two of them, so they are not added up.",
                "拦截与拒绝：熔断服务所记录请求的金额。已恢复：曾处于风险中、现已通过的异常金额。同一笔损失可能出现在两项中，因此不相加。",
            ))) }
        }
    }
}

fn by_severity(person: &Person, figures: &[Figure]) -> Markup {
    let of = |name: &str| figures.iter().find(|figure| figure.name == name);
    html! {
        section.card aria-labelledby="by-severity" {
            h2 #by-severity { (person.say(text("Open by severity", "按级别统计"))) }
            table.plain {
                caption.hidden { (person.say(text("Open findings by severity", "待处理异常按级别统计"))) }
                tbody {
                    @for severity in SEVERITIES {
                        @let figure = of(severity.as_str());
                        tr {
                            th scope="row" {
                                a href=(address("/findings", [("severity", severity.as_str())])) {
                                    span class={ "badge severity-" (severity.as_str()) } { (person.say(words::severity(severity))) }
                                }
                            }
                            td.number { (figure.map_or(0, |figure| figure.findings)) }
                            td.number { @if let Some(figure) = figure { (shown::money(&figure.at_risk)) } }
                        }
                    }
                }
            }
        }
    }
}
