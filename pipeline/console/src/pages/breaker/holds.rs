//! Everything that is held, in pages, by cause, point, merchant or order.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::releases::{Page, hold_table, release_form};
use super::{Fields, LONGEST_NAME, cause, holds_of, request_id, tabs};
use crate::Console;
use crate::breaker::{Breaker, BreakerProblem, Cause, Hold, Point};
use crate::language::text;
use crate::problem::{Answered, Problem};
use crate::visit::{Person, address};

/// Rows of one page.
const PAGE: usize = 100;
/// Holds that are looked through for one page; behind them one goes on by the link.
const MOST_LOOKED_AT: usize = 5_000;
const PIECE: usize = 1_000;

/// What is wanted.
struct Wanted {
    cause: Option<Cause>,
    point: Option<Point>,
    merchant: String,
    order: String,
    /// Behind which cause and claim the page begins.
    from: Option<(Cause, u64)>,
}

impl Wanted {
    fn fits(&self, hold: &Hold) -> bool {
        self.point.is_none_or(|point| point == hold.request.point)
            && (self.merchant.is_empty() || self.merchant == hold.request.merchant_no)
    }
}

pub async fn holds(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let query = Fields::from(&person);
    let after: u64 = query.get("after").parse().unwrap_or(0);
    let named = query.get("cause");
    let read = |text: &str| {
        let wrong = || Problem::refused("a cause is T1, finding:ID or stale");
        match text {
            "" => Ok(None),
            text => Cause::read(text).map(Some).ok_or_else(wrong),
        }
    };
    let cause = read(named)?;
    let from = read(query.get("from"))?.or_else(|| cause.clone());
    let wanted = Wanted {
        point: Point::read(query.get("point")),
        merchant: query.get("merchant").to_owned(),
        order: query.get("order").to_owned(),
        from: from.map(|cause| (cause, after)),
        cause,
    };
    let (breaker, token) = (&console.breaker, person.token());
    let shown = match (&wanted.cause, wanted.order.is_empty()) {
        (_, false) => {
            let (holds, more) = breaker.holds_of_order(token, &wanted.order).await?;
            html! {
                (hold_table(&person, &holds, false))
                @if holds.is_empty() { p.empty { (person.say(text("Nothing was ever held of this order.", "该订单从未被拦截。"))) } }
                @if more { p.warning { (person.say(text("There are more than are shown.", "未全部显示。"))) } }
            }
        }
        (Some(cause), true) if wanted.point.is_none() && wanted.merchant.is_empty() => {
            of_cause(&console, &person, cause, after).await?
        }
        _ => {
            let (holds, next) = looked_through(breaker, token, &wanted).await?;
            html! {
                (hold_table(&person, &holds, false))
                @if holds.is_empty() && next.is_none() { p.empty { (person.say(text("Nothing is held.", "没有被拦截的请求。"))) } }
                @if let Some((cause, claim)) = next { (go_on(&person, &cause, claim)) }
            }
        }
    };
    let causes = breaker.causes(token).await?;
    let body = html! {
        (tabs(&person))
        (filter(&person, &wanted, named))
        @if causes.is_empty() { p.empty { (person.say(text("Nothing is held now.", "当前没有被拦截的请求。"))) } } @else {
            details open[wanted.cause.is_none()] {
                summary { (person.say(text("What holds how much", "各起因的拦截数"))) " (" (causes.len()) ")" }
                ul { @for one in causes.iter().take(PAGE) {
                    li { (self::cause(&person, &one.cause)) ": " a href=(holds_of(&one.cause)) { (one.held) } }
                } }
                @if causes.len() > PAGE { p.hint { "+ " (causes.len() - PAGE) } }
            }
        }
        (shown)
    };
    Ok(person.page(person.say(text("Held requests", "被拦截的请求")), &body))
}

/// What one cause holds, to be released from here: a finding in doubt and stale knowledge have no page of their own.
async fn of_cause(
    console: &Console,
    person: &Person,
    cause: &Cause,
    after: u64,
) -> Result<Markup, Problem> {
    let (breaker, token) = (&console.breaker, person.token());
    let (holds, next) = breaker.holds(token, cause, after, PAGE).await?;
    let causes = breaker.causes(token).await?;
    let held = causes.iter().find(|one| one.cause == *cause);
    let page = Page {
        cause,
        holds: &holds,
        next,
        held: held.map_or(0, |one| one.held),
        request: request_id(console)?,
    };
    Ok(release_form(person, &page))
}

/// The next holds that fit, cause by cause; and where to go on, where there may be more.
async fn looked_through(
    breaker: &Breaker,
    token: &str,
    wanted: &Wanted,
) -> Result<(Vec<Hold>, Option<(Cause, u64)>), BreakerProblem> {
    let causes: Vec<Cause> = match &wanted.cause {
        Some(cause) => vec![cause.clone()],
        None => breaker
            .causes(token)
            .await?
            .into_iter()
            .map(|one| one.cause)
            .collect(),
    };
    let begins = wanted.from.as_ref();
    // A cause that holds nothing any more is passed over: then the page begins with the first one.
    let skipped = begins.and_then(|(cause, _)| causes.iter().position(|known| known == cause));
    let (mut fitting, mut looked_at) = (Vec::new(), 0);
    for cause in causes.into_iter().skip(skipped.unwrap_or(0)) {
        let known = begins.filter(|(known, _)| *known == cause);
        let mut after = known.map_or(0, |(_, claim)| *claim);
        loop {
            let (holds, next) = breaker.holds(token, &cause, after, PIECE).await?;
            for hold in holds {
                looked_at += 1;
                after = hold.claim;
                if wanted.fits(&hold) {
                    fitting.push(hold);
                }
                if fitting.len() == PAGE || looked_at == MOST_LOOKED_AT {
                    return Ok((fitting, Some((cause, after))));
                }
            }
            if next.is_none() {
                break;
            }
        }
    }
    Ok((fitting, None))
}

fn go_on(person: &Person, cause: &Cause, claim: u64) -> Markup {
    let (from, after) = (cause.to_string(), claim.to_string());
    let others = person.visit.query.iter();
    let others = others.filter(|(name, _)| name != "from" && name != "after");
    let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
    let place = [("from", from.as_str()), ("after", after.as_str())];
    html! {
        p { a href=(address(&person.visit.path, others.chain(place))) rel="next" { (person.say(text("Look further", "继续查找"))) " →" } }
    }
}

fn filter(person: &Person, wanted: &Wanted, cause: &str) -> Markup {
    html! {
        form.bar role="search" method="get" action="/breaker/holds" {
            @if !cause.is_empty() { input type="hidden" name="cause" value=(cause); }
            div {
                label for="point" { (person.say(text("Point", "环节"))) }
                select #point name="point" {
                    option value="" selected[wanted.point.is_none()] { (person.say(text("all", "全部"))) }
                    @for point in Point::ALL { option value=(point.as_str()) selected[wanted.point == Some(point)] { (person.say(point.told())) } }
                }
            }
            div {
                label for="merchant" { (person.say(text("Merchant", "商户"))) }
                input #merchant name="merchant" value=(wanted.merchant) maxlength=(LONGEST_NAME) autocomplete="off";
            }
            div {
                label for="order" { (person.say(text("Order (ended holds too)", "订单（含已处置）"))) }
                input #order name="order" value=(wanted.order) maxlength=(LONGEST_NAME) autocomplete="off";
            }
            button type="submit" { (person.say(text("Filter", "筛选"))) }
            a href="/breaker/holds" { (person.say(text("Clear", "清除"))) }
        }
    }
}
