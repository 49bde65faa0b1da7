//! How the breaker is, what waits for a second person, and all trips.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::{Fields, money, points, scope, tabs};
use crate::Console;
use crate::breaker::{Held, Point, Release, ReleaseState, Status, Trip, TripState};
use crate::language::text;
use crate::problem::Answered;
use crate::visit::{Person, part};

/// Trips of one page.
const PAGE: usize = 50;
/// What waits for a second person is looked for among so many.
const MOST_WAITING: usize = 200;

pub async fn state(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let (breaker, token) = (&console.breaker, person.token());
    let query = Fields::from(&person);
    let wanted = TripState::read(query.get("state"));
    let before = Some(query.get("before")).filter(|before| !before.is_empty());
    let status = breaker.status(token).await?;
    let held = breaker.held(token).await?;
    let (proposed, _) = breaker
        .trips(token, None, MOST_WAITING, Some(TripState::Proposed))
        .await?;
    let (in_force, more) = breaker
        .trips(token, None, MOST_WAITING, Some(TripState::InForce))
        .await?;
    let (releases, _) = breaker.releases(token, None, MOST_WAITING).await?;
    let waiting: Vec<&Release> = releases
        .iter()
        .filter(|release| release.state == ReleaseState::Proposed)
        .collect();
    let (trips, next) = breaker.trips(token, before, PAGE, wanted).await?;
    let in_force = format!(
        "{}{}",
        in_force.len(),
        if more.is_some() { "+" } else { "" }
    );
    let body = html! {
        (tabs(&person))
        (figures(&person, &status, &in_force))
        (by_point(&person, &held))
        (waits(&person, &proposed, &waiting))
        h2 { (person.say(text("Trips", "熔断"))) }
        (states(&person, wanted))
        (table(&person, &trips))
        @if let Some(next) = next {
            p { a href=(person.visit.with("before", Some(&next))) rel="next" { (person.say(text("Older trips", "更早的熔断"))) " →" } }
        }
    };
    Ok(person.page(person.say(text("Breaker", "资金熔断")), &body))
}

fn figures(person: &Person, status: &Status, in_force: &str) -> Markup {
    let works = status.store == "working";
    html! {
        @if !works {
            p.problem role="alert" { (person.say(text(
                "The breaker's store fails: what must be held is answered by each point's default.",
                "熔断服务的存储故障：需要拦截的请求按各环节的默认策略处理。",
            ))) }
        }
        dl.figures {
            div { dt { (person.say(text("Trips in force", "生效中的熔断"))) } dd { (in_force) } }
            div { dt { (person.say(text("Requests held", "被拦截的请求"))) } dd { (status.held) } }
            div { dt { (person.say(text("Open findings it knows", "其已知的未关闭异常"))) } dd { (status.open_findings) } }
            div {
                dt { (person.say(text("Detection last heard", "最近一次检测上报"))) }
                dd { @match status.staleness_ms {
                    Some(age) => { (seconds(age)) " " (person.say(text("s ago", "秒前"))) },
                    None => (person.say(text("never", "从未"))),
                } }
            }
        }
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{}", milliseconds / 1_000, milliseconds % 1_000 / 100)
}

fn by_point(person: &Person, held: &Held) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Held by point", "各环节拦截"))) {
            table {
                caption {
                    (person.say(text("Held by point", "各环节拦截")))
                    @if held.more { " (" (person.say(text("not all: there is more than is added up here", "非全部：未汇总完整"))) ")" }
                }
                thead { tr {
                    th scope="col" { (person.say(text("Point", "环节"))) }
                    th.number scope="col" { (person.say(text("Requests", "请求数"))) }
                    th.number scope="col" { (person.say(text("Money", "金额"))) }
                } }
                tbody { @for point in Point::ALL {
                    tr {
                        th scope="row" { (person.say(point.told())) }
                        @match held.at.get(&point) {
                            Some(at) => { td.number { (at.requests) } td.number { (money(&at.money)) } },
                            None => { td.number { "0" } td.number { (money(&Default::default())) } },
                        }
                    }
                } }
            }
        }
    }
}

fn waits(person: &Person, trips: &[Trip], releases: &[&Release]) -> Markup {
    html! {
        @if !trips.is_empty() || !releases.is_empty() {
            section.card.doubt aria-labelledby="waiting" {
                h2 #waiting { (person.say(text("Waits for a second person", "等待第二人确认"))) }
                ul {
                    @for trip in trips {
                        li { a href={ "/breaker/trips/" (part(&trip.id)) } { (person.say(text("Trip", "熔断"))) " " (trip.id) } ": " (scope(person, &trip.scope)) ", " (points(person, &trip.points)) }
                    }
                    @for release in releases {
                        li { a href={ "/breaker/releases/" (part(&release.id)) } { (person.say(text("Release", "放行"))) " " (release.id) } ": " (release.count) ", " (money(&release.money)) }
                    }
                }
            }
        }
    }
}

fn states(person: &Person, wanted: Option<TripState>) -> Markup {
    let to = |state: Option<&str>| match state {
        Some(state) => crate::visit::address("/breaker", [("state", state)]),
        None => "/breaker".to_owned(),
    };
    html! {
        nav.switches aria-label=(person.say(text("Trips by state", "按状态筛选熔断"))) {
            ul {
                li { a href=(to(None)) aria-current=[wanted.is_none().then_some("true")] { (person.say(text("all", "全部"))) } }
                @for state in TripState::ALL {
                    li { a href=(to(Some(state.as_str()))) aria-current=[(wanted == Some(state)).then_some("true")] { (person.say(state.told())) } }
                }
            }
        }
    }
}

fn table(person: &Person, trips: &[Trip]) -> Markup {
    html! {
        @if trips.is_empty() { p.empty { (person.say(text("No trips.", "没有熔断。"))) } } @else {
            div.scroll role="region" tabindex="0" aria-label=(person.say(text("Trips", "熔断"))) {
                table {
                    thead { tr {
                        th scope="col" { (person.say(text("Trip", "熔断"))) }
                        th scope="col" { (person.say(text("State", "状态"))) }
                        th scope="col" { (person.say(text("Covers", "范围"))) }
                        th scope="col" { (person.say(text("Points", "环节"))) }
                        th.number scope="col" { (person.say(text("Holds", "拦截数"))) }
                        th scope="col" { (person.say(text("Reason", "原因"))) }
                        th scope="col" { (person.say(text("Set", "时间"))) }
                    } }
                    tbody { @for trip in trips {
                        tr {
                            th scope="row" { a href={ "/breaker/trips/" (part(&trip.id)) } { (trip.id) } }
                            td { span class={ "badge " (trip.state.as_str()) } { (person.say(trip.state.told())) } }
                            td { (scope(person, &trip.scope)) }
                            td { (points(person, &trip.points)) }
                            td.number { (trip.held) }
                            td { (person.masked_text(&trip.reason)) }
                            td { time datetime=(trip.set_at) { (trip.set_at) } }
                        }
                    } }
                }
            }
        }
    }
}
