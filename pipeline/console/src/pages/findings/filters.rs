//! The form that says which findings are listed.

use std::borrow::Cow;

use centinel_findings::{By, Filter, FindingsError, Handling, Order, Store, life};
use maud::{Markup, html};

use crate::language::text;
use crate::mask;
use crate::role::Needs;
use crate::selection::Selection;
use crate::visit::Person;
use crate::words;

/// Names that one can choose from; more are typed.
const MOST_CHOICES: usize = 300;

/// What there is to choose from.
pub struct Choices {
    rules: Vec<String>,
    systems: Vec<String>,
    owners: Vec<String>,
    currencies: Vec<String>,
}

impl Choices {
    /// As the store has it.
    pub fn of(store: &Store) -> Result<Choices, FindingsError> {
        let names = |by: By| -> Result<Vec<String>, FindingsError> {
            let figures = store.figures(&Filter::default(), by)?;
            let names = figures.into_iter().map(|figure| figure.name);
            Ok(names
                // One that would steer the display is found by words alone.
                .filter(|name| !name.is_empty() && mask::visible(name) == *name)
                .take(MOST_CHOICES)
                .collect())
        };
        Ok(Choices {
            rules: names(By::Rule)?,
            systems: names(By::System)?,
            owners: names(By::Owner)?,
            currencies: names(By::Currency)?,
        })
    }
}

fn checks<'a>(
    name: &'a str,
    legend: &'a str,
    options: impl Iterator<Item = (&'static str, &'static str, bool)>,
) -> Markup {
    html! {
        fieldset {
            legend { (legend) }
            @for (value, shown, chosen) in options {
                label.check { input type="checkbox" name=(name) value=(value) checked[chosen]; " " (shown) }
            }
        }
    }
}

fn choice(
    person: &Person,
    name: &str,
    label: &str,
    options: &[String],
    chosen: &[String],
) -> Markup {
    let chosen = chosen.first().map_or("", String::as_str);
    html! {
        div.field {
            label for={ "filter-" (name) } { (label) }
            select id={ "filter-" (name) } name=(name) {
                option value="" { (person.say(text("all", "全部"))) }
                @if !chosen.is_empty() && !options.iter().any(|option| option == chosen) {
                    option value=(mask::visible(chosen)) selected { (person.masked_text(chosen)) }
                }
                @for option in options {
                    option value=(option) selected[option == chosen] { (person.masked_text(option)) }
                }
            }
        }
    }
}

fn value<'a>(person: &'a Person, name: &str) -> Cow<'a, str> {
    let found = person.visit.query.iter().find(|(key, _)| key == name);
    found.map_or(Cow::Borrowed(""), |(_, value)| mask::visible(value))
}

pub fn form(person: &Person, selection: &Selection, choices: &Choices) -> Markup {
    let filter = &selection.filter;
    let open = match filter.open {
        Some(true) => "yes",
        Some(false) => "no",
        None => "all",
    };
    let opens = [
        ("yes", text("open", "待处理")),
        ("no", text("closed", "已关闭")),
        ("all", text("all", "全部")),
    ];
    html! {
        details.filters open[!selection.is_plain()] {
            summary { (person.say(text("Filters", "筛选条件"))) }
            form method="get" action="/findings" role="search" {
                div.field {
                    label for="filter-words" { (person.say(text("Words", "关键词"))) }
                    input #filter-words name="words" type="search" value=(value(person, "words")) maxlength="200"
                        placeholder=(person.say(text("in keys, evidence, notes", "编号、证据、备注")));
                }
                div.field {
                    label for="filter-entity" { (person.say(text("Number of its order or other entity", "订单号或其他编号"))) }
                    input #filter-entity name="entity" value=(value(person, "entity")) maxlength="1000" autocomplete="off" spellcheck="false";
                }
                div.field {
                    label for="filter-open" { (person.say(text("State", "状态"))) }
                    select #filter-open name="open" {
                        @for (word, name) in opens { option value=(word) selected[word == open] { (person.say(name)) } }
                    }
                }
                (choice(person, "rule", person.say(text("Rule", "规则")), &choices.rules, &filter.rules))
                (choice(person, "system", person.say(text("System", "系统")), &choices.systems, &filter.systems))
                (choice(person, "owner", person.say(text("Owner", "负责人")), &choices.owners, &filter.owners))
                (choice(person, "currency", person.say(text("Currency", "币种")), &choices.currencies, &filter.currencies))
                div.field {
                    label for="filter-from" { (person.say(text("Since, from (UTC)", "起始时间，从（UTC）"))) }
                    input #filter-from name="from" type="date" value=(day(&value(person, "from")));
                }
                div.field {
                    label for="filter-until" { (person.say(text("before (UTC)", "早于（UTC）"))) }
                    input #filter-until name="until" type="date" value=(day(&value(person, "until")));
                }
                @if selection.order == Order::Money { input type="hidden" name="order" value="money"; }
                (checks("severity", person.say(text("Severity", "级别")), words::SEVERITIES.into_iter().map(|severity| {
                    (severity.as_str(), person.say(words::severity(severity)), filter.severities.contains(&severity))
                })))
                (checks("verdict", person.say(text("Verdict", "检测结论")), life::VERDICTS.into_iter().map(|verdict| {
                    (life::verdict_word(verdict), person.say(words::verdict(verdict)), filter.verdicts.contains(&verdict))
                })))
                (checks("handling", person.say(text("Handling", "处理状态")), Handling::ALL.into_iter().map(|handling| {
                    (handling.as_str(), person.say(words::handling(handling)), filter.handlings.contains(&handling))
                })))
                div.buttons {
                    button type="submit" { (person.say(text("Show", "查询"))) }
                    a.button.quiet href="/findings" { (person.say(text("Clear", "清除"))) }
                }
                @if !person.may(Needs::Plain) {
                    p.hint { (person.say(text("Your role sees numbers and names masked.", "您的角色只能看到脱敏后的编号和姓名。"))) }
                }
            }
        }
    }
}

/// What a field for days takes.
fn day(text: &str) -> &str {
    text.get(..10).unwrap_or_default()
}
