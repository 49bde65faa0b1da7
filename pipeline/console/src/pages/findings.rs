//! The list of findings: filters that live in the address, pages by key, exports.

mod export;
mod filters;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use centinel_findings::{By, Cursor, Figure, Order, Page, Row};
use maud::{Markup, html};

use crate::Console;
use crate::language::text;
use crate::problem::Answered;
use crate::role::Needs;
use crate::routes::{Route, look};
use crate::selection::{Selection, has_no_figures};
use crate::shown;
use crate::visit::{Person, address, part};

pub const ROUTES: &[Route] = &[
    look("/findings", Needs::Look, || get(list)),
    look("/findings/export.jsonl", Needs::Plain, || {
        get(export::jsonl)
    }),
    look("/findings/export.csv", Needs::Plain, || get(export::csv)),
];

/// Findings of one page.
const PAGE: usize = 50;

/// What one page shows.
struct Listed {
    page: Page,
    /// By currency; nothing where figures are not known of this filter.
    figures: Option<Vec<Figure>>,
    choices: filters::Choices,
}

async fn list(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let selection = Selection::of(&person.visit.query)?;
    let after = person.visit.query.iter().find(|(name, _)| name == "after");
    let after = after.map(|(_, after)| Cursor::parse(after)).transpose()?;
    let asked = selection.clone();
    let listed = console
        .findings
        .read(move |store| {
            Ok(Listed {
                page: store.page(&asked.filter, asked.order, after.as_ref(), PAGE)?,
                figures: has_no_figures(store.figures(&asked.filter, By::Currency))?,
                choices: filters::Choices::of(store)?,
            })
        })
        .await?;
    let body = html! {
        (filters::form(&person, &selection, &listed.choices))
        (summary(&person, &listed, &selection))
        (table(&person, &listed.page.rows, &selection))
        (pager(&person, &listed.page))
    };
    Ok(person.page(person.say(text("Findings", "异常")), &body))
}

fn summary(person: &Person, listed: &Listed, selection: &Selection) -> Markup {
    let count = listed
        .figures
        .as_ref()
        .map(|figures| figures.iter().map(|figure| figure.findings).sum::<u64>());
    let unsummed = listed
        .figures
        .iter()
        .flatten()
        .map(|figure| figure.unsummed)
        .sum::<u64>();
    html! {
        div.summary {
            p {
                @match count {
                    Some(count) => { strong.number { (shown::grouped(&count.to_string())) } " " (person.say(text("findings", "条异常"))) },
                    None => (person.say(text("These are not counted; the list is whole.", "未统计总数，列表完整。"))),
                }
                @if unsummed > 0 {
                    " · " (unsummed) " " (person.say(text("without a currency, in no sum", "条没有币种，未计入金额")))
                }
            }
            @if let Some(figures) = &listed.figures {
                ul.money aria-label=(person.say(text("Money in them", "涉及金额"))) {
                    @for (currency, amount) in figures.iter().flat_map(|figure| &figure.at_risk) {
                        li { span.number { (shown::grouped_sum(amount)) } " " abbr { (currency) } }
                    }
                }
            }
            ul.links {
                @let other = match selection.order { Order::Time => ("money", text("By money", "按金额排序")), Order::Money => ("time", text("By time", "按时间排序")) };
                li { a href=(without_place(person, "order", other.0)) { (person.say(other.1)) } }
                @if person.may(Needs::Plain) {
                    li { a href=(export_address(person, "csv")) download="findings.csv" { "CSV" } }
                    li { a href=(export_address(person, "jsonl")) download="findings.jsonl" { "JSON Lines" } }
                }
            }
            // Tells that there is something new; the page is not changed under the reader's eyes.
            p.news data-news="findings" role="status" hidden {
                a href=(without_place(person, "", "")) { (person.say(text("Something has changed: show the newest", "数据已更新：点击查看最新"))) }
            }
        }
    }
}

/// This page from its beginning, with one value changed.
fn without_place(person: &Person, name: &str, value: &str) -> String {
    let kept = person.visit.query.iter();
    let kept = kept.filter(|(key, value)| key != "after" && key != name && !value.is_empty());
    let kept = kept.map(|(key, value)| (key.as_str(), value.as_str()));
    address(
        &person.visit.path,
        kept.chain((!name.is_empty()).then_some((name, value))),
    )
}

fn export_address(person: &Person, ending: &str) -> String {
    let kept = person.visit.query.iter();
    let kept = kept.filter(|(key, value)| key != "after" && !value.is_empty());
    let kept = kept.map(|(key, value)| (key.as_str(), value.as_str()));
    address(&format!("/findings/export.{ending}"), kept)
}

fn table(person: &Person, rows: &[Row], selection: &Selection) -> Markup {
    let heads = [
        text("Severity", "级别"),
        text("Finding", "异常"),
        text("Of", "对象"),
        text("Money at risk", "风险金额"),
        text("Since (UTC)", "起始时间（UTC）"),
        text("Verdict", "检测结论"),
        text("Handling", "处理状态"),
        text("Owner", "负责人"),
    ];
    let head = |at: usize| person.say(heads[at]);
    html! {
        @if rows.is_empty() {
            p.empty {
                @match selection.is_plain() {
                    true => (person.say(text("Nothing is open.", "没有待处理的异常。"))),
                    false => (person.say(text("No finding fits these filters.", "没有符合条件的异常。"))),
                }
            }
        } @else {
            table.list {
                caption.hidden { (person.say(text("Findings", "异常"))) }
                thead { tr { @for (at, _) in heads.iter().enumerate() { th scope="col" .number[at == 3] { (head(at)) } } } }
                tbody {
                    @for row in rows {
                        @let finding = &row.finding;
                        tr {
                            td data-label=(head(0)) { (shown::severity(person, finding.severity)) }
                            th scope="row" data-label=(head(1)) {
                                a href={ "/findings/" (part(&finding.finding_id.0)) } { (person.masked_text(&finding.title)) }
                                div.hint { (finding.rule) }
                            }
                            td data-label=(head(2)) { (finding.entity) " " code { (person.masked(&finding.entity_key)) } }
                            td.number data-label=(head(3)) { (shown::amount(finding.amount.as_deref(), finding.currency.as_deref())) }
                            td data-label=(head(4)) { (shown::time(&row.since)) }
                            td data-label=(head(5)) { (shown::verdict(person, finding.verdict)) }
                            td data-label=(head(6)) {
                                (shown::handling(person, row.handling))
                                @if row.worse { " " span.badge.bad { (person.say(text("worse", "恶化"))) } }
                            }
                            td data-label=(head(7)) { (person.masked_text(&row.owner)) }
                        }
                    }
                }
            }
        }
    }
}

fn pager(person: &Person, page: &Page) -> Markup {
    let first = !person.visit.query.iter().any(|(name, _)| name == "after");
    html! {
        nav.pager aria-label=(person.say(text("Pages", "分页"))) {
            @if !first { a href=(without_place(person, "", "")) rel="first" { "⇤ " (person.say(text("First page", "首页"))) } }
            @if let Some(next) = &page.next {
                a href=(person.visit.with("after", Some(&next.to_string()))) rel="next" { (person.say(text("Next page", "下一页"))) " →" }
            }
        }
    }
}
