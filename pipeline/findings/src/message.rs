//! One line of detection's file → what it says.

use std::borrow::Cow;

use centinel_model::{Amount, FINDING_SCHEMA, Finding, SUSPICION_SCHEMA, Timestamp, is_self_check};
use serde::Deserialize;

use crate::life::Told;

const HOLE_SCHEMA: &str = "centinel/hole/1";
const NOTE_SCHEMA: &str = "centinel/note/1";
const SOURCE_SCHEMA: &str = "centinel/source/1";
const PLAN_SCHEMA: &str = "centinel/plan/1";
const SETTLED_SCHEMA: &str = "centinel/settled/1";

/// Longer names are none of detection's.
const LONGEST_NAME: usize = 1_000;

pub(crate) enum Message {
    Finding {
        finding: Box<Finding>,
        told: Told,
    },
    /// By its number.
    Hole(u64),
    /// What became of such a record, by its number.
    Settled(u64),
    /// By table and message.
    Note(String),
    /// By its source.
    Source(String),
    /// By plan and time.
    Plan(String),
    /// What is only suspected, which is told to the circuit breaker alone; and what Centinel's check of itself found, which
    /// is no business.
    PassedOver,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Hole {
    number: u64,
}

#[derive(Deserialize)]
struct Note {
    table: String,
    message: String,
}

#[derive(Deserialize)]
struct Source {
    source: String,
}

#[derive(Deserialize)]
struct Plan {
    plan: String,
    until: String,
}

/// Reads a line, or says why it is none.
pub(crate) fn read(line: &str) -> Result<Message, String> {
    let head: Head = form(line, "a message")?;
    match head.schema.as_ref() {
        FINDING_SCHEMA => {
            let finding: Finding = form(line, "a finding")?;
            if is_self_check(&finding.rule) {
                return Ok(Message::PassedOver);
            }
            let told = told(&finding)?;
            Ok(Message::Finding {
                finding: Box::new(finding),
                told,
            })
        }
        HOLE_SCHEMA => Ok(Message::Hole(number(
            "number",
            form::<Hole>(line, "a hole")?.number,
        )?)),
        SETTLED_SCHEMA => Ok(Message::Settled(number(
            "number",
            form::<Hole>(line, "what became of a hole")?.number,
        )?)),
        NOTE_SCHEMA => {
            let Note { table, message } = form(line, "a note")?;
            Ok(Message::Note(format!("{table}\n{message}")))
        }
        SOURCE_SCHEMA => Ok(Message::Source(
            form::<Source>(line, "a message on a source")?.source,
        )),
        PLAN_SCHEMA => {
            let Plan { plan, until } = form(line, "a message on a plan")?;
            Ok(Message::Plan(format!("{plan}\n{until}")))
        }
        SUSPICION_SCHEMA => Ok(Message::PassedOver),
        _ => Err("its schema is not one that this program reads".into()),
    }
}

fn form<'a, T: Deserialize<'a>>(line: &'a str, what: &str) -> Result<T, String> {
    // What is wrong is told by its place; values may be sensitive.
    serde_json::from_str(line)
        .map_err(|error| format!("it is not {what} (column {})", error.column()))
}

fn number(what: &str, number: u64) -> Result<u64, String> {
    match number {
        1..=0x7fff_ffff_ffff_ffff => Ok(number),
        _ => Err(format!("its {what} is not one that counts from 1")),
    }
}

fn told(finding: &Finding) -> Result<Told, String> {
    number("sequence", finding.sequence)?;
    for (what, name) in [
        ("finding_id", finding.finding_id.0.as_str()),
        ("rule", &finding.rule),
        ("owner", &finding.owner),
        ("entity", &finding.entity),
        ("entity_key", &finding.entity_key),
        ("currency", finding.currency.as_deref().unwrap_or("-")),
    ] {
        if name.len() > LONGEST_NAME {
            return Err(format!("its {what} is longer than {LONGEST_NAME} bytes"));
        }
    }
    let amount = finding.amount.as_deref().map(|text| {
        let amount = Amount::exact(text).ok().filter(|amount| amount.units >= 0);
        amount.ok_or("its amount is no plain decimal number from 0 on")
    });
    moment(&finding.judged_at).ok_or("its judged_at is no time")?;
    Ok(Told {
        verdict: finding.verdict,
        occurrence: finding.occurrence,
        amount: amount.transpose()?,
        currency: finding.currency.clone(),
        anchor: moment(&finding.anchor).ok_or("its anchor is no time")?.0,
    })
}

/// A time as detection writes it: the clock of a source that has ended stands at the end.
fn moment(text: &str) -> Option<Timestamp> {
    let edges = [Timestamp::MIN, Timestamp::MAX];
    let edge = edges.into_iter().find(|edge| edge.to_string() == text);
    edge.or_else(|| Timestamp::parse(text).ok())
}
