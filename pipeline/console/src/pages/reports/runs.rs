//! Audits and drills, their runs, and the report of one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse};
use maud::{Markup, html};

use super::{plans, read, span};
use crate::Console;
use crate::language::{Text, text};
use crate::problem::{Answered, Problem};
use crate::reports::{
    DrillLine, Ended, Outcome, Run, RunResult, Scheduled, find, has_page, page, scheduled,
};
use crate::role::Needs;
use crate::shown;
use crate::visit::{Person, part};

/// Runs of one page.
const MOST_RUNS: usize = 200;

/// A report is shown as what it is: a page that loads nothing, runs nothing and is of no origin.
const SANDBOX: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                       form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

fn outcome(outcome: Outcome) -> Text {
    match outcome {
        Outcome::Finished => text("finished", "已完成"),
        Outcome::Failed => text("failed", "失败"),
        Outcome::Stopped => text("stopped", "已停止"),
        Outcome::TimedOut => text("timed out", "超时"),
        Outcome::CutOff => text("cut off", "中断"),
    }
}

/// What an exit status says: never that all is well where something could not be judged.
fn status(ended: &Ended) -> (Text, &'static str) {
    match (ended.outcome, ended.exit_status) {
        (Outcome::Finished, 0) => (text("well", "正常"), "good"),
        (Outcome::Finished, 2) => (text("found something", "发现问题"), "bad"),
        (Outcome::Finished, 3) => (text("could not judge all", "未能全部判定"), "doubt"),
        _ => (text("no result", "无结果"), "doubt"),
    }
}

pub async fn list(State(console): State<Arc<Console>>, person: Person) -> Answered {
    let all = read(&console, scheduled).await?;
    let (drills, audits): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.is_drill());
    let plans = plans::listed(&console, &person).await?;
    let body = html! {
        @if console.settings.reports.is_empty() {
            p.warning { (person.say(text("The console knows no folder of reports: set `reports` of [console].", "控制台未配置报告目录：请设置 [console] 的 `reports`。"))) }
        }
        h2 { (person.say(text("Scheduled audits", "定时审计"))) }
        @if audits.is_empty() { p.empty { (person.say(text("None has run yet.", "尚无运行记录。"))) } } @else { (overview(&person, &audits)) }
        h2 { (person.say(text("Fault drills", "故障演练"))) }
        @if drills.is_empty() { p.empty { (person.say(text("None has run yet.", "尚无运行记录。"))) } } @else { (overview(&person, &drills)) }
        h2 { (person.say(text("Repair plans", "修复方案"))) }
        (plans)
    };
    Ok(person.page(person.say(text("Audits and repairs", "审计与修复")), &body))
}

fn overview(person: &Person, all: &[&Scheduled]) -> Markup {
    html! {
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Last results", "最近结果"))) {
            table {
                thead { tr {
                    th scope="col" { (person.say(text("Name", "名称"))) }
                    th scope="col" { (person.say(text("Last run", "最近运行"))) }
                    th scope="col" { (person.say(text("Result", "结果"))) }
                    th scope="col" { (person.say(text("What it came to", "概要"))) }
                    th.number scope="col" { (person.say(text("Runs known", "运行次数"))) }
                } }
                tbody { @for one in all {
                    tr {
                        th scope="row" { a href={ "/audits/" (part(&one.name)) } { (one.name) } }
                        @match one.history.runs.first() {
                            None => { td {} td {} td {} },
                            Some(run) => {
                                td { (shown::time(&run.at)) }
                                td { (result(person, run)) }
                                td { (brief(person, run)) }
                            },
                        }
                        td.number { (one.history.runs.len()) }
                    }
                } }
            }
        }
    }
}

fn result(person: &Person, run: &Run) -> Markup {
    html! {
        @match &run.ended {
            None => span.badge.doubt { (person.say(text("under way, or cut off", "进行中或已中断"))) },
            Some(ended) => {
                @let (told, class) = status(ended);
                span class={ "badge " (class) } { (person.say(told)) } " "
                (person.say(outcome(ended.outcome))) ", " (person.say(text("status", "状态码"))) " " (ended.exit_status)
            },
        }
    }
}

fn brief(person: &Person, run: &Run) -> Markup {
    let ended = run.ended.as_ref();
    html! {
        @if let Some(found) = ended.and_then(|ended| ended.result.as_ref()) {
            (found.findings) " " (person.say(text("findings", "异常"))) (at_risk(found))
            @if found.could_not_judge > 0 { ", " (found.could_not_judge) " " (person.say(text("not judged", "未能判定"))) }
        }
        @if let Some(drill) = ended.and_then(|ended| ended.drill.as_ref()) { (drill.told) }
        @if let Some(problem) = ended.and_then(|ended| ended.problem.as_ref()) { (person.masked_text(problem)) }
    }
}

fn at_risk(found: &RunResult) -> Markup {
    html! { @for (currency, amount) in &found.at_risk { ", " span.number { (amount) " " (currency) } } }
}

async fn known(console: &Console, name: &str) -> Result<Scheduled, Problem> {
    let name = name.to_owned();
    let found = read(console, move |folders| find(folders, &name)).await?;
    found
        .ok_or_else(|| Problem::unknown("there is no audit or drill of this name, or it never ran"))
}

pub async fn history(
    State(console): State<Arc<Console>>,
    person: Person,
    Path(name): Path<String>,
) -> Answered {
    let one = known(&console, &name).await?;
    let runs = &one.history.runs;
    let body = html! {
        @if one.is_drill() { p.hint { (person.say(text("A drill: nothing of it is real.", "演练：其中内容均非真实。"))) } }
        @if one.history.unreadable > 0 {
            p.warning { (person.say(text("Lines of its history that could not be read:", "历史中无法读取的行数："))) " " (one.history.unreadable) }
        }
        @for skipped in one.history.skipped.iter().take(5) {
            p.hint { (person.say(text("Passed over:", "已跳过："))) " " (skipped.count) ", " (skipped.first) " – " (skipped.last) }
        }
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Runs", "运行记录"))) {
            table {
                thead { tr {
                    th scope="col" { (person.say(text("Began", "开始时间"))) }
                    th scope="col" { (person.say(text("For", "针对时间"))) }
                    th scope="col" { (person.say(text("Result", "结果"))) }
                    th scope="col" { (person.say(text("What it came to", "概要"))) }
                    th.number scope="col" { (person.say(text("Took", "耗时"))) }
                    th.number scope="col" { (person.say(text("Rows", "行数"))) }
                } }
                tbody { @for run in runs.iter().take(MOST_RUNS) {
                    @let found = run.ended.as_ref().and_then(|ended| ended.result.as_ref());
                    tr {
                        th scope="row" { a href={ "/audits/" (part(&one.name)) "/" (part(&run.began.run)) } { (shown::time(&run.at)) } }
                        td { (shown::time(&run.began.run_for)) }
                        td { (result(&person, run)) }
                        td { (brief(&person, run)) }
                        td.number { @if let Some(ended) = &run.ended { (span(ended.duration_ms)) } }
                        td.number { @if let Some(found) = found { (found.rows) } }
                    }
                } }
            }
        }
        @if runs.len() > MOST_RUNS { p.hint { "+ " (runs.len() - MOST_RUNS) } }
    };
    Ok(person.page(&one.name, &body))
}

pub async fn run(
    State(console): State<Arc<Console>>,
    person: Person,
    Path((name, run)): Path<(String, String)>,
) -> Answered {
    let one = known(&console, &name).await?;
    let unknown = || Problem::unknown("there is no such run");
    let known = one.history.run(&run).ok_or_else(unknown)?;
    let (folder, wanted) = (one.folder.clone(), run.clone());
    let has_report = read(&console, move |_| Ok(has_page(&folder, &wanted))).await?;
    let drill = known.ended.as_ref().and_then(|ended| ended.drill.as_ref());
    let drill = match drill.map(|figures| figures.drill.clone()) {
        Some(id) => {
            let folder = one.folder.clone();
            read(&console, move |_| DrillLine::find(&folder, &id)).await?
        }
        None => None,
    };
    let began = &known.began;
    let body = html! {
        p { (result(&person, known)) }
        @if let Some(problem) = known.ended.as_ref().and_then(|ended| ended.problem.as_ref()) { p.problem { (person.masked_text(problem)) } }
        dl.facts {
            dt { (person.say(text("Began", "开始时间"))) } dd { (shown::time(&known.at)) }
            dt { (person.say(text("For", "针对时间"))) } dd { (shown::time(&began.run_for)) }
            dt { (person.say(text("Started by", "启动方式"))) }
            dd { @if began.started_by == "schedule" { (person.say(text("the schedule", "定时"))) } @else { (person.say(text("a command", "命令"))) } }
            dt { (person.say(text("Of", "输入"))) } dd { (began.input) }
            @if let Some(ended) = &known.ended { dt { (person.say(text("Took", "耗时"))) } dd { (span(ended.duration_ms)) } }
        }
        @if let Some(found) = known.ended.as_ref().and_then(|ended| ended.result.as_ref()) { (figures(&person, found)) }
        @if let Some(drill) = &drill { (of_drill(&person, drill)) }
        @if has_report {
            @if person.may(Needs::Plain) {
                p { a.button href={ "/audits/" (part(&name)) "/" (part(&run)) "/report.html" } target="_blank" rel="noopener" { (person.say(text("Open the report", "打开报告"))) } }
            } @else {
                p.hint { (person.say(text("There is a report, which your role may not see: it names orders.", "存在报告，但您的角色无权查看：其中含订单编号。"))) }
            }
        } @else if drill.is_none() {
            p.hint { (person.say(text("Its report is not there, or not any more.", "报告不存在或已清理。"))) }
        }
    };
    let title = format!("{name} · {run}");
    Ok(person.page(&title, &body))
}

fn figures(person: &Person, found: &RunResult) -> Markup {
    html! {
        dl.figures {
            div { dt { (person.say(text("Findings", "异常"))) } dd { (found.findings) } }
            div { dt { (person.say(text("At risk", "风险金额"))) } dd {
                @if found.at_risk.is_empty() { "–" }
                @for (currency, amount) in &found.at_risk { span.number { (amount) " " (currency) " " } }
            } }
            div { dt { (person.say(text("Could not judge", "未能判定"))) } dd { (found.could_not_judge) } }
            div { dt { (person.say(text("In flight", "在途"))) } dd { (found.in_flight) } }
            div { dt { (person.say(text("Accepted", "已接受"))) } dd { (found.accepted) } }
            div { dt { (person.say(text("Rows", "行数"))) } dd { (found.rows) } }
            div { dt { (person.say(text("Rules", "规则数"))) } dd { (found.rules) } }
        }
        dl.facts {
            @if let Some(as_of) = &found.as_of { dt { (person.say(text("As of", "截至"))) } dd { (shown::time(as_of)) } }
            dt { (person.say(text("Version of the rules", "规则版本"))) } dd { code { (found.rules_version) } }
            @if let Some(compared) = &found.compared {
                dt { (person.say(text("Beside the run before", "与上次相比"))) }
                dd {
                    (compared.new) " " (person.say(text("new", "新增"))) ", "
                    (compared.still_there) " " (person.say(text("still there", "仍存在"))) ", "
                    (compared.gone) " " (person.say(text("gone", "消失"))) ", "
                    (compared.unsure) " " (person.say(text("not known", "未知")))
                    " (" (compared.with) ")"
                }
            }
        }
    }
}

fn of_drill(person: &Person, drill: &DrillLine) -> Markup {
    let verdict = |word: &str| match word {
        "detected" => (text("detected", "已发现"), "good"),
        "incomplete" => (text("incomplete", "不完整"), "doubt"),
        "unnoticed" => (text("UNNOTICED", "未发现"), "bad"),
        _ => (text("could not judge", "无法判定"), "doubt"),
    };
    let time = |milliseconds: Option<i64>| {
        milliseconds
            .and_then(|time| u64::try_from(time).ok())
            .map(span)
            .unwrap_or_default()
    };
    html! {
        dl.figures {
            div { dt { (person.say(text("Detected", "已发现"))) } dd { (drill.detected) } }
            div { dt { (person.say(text("Incomplete", "不完整"))) } dd { (drill.incomplete) } }
            div { dt { (person.say(text("Unnoticed", "未发现"))) } dd { (drill.unnoticed) } }
            div { dt { (person.say(text("Could not judge", "无法判定"))) } dd { (drill.could_not_judge) } }
            div { dt { (person.say(text("False alarms", "误报"))) } dd { (drill.false_alarms) } }
            @if let Some(breaker) = &drill.breaker {
                div { dt { (person.say(text("Held by its breaker", "演练熔断拦截"))) } dd { (breaker.held.requests) ", " (breaker.held.amount) " " (breaker.held.currency) } }
            }
        }
        @for problem in &drill.problems { p.warning { (problem) } }
        div.scroll role="region" tabindex="0" aria-label=(person.say(text("Faults", "故障"))) {
            table {
                thead { tr {
                    th scope="col" { (person.say(text("Fault", "故障"))) }
                    th scope="col" { (person.say(text("Verdict", "结论"))) }
                    th scope="col" { (person.say(text("By rule", "发现规则"))) }
                    th.number scope="col" { (person.say(text("Took", "耗时"))) }
                    th.number scope="col" { (person.say(text("Due after", "期限"))) }
                } }
                tbody { @for fault in &drill.faults {
                    @let (told, class) = verdict(&fault.verdict);
                    tr {
                        th scope="row" { (fault.kind) }
                        td { span class={ "badge " (class) } { (person.say(told)) } }
                        td { @if let Some(rule) = &fault.rule { a href={ "/rules/" (part(rule)) } { (rule) } } }
                        td.number { (time(fault.took_ms)) }
                        td.number { (time(fault.due_ms)) }
                    }
                } }
            }
        }
    }
}

/// The report as it was written.
pub async fn report(
    State(console): State<Arc<Console>>,
    _person: Person,
    Path((name, run)): Path<(String, String)>,
) -> Answered {
    let one = known(&console, &name).await?;
    let unknown = || Problem::unknown("this run left no report, or it is not there any more");
    one.history.run(&run).ok_or_else(unknown)?;
    let bytes = read(&console, move |_| match page(&one.folder, &run) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    });
    let mut response = Html(bytes.await?.ok_or_else(unknown)?).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(SANDBOX),
    );
    Ok(response)
}
