//! A message in words, for people: a title and rows of label and value. Values are data; each outlet escapes them in
//! its own way.

use crate::message::{Alert, Body, Cause, Digest, Example, Kind, Line, Message};
use crate::money::grouped;

/// Rules that a digest shows one by one.
const MOST_LINES: usize = 15;
/// Columns of evidence that are shown.
const MOST_COLUMNS: usize = 12;

/// What colour fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Bad,
    Unsure,
    Ended,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) value: String,
}

/// A message in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) mood: Mood,
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
    /// Name and address. Addresses are of the configuration, with data in them encoded.
    pub(crate) links: Vec<(&'static str, String)>,
}

impl Page {
    /// At most so many bytes of text.
    pub(crate) fn of(message: &Message, most_bytes: usize) -> Page {
        let mut page = match &message.body {
            Body::Alert(alert) => of_alert(alert),
            Body::Digest(digest) => of_digest(digest),
            Body::Standing(standing) => {
                let mut digest = Digest::default();
                for alert in &standing.alerts {
                    digest.add(alert.clone());
                }
                of_digest(&digest)
            }
        };
        page.fit(most_bytes);
        page
    }

    fn row(&mut self, label: &'static str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.rows.push(Row { label, value });
        }
    }

    fn bytes(&self) -> usize {
        let rows = self
            .rows
            .iter()
            .map(|row| row.label.len() + row.value.len() + 4);
        let links = self.links.iter().map(|(name, url)| name.len() + url.len());
        self.title.len() + rows.sum::<usize>() + links.sum::<usize>()
    }

    /// Halves the longest value until all fits; at last drops rows from below.
    fn fit(&mut self, most_bytes: usize) {
        while self.bytes() > most_bytes {
            let longest = self.rows.iter_mut().max_by_key(|row| row.value.len());
            match longest {
                Some(row) if row.value.chars().count() > 40 => {
                    let half = row.value.chars().count() / 2;
                    row.value = row.value.chars().take(half).collect();
                    row.value.push('…');
                }
                Some(_) => {
                    self.rows.pop();
                }
                None => {
                    self.links.pop();
                    if self.links.is_empty() {
                        return;
                    }
                }
            }
        }
    }
}

/// Words of a kind, as a title has them.
fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Confirmed => "confirmed",
        Kind::Undetermined => "could not be judged",
        Kind::Recovered => "recovered",
        Kind::Cleared => "judged after all, and in order",
        Kind::Withdrawn => "withdrawn, their rule changed",
    }
}

fn mood(kind: Kind) -> Mood {
    match kind {
        Kind::Confirmed => Mood::Bad,
        Kind::Undetermined => Mood::Unsure,
        Kind::Recovered | Kind::Cleared | Kind::Withdrawn => Mood::Ended,
    }
}

/// The first line of an alert, without its severity.
pub(crate) fn headline(alert: &Alert) -> String {
    let mut text = match (alert.count, alert.changed) {
        (0, 0) if alert.open.count == 0 => "nothing open".to_owned(),
        (0, 0) => format!("{} open", alert.open.count),
        (0, changed) => format!("{changed} changed"),
        (count, 0) => format!("{count} {}", words(alert.kind)),
        (count, changed) => format!("{count} {}, {changed} changed", words(alert.kind)),
    };
    if !alert.money.is_empty() && !alert.kind.ends() {
        text.push_str(&format!(", {} at risk", alert.money));
    }
    text
}

/// The cause in words; empty where it is the rule alone.
pub(crate) fn cause(cause: &Cause) -> String {
    match cause {
        Cause::None => String::new(),
        Cause::Is { column, value } => format!("{column} {value}"),
        Cause::Many => "many at once".into(),
    }
}

fn of_alert(alert: &Alert) -> Page {
    let severity = alert.facts.severity.as_str().to_uppercase();
    let severity = match alert.kind.ends() {
        true => String::new(),
        false => format!("{severity}: "),
    };
    let mut page = Page {
        mood: mood(alert.kind),
        title: format!("{severity}{}", headline(alert)),
        rows: Vec::new(),
        links: Vec::new(),
    };
    page.row("Rule", &alert.facts.rule);
    page.row("Should hold", &alert.facts.title);
    page.row("Cause", cause(&alert.cause));
    page.row("Money", alert.money.to_string());
    page.row("Since", alert.since.to_string());
    page.row("Open now", open(alert));
    page.row("Owner", &alert.facts.owner);
    for (column, values) in &alert.among {
        let mut text: Vec<&str> = values.values.iter().map(String::as_str).collect();
        if values.more {
            text.push("and more");
        }
        page.row("Among them", format!("{column} {}", text.join(", ")));
    }
    for example in &alert.largest {
        show(&mut page, example);
    }
    runbook(&mut page, &alert.facts.runbook);
    page
}

fn open(alert: &Alert) -> String {
    match (alert.open.count, alert.open.money.is_empty()) {
        (0, _) => "nothing".into(),
        (count, true) => count.to_string(),
        (count, false) => format!("{count}, {}", alert.open.money),
    }
}

fn show(page: &mut Page, example: &Example) {
    let mut text = format!("{} {}", example.entity, example.entity_key);
    let own = |(_, value): &&(String, String)| *value != example.entity_key;
    for (column, value) in example.key.iter().filter(own) {
        text.push_str(&format!(", {column} {value}"));
    }
    if let (Some(amount), Some(currency)) = (&example.amount, &example.currency) {
        let amount = centinel_model::Amount::exact(amount).map_or(amount.clone(), grouped);
        text.push_str(&format!(": {currency} {amount}"));
    }
    page.row("Largest", text);
    for row in &example.rows {
        let columns = row.iter().take(MOST_COLUMNS).map(|(column, value)| {
            let value = value.as_deref().unwrap_or("none");
            format!("{column} = {value}")
        });
        page.row("Evidence", columns.collect::<Vec<_>>().join(", "));
    }
    let more = example.rows_total.saturating_sub(example.rows.len() as u64);
    if more > 0 {
        page.row("Evidence", format!("and {more} more rows"));
    }
    page.row("Hint", example.hint.clone().unwrap_or_default());
    if let Some(trace) = &example.trace {
        page.links.push(("Trace", trace.clone()));
    }
}

/// Whether a runbook is an address.
pub(crate) fn is_link(text: &str) -> bool {
    let web = text.starts_with("https://") || text.starts_with("http://");
    let plain = |letter: char| {
        letter.is_ascii_graphic()
            && !matches!(letter, '<' | '>' | '|' | '"' | '(' | ')' | '[' | ']')
    };
    web && text.chars().all(plain)
}

fn runbook(page: &mut Page, text: &str) {
    match is_link(text) {
        true => page.links.push(("Runbook", text.to_owned())),
        false => page.row("Runbook", text),
    }
}

fn of_digest(digest: &Digest) -> Page {
    let findings: u64 = digest
        .lines
        .iter()
        .map(|line| line.count + line.changed)
        .sum();
    let causes: u64 = digest.lines.iter().map(|line| line.causes).sum();
    let kinds = digest.lines.iter().map(|line| mood(line.kind));
    let worst = kinds.min_by_key(|mood| match mood {
        Mood::Bad => 0,
        Mood::Unsure => 1,
        Mood::Ended => 2,
    });
    let open = digest.lines.iter().filter(|line| !line.kind.ends());
    let severity = open.map(|line| line.facts.severity).max();
    let severity = severity.map_or(String::new(), |severity| {
        format!("{}: ", severity.as_str().to_uppercase())
    });
    let mut page = Page {
        mood: worst.unwrap_or(Mood::Ended),
        title: format!("{severity}digest of {findings} findings, {causes} causes"),
        rows: Vec::new(),
        links: Vec::new(),
    };
    for line in digest.lines.iter().take(MOST_LINES) {
        page.row("Rule", of_line(line));
    }
    let rest = digest.lines.iter().skip(MOST_LINES);
    let (rules, findings) = rest.fold((0, 0), |(rules, findings), line| {
        (rules + 1, findings + line.count + line.changed)
    });
    if rules > 0 {
        page.row("And", format!("{rules} rules more, {findings} findings"));
    }
    for example in &digest.largest {
        show(&mut page, example);
    }
    page
}

fn of_line(line: &Line) -> String {
    let severity = line.facts.severity;
    let mut text = format!(
        "{} ({severity}): {} {}",
        line.facts.rule,
        line.count,
        words(line.kind)
    );
    if line.changed > 0 {
        text.push_str(&format!(", {} changed", line.changed));
    }
    if line.causes > 1 {
        text.push_str(&format!(", {} causes", line.causes));
    }
    if !line.money.is_empty() {
        text.push_str(&format!(", {}", line.money));
    }
    text.push_str(&format!(", since {}", line.since));
    text
}
