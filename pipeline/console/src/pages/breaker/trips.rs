//! One trip: what it covers, what it holds, and letting go.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};

use super::{Fields, money, points, releases, request_id, scope, tabs};
use crate::Console;
use crate::breaker::{Cause, Held, Origin, Release, Trip, TripState};
use crate::language::text;
use crate::problem::Answered;
use crate::role::Needs;
use crate::visit::{Person, part};

/// Holds of one page.
const PAGE: usize = 100;
/// The trip's releases are looked for among so many.
const MOST_RELEASES: usize = 500;

pub async fn trip(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Answered {
    let (breaker, token) = (&console.breaker, person.token());
    let trip = breaker.trip(token, &id).await?;
    let cause = Cause::Trip(trip.id.clone());
    let after = Fields::from(&person).get("after").parse().unwrap_or(0);
    let (holds, next) = breaker.holds(token, &cause, after, PAGE).await?;
    let (mut all, _) = breaker.releases(token, None, MOST_RELEASES).await?;
    all.retain(|release| release.ask.cause == cause);
    let page = releases::Page {
        cause: &cause,
        holds: &holds,
        next,
        held: trip.held,
        request: request_id(&console)?,
    };
    let body = html! {
        (tabs(&person))
        (about(&person, &trip))
        (decide(&person, &trip))
        h2 { (person.say(text("What it holds", "所拦截的请求"))) " (" (trip.held) ")" }
        @if !holds.is_empty() && (next.is_some() || after > 0) {
            p.hint { (person.say(text("On this page", "本页"))) ": "
                @for (point, at) in &Held::of(&holds).at { (person.say(point.told())) " " (at.requests) " (" (money(&at.money)) ") " }
            }
        }
        (releases::release_form(&person, &page))
        (of_trip(&person, &all))
    };
    let title = format!("{} {}", person.say(text("Trip", "熔断")), trip.id);
    Ok(person.page(&title, &body))
}

fn about(person: &Person, trip: &Trip) -> Markup {
    html! {
        p {
            span class={ "badge " (trip.state.as_str()) } { (person.say(trip.state.told())) } " "
            strong { (scope(person, &trip.scope)) } ", " (points(person, &trip.points))
            @if let (Some(left), TripState::InForce | TripState::Proposed) = (trip.ends_in_ms, trip.state) {
                " · " (person.say(text("minutes left", "剩余分钟"))) " " (left.max(0) / 60_000)
            }
        }
        dl.facts {
            dt { (person.say(text("Why", "原因"))) } dd { (person.masked_text(&trip.reason)) }
            dt { (person.say(text("Who sees to the cause", "负责人"))) } dd { (trip.owner) }
            dt { (person.say(text("Asked for by", "发起者"))) }
            dd {
                @match &trip.origin {
                    Origin::Person { name } => (name),
                    Origin::Finding { finding_id, rule, amount, currency, .. } => {
                        a href={ "/findings/" (part(finding_id)) } { (person.say(text("a finding of", "规则异常："))) " " (rule) }
                        @if let (Some(amount), Some(currency)) = (amount, currency) { ", " span.number { (amount) " " (currency) } }
                    },
                }
                @if trip.automatic { " (" (person.say(text("set without a person", "自动生效"))) ")" }
            }
            dt { (person.say(text("Set", "时间"))) } dd { time datetime=(trip.set_at) { (trip.set_at) } }
            @if let Some(why) = &trip.proposed_because { dt { (person.say(text("Only proposed because", "仅提议的原因"))) } dd { (why) } }
            @if let Some(by) = &trip.decided_by { dt { (person.say(text("Decided by", "决定者"))) } dd { (by) } }
            @if let Some(at) = &trip.recovered_at { dt { (person.say(text("Its finding recovered", "相关异常已恢复"))) } dd { time datetime=(at) { (at) } } }
            @if let Some(at) = &trip.ended_at { dt { (person.say(text("Ended", "结束时间"))) } dd { time datetime=(at) { (at) } } }
        }
    }
}

/// A proposed trip, for the second person.
fn decide(person: &Person, trip: &Trip) -> Markup {
    let own = trip.asked_by() == Some(person.name());
    html! {
        @if trip.state == TripState::Proposed {
            section.card.doubt aria-labelledby="decide" {
                h2 #decide { (person.say(text("Waits for a second person", "等待第二人确认"))) }
                @if own {
                    p { (person.say(text("You proposed it: another person has to confirm it.", "由您提议，须由另一人确认。"))) }
                }
                @if person.may(Needs::Approve) {
                    form method="post" action={ "/breaker/trips/" (part(&trip.id)) "/confirm" } {
                        (person.csrf())
                        button.danger type="submit" { (person.say(text("Confirm: hold from now on", "确认：立即开始拦截"))) }
                    }
                    form method="post" action={ "/breaker/trips/" (part(&trip.id)) "/decline" } {
                        (person.csrf())
                        button type="submit" { (person.say(text("Decline", "否决"))) }
                    }
                } @else {
                    p.hint { (person.say(text("An approver may confirm it.", "由审批人确认。"))) }
                }
            }
        }
    }
}

fn of_trip(person: &Person, all: &[Release]) -> Markup {
    html! {
        @if !all.is_empty() {
            h2 { (person.say(text("Releases of it", "放行记录"))) }
            (releases::table(person, all))
        }
    }
}

async fn decided(console: &Console, person: &Person, id: &str, confirm: bool) -> Answered {
    let trip = console
        .breaker
        .decide_trip(person.token(), id, confirm)
        .await?;
    Ok(Redirect::to(&format!("/breaker/trips/{}", part(&trip.id))).into_response())
}

pub async fn confirm(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Answered {
    decided(&console, &person, &id, true).await
}

pub async fn decline(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Answered {
    decided(&console, &person, &id, false).await
}
