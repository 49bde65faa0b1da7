//! The whole page: the slider, the lanes, and what was known at the chosen stage.

use axum::response::Response;
use centinel_trace::{Step, Trace};
use maud::{Markup, html};

use super::compose::Told;
use super::{search_form, stage, words};
use crate::lanes::{Column, Lane, lanes};
use crate::language::text;
use crate::visit::{Person, address};

pub fn page(person: &Person, told: &Told, at: u32) -> Response {
    let trace = &told.trace;
    let (entity, key) = (&trace.entity, person.masked(&trace.key));
    let typed = if person.masked(&trace.key) == trace.key {
        trace.key.as_str()
    } else {
        ""
    };
    let body = html! {
        (search_form(person, entity, typed))
        @for (what, why) in &told.missing {
            p.warning role="status" { strong { (person.say(*what)) } @if !why.is_empty() { " (" (why) ")" } }
        }
        (incomplete(person, trace))
        @if trace.steps.is_empty() {
            p.empty {
                @if told.missing.is_empty() {
                    (person.say(text("Nobody knows anything of it. Is the number right?", "没有任何记录。编号是否正确？")))
                } @else {
                    (person.say(text("Nothing is known of it from those that were reached.", "可访问的来源中没有记录。")))
                }
            }
        } @else {
            (rules(person, trace))
            (slider(person, trace, at))
            (swim(person, trace, at))
            div #stage aria-live="polite" { (stage::stage(person, trace, at)) }
            (totals(person, trace))
        }
    };
    let title = format!("{} · {entity} {key}", person.say(text("Trace", "订单轨迹")));
    person.page(&title, &body)
}

/// What a reader has to know before they believe the page.
fn incomplete(person: &Person, trace: &Trace) -> Markup {
    let known = &trace.completeness;
    let mut notes: Vec<String> = Vec::new();
    if known.replaced_missing {
        let note = text(
            "Versions of rows that were replaced long ago may be missing.",
            "较早被替换的行版本可能缺失。",
        );
        notes.push(person.say(note).to_owned());
    }
    if let Some(since) = &known.since {
        let note = person.say(text(
            "Rows from before this time may be missing:",
            "此时间之前的行可能缺失：",
        ));
        notes.push(format!("{note} {since}"));
    }
    if trace.changes_left_out > 0 {
        let note = person.say(text(
            "Oldest changes that are left out:",
            "省略的最早变更数：",
        ));
        notes.push(format!("{note} {}", trace.changes_left_out));
    }
    if trace.entries_left_out > 0 {
        let note = person.say(text(
            "Oldest entries that are left out:",
            "省略的最早记录数：",
        ));
        notes.push(format!("{note} {}", trace.entries_left_out));
    }
    notes.extend(
        known
            .notes
            .iter()
            .map(|note| person.masked_text(note).into_owned()),
    );
    html! {
        @if !notes.is_empty() {
            details.notes {
                summary { (person.say(text("What may be missing", "可能缺失的内容"))) " (" (notes.len()) ")" }
                ul { @for note in &notes { li { (note) } } }
            }
        }
        @if let Some(until) = &known.until {
            p.hint { (person.say(text("All sources were read up to", "所有来源已读取至"))) " " time datetime=(until) { (until) } }
        }
    }
}

/// What the rules in force say now.
fn rules(person: &Person, trace: &Trace) -> Markup {
    let broken = trace
        .rules
        .iter()
        .filter(|rule| rule.verdict != "passed")
        .count();
    html! {
        @if !trace.rules.is_empty() {
            details open[broken > 0] {
                summary {
                    (person.say(text("Rules now", "规则当前判定"))) ": "
                    (trace.rules.len() - broken) " " (person.say(text("pass", "通过"))) ", "
                    (broken) " " (person.say(text("do not", "未通过")))
                }
                ul.verdicts {
                    @for rule in &trace.rules {
                        li class={ "verdict " (rule.verdict) } {
                            strong { (verdict(person, &rule.verdict)) } " "
                            a href={ "/rules/" (crate::visit::part(&rule.rule)) } { (rule.title) }
                            @if let Some((amount, currency)) = &rule.amount { " " span.number { (amount) " " (currency) } }
                            @if let Some(id) = &rule.finding_id {
                                " " a href={ "/findings/" (crate::visit::part(id)) } { (person.say(text("finding", "异常"))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn verdict(person: &Person, word: &str) -> &'static str {
    person.say(match word {
        "passed" => text("passes", "通过"),
        "suspected" => text("suspected", "疑似"),
        "confirmed" => text("confirmed", "已确认"),
        _ => text("could not be judged", "无法判定"),
    })
}

fn slider(person: &Person, trace: &Trace, at: u32) -> Markup {
    let steps = trace.steps.len();
    let last = trace.steps.last().map_or(0, |step| step.stage);
    let to = |stage: u32| person.visit.with("stage", Some(&stage.to_string()));
    // Asked for by itself, without the stage: the slider brings its own.
    let others = person
        .visit
        .query
        .iter()
        .filter(|(name, _)| name != "stage" && name != "of");
    let others: Vec<(&str, &str)> = others
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let of = steps.to_string();
    let part = address(
        &person.visit.path,
        others.iter().copied().chain([("of", of.as_str())]),
    );
    html! {
        form.slider method="get" action=(person.visit.path) {
            @for (name, value) in &others { input type="hidden" name=(name) value=(value); }
            label for="slider" { (person.say(text("Stage", "阶段"))) }
            @if at > 1 { a.step-back href=(to(at - 1)) rel="prev" aria-label=(person.say(text("One stage back", "上一阶段"))) { "←" } }
            input #slider type="range" name="stage" min="1" max=(last) value=(at.max(1)) autocomplete="off"
                hx-get=(part) hx-trigger="input changed delay:60ms" hx-target="#stage" hx-sync="this:replace";
            @if at < last { a.step-on href=(to(at + 1)) rel="next" aria-label=(person.say(text("One stage on", "下一阶段"))) { "→" } }
            output for="slider" #stage-number { (at) " / " (last) }
            noscript { button type="submit" { (person.say(text("Show", "显示"))) } }
        }
    }
}

fn swim(person: &Person, trace: &Trace, at: u32) -> Markup {
    let lanes = lanes(trace, at);
    let to = |stage: u32| person.visit.with("stage", Some(&stage.to_string()));
    html! {
        @if let Some(earlier) = lanes.earlier {
            p { a href=(to(earlier)) { "← " (person.say(text("Earlier moments", "更早的时刻"))) } }
        }
        div.scroll.swim role="region" tabindex="0" aria-label=(person.say(text("Line of time by system", "按系统的时间线"))) {
            table.lanes {
                caption.hidden { (person.say(text("A row for each system, a column for each moment", "每行一个系统，每列一个时刻"))) }
                thead {
                    tr {
                        th scope="col" { (person.say(text("System", "系统"))) }
                        @for (number, column) in lanes.columns.iter().enumerate() {
                            (moment(column, number.checked_sub(1).and_then(|before| lanes.columns.get(before)), at))
                        }
                    }
                }
                tbody { @for lane in &lanes.lanes { (row(person, lane, &lanes.columns, at)) } }
            }
        }
        @if let Some(later) = lanes.later {
            p { a href=(to(later)) { (person.say(text("Later moments", "更晚的时刻"))) " →" } }
        }
    }
}

/// The day stands where it changes.
fn moment(column: &Column<'_>, before: Option<&Column<'_>>, at: u32) -> Markup {
    let (day, time) = column.at.split_once('T').unwrap_or(("", column.at));
    let same_day = before.is_some_and(|before| {
        before
            .at
            .split_once('T')
            .is_some_and(|(known, _)| known == day)
    });
    let time = time.trim_end_matches('Z');
    let time = time.strip_suffix(".000000").unwrap_or(time);
    html! {
        th scope="col" data-first=(column.first) data-last=(column.last) aria-current=[column.holds(at).then_some("step")] {
            time datetime=(column.at) { @if !same_day { span.day { (day) } " " } (time) }
        }
    }
}

fn row(person: &Person, lane: &Lane<'_>, columns: &[Column<'_>], at: u32) -> Markup {
    html! {
        tr {
            th scope="row" { (words::lane(person, lane.name)) }
            @for (steps, column) in lane.cells.iter().zip(columns) {
                @if steps.is_empty() && !column.holds(at) { td {} } @else {
                    td data-first=(column.first) data-last=(column.last) {
                        @if !steps.is_empty() { @for step in steps { (cell(person, step, at)) } }
                    }
                }
            }
        }
    }
}

fn cell(person: &Person, step: &Step, at: u32) -> Markup {
    html! {
        a class={ "step " (words::kind(step)) } href=(person.visit.with("stage", Some(&step.stage.to_string())))
            data-stage=(step.stage) aria-current=[(step.stage == at).then_some("step")] {
            @if step.by_hand { strong { (person.say(text("by hand", "手工"))) " " } }
            (words::short(person, step))
        }
    }
}

fn totals(person: &Person, trace: &Trace) -> Markup {
    html! {
        @if !trace.totals.is_empty() {
            div.scroll role="region" tabindex="0" aria-label=(person.say(text("Money now", "当前金额"))) {
                table {
                    caption { (person.say(text("Money in its rows after the last stage", "最后阶段各行的金额"))) }
                    thead { tr {
                        th scope="col" { (person.say(text("System", "系统"))) }
                        th scope="col" { (person.say(text("Table", "表"))) }
                        th scope="col" { (person.say(text("Column", "列"))) }
                        th scope="col" { (person.say(text("Rows", "行数"))) }
                        th.number scope="col" { (person.say(text("Sum", "合计"))) }
                    } }
                    tbody {
                        @for total in &trace.totals {
                            tr {
                                td { (total.system) }
                                td { (total.table) }
                                td { (total.column) }
                                td.number { (total.rows) }
                                td.number {
                                    @match &total.amount {
                                        Some(amount) => { (amount) " " (total.currency) }
                                        None => (person.say(text("more than 38 digits", "超过38位"))),
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
