//! Letting held requests go: asked by one person, confirmed by a second where the breaker wants it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};

use super::{Fields, LONGEST_TEXT, Sent, cause, money, tabs};
use crate::Console;
use crate::breaker::{Ask, Cause, Disposition, Hold, Release, ReleaseState};
use crate::language::text;
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::visit::{Person, part};

/// Releases of one page.
const PAGE: usize = 50;
/// Chosen holds that are shown of one release.
const MOST_SHOWN: usize = 200;

/// A page of what one cause holds.
pub struct Page<'a> {
    pub cause: &'a Cause,
    pub holds: &'a [Hold],
    pub next: Option<u64>,
    /// All that it holds.
    pub held: u64,
    /// Names the wish of the form.
    pub request: String,
}

/// Holds of a cause, to be chosen and released by those who may.
pub fn release_form(person: &Person, page: &Page<'_>) -> Markup {
    let may = person.may(Needs::Act);
    html! {
        @if page.holds.is_empty() {
            p.empty { (person.say(text("It holds nothing.", "没有拦截任何请求。"))) }
        }
        @if !may {
            (hold_table(person, page.holds, false))
            (next_page(person, page.next))
        } @else {
            form.fields method="post" action="/breaker/releases" {
                (person.csrf())
                input type="hidden" name="request_id" value=(page.request);
                input type="hidden" name="cause" value=(page.cause);
                (hold_table(person, page.holds, true))
                (next_page(person, page.next))
                @if !page.holds.is_empty() || matches!(page.cause, Cause::Trip(_)) {
                    fieldset {
                        legend { (person.say(text("Which", "哪些"))) }
                        label { input type="radio" name="which" value="chosen" checked; " " (person.say(text("those chosen above", "以上勾选的请求"))) }
                        label { input type="radio" name="which" value="all"; " "
                            @if matches!(page.cause, Cause::Trip(_)) {
                                (person.say(text("all that it holds, and the trip ends", "全部请求，并结束此熔断")))
                            } @else {
                                (person.say(text("all that it holds", "全部请求")))
                            }
                            " (" (page.held) ")"
                        }
                    }
                    fieldset {
                        legend { (person.say(text("What becomes of them", "如何处置"))) }
                        label { input type="radio" name="disposition" value="resume" required; " " (person.say(Disposition::Resume.told())) }
                        label { input type="radio" name="disposition" value="reject" required; " " (person.say(Disposition::Reject.told())) }
                    }
                    div {
                        label for="reason" { (person.say(text("Why", "原因"))) }
                        textarea #reason name="reason" required maxlength=(LONGEST_TEXT) rows="2" {}
                    }
                    button.danger type="submit" { (person.say(text("Release", "放行"))) }
                    p.hint { (person.say(text(
                        "An operator proposes, an approver confirms; a large one needs a second person in any case.",
                        "操作员提议，审批人确认；金额较大时必须由第二人确认。",
                    ))) }
                }
            }
        }
    }
}

fn next_page(person: &Person, next: Option<u64>) -> Markup {
    html! {
        @if let Some(next) = next {
            p { a href=(person.visit.with("after", Some(&next.to_string()))) rel="next" { (person.say(text("More of them", "更多"))) " →" } }
        }
    }
}

/// Held requests; with boxes where they can be chosen.
pub fn hold_table(person: &Person, holds: &[Hold], choose: bool) -> Markup {
    html! {
        @if !holds.is_empty() {
            div.scroll role="region" tabindex="0" aria-label=(person.say(text("Held requests", "被拦截的请求"))) {
                table {
                    thead { tr {
                        @if choose { th scope="col" { span.hidden { (person.say(text("Choose", "选择"))) } } }
                        th scope="col" { (person.say(text("Request", "请求"))) }
                        th scope="col" { (person.say(text("Point", "环节"))) }
                        th scope="col" { (person.say(text("Order", "订单"))) }
                        th scope="col" { (person.say(text("Merchant", "商户"))) }
                        th.number scope="col" { (person.say(text("Money", "金额"))) }
                        th scope="col" { (person.say(text("Held since", "拦截时间"))) }
                        th scope="col" { (person.say(text("By", "起因"))) }
                        th scope="col" { (person.say(text("State", "状态"))) }
                    } }
                    tbody { @for hold in holds { (hold_row(person, hold, choose)) } }
                }
            }
        }
    }
}

fn hold_row(person: &Person, hold: &Hold, choose: bool) -> Markup {
    let request = &hold.request;
    let order = crate::pages::trace::link(person, "order", &request.order_no, None);
    html! {
        tr {
            @if choose {
                td { input type="checkbox" name="hold" value=(request.request_id) aria-label=(request.request_id); }
            }
            th scope="row" { (person.masked(&request.request_id)) @if hold.round > 1 { " ×" (hold.round) } }
            td { (person.say(request.point.told())) }
            td {
                @match order {
                    Some(to) => a href=(to) { (request.order_no) },
                    None => (person.masked(&request.order_no)),
                }
            }
            td { (person.masked(&request.merchant_no)) }
            td.number { (request.amount) " " (request.currency) }
            td { time datetime=(hold.held_at) { (hold.held_at) } }
            td { (cause(person, &hold.cause)) }
            td {
                (person.say(hold.state.told()))
                @if let Some(decided) = &hold.decided {
                    " " a href={ "/breaker/releases/" (part(&decided.release)) } { (decided.release) } ", " (decided.by)
                }
            }
        }
    }
}

/// Asks for a release.
pub async fn ask(State(console): State<Arc<Console>>, person: Person, sent: Sent) -> Answered {
    let fields = Fields::of(sent)?;
    let cause = Cause::read(fields.get("cause"))
        .ok_or_else(|| Problem::refused("it is not said what holds them"))?;
    let disposition = Disposition::read(fields.get("disposition"))
        .ok_or_else(|| Problem::refused("say what becomes of them: resume or reject"))?;
    let chosen = fields.all("hold");
    let holds = match fields.get("which") {
        // "All" ends a trip: it has to be said, never follows from nothing being chosen.
        "all" => None,
        _ if chosen.is_empty() => {
            return Err(Problem::refused(
                "choose at least one held request, or all of them",
            ));
        }
        _ => Some(chosen),
    };
    let ask = Ask {
        request_id: fields.get("request_id").to_owned(),
        cause,
        holds,
        disposition,
        reason: fields.get("reason").to_owned(),
    };
    let release = console.breaker.let_go(person.token(), &ask).await?;
    Ok(there(&release))
}

fn there(release: &Release) -> axum::response::Response {
    Redirect::to(&format!("/breaker/releases/{}", part(&release.id))).into_response()
}

/// All releases, the newest first.
pub async fn list(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let query = Fields::from(&person);
    let before = Some(query.get("before")).filter(|before| !before.is_empty());
    let (releases, next) = console
        .breaker
        .releases(person.token(), before, PAGE)
        .await?;
    let body = html! {
        (tabs(&person))
        @if releases.is_empty() { p.empty { (person.say(text("No releases.", "没有放行记录。"))) } } @else { (table(&person, &releases)) }
        @if let Some(next) = next {
            p { a href=(person.visit.with("before", Some(&next))) rel="next" { (person.say(text("Older releases", "更早的放行"))) " →" } }
        }
    };
    Ok(person.page(person.say(text("Releases", "放行记录")), &body))
}

pub fn table(person: &Person, releases: &[Release]) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Releases", "放行记录"))) {
            table {
                thead { tr {
                    th scope="col" { (person.say(text("Release", "放行"))) }
                    th scope="col" { (person.say(text("State", "状态"))) }
                    th scope="col" { (person.say(text("Of", "起因"))) }
                    th scope="col" { (person.say(text("What becomes of them", "如何处置"))) }
                    th.number scope="col" { (person.say(text("Requests", "请求数"))) }
                    th.number scope="col" { (person.say(text("Money", "金额"))) }
                    th scope="col" { (person.say(text("Asked by", "发起者"))) }
                    th scope="col" { (person.say(text("Decided by", "决定者"))) }
                    th scope="col" { (person.say(text("Asked", "时间"))) }
                } }
                tbody { @for release in releases {
                    tr {
                        th scope="row" { a href={ "/breaker/releases/" (part(&release.id)) } { (release.id) } }
                        td { (person.say(release.state.told())) }
                        td { (cause(person, &release.ask.cause)) }
                        td { (person.say(release.ask.disposition.told())) }
                        td.number { (release.decided) " / " (release.count) }
                        td.number { (money(&release.money)) }
                        td { (release.asked_by) }
                        td { @if let Some(by) = &release.decided_by { (by) } }
                        td { time datetime=(release.asked_at) { (release.asked_at) } }
                    }
                } }
            }
        }
    }
}

/// One release; for the second person, with the way to decide it.
pub async fn release(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Answered {
    let release = console.breaker.release(person.token(), &id).await?;
    let ask = &release.ask;
    let body = html! {
        (tabs(&person))
        p { span.badge { (person.say(release.state.told())) } " " strong { (person.say(ask.disposition.told())) } }
        dl.facts {
            dt { (person.say(text("Of", "起因"))) } dd { (cause(&person, &ask.cause)) }
            dt { (person.say(text("Requests", "请求数"))) } dd { (release.count) ", " (person.say(text("of them decided so far", "其中已处置"))) " " (release.decided) }
            dt { (person.say(text("Money", "金额"))) } dd { (money(&release.money)) }
            dt { (person.say(text("Why", "原因"))) } dd { (person.masked_text(&ask.reason)) }
            dt { (person.say(text("Asked by", "发起者"))) } dd { (release.asked_by) ", " time datetime=(release.asked_at) { (release.asked_at) } }
            @if let Some(why) = &release.proposed_because { dt { (person.say(text("A second person is needed because", "需要第二人的原因"))) } dd { (why) } }
            @if let Some(by) = &release.decided_by { dt { (person.say(text("Decided by", "决定者"))) } dd { (by) } }
        }
        (decide(&person, &release))
        @match &ask.holds {
            None => p { (person.say(text("All that was held when it was asked.", "发起时拦截的全部请求。"))) },
            Some(chosen) => {
                h2 { (person.say(text("Chosen requests", "所选请求"))) " (" (chosen.len()) ")" }
                ul.names { @for name in chosen.iter().take(MOST_SHOWN) { li { (person.masked(name)) } } }
                @if chosen.len() > MOST_SHOWN { p.hint { "+ " (chosen.len() - MOST_SHOWN) } }
            },
        }
    };
    let title = format!("{} {}", person.say(text("Release", "放行")), release.id);
    Ok(person.page(&title, &body))
}

fn decide(person: &Person, release: &Release) -> Markup {
    let own = release.asked_by == person.name();
    let to = |act: &str| format!("/breaker/releases/{}/{act}", part(&release.id));
    html! {
        @if release.state == ReleaseState::Proposed {
            section.card.doubt aria-labelledby="decide" {
                h2 #decide { (person.say(text("Waits for a second person", "等待第二人确认"))) }
                @if own { p { (person.say(text("You asked for it: another person has to confirm it.", "由您发起，须由另一人确认。"))) } }
                @if person.may(Needs::Approve) {
                    form method="post" action=(to("confirm")) {
                        (person.csrf())
                        button.danger type="submit" { (person.say(text("Confirm", "确认"))) }
                    }
                    form.fields method="post" action=(to("decline")) {
                        (person.csrf())
                        div {
                            label for="reason" { (person.say(text("Why not", "否决原因"))) }
                            textarea #reason name="reason" required maxlength=(LONGEST_TEXT) rows="2" {}
                        }
                        button type="submit" { (person.say(text("Decline", "否决"))) }
                    }
                } @else {
                    p.hint { (person.say(text("An approver may confirm it.", "由审批人确认。"))) }
                }
            }
        }
    }
}

pub async fn confirm(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Answered {
    let release = console.breaker.confirm_release(person.token(), &id).await?;
    Ok(there(&release))
}

pub async fn decline(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
    sent: Sent,
) -> Answered {
    let fields = Fields::of(sent)?;
    let release = console
        .breaker
        .decline_release(person.token(), &id, fields.get("reason"))
        .await?;
    Ok(there(&release))
}
