//! `centinel findings list`.

use centinel_findings::{By, Cursor, Filter, Row, Store, life};
use centinel_model::Verdict;
use clap::{Args, ValueEnum};

use super::open::{Opened, Place};
use super::refuse;
use super::selection::Selection;
use super::shown::one_line;
use crate::exit::Status;
use crate::printer::{Printer, complain, counted};

/// Which findings are listed, and how.
#[derive(Args, Debug)]
pub struct ListArguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    selection: Selection,
    /// At most so many, 1 to 500
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    /// Go on behind this place, which the page before names
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
    /// What to write
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object in each line, as `export` writes them; the place behind the last one is told on standard error
    Jsonl,
}

impl ListArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let Opened { store, status } = self.place.open()?;
        let after = self.after.as_deref().map(Cursor::parse).transpose();
        let after = after.map_err(|error| refuse(&error))?;
        let (filter, order) = (self.selection.filter(), self.selection.order());
        let page = store
            .page(&filter, order, after.as_ref(), self.limit)
            .map_err(|error| refuse(&error))?;
        let mut printer = Printer::stdout();
        for row in &page.rows {
            match self.format {
                Format::Text => printer.line(line(row)),
                Format::Jsonl => match row.exported() {
                    Ok(line) => printer.line(line),
                    Err(error) => return Err(refuse(&error)),
                },
            }
        }
        let next = page.next.map(|next| format!("more: --after {next}"));
        match self.format {
            Format::Text => {
                printer.line(summary(&store, &filter, page.rows.len())?);
                next.into_iter().for_each(|next| printer.line(next));
            }
            Format::Jsonl => next.into_iter().for_each(complain),
        }
        let open = page.rows.iter().any(|row| row.open);
        let status = status.max(if open {
            Status::Findings
        } else {
            Status::Clean
        });
        Ok(printer.finish(status))
    }
}

/// How many there are in all, and what money is at risk in those that are open, where that is known.
fn summary(store: &Store, filter: &Filter, listed: usize) -> Result<String, Status> {
    let Ok(all) = store.figures(filter, By::All) else {
        // By entity, by words or by parts of days nothing is counted beforehand.
        return Ok(format!(
            "{} listed",
            counted(listed as u64, "finding", "findings")
        ));
    };
    let findings = all.first().map_or(0, |figure| figure.findings);
    if findings == 0 {
        return Ok("no finding".into());
    }
    let mut text = format!("{listed} of {}", counted(findings, "finding", "findings"));
    if filter.open != Some(false) {
        let open = Filter {
            open: Some(true),
            ..filter.clone()
        };
        let open = store
            .figures(&open, By::All)
            .map_err(|error| refuse(&error))?;
        if let Some(open) = open.first() {
            let sums: Vec<String> = open
                .at_risk
                .iter()
                .map(|(code, sum)| format!("{sum} {code}"))
                .collect();
            text.push_str(&format!("; {} open", open.findings));
            if !sums.is_empty() {
                text.push_str(&format!(", {} at risk", sums.join(", ")));
            }
            if open.unsummed > 0 {
                text.push_str(&format!(
                    " and {} with an amount in no known currency",
                    open.unsummed
                ));
            }
        }
    }
    Ok(text)
}

/// One finding, for a person.
fn line(row: &Row) -> String {
    let finding = &row.finding;
    let id: String = finding.finding_id.0.chars().take(12).collect();
    let mut text = format!(
        "{id} {} {} {} {} in {} {}",
        row.since,
        finding.severity,
        state(row),
        finding.rule,
        finding.entity,
        finding.entity_key,
    );
    if let Some(amount) = &finding.amount {
        let currency = finding
            .currency
            .as_deref()
            .unwrap_or("of no known currency");
        text.push_str(&format!(", {amount} {currency} at risk"));
    }
    text.push_str(&format!(", {}", row.owner));
    one_line(&text)
}

/// Its verdict, and what people made of it.
pub fn state(row: &Row) -> String {
    let mut words = life::verdict_word(row.finding.verdict).to_owned();
    if row.finding.verdict == Verdict::Confirmed && row.finding.occurrence > 1 {
        words.push_str(&format!(" (occurrence {})", row.finding.occurrence));
    }
    if let Some(handled) = &row.handled {
        let said = row.handling.as_str().replace('_', " ");
        words.push_str(&format!(" ({said} by {}", handled.by));
        words.push_str(if row.worse { ", worse since)" } else { ")" });
    }
    words
}
