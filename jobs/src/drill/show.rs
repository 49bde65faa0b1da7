//! A drill's outcome for people and for programs. Every line says that it is a drill's.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use super::Drilled;
use super::judge::seconds;
use super::outcome::{FaultOutcome, Moved, Verdict};
use crate::exit::Status;
use crate::printer::{Printer, counted};

/// The schema id of a line about one fault. Fields may be added within a version, never changed or removed.
const FAULT_SCHEMA: &str = "centinel/drill-fault/1";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for each fault, for people
    Table,
    /// One JSON object in each line: the faults, then the drill as it stands in its history
    Jsonl,
}

#[derive(Serialize)]
struct FaultLine<'a> {
    schema: &'static str,
    drill: &'a str,
    #[serde(flatten)]
    outcome: &'a FaultOutcome,
}

/// Writes it, and gives the status that is left when all of it was written.
pub fn show<W: Write>(
    drilled: &Drilled,
    format: Format,
    mut printer: Printer<W>,
    status: Status,
) -> Status {
    let lines = match format {
        Format::Table => table(drilled),
        Format::Jsonl => match jsonl(drilled) {
            Ok(lines) => lines,
            Err(error) => {
                crate::printer::complain(format_args!("error: {error}"));
                return Status::CouldNotJudge;
            }
        },
    };
    lines.iter().for_each(|line| printer.line(line));
    printer.finish(status)
}

fn jsonl(drilled: &Drilled) -> serde_json::Result<Vec<String>> {
    let line = |outcome| {
        serde_json::to_string(&FaultLine {
            schema: FAULT_SCHEMA,
            drill: &drilled.line.drill,
            outcome,
        })
    };
    let faults = drilled.faults.iter().map(line);
    let last = std::iter::once_with(|| serde_json::to_string(&drilled.line));
    faults.chain(last).collect()
}

fn table(drilled: &Drilled) -> Vec<String> {
    let line = &drilled.line;
    let mut lines = vec![format!(
        "DRILL {}: nothing here is real. {}; {}, {}",
        line.drill,
        played(drilled),
        counted(drilled.faults.len() as u64, "fault", "faults"),
        counted(line.rules, "rule", "rules"),
    )];
    lines.extend(columns(drilled));
    for fault in &drilled.faults {
        for problem in &fault.problems {
            lines.push(format!("{}: {problem}", fault.kind));
        }
    }
    lines.extend(line.problems.iter().cloned());
    lines.push(format!(
        "detected {}, incomplete {}, unnoticed {}, could not judge {}, false alarms {}; {}.{} s",
        line.detected,
        line.incomplete,
        line.unnoticed,
        line.could_not_judge,
        line.false_alarms,
        line.duration_ms / 1_000,
        line.duration_ms % 1_000 / 100,
    ));
    if let Some(breaker) = &line.breaker {
        lines.push(format!(
            "the drill's breaker: {} asked, {}, {} held ({})",
            counted(breaker.asked, "question", "questions"),
            counted(breaker.trips, "trip", "trips"),
            breaker.held.requests,
            money(&breaker.held),
        ));
    }
    lines.extend(compared(drilled));
    lines
}

fn played(drilled: &Drilled) -> String {
    let line = &drilled.line;
    match line.input.as_str() {
        "simulated" => format!(
            "A simulated platform, seed {}, {} orders",
            line.seed, line.orders
        ),
        copy => format!("Copies of {} orders of {copy}", line.orders),
    }
}

/// The faults in columns.
fn columns(drilled: &Drilled) -> Vec<String> {
    let dash = || "-".to_owned();
    let span = |milliseconds: Option<i64>| milliseconds.map_or_else(dash, seconds);
    let mut rows = vec![
        [
            "fault",
            "loss",
            "outcome",
            "first rule",
            "took",
            "due",
            "at risk",
            "held",
            "leaked",
        ]
        .map(str::to_owned),
    ];
    for fault in &drilled.faults {
        let of = |moved: Option<&Moved>| match moved {
            Some(moved) if moved.requests > 0 => format!("{} ({})", moved.amount, moved.requests),
            _ => dash(),
        };
        rows.push([
            fault.kind.clone(),
            fault.loss_class.clone(),
            fault.verdict.told().to_owned(),
            fault.rule.clone().unwrap_or_else(dash),
            span(fault.took_ms),
            span(fault.due_ms),
            fault.at_risk.clone().unwrap_or_else(dash),
            match &fault.breaker {
                Some(breaker) if breaker.trips.is_empty() => "no trip".to_owned(),
                breaker => of(breaker.as_ref().map(|breaker| &breaker.held)),
            },
            of(fault.breaker.as_ref().map(|breaker| &breaker.leaked)),
        ]);
    }
    let without_breaker = drilled.line.breaker.is_none();
    let used = if without_breaker { 7 } else { 9 };
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..used).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(widths.iter().copied()).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0..4 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

fn compared(drilled: &Drilled) -> Vec<String> {
    let Some(compared) = &drilled.line.compared else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let mut list = |what: &str, kinds: &[String]| {
        if !kinds.is_empty() {
            lines.push(format!(
                "{what} drill {}: {}",
                compared.with,
                kinds.join(", ")
            ));
        }
    };
    list("worse than in", &compared.worse);
    list("better than in", &compared.better);
    for slower in &compared.slower {
        lines.push(format!(
            "slower than in drill {}: {}, {} instead of {}",
            compared.with,
            slower.kind,
            seconds(slower.now_ms),
            seconds(slower.before_ms),
        ));
    }
    if lines.is_empty() {
        lines.push(match compared.same_course {
            true => format!("as in drill {}", compared.with),
            false => format!(
                "none worse than in drill {}, which played something else",
                compared.with
            ),
        });
    }
    lines
}

/// An amount with its currency.
pub fn money(moved: &Moved) -> String {
    format!("{} {}", moved.amount, moved.currency)
}

/// The drill in one line.
pub fn told(drilled: &Drilled) -> String {
    let line = &drilled.line;
    let of = |verdict: Verdict| -> Vec<&str> {
        let faults = drilled
            .faults
            .iter()
            .filter(|fault| fault.verdict == verdict);
        faults.map(|fault| fault.kind.as_str()).collect()
    };
    let mut told = format!(
        "{} of {} faults detected",
        line.detected,
        drilled.faults.len()
    );
    for (verdict, word) in [
        (Verdict::Unnoticed, "unnoticed"),
        (Verdict::Incomplete, "incomplete"),
        (Verdict::CouldNotJudge, "could not be judged"),
    ] {
        let kinds = of(verdict);
        if !kinds.is_empty() {
            told.push_str(&format!(", {word}: {}", kinds.join(", ")));
        }
    }
    told
}
