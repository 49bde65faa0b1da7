//! The rules in force, and what each has done.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use centinel_findings::{By, Figure, Filter, FindingsError, Handling, Store};
use centinel_interface::RuleStatus;
use centinel_model::Verdict;
use maud::{Markup, html};

use crate::Console;
use crate::language::{Text, text};
use crate::problem::{Answered, Problem};
use crate::role::Needs;
use crate::routes::{Route, look};
use crate::visit::{Person, address, part};

pub const ROUTES: &[Route] = &[
    look("/rules", Needs::Look, || get(list)),
    look("/rules/{id}", Needs::Look, || get(one)),
];

/// Days that a rule's page shows.
const MOST_DAYS: usize = 31;

/// What became of the findings of one rule, as the store has it.
#[derive(Clone, Copy, Default)]
struct History {
    suspected: u64,
    confirmed: u64,
    cleared: u64,
    recovered: u64,
    undetermined: u64,
    false_alarms: u64,
    open: u64,
}

fn of_verdict(verdict: Verdict) -> Filter {
    Filter {
        verdicts: vec![verdict],
        ..Filter::default()
    }
}

/// By rule.
fn histories(store: &Store) -> Result<BTreeMap<String, History>, FindingsError> {
    let open = Filter {
        open: Some(true),
        ..Filter::default()
    };
    let false_alarms = Filter {
        handlings: vec![Handling::FalseAlarm],
        ..Filter::default()
    };
    type Put = fn(&mut History, u64);
    let questions: [(Filter, Put); 7] = [
        (of_verdict(Verdict::Suspected), |of, count| {
            of.suspected = count
        }),
        (of_verdict(Verdict::Confirmed), |of, count| {
            of.confirmed = count
        }),
        (of_verdict(Verdict::Cleared), |of, count| of.cleared = count),
        (of_verdict(Verdict::Recovered), |of, count| {
            of.recovered = count
        }),
        (of_verdict(Verdict::Undetermined), |of, count| {
            of.undetermined = count
        }),
        (false_alarms, |of, count| of.false_alarms = count),
        (open, |of, count| of.open = count),
    ];
    let mut histories: BTreeMap<String, History> = BTreeMap::new();
    for (filter, put) in questions {
        for figure in store.figures(&filter, By::Rule)? {
            put(histories.entry(figure.name).or_default(), figure.findings);
        }
    }
    Ok(histories)
}

/// The rules in force; or that nobody can say which are.
async fn in_force(console: &Console) -> Result<Vec<RuleStatus>, centinel_interface::Problem> {
    console.detection.rules().await
}

const UNREACHED: Text = text(
    "Detection was not reached: which rules are in force is not known, nor how much time they take.",
    "检测服务不可用：无法得知生效的规则及其耗时。",
);

async fn list(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let histories = console.findings.read(histories).await?;
    let rules = in_force(&console).await;
    let known = rules.as_deref().unwrap_or_default();
    let gone: Vec<&String> = histories
        .keys()
        .filter(|id| known.iter().all(|rule| rule.id != **id))
        .collect();
    let body = html! {
        @if let Err(problem) = &rules { p.warning role="status" { strong { (person.say(UNREACHED)) } " (" (problem) ")" } }
        @if rules.is_ok() && known.is_empty() { p.empty { (person.say(text("No rule is in force.", "没有生效的规则。"))) } }
        @if !known.is_empty() { (in_force_table(&person, known, &histories)) }
        @if !gone.is_empty() { (gone_table(&person, &gone, &histories)) }
    };
    Ok(person.page(person.say(text("Rules", "规则")), &body))
}

fn headings(person: &Person, names: &[Text]) -> Markup {
    html! { thead { tr { @for (number, name) in names.iter().enumerate() {
        th scope="col" class=[(number > 1).then_some("number")] { (person.say(*name)) }
    } } } }
}

const COUNTS: [Text; 7] = [
    text("Suspected", "疑似"),
    text("Confirmed", "已确认"),
    text("Cleared", "已排除"),
    text("Recovered", "已恢复"),
    text("Could not judge", "无法判定"),
    text("False alarms", "误报"),
    text("Open", "未关闭"),
];

fn counts(history: &History) -> [u64; 7] {
    [
        history.suspected,
        history.confirmed,
        history.cleared,
        history.recovered,
        history.undetermined,
        history.false_alarms,
        history.open,
    ]
}

fn in_force_table(
    person: &Person,
    rules: &[RuleStatus],
    histories: &BTreeMap<String, History>,
) -> Markup {
    let mut names = vec![
        text("Rule", "规则"),
        text("Severity", "级别"),
        text("Asked", "执行次数"),
        text("Time", "耗时"),
    ];
    names.extend(COUNTS);
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Rules in force", "生效的规则"))) {
            table {
                caption { (person.say(text("Rules in force", "生效的规则"))) " (" (rules.len()) ")" }
                (headings(person, &names))
                tbody { @for rule in rules {
                    tr {
                        th scope="row" {
                            a href={ "/rules/" (part(&rule.id)) } { (rule.title) }
                            @if let Some(why) = &rule.suspended { " " strong.badge.doubt title=(why) { (person.say(text("does not judge", "暂停判定"))) } }
                        }
                        td { span class={ "badge severity-" (rule.severity) } { (rule.severity) } @if rule.status != "stable" { " " (rule.status) } }
                        td.number { (rule.evaluations) }
                        td.number { (time_spent(rule.microseconds)) }
                        @for count in counts(&histories.get(&rule.id).copied().unwrap_or_default()) { td.number { (count) } }
                    }
                } }
            }
        }
    }
}

/// In the unit that fits.
fn time_spent(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{}.{} ms", microseconds / 1_000, microseconds % 1_000 / 100),
        _ => format!(
            "{}.{} s",
            microseconds / 1_000_000,
            microseconds % 1_000_000 / 100_000
        ),
    }
}

fn gone_table(person: &Person, gone: &[&String], histories: &BTreeMap<String, History>) -> Markup {
    let mut names = vec![text("Rule", "规则")];
    names.extend(COUNTS);
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Rules with findings that are not in force", "未生效但有异常的规则"))) {
            table {
                caption { (person.say(text("With findings, and not known to be in force", "有异常记录，当前未知是否生效"))) }
                (headings(person, &names))
                tbody { @for id in gone {
                    tr {
                        th scope="row" { a href={ "/rules/" (part(id)) } { (id) } }
                        @for count in counts(&histories.get(*id).copied().unwrap_or_default()) { td.number { (count) } }
                    }
                } }
            }
        }
    }
}

async fn one(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(id): Path<String>,
) -> Answered {
    let rules = in_force(&console).await;
    let rule = rules
        .as_deref()
        .unwrap_or_default()
        .iter()
        .find(|rule| rule.id == id);
    let wanted = id.clone();
    let look = move |store: &Store| {
        let filter = Filter {
            rules: vec![wanted.clone()],
            ..Filter::default()
        };
        let history = histories(store)?.get(&wanted).copied();
        let days = store.figures(&filter, By::Day)?;
        let money = store.figures(
            &Filter {
                open: Some(true),
                ..filter
            },
            By::All,
        )?;
        Ok((history, days, money))
    };
    let (history, days, money) = console.findings.read(look).await?;
    if rule.is_none() && history.is_none() && rules.is_ok() {
        return Err(Problem::unknown(
            "there is no such rule, and no finding of one",
        ));
    }
    let findings = address("/findings", [("rule", id.as_str())]);
    let body = html! {
        @if let Err(problem) = &rules { p.warning role="status" { strong { (person.say(UNREACHED)) } " (" (problem) ")" } }
        @match rule {
            Some(rule) => (about(&person, rule)),
            None if rules.is_ok() => p.warning { (person.say(text("This rule is not in force.", "此规则未生效。"))) },
            None => {},
        }
        h2 { (person.say(text("Its findings", "相关异常"))) }
        (figures(&person, &history.unwrap_or_default(), &money))
        p { a href=(findings) { (person.say(text("All findings of this rule", "此规则的全部异常"))) } }
        (by_day(&person, &days))
    };
    let title = rule.map_or(id.as_str(), |rule| rule.title.as_str());
    Ok(person.page(title, &body))
}

fn about(person: &Person, rule: &RuleStatus) -> Markup {
    let [suspected, confirmed, undetermined] = rule.open;
    html! {
        @if let Some(why) = &rule.suspended {
            p.problem role="alert" { (person.say(text("It does not judge at present:", "当前暂停判定："))) " " (why) }
        }
        dl.facts {
            dt { "id" } dd { code { (rule.id) } }
            dt { (person.say(text("Severity", "级别"))) } dd { span class={ "badge severity-" (rule.severity) } { (rule.severity) } " " (rule.status) }
            dt { (person.say(text("Owner", "负责人"))) } dd { (rule.owner) }
            @if !rule.tags.is_empty() { dt { (person.say(text("Tags", "标签"))) } dd { (rule.tags.join(", ")) } }
            dt { (person.say(text("Reads", "读取"))) } dd { (rule.tables.join(", ")) }
            dt { (person.say(text("File", "文件"))) } dd { code { (rule.path) } " " (rule.version) }
            @if let Some(runbook) = &rule.runbook {
                dt { (person.say(text("Runbook", "处置手册"))) }
                dd { @if runbook.starts_with("https://") { a href=(runbook) rel="noreferrer noopener" { (runbook) } } @else { (runbook) } }
            }
            dt { (person.say(text("Asked since the start", "启动以来执行次数"))) } dd { (rule.evaluations) }
            dt { (person.say(text("Time that took", "总耗时"))) }
            dd {
                (time_spent(rule.microseconds))
                @if let Some(each) = rule.microseconds.checked_div(rule.evaluations) { ", " (person.say(text("each", "平均每次"))) " " (time_spent(each)) }
            }
            dt { (person.say(text("Open in detection", "检测中未关闭"))) }
            dd { (suspected) " " (person.say(text("suspected", "疑似"))) ", " (confirmed) " " (person.say(text("confirmed", "已确认"))) ", " (undetermined) " " (person.say(text("not judged", "无法判定"))) }
        }
    }
}

fn figures(person: &Person, history: &History, money: &[Figure]) -> Markup {
    html! {
        dl.figures {
            @for (name, count) in COUNTS.iter().zip(counts(history)) { div { dt { (person.say(*name)) } dd { (count) } } }
            @for (currency, amount) in money.iter().flat_map(|figure| &figure.at_risk) {
                div { dt { (person.say(text("At risk", "风险金额"))) } dd.number { (amount) " " (currency) } }
            }
        }
    }
}

fn by_day(person: &Person, days: &[Figure]) -> Markup {
    let mut days: Vec<&Figure> = days.iter().collect();
    days.sort_by(|left, right| right.name.cmp(&left.name));
    html! {
        @if !days.is_empty() {
            div.scroll role="region" tabindex="0" aria-label=(person.say(text("By day", "按日"))) {
                table {
                    caption { (person.say(text("By the day (UTC) since which they are broken", "按开始异常的日期（UTC）"))) }
                    thead { tr {
                        th scope="col" { (person.say(text("Day", "日期"))) }
                        th.number scope="col" { (person.say(text("Findings", "异常数"))) }
                        th.number scope="col" { (person.say(text("At risk", "风险金额"))) }
                    } }
                    tbody { @for day in days.iter().take(MOST_DAYS) {
                        tr {
                            th scope="row" { (day.name) }
                            td.number { (day.findings) }
                            td.number { @for (currency, amount) in &day.at_risk { (amount) " " (currency) " " } }
                        }
                    } }
                }
            }
        }
    }
}
