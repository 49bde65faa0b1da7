//! `centinel findings show`.

use centinel_findings::{Entry, MOST_ENTRIES, Row, What, life};
use centinel_model::Finding;
use clap::{Args, ValueEnum};

use super::list::state;
use super::open::{Opened, Place};
use super::refuse;
use super::shown::{lines, one_line};
use crate::exit::Status;
use crate::printer::{Printer, counted};

/// Which finding is shown.
#[derive(Args, Debug)]
pub struct ShowArguments {
    #[command(flatten)]
    place: Place,
    /// The finding's id, or how it begins
    #[arg(value_name = "FINDING")]
    finding: String,
    /// With the evidence as it was told under this sequence
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The finding as `export` writes it, then each entry of its history; one JSON object in each line
    Jsonl,
}

impl ShowArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let Opened { store, status } = self.place.open()?;
        let fail = |error| refuse(&error);
        let id = store.id_that_begins(&self.finding).map_err(fail)?;
        let Some(mut row) = store.get(&id).map_err(fail)? else {
            return Err(Status::CouldNotJudge);
        };
        if let Some(sequence) = self.sequence {
            let Some(finding) = store.told(&id, sequence).map_err(fail)? else {
                crate::printer::complain(format_args!(
                    "error: nothing was told of this finding under the sequence {sequence}"
                ));
                return Err(Status::WrongUsage);
            };
            row.finding = finding;
        }
        let mut printer = Printer::stdout();
        match self.format {
            Format::Text => printer.line(head(&row)),
            Format::Jsonl => printer.line(row.exported().map_err(fail)?),
        }
        let mut after = 0;
        loop {
            let entries = store.history(&id, after, MOST_ENTRIES).map_err(fail)?;
            let Some(last) = entries.last() else {
                break;
            };
            after = last.number;
            for entry in &entries {
                match self.format {
                    Format::Text => printer.line(said(entry)),
                    Format::Jsonl => match serde_json::to_string(entry) {
                        Ok(line) => printer.line(line),
                        Err(_) => return Err(Status::CouldNotJudge),
                    },
                }
            }
        }
        let status = status.max(if row.open {
            Status::Findings
        } else {
            Status::Clean
        });
        Ok(printer.finish(status))
    }
}

/// The finding itself, for a person.
fn head(row: &Row) -> String {
    let finding = &row.finding;
    let mut text = vec![
        format!("{} {}", finding.finding_id, finding.title),
        format!("  {} {}, {}", finding.severity, finding.rule, state(row)),
        format!(
            "  {} {}, since {}, owner {}",
            finding.entity, finding.entity_key, row.since, row.owner
        ),
    ];
    if let Some(amount) = &finding.amount {
        text.push(format!(
            "  at risk: {amount} {}",
            finding.currency.as_deref().unwrap_or_default()
        ));
    }
    text.extend(finding.hint.as_ref().map(|hint| format!("  {hint}")));
    if row.missing > 0 {
        let missing = counted(row.missing, "message of it was", "messages of it were");
        text.push(format!("  {missing} never taken in"));
    }
    let mut text: Vec<String> = text.iter().map(|line| one_line(line)).collect();
    text.extend(evidence(finding));
    text.push(format!("  history (the last entry is {}):", row.last_entry));
    text.join("\n")
}

fn evidence(finding: &Finding) -> Vec<String> {
    let mut text = Vec::new();
    for (at, row) in finding.evidence.rows.iter().enumerate() {
        text.push(format!(
            "  evidence {} of {}:",
            at + 1,
            finding.evidence.total
        ));
        for (column, value) in row {
            let value = value.as_deref().unwrap_or("null");
            text.push(one_line(&format!("    {column}: {value}")));
        }
    }
    text
}

/// One entry, for a person.
fn said(entry: &Entry) -> String {
    let (what, words) = match &entry.what {
        What::Told { finding } => (told(finding), None),
        What::Acknowledged { reason } => ("acknowledged".to_owned(), reason.as_ref()),
        What::Resolved { reason } => ("resolved".to_owned(), Some(reason)),
        What::FalseAlarm { reason } => ("called it a false alarm".to_owned(), Some(reason)),
        What::Reopened { reason } => ("open again".to_owned(), Some(reason)),
        What::Worse { reason } => ("worse".to_owned(), Some(reason)),
        What::Assigned { owner: Some(owner) } => (format!("given to {owner}"), None),
        What::Assigned { owner: None } => ("given back to its rule's owner".to_owned(), None),
        What::Note { text } => ("note".to_owned(), Some(text)),
    };
    let mut text = one_line(&format!(
        "    {} {} {}: {what}",
        entry.number, entry.at, entry.by
    ));
    if let Some(words) = words {
        text.push('\n');
        text.push_str(&lines(words, "      "));
    }
    text
}

fn told(finding: &Finding) -> String {
    let mut text = format!(
        "{} (sequence {})",
        life::verdict_word(finding.verdict),
        finding.sequence
    );
    if let Some(amount) = &finding.amount {
        text.push_str(&format!(
            ", {amount} {}",
            finding.currency.as_deref().unwrap_or_default()
        ));
    }
    text
}
