//! What a step is, in a few words.

use centinel_model::Verdict;
use centinel_trace::{BREAKER_LANE, BreakerAct, PEOPLE_LANE, RULES_LANE, Step, What};

use crate::language::{Text, text};
use crate::visit::Person;

/// The name of a lane.
pub fn lane<'a>(person: &Person, name: &'a str) -> &'a str {
    match name {
        RULES_LANE => person.say(text("Rules", "规则")),
        BREAKER_LANE => person.say(text("Breaker", "熔断")),
        PEOPLE_LANE => person.say(text("People", "人员")),
        system => system,
    }
}

/// How a row came to be.
pub fn operation(word: &str) -> Text {
    match word {
        "insert" => text("inserted", "新增"),
        "update" => text("updated", "修改"),
        "delete" => text("deleted", "删除"),
        _ => text("from a snapshot", "来自快照"),
    }
}

/// What is known.
pub fn verdict(verdict: Verdict) -> Text {
    match verdict {
        Verdict::Suspected => text("suspected", "疑似"),
        Verdict::Confirmed => text("confirmed", "已确认"),
        Verdict::Cleared => text("cleared", "已排除"),
        Verdict::Recovered => text("recovered", "已恢复"),
        Verdict::Undetermined => text("could not be judged", "无法判定"),
        Verdict::RuleChanged => text("rule changed", "规则已变更"),
    }
}

/// What the breaker did.
pub fn act(act: BreakerAct) -> Text {
    match act {
        BreakerAct::Proposed => text("trip proposed", "提议熔断"),
        BreakerAct::Tripped => text("tripped", "熔断"),
        BreakerAct::Held => text("held", "拦截"),
        BreakerAct::ReleaseProposed => text("release proposed", "提议解除"),
        BreakerAct::Resumed => text("resumed", "放行"),
        BreakerAct::Rejected => text("rejected", "拒绝"),
        BreakerAct::Ended => text("trip ended", "熔断结束"),
    }
}

/// What a person did with a finding.
pub fn handled(act: &str) -> Text {
    match act {
        "acknowledged" => text("acknowledged", "已知悉"),
        "resolved" => text("resolved", "已处理"),
        "false_alarm" => text("false alarm", "误报"),
        "reopened" => text("reopened", "重新打开"),
        "worse" => text("became worse", "恶化"),
        "assigned" => text("assigned", "已指派"),
        _ => text("note", "备注"),
    }
}

/// A step in a few words: what stands in its cell.
pub fn short(person: &Person, step: &Step) -> String {
    match &step.what {
        What::Row(row) if row.event => row.table.clone(),
        What::Row(row) => {
            let operation = person.say(operation(&row.operation));
            let mut said = format!("{} {operation}", row.table);
            if row.operation == "update" && row.before_known {
                let changed = row.columns.iter().filter(|column| column.changed);
                let names: Vec<&str> = changed.map(|column| column.column.as_str()).collect();
                if !names.is_empty() {
                    let more = if names.len() > 3 { ", …" } else { "" };
                    said.push_str(&format!(
                        ": {}{more}",
                        names[..names.len().min(3)].join(", ")
                    ));
                }
            }
            said
        }
        What::Finding(finding) => {
            let verdict = person.say(verdict(finding.verdict));
            match &finding.amount {
                Some((amount, currency)) => {
                    format!("{} {verdict} {amount} {currency}", finding.rule)
                }
                None => format!("{} {verdict}", finding.rule),
            }
        }
        What::Person(act) => person.say(handled(&act.act)).to_owned(),
        What::Breaker(breaker) => {
            let act = person.say(act(breaker.act));
            match (
                &breaker.amount,
                breaker.trip.as_ref().or(breaker.release.as_ref()),
            ) {
                (Some((amount, currency)), _) => format!("{act} {amount} {currency}"),
                (None, Some(name)) => format!("{act} {name}"),
                (None, None) => act.to_owned(),
            }
        }
    }
}

/// How grave a step is, as a class: what to look at first.
pub fn kind(step: &Step) -> &'static str {
    match &step.what {
        _ if step.by_hand => "by-hand",
        What::Row(row) if row.event => "event",
        What::Row(_) => "row",
        What::Finding(finding) => match finding.verdict {
            Verdict::Confirmed => "bad",
            Verdict::Suspected | Verdict::Undetermined => "doubt",
            Verdict::Cleared | Verdict::Recovered | Verdict::RuleChanged => "good",
        },
        What::Person(_) => "person",
        What::Breaker(breaker) => match breaker.act {
            BreakerAct::Resumed | BreakerAct::Ended => "good",
            _ => "breaker",
        },
    }
}
