//! One stage: what happened, and every system's rows as they were then.

use centinel_trace::{
    BreakerStep, FindingStep, PersonStep, RowAt, RowStep, Step, SystemAt, Trace, What,
};
use maud::{Markup, html};

use super::words;
use crate::language::text;
use crate::visit::{Person, part};

/// Rows of one table that are shown.
const MOST_ROWS: usize = 100;

pub fn stage(person: &Person, trace: &Trace, at: u32) -> Markup {
    let step = trace.steps.iter().find(|step| step.stage == at);
    let systems = trace.state_at(at);
    html! {
        @if let Some(step) = step { (happened(person, step)) }
        h2 { (person.say(text("Rows as they were then", "当时各系统的行"))) }
        @for system in systems.iter().filter(|system| !system.rows.is_empty()) { (rows(person, system, at)) }
        @if systems.iter().all(|system| system.rows.is_empty()) {
            p.empty { (person.say(text("No system had a row of it then.", "当时没有任何系统有相关行。"))) }
        }
    }
}

fn happened(person: &Person, step: &Step) -> Markup {
    html! {
        section.card.(words::kind(step)) aria-labelledby="happened" {
            h2 #happened {
                (person.say(text("Stage", "阶段"))) " " (step.stage) ": "
                (words::lane(person, &step.lane)) ", " (words::short(person, step))
            }
            p {
                time datetime=(step.at) { (step.at) }
                @if let Some(by) = &step.by { " · " (person.say(text("by", "操作人"))) " " (person.masked(by)) }
                @if step.by_hand {
                    " · " strong.badge.by-hand { (person.say(text("changed by hand: nothing explains it", "手工修改：没有任何依据"))) }
                }
            }
            @match &step.what {
                What::Row(row) => (of_row(person, row)),
                What::Finding(finding) => (of_finding(person, finding)),
                What::Person(act) => (of_person(person, act)),
                What::Breaker(breaker) => (of_breaker(person, breaker)),
            }
        }
    }
}

fn value(person: &Person, column: &str, value: Option<&str>, currency: Option<&str>) -> Markup {
    html! {
        @match value {
            None => span.null { "null" },
            // Amounts name nobody.
            Some(value) if currency.is_some() => { (value) " " (currency.unwrap_or_default()) },
            Some(value) => (person.masked_column(column, value)),
        }
    }
}

fn of_row(person: &Person, row: &RowStep) -> Markup {
    let origin = &row.origin;
    html! {
        @if !row.event && !row.before_known {
            p.hint { (person.say(text("The row before is not known, so what changed is not either.", "变更前的行未知，因此无法得知改动内容。"))) }
        }
        div.scroll role="region" tabindex="0" aria-label=(row.table) {
            table {
                caption { (row.table) " " (person.masked(&row.primary_key)) ", " (person.say(words::operation(&row.operation))) }
                thead { tr {
                    th scope="col" { (person.say(text("Column", "列"))) }
                    th scope="col" { (person.say(text("Before", "变更前"))) }
                    th scope="col" { (person.say(text("After", "变更后"))) }
                } }
                tbody {
                    @for column in &row.columns {
                        @let currency = column.currency.as_deref();
                        tr.changed[column.changed && row.operation == "update"] {
                            th scope="row" { (column.column) }
                            td { @if row.before_known && row.operation != "insert" { (value(person, &column.column, column.before.as_deref(), currency)) } }
                            td { @if row.operation != "delete" {
                                @let after = value(person, &column.column, column.after.as_deref(), currency);
                                @if column.changed && row.operation == "update" { mark { (after) } } @else { (after) }
                            } }
                        }
                    }
                }
            }
        }
        @let told = [
            (text("Transaction", "事务"), origin.transaction.clone()),
            (text("Thread", "线程"), origin.thread.map(|thread| thread.to_string())),
            (text("Account", "账号"), origin.account.as_ref().map(|account| person.masked(account).into_owned())),
            (text("Statement", "语句"), origin.statement.as_ref().map(|statement| person.masked_text(statement).into_owned())),
        ];
        @if told.iter().any(|(_, value)| value.is_some()) {
            dl.facts { @for (name, value) in &told { @if let Some(value) = value { dt { (person.say(*name)) } dd { code { (value) } } } } }
        }
        @for id in &row.found_by_hand {
            p { a href={ "/findings/" (part(id)) } { (person.say(text("The finding about this change", "关于此修改的异常"))) } }
        }
    }
}

fn of_finding(person: &Person, finding: &FindingStep) -> Markup {
    html! {
        p {
            a href={ "/findings/" (part(&finding.finding_id)) } { (finding.title) } " "
            span class={ "badge severity-" (finding.severity) } { (finding.severity) } " "
            (person.say(words::verdict(finding.verdict)))
            @if let Some((amount, currency)) = &finding.amount { ", " (person.say(text("at risk", "风险金额"))) " " span.number { (amount) " " (currency) } }
        }
        @if let Some(hint) = &finding.hint { p { (person.masked_text(hint)) } }
        @if let Some(checkpoint) = &finding.checkpoint {
            p { (person.say(text("Checkpoint", "检查点"))) " " (checkpoint.name) ": " (format!("{:?}", checkpoint.verdict).to_lowercase()) }
        }
        p.hint { (person.say(text("Occurrence", "第几次"))) " " (finding.occurrence) " · " (person.say(text("told at", "告知时间"))) " " time datetime=(finding.told_at) { (finding.told_at) } }
    }
}

fn of_person(person: &Person, act: &PersonStep) -> Markup {
    html! {
        p {
            strong { (person.say(words::handled(&act.act))) } ": "
            a href={ "/findings/" (part(&act.finding_id)) } { (act.rule) }
        }
        @if let Some(said) = &act.text { blockquote { (person.masked_text(said)) } }
    }
}

fn of_breaker(person: &Person, step: &BreakerStep) -> Markup {
    html! {
        p {
            strong { (person.say(words::act(step.act))) }
            @if let Some(trip) = &step.trip { " " a href={ "/breaker/trips/" (part(trip)) } { (trip) } }
            @if let Some(release) = &step.release { " " a href={ "/breaker/releases/" (part(release)) } { (release) } }
            @if let Some(scope) = &step.scope { ", " (person.masked_text(scope)) }
            @if !step.points.is_empty() { ", " (step.points.join(", ")) }
            @if let Some((amount, currency)) = &step.amount { ", " span.number { (amount) " " (currency) } }
            @if let Some(request) = &step.request_id { ", " (person.say(text("request", "请求"))) " " (person.masked(request)) }
        }
        @if let Some(reason) = &step.reason { blockquote { (person.masked_text(reason)) } }
        @if let Some(id) = &step.finding_id { p { a href={ "/findings/" (part(id)) } { (person.say(text("The finding behind it", "相关异常"))) } } }
    }
}

/// A system's rows, a table for each of its tables: rows of one table have the same columns.
fn rows(person: &Person, system: &SystemAt, at: u32) -> Markup {
    let tables = system
        .rows
        .chunk_by(|left, right| left.table == right.table);
    html! {
        section.system {
            h3 { (system.system) }
            @for rows in tables { (table(person, rows, at)) }
        }
    }
}

fn table(person: &Person, rows: &[RowAt], at: u32) -> Markup {
    let Some(first) = rows.first() else {
        return html! {};
    };
    let mut columns: Vec<&str> = Vec::new();
    for cell in rows.iter().take(MOST_ROWS).flat_map(|row| &row.cells) {
        if !columns.contains(&cell.column.as_str()) {
            columns.push(&cell.column);
        }
    }
    html! {
        div.scroll role="region" tabindex="0" aria-label=(first.table) {
            table.state {
                caption { (first.table) @if first.event { " (" (person.say(text("event", "事件"))) ")" } }
                thead { tr {
                    th scope="col" { (person.say(text("Key", "主键"))) }
                    @for column in &columns { th scope="col" { (column) } }
                } }
                tbody { @for row in rows.iter().take(MOST_ROWS) {
                    tr.new[row.stage == at] {
                        th scope="row" {
                            (person.masked(&row.primary_key))
                            @if row.by_hand { " " strong.badge.by-hand { (person.say(text("by hand", "手工"))) } }
                        }
                        @for column in &columns {
                            @match row.cells.iter().find(|cell| cell.column == *column) {
                                None => td {},
                                Some(cell) => td.changed[cell.changed] {
                                    @let shown = value(person, column, cell.value.as_deref(), cell.currency.as_deref());
                                    @if cell.changed { mark { (shown) } } @else { (shown) }
                                },
                            }
                        }
                    }
                } }
            }
        }
        @if rows.len() > MOST_ROWS {
            p.hint { (person.say(text("Rows that are not shown:", "未显示的行数："))) " " (rows.len() - MOST_ROWS) }
        }
    }
}
