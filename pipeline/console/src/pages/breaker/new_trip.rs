//! A new trip: first what it would hold, then whether to set it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};

use super::{Fields, LONGEST_NAME, LONGEST_TEXT, Sent, money, points, request_id, scope, tabs};
use crate::Console;
use crate::breaker::{Draft, Point, Preview, Scope};
use crate::language::text;
use crate::problem::{Answered, Problem};
use crate::visit::{Person, part};

/// What the form holds.
struct Wish {
    kind: String,
    name: String,
    points: Vec<Point>,
    reason: String,
    owner: String,
    lasts: String,
    propose: bool,
    finding: String,
}

impl Wish {
    fn of(fields: &Fields) -> Wish {
        Wish {
            kind: fields.get("scope").to_owned(),
            name: fields.get("name").to_owned(),
            points: fields.points(),
            reason: fields.get("reason").to_owned(),
            owner: fields.get("owner").to_owned(),
            lasts: fields.get("lasts").to_owned(),
            propose: fields.get("propose") == "yes",
            finding: fields.get("finding").to_owned(),
        }
    }

    fn scope(&self) -> Result<Scope, Problem> {
        let wrong = || {
            Problem::refused(
                "say what to cover: an order, a merchant or a business code by its number, or everything",
            )
        };
        Scope::read(&self.kind, &self.name).ok_or_else(wrong)
    }

    fn fields(&self) -> Vec<(&'static str, &str)> {
        let mut fields = vec![
            ("scope", self.kind.as_str()),
            ("name", self.name.as_str()),
            ("reason", self.reason.as_str()),
            ("owner", self.owner.as_str()),
            ("lasts", self.lasts.as_str()),
            ("propose", if self.propose { "yes" } else { "" }),
            ("finding", self.finding.as_str()),
        ];
        fields.extend(self.points.iter().map(|point| ("point", point.as_str())));
        fields
    }
}

/// The form; and with `preview`, what such a trip would hold, with the way to set it.
pub async fn form(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let query = Fields::from(&person);
    let mut wish = Wish::of(&query);
    let previewed = query.get("preview") == "yes";
    if !wish.finding.is_empty() && !previewed {
        fill_from_finding(&console, &mut wish).await?;
    }
    if wish.kind.is_empty() {
        wish.kind = "order".into();
    }
    if wish.points.is_empty() && !previewed {
        wish.points = Point::ALL.to_vec();
    }
    if wish.lasts.is_empty() {
        wish.lasts = "4h".into();
    }
    let preview = match previewed {
        false => None,
        true if wish.points.is_empty() => {
            return Err(Problem::refused("name at least one point where to hold"));
        }
        true => {
            let scope = wish.scope()?;
            let preview = console
                .breaker
                .preview(person.token(), &scope, &wish.points)
                .await?;
            Some((scope, preview, request_id(&console)?))
        }
    };
    let body = html! {
        (tabs(&person))
        @if let Some((scope, preview, request)) = &preview { (shown(&person, &wish, scope, preview, request)) }
        (fields(&person, &wish, preview.is_some()))
    };
    Ok(person.page(person.say(text("New trip", "新建熔断")), &body))
}

/// The narrowest trip over what a finding is about.
async fn fill_from_finding(console: &Console, wish: &mut Wish) -> Result<(), Problem> {
    let id = wish.finding.clone();
    let row = console.findings.read(move |store| store.get(&id)).await?;
    let finding = row
        .ok_or_else(|| Problem::unknown("there is no such finding"))?
        .finding;
    if wish.kind.is_empty() {
        match finding.entity.as_str() {
            kind @ ("order" | "merchant" | "business_code") => {
                (wish.kind, wish.name) = (kind.to_owned(), finding.entity_key.clone());
            }
            // Of another kind of entity, the order stands in the key or nowhere.
            _ => {
                let order = finding.key.iter().find(|(column, _)| column == "order_no");
                wish.name = order.map(|(_, value)| value.clone()).unwrap_or_default();
            }
        }
    }
    if wish.reason.is_empty() {
        wish.reason = finding.title.clone();
    }
    if wish.owner.is_empty() {
        wish.owner = finding.owner.clone();
    }
    Ok(())
}

fn shown(person: &Person, wish: &Wish, covers: &Scope, preview: &Preview, request: &str) -> Markup {
    let minutes = preview.known_for_us / 60_000_000;
    html! {
        section.card.breaker aria-labelledby="preview" {
            h2 #preview { (person.say(text("What this trip would have held", "此熔断本会拦截的内容"))) }
            p { strong { (scope(person, covers)) } ", " (points(person, &wish.points)) }
            dl.figures {
                div { dt { (person.say(text("Requests", "请求数"))) } dd { (preview.requests) } }
                div { dt { (person.say(text("Money", "金额"))) } dd { (money(&preview.money)) } }
                div { dt { (person.say(text("Merchants", "商户数"))) } dd { (preview.merchants) } }
                div { dt { (person.say(text("Open findings there", "范围内未关闭异常"))) } dd { (preview.open_findings.count) " " (money(&preview.open_findings.money)) } }
            }
            @if *covers == Scope::All {
                p.warning role="alert" { (person.say(text(
                    "This holds everything at these points, whoever it is for.",
                    "这将拦截这些环节的全部请求，无论属于谁。",
                ))) }
            }
            @if !preview.most_concerned.is_empty() {
                p { (person.say(text("Most concerned", "受影响最多"))) ": "
                    @for (number, (merchant, count)) in preview.most_concerned.iter().enumerate() {
                        @if number > 0 { ", " }
                        (person.masked(merchant)) " (" (count) ")"
                    }
                }
            }
            p.hint {
                (person.say(text("Of the traffic that the breaker knows: requests", "依据熔断服务已知的流量，请求数"))) " " (preview.known_requests)
                ", " (person.say(text("minutes", "分钟数"))) " " (minutes) ". "
                (person.say(text("What comes later is not foreseen.", "不预测之后的流量。")))
            }
            form method="post" action="/breaker/trips" {
                (person.csrf())
                input type="hidden" name="request_id" value=(request);
                @for (name, value) in wish.fields() { input type="hidden" name=(name) value=(value); }
                button.danger type="submit" {
                    @if wish.propose { (person.say(text("Propose this trip", "提议此熔断"))) } @else { (person.say(text("Set this trip now", "立即熔断"))) }
                }
            }
        }
    }
}

fn fields(person: &Person, wish: &Wish, previewed: bool) -> Markup {
    let kinds = [
        ("order", text("one order", "单个订单")),
        (
            "merchant",
            text("all orders of a merchant", "某商户的全部订单"),
        ),
        (
            "business_code",
            text("all orders of a business code", "某业务码的全部订单"),
        ),
        ("all", text("everything", "全部")),
    ];
    html! {
        form.fields method="get" action="/breaker/trips/new" {
            input type="hidden" name="preview" value="yes";
            input type="hidden" name="finding" value=(wish.finding);
            @if !wish.finding.is_empty() {
                p { (person.say(text("Because of", "起因"))) " " a href={ "/findings/" (part(&wish.finding)) } { (person.say(text("this finding", "此异常"))) } }
            }
            div {
                label for="scope" { (person.say(text("Covers", "范围"))) }
                select #scope name="scope" {
                    @for (kind, name) in kinds { option value=(kind) selected[wish.kind == kind] { (person.say(name)) } }
                }
            }
            div {
                label for="name" { (person.say(text("Its number (nothing for everything)", "编号（选“全部”时留空）"))) }
                input #name name="name" value=(wish.name) maxlength=(LONGEST_NAME) autocomplete="off" autocapitalize="none" spellcheck="false";
            }
            fieldset {
                legend { (person.say(text("Where to hold", "拦截环节"))) }
                @for point in Point::ALL {
                    label { input type="checkbox" name="point" value=(point.as_str()) checked[wish.points.contains(&point)]; " " (person.say(point.told())) }
                }
            }
            div {
                label for="reason" { (person.say(text("Why", "原因"))) }
                textarea #reason name="reason" required maxlength=(LONGEST_TEXT) rows="2" { (wish.reason) }
            }
            div {
                label for="owner" { (person.say(text("Who sees to the cause", "负责人"))) }
                input #owner name="owner" value=(wish.owner) required maxlength=(LONGEST_NAME);
            }
            div {
                label for="lasts" { (person.say(text("How long, such as 30m or 4h", "时长，如 30m 或 4h"))) }
                input #lasts name="lasts" value=(wish.lasts) required maxlength="10" pattern="[0-9]+(s|m|h|d)";
            }
            label { input type="checkbox" name="propose" value="yes" checked[wish.propose]; " " (person.say(text("Let another person confirm it first", "先由另一人确认"))) }
            button type="submit" {
                @if previewed { (person.say(text("Look again what it would hold", "重新预览"))) } @else { (person.say(text("Look what it would hold", "预览将拦截的内容"))) }
            }
        }
    }
}

/// Sets what was previewed.
pub async fn set(State(console): State<Arc<Console>>, person: Person, sent: Sent) -> Answered {
    let fields = Fields::of(sent)?;
    let wish = Wish::of(&fields);
    let draft = Draft {
        request_id: fields.get("request_id").to_owned(),
        scope: wish.scope()?,
        points: wish.points,
        reason: wish.reason,
        owner: wish.owner,
        lasts: wish.lasts,
        propose: wish.propose,
    };
    let trip = console.breaker.set(person.token(), &draft).await?;
    Ok(Redirect::to(&format!("/breaker/trips/{}", part(&trip.id))).into_response())
}
