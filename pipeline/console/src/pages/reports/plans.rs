//! Repair plans: what their dry runs said, and who approved them.

use std::sync::Arc;

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::read;
use crate::Console;
use crate::language::{Text, text};
use crate::problem::{Answered, Problem};
use crate::reports::{self, DryRun, Listed, Violation};
use crate::shown;
use crate::visit::{Person, part};

/// Lines of each list that are shown.
const MOST_SHOWN: usize = 50;

fn verdict(word: &str) -> (Text, &'static str) {
    match word {
        "safe" => (text("safe", "安全"), "good"),
        "unsafe" => (text("unsafe", "不安全"), "bad"),
        _ => (text("could not be judged", "无法判定"), "doubt"),
    }
}

/// All plans.
pub async fn listed(console: &Console, person: &Person) -> Result<Markup, Problem> {
    let (plans, more) = read(console, reports::plans).await?;
    Ok(html! {
        @if plans.is_empty() { p.empty { (person.say(text("There are none.", "没有方案。"))) } } @else {
            div.scroll role="region" tabindex="0" aria-label=(person.say(text("Repair plans", "修复方案"))) {
                table {
                    thead { tr {
                        th scope="col" { (person.say(text("Plan", "方案"))) }
                        th scope="col" { (person.say(text("Tried", "试运行时间"))) }
                        th scope="col" { (person.say(text("Verdict", "结论"))) }
                        th.number scope="col" { (person.say(text("Rows", "行数"))) }
                        th scope="col" { (person.say(text("Approved by", "批准人"))) }
                    } }
                    tbody { @for one in &plans { (row(person, one)) } }
                }
            }
        }
        @if more { p.hint { (person.say(text("Older plans are not shown.", "更早的方案未显示。"))) } }
    })
}

fn row(person: &Person, one: &Listed) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/repairs/" (part(&one.file)) } { (one.file) } }
            @match &one.plan {
                Err(why) => td colspan="3" { (person.say(text("It cannot be read:", "无法读取："))) " " (why) },
                Ok(plan) => {
                    @let (told, class) = verdict(&plan.result.verdict);
                    td { time datetime=(plan.planned_at) { (plan.planned_at) } }
                    td { span class={ "badge " (class) } { (person.say(told)) } }
                    td.number { (plan.rows()) }
                },
            }
            td { @for (number, approval) in one.approvals.iter().enumerate() { @if number > 0 { ", " } (approval.by) } }
        }
    }
}

pub async fn plan(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(file): Path<String>,
) -> Answered {
    let wanted = file.clone();
    let found = read(&console, move |folders| reports::plan(folders, &wanted)).await?;
    let one = found.ok_or_else(|| Problem::unknown("there is no such repair plan"))?;
    let body = match &one.plan {
        Err(why) => {
            html! { p.problem { (person.say(text("It cannot be read:", "无法读取："))) " " (why) } }
        }
        Ok(plan) => html! {
            (approvals(&person, &one))
            (said(&person, &plan.result))
            dl.facts {
                dt { "id" } dd { code { (plan.id) } }
                dt { (person.say(text("Tried", "试运行时间"))) } dd { time datetime=(plan.planned_at) { (plan.planned_at) } }
                dt { (person.say(text("Rows that it changes", "变更行数"))) } dd { (plan.rows()) }
            }
        },
    };
    let title = format!(
        "{} {}",
        person.say(text("Repair plan", "修复方案")),
        one.file
    );
    Ok(person.page(&title, &body))
}

fn approvals(person: &Person, one: &Listed) -> Markup {
    html! {
        @if one.approvals.is_empty() { p { (person.say(text("Nobody has approved it.", "尚未获批准。"))) } }
        @for approval in &one.approvals {
            p {
                (person.say(text("Approved by", "批准人"))) " " strong { (approval.by) } ", "
                time datetime=(approval.approved_at) { (approval.approved_at) } ", "
                (person.say(text("to be carried out until", "须在此前执行"))) " " time datetime=(approval.until) { (approval.until) }
                @if let Some(reason) = &approval.reason { ": " (person.masked_text(reason)) }
                @if let Some(despite) = &approval.despite { " " strong.badge.bad { (person.say(text("although not safe", "尽管不安全"))) } " " (person.masked_text(despite)) }
            }
        }
    }
}

fn said(person: &Person, run: &DryRun) -> Markup {
    let (told, class) = verdict(&run.verdict);
    let violations = &run.violations;
    html! {
        section.card.(class) aria-labelledby="verdict" {
            h2 #verdict { (person.say(text("Dry run", "试运行"))) ": " (person.say(told)) }
            @if !run.reasons.is_empty() { ul { @for reason in run.reasons.iter().take(MOST_SHOWN) { li { (person.masked_text(reason)) } } } }
            @if let Some(as_of) = &run.as_of { p.hint { (person.say(text("As of", "截至"))) " " time datetime=(as_of) { (as_of) } } }
        }
        dl.figures {
            @for (entity, count) in &run.entities { div { dt { (entity) } dd { (count) } } }
            @for (table, rows) in &run.rows { div { dt { (table) } dd { "+" (rows.inserted) " ~" (rows.updated) " −" (rows.deleted) } } }
        }
        (list(person, text("Introduced", "新引入"), &violations.introduced.iter().collect::<Vec<_>>()))
        (list(person, text("Fixed", "已修复"), &violations.fixed.iter().collect::<Vec<_>>()))
        @if !violations.changed.is_empty() {
            details open[violations.changed.len() <= 10] {
                summary { (person.say(text("Still broken by another amount", "仍异常但金额改变"))) " (" (violations.changed.len()) ")" }
                ul { @for both in violations.changed.iter().take(MOST_SHOWN) {
                    li { (violation(person, &both.before)) " → " (amount(&both.after)) }
                } }
            }
        }
        (list(person, text("Left as they were", "未受影响"), &violations.untouched.iter().collect::<Vec<_>>()))
        @if !run.money.totals.is_empty() { (totals(person, run)) }
        @if !run.quality.found.is_empty() {
            h2 { (person.say(text("What is wrong with the data", "数据问题"))) " (" (run.quality.found.len()) ")" }
            ul { @for found in run.quality.found.iter().take(MOST_SHOWN) { li { (found.table) " " (person.masked_text(&found.key)) ": " (person.masked_text(&found.message)) } } }
        }
        @if !run.could_not_judge.is_empty() {
            h2 { (person.say(text("Could not be judged", "无法判定"))) " (" (run.could_not_judge.len()) ")" }
            ul { @for one in run.could_not_judge.iter().take(MOST_SHOWN) {
                li {
                    @if let Some(rule) = &one.rule { (rule) " " }
                    @if let Some(key) = &one.entity_key { (person.masked(key)) " " }
                    (person.masked_text(&one.reason))
                }
            } }
        }
        @for note in &run.notes { p.hint { (person.masked_text(note)) } }
    }
}

fn list(person: &Person, name: Text, violations: &[&Violation]) -> Markup {
    html! {
        @if !violations.is_empty() {
            details open[violations.len() <= 10] {
                summary { (person.say(name)) " (" (violations.len()) ")" }
                ul { @for one in violations.iter().take(MOST_SHOWN) {
                    li { (violation(person, one)) }
                } }
                @if violations.len() > MOST_SHOWN { p.hint { "+ " (violations.len() - MOST_SHOWN) } }
            }
        }
    }
}

/// A rule that is broken, for what, and by how much.
fn violation(person: &Person, one: &Violation) -> Markup {
    html! {
        (one.rule) ": "
        @match crate::pages::trace::link(person, &one.entity, &one.entity_key, None) {
            Some(to) => a href=(to) { (one.entity) " " (one.entity_key) },
            None => { (one.entity) " " (person.masked(&one.entity_key)) },
        }
        ", " (amount(one))
    }
}

fn amount(one: &Violation) -> Markup {
    shown::amount(one.amount.as_deref(), one.currency.as_deref())
}

fn totals(person: &Person, run: &DryRun) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Money of the changed rows", "变更行的金额"))) {
            table {
                caption { (person.say(text("Money of the changed rows", "变更行的金额"))) }
                thead { tr {
                    th scope="col" { (person.say(text("Table", "表"))) }
                    th scope="col" { (person.say(text("Column", "列"))) }
                    th.number scope="col" { (person.say(text("Before", "变更前"))) }
                    th.number scope="col" { (person.say(text("After", "变更后"))) }
                    th scope="col" { (person.say(text("Conserved", "守恒"))) }
                } }
                tbody { @for total in run.money.totals.iter().take(MOST_SHOWN) {
                    tr {
                        td { (total.table) }
                        td { (total.column) }
                        td.number { (total.before) " " (total.currency) }
                        td.number { (total.after) " " (total.currency) }
                        td { @if total.conserved { (person.say(text("yes", "是"))) } @else { strong.badge.bad { (person.say(text("no", "否"))) } } }
                    }
                } }
            }
        }
    }
}
