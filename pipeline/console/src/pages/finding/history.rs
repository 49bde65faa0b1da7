//! What happened to a finding, from its first day on.

use centinel_findings::{Entry, What};
use maud::{Markup, html};

use super::evidence;
use crate::language::text;
use crate::shown;
use crate::visit::Person;
use crate::words;

pub fn list(person: &Person, entries: &[Entry]) -> Markup {
    html! {
        ol.history {
            @for entry in entries {
                li .of-people[!matches!(entry.what, What::Told { .. } | What::Worse { .. })] {
                    div.when { (shown::time(&entry.at)) " · " (by(person, &entry.by)) }
                    (what(person, &entry.what))
                }
            }
        }
    }
}

/// Who did it: a person, or detection.
fn by(person: &Person, by: &str) -> Markup {
    html! { @if by == "detection" { (person.say(text("detection", "检测"))) } @else { strong { (person.masked_text(by)) } } }
}

/// What happened, in a line and what was said.
pub fn what(person: &Person, what: &What) -> Markup {
    let said = |said: &str| html! { p.said { (person.masked_text(said)) } };
    html! {
        span.what { (person.say(words::what(what))) } " "
        @match what {
            What::Told { finding } => {
                (shown::verdict(person, finding.verdict)) " "
                (shown::amount(finding.amount.as_deref(), finding.currency.as_deref()))
                details {
                    summary { (person.say(text("Evidence as it was then", "当时的证据"))) }
                    p.hint { (person.say(text("Judged as of", "判定时间"))) " " (shown::time(&finding.judged_at)) " UTC" }
                    (evidence::table(person, finding, None))
                }
            },
            What::Acknowledged { reason } => @if let Some(reason) = reason { (said(reason)) },
            What::Resolved { reason } | What::FalseAlarm { reason } | What::Reopened { reason } | What::Worse { reason } => (said(reason)),
            What::Assigned { owner } => @match owner {
                Some(owner) => { "→ " (person.masked_text(owner)) },
                None => (person.say(text("to its rule's owner", "退回给规则负责人"))),
            },
            What::Note { text } => (said(text)),
        }
    }
}
