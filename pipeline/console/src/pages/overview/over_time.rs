//! Findings by day, as a chart and as a table.

use std::collections::BTreeMap;

use centinel_findings::{By, Filter, FindingsError, Store};
use centinel_model::{Duration, Timestamp, Verdict};
use maud::{Markup, html};
use serde::Serialize;

use crate::language::{Text, text};
use crate::visit::{Person, address};
use crate::words::{self, SEVERITIES};

/// Systems that are drawn; the others are in the list of findings.
const MOST_SYSTEMS: usize = 6;
const SPANS: [i64; 3] = [7, 30, 90];
const DAY: i64 = 86_400;

/// What the address asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    by_system: bool,
    days: i64,
    /// The first one, in days since 1970.
    first: i64,
}

/// Numbers of findings, by name and day.
#[derive(Clone, Debug, Default)]
pub struct OverTime {
    days: Vec<i64>,
    lines: Vec<(String, Vec<u64>)>,
}

impl Wanted {
    pub fn of(query: &[(String, String)], now: Timestamp) -> Wanted {
        let value = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let days = value("days").and_then(|days| days.parse().ok());
        let days = days.filter(|days| SPANS.contains(days)).unwrap_or(30);
        Wanted {
            by_system: value("by") == Some("system"),
            days,
            first: now.0.div_euclid(DAY * 1_000_000) - days + 1,
        }
    }

    pub fn query(&self) -> Vec<(&'static str, &'static str)> {
        let days = match self.days {
            7 => "7",
            90 => "90",
            _ => "30",
        };
        vec![
            ("by", if self.by_system { "system" } else { "severity" }),
            ("days", days),
        ]
    }
}

/// Findings of these days but those that were cleared, by the day since which they are broken.
pub fn of(store: &Store, wanted: &Wanted) -> Result<OverTime, FindingsError> {
    let days: Vec<i64> = (wanted.first..wanted.first + wanted.days).collect();
    let start = Timestamp(0).plus(Duration::seconds(wanted.first * DAY));
    let of = |filter: Filter| -> Result<Vec<u64>, FindingsError> {
        let filter = Filter {
            from: Some(start),
            until: Some(start.plus(Duration::seconds(wanted.days * DAY))),
            verdicts: vec![
                Verdict::Suspected,
                Verdict::Confirmed,
                Verdict::Undetermined,
                Verdict::Recovered,
                Verdict::RuleChanged,
            ],
            ..filter
        };
        let figures = store.figures(&filter, By::Day)?;
        let known: BTreeMap<&str, u64> = figures
            .iter()
            .map(|figure| (figure.name.as_str(), figure.findings))
            .collect();
        Ok(days
            .iter()
            .map(|day| known.get(name_of(*day).as_str()).copied().unwrap_or(0))
            .collect())
    };
    let mut lines = vec![];
    if wanted.by_system {
        let mut systems = store.figures(&Filter::default(), By::System)?;
        systems.retain(|figure| !figure.name.is_empty());
        systems.sort_by_key(|figure| std::cmp::Reverse(figure.findings));
        for system in systems.into_iter().take(MOST_SYSTEMS) {
            let filter = Filter {
                systems: vec![system.name.clone()],
                ..Filter::default()
            };
            lines.push((system.name, of(filter)?));
        }
    } else {
        for severity in SEVERITIES {
            let filter = Filter {
                severities: vec![severity],
                ..Filter::default()
            };
            lines.push((severity.as_str().to_owned(), of(filter)?));
        }
    }
    Ok(OverTime { days, lines })
}

/// A day as people write it: `2026-11-22`.
fn name_of(day: i64) -> String {
    let text = Timestamp(0).plus(Duration::seconds(day * DAY)).to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// As the script draws it.
#[derive(Serialize)]
struct Chart<'a> {
    /// Seconds since 1970.
    x: Vec<i64>,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    /// The name of its colour.
    colour: String,
    y: &'a [u64],
}

pub fn shown(person: &Person, wanted: &Wanted, over_time: &OverTime) -> Markup {
    let named = |name: &str| -> String {
        let severity = SEVERITIES
            .into_iter()
            .find(|severity| severity.as_str() == name);
        match severity.filter(|_| !wanted.by_system) {
            Some(severity) => person.say(words::severity(severity)).to_owned(),
            None => name.to_owned(),
        }
    };
    let names: Vec<String> = over_time
        .lines
        .iter()
        .map(|(name, _)| named(name))
        .collect();
    let chart = Chart {
        x: over_time.days.iter().map(|day| day * DAY).collect(),
        lines: over_time
            .lines
            .iter()
            .zip(&names)
            .enumerate()
            .map(|(at, ((name, y), shown))| Line {
                name: shown,
                colour: match wanted.by_system {
                    true => format!("line-{}", at + 1),
                    false => format!("severity-{name}"),
                },
                y,
            })
            .collect(),
    };
    let title = text("Findings over time", "异常趋势");
    html! {
        section.card aria-labelledby="over-time" {
            h2 #over-time { (person.say(title)) }
            p.hint { (person.say(text(
                "By the day (UTC) since which they are broken; those that were cleared are left out.",
                "按异常起始日（UTC）统计，不含已排除的异常。",
            ))) }
            (choices(person, wanted))
            @if over_time.lines.is_empty() {
                p.empty { (person.say(text("No rule says which systems it reads.", "没有规则与系统的对应关系。"))) }
            } @else {
                // What is drawn stands in the table below, too.
                div.chart data-chart=(serde_json::to_string(&chart).unwrap_or_default()) aria-hidden="true" {}
                details {
                    summary { (person.say(text("As a table", "以表格显示"))) }
                    div.scroll role="region" tabindex="0" aria-label=(person.say(title)) {
                        table {
                            caption.hidden { (person.say(title)) }
                            thead { tr {
                                th scope="col" { (person.say(text("Day", "日期"))) }
                                @for name in &names { th.number scope="col" { (name) } }
                            } }
                            tbody {
                                @for (at, day) in over_time.days.iter().enumerate().rev() {
                                    tr {
                                        th scope="row" { (name_of(*day)) }
                                        @for (_, numbers) in &over_time.lines { td.number { (numbers[at]) } }
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

fn choices(person: &Person, wanted: &Wanted) -> Markup {
    let by: [(&str, bool, Text); 2] = [
        ("severity", !wanted.by_system, text("By severity", "按级别")),
        ("system", wanted.by_system, text("By system", "按系统")),
    ];
    let days = wanted.days.to_string();
    let kept = if wanted.by_system {
        "system"
    } else {
        "severity"
    };
    html! {
        div.switches {
            ul { @for (word, here, name) in by {
                li { a href=(address("/", [("by", word), ("days", days.as_str())])) aria-current=[here.then_some("true")] { (person.say(name)) } }
            } }
            ul { @for span in SPANS {
                li { a href=(address("/", [("by", kept), ("days", span.to_string().as_str())])) aria-current=[(span == wanted.days).then_some("true")] {
                    (span) " " (person.say(text("days", "天"))) } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_with_today() {
        let now = Timestamp::parse("2026-11-22T23:59:59Z").unwrap_or(Timestamp(0));
        let wanted = Wanted::of(&[("days".into(), "7".into())], now);
        assert_eq!(name_of(wanted.first), "2026-11-16");
        assert_eq!(name_of(wanted.first + wanted.days - 1), "2026-11-22");
        let other = Wanted::of(
            &[
                ("days".into(), "100000".into()),
                ("by".into(), "<b>".into()),
            ],
            now,
        );
        assert_eq!((other.days, other.by_system), (30, false));
    }
}
