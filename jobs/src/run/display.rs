//! What a person sees while detection runs: each finding as it is found, and one line that stays current.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use centinel_engine::detect::{
    Detector, HOLE_SCHEMA, HoleMessage, SOURCE_SCHEMA, SourceMessage, SourceState,
};
use centinel_model::{
    Amount, Duration, FINDING_SCHEMA, Finding, Timestamp, Verdict, is_self_check,
};
use centinel_outlet::Message;
use centinel_rules::Rule;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use super::breaker::Tally;

/// How often the current line is printed where there is no terminal to keep it on.
const PRINT_EVERY: Duration = Duration::seconds(10);
/// Columns of evidence shown with a finding.
const EVIDENCE_COLUMNS: usize = 8;

/// Shows findings and the current state.
pub struct Display {
    rules: usize,
    orders_per_second: u64,
    bar: Option<ProgressBar>,
    open: HashMap<String, AtRisk>,
    printed_at: Timestamp,
    changes: (Timestamp, u64),
    rate: u64,
    breaker: Arc<Tally>,
}

/// The money of one open finding.
struct AtRisk {
    entity_key: String,
    money: Option<(String, Amount)>,
}

#[derive(Deserialize)]
struct AnySchema {
    schema: String,
}

impl Display {
    /// A display for this many rules. On a terminal the last line stays current.
    pub fn new(rules: &[Arc<Rule>], orders_per_second: u64) -> Display {
        let bar = io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::default_spinner()
                    .template("{msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        Display {
            rules: rules.len(),
            orders_per_second,
            bar,
            open: HashMap::new(),
            printed_at: Timestamp::MIN,
            changes: (Timestamp::MIN, 0),
            rate: 0,
            breaker: Arc::default(),
        }
    }

    /// Says where the breaker is, and shows what comes of it from now on.
    pub fn breaker(&mut self, url: &str, tally: &Arc<Tally>) {
        self.breaker = Arc::clone(tally);
        self.line(&format!(
            "A circuit breaker listens on {url}: what stable rules confirm trips it, and the platform asks it before money moves.\n"
        ));
    }

    /// Says where people look, and as whom.
    pub fn console(&self, url: &str, people: &[(&str, String)], config: &Path) {
        self.line(&format!("The console is at {url}. Sign in as:"));
        for (name, password) in people {
            self.line(&format!("    {name:<10} {password}"));
        }
        self.line(&format!(
            "Other commands look into it as well: --config {}\n",
            config.display()
        ));
    }

    /// Says what one is about to see.
    pub fn begin(&self, log: &Path, findings: &Path, began: Timestamp) {
        self.line(&format!(
            "A simulated payment platform, {} orders a second since {began}, one of a hundred with a planted fault.",
            self.orders_per_second
        ));
        self.line(&format!(
            "Detection reads {} with {} rules and writes what it finds to {}.",
            log.display(),
            self.rules,
            findings.display()
        ));
        self.line("A finding is told once its rule's patience has ended (150 s for most). Interrupt to stop; the next run goes on.");
    }

    /// Takes in what earlier runs found, without showing it.
    pub fn recall(&mut self, findings: &Path) -> io::Result<()> {
        let file = match File::open(findings) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        for line in BufReader::new(file).lines() {
            if let Ok(finding) = serde_json::from_str::<Finding>(&line?)
                && !is_self_check(&finding.rule)
            {
                self.take_in(&finding);
            }
        }
        Ok(())
    }

    /// Shows what was told with one commit, and the current line.
    pub fn show(&mut self, detector: &Detector, messages: &[Message], now: Timestamp) {
        for (_, message) in messages {
            self.tell(message);
        }
        let (since, changes) = self.changes;
        if now.since(since) >= Duration::seconds(1) {
            let seconds = (now.since(since).0 / 1_000_000).clamp(1, i64::from(u32::MAX)) as u64;
            self.rate = (detector.counters.changes - changes) / seconds;
            self.changes = (now, detector.counters.changes);
        }
        let line = self.current(detector, now);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None if now.since(self.printed_at) >= PRINT_EVERY => {
                self.printed_at = now;
                self.line(&line);
            }
            None => {}
        }
    }

    /// Leaves the terminal as it was.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }

    fn tell(&mut self, message: &[u8]) {
        let Ok(AnySchema { schema }) = serde_json::from_slice(message) else {
            return;
        };
        match schema.as_str() {
            FINDING_SCHEMA => {
                if let Ok(finding) = serde_json::from_slice::<Finding>(message)
                    && !is_self_check(&finding.rule)
                {
                    self.take_in(&finding);
                    self.finding(&finding);
                }
            }
            HOLE_SCHEMA => {
                if let Ok(hole) = serde_json::from_slice::<HoleMessage>(message) {
                    self.line(&format!(
                        "unreadable record {} in {}: {}",
                        hole.number, hole.input, hole.message
                    ));
                }
            }
            SOURCE_SCHEMA => {
                if let Ok(source) = serde_json::from_slice::<SourceMessage>(message) {
                    let state = match source.state {
                        SourceState::Behind => "is behind",
                        SourceState::Moving => "moves again",
                    };
                    self.line(&format!(
                        "source {} {state}; {} entities wait",
                        source.source, source.undetermined
                    ));
                }
            }
            _ => {}
        }
    }

    fn take_in(&mut self, finding: &Finding) {
        let id = finding.finding_id.to_string();
        match finding.verdict {
            Verdict::Confirmed => {
                let money = finding
                    .currency
                    .clone()
                    .zip(finding.amount.as_deref().and_then(in_cents));
                self.open.insert(
                    id,
                    AtRisk {
                        entity_key: finding.entity_key.clone(),
                        money,
                    },
                );
            }
            Verdict::Recovered | Verdict::Cleared | Verdict::RuleChanged => {
                self.open.remove(&id);
            }
            Verdict::Suspected | Verdict::Undetermined => {}
        }
    }

    fn finding(&self, finding: &Finding) {
        let money = match (&finding.currency, &finding.amount) {
            (Some(currency), Some(amount)) => format!("{currency} {amount}"),
            _ => String::new(),
        };
        let verdict = match finding.verdict {
            Verdict::Confirmed => finding.severity.as_str(),
            Verdict::Recovered => "recovered",
            Verdict::Undetermined => "undetermined",
            Verdict::RuleChanged => "rule changed",
            Verdict::Cleared => "cleared",
            Verdict::Suspected => "suspected",
        };
        let time = finding.judged_at.get(11..19).unwrap_or_default();
        self.line(&format!(
            "{time}  {verdict:<12} {:<40} {} {}  {money}",
            finding.rule, finding.entity, finding.entity_key
        ));
        for row in &finding.evidence.rows {
            let shown: Vec<String> = row
                .iter()
                .filter(|(column, _)| finding.key.iter().all(|(key, _)| key != *column))
                .take(EVIDENCE_COLUMNS)
                .map(|(column, value)| format!("{column} {}", value.as_deref().unwrap_or("null")))
                .collect();
            if !shown.is_empty() {
                self.line(&format!("          {}", shown.join(", ")));
            }
        }
        if let Some(hint) = &finding.hint {
            self.line(&format!("          {hint}"));
        }
    }

    /// The state in one line. Several rules may name the same money: of each order only the largest counts.
    fn current(&self, detector: &Detector, now: Timestamp) -> String {
        let mut largest: HashMap<(&str, &str), Amount> = HashMap::new();
        for risk in self.open.values() {
            if let Some((currency, amount)) = &risk.money {
                let entry = largest
                    .entry((currency, &risk.entity_key))
                    .or_insert(*amount);
                if *entry < *amount {
                    *entry = *amount;
                }
            }
        }
        let mut totals: BTreeMap<&str, Amount> = BTreeMap::new();
        for ((currency, _), amount) in largest {
            let total = totals.entry(currency).or_insert(Amount {
                units: 0,
                scale: amount.scale,
            });
            *total = total.checked_add(amount).unwrap_or(*total);
        }
        let at_risk: Vec<String> = totals
            .iter()
            .map(|(currency, amount)| format!("{currency} {amount}"))
            .collect();
        let open = detector.open();
        let real = open.iter().filter(|(rule, _)| !is_self_check(rule));
        let suspected: i64 = real.map(|(_, open)| open.suspected).sum();
        let slowest = detector.every_progress().min().unwrap_or(Timestamp::MIN);
        let behind = match slowest > Timestamp::MIN {
            true => format!("{:.1} s behind", now.since(slowest).0.max(0) as f64 / 1e6),
            false => "waiting for all sources".into(),
        };
        format!(
            "{} changes, {}/s, {behind} | {} findings open, at risk {} | {suspected} suspected, in flight | {} unreadable | {}",
            detector.counters.changes,
            self.rate,
            self.open.len(),
            if at_risk.is_empty() {
                "nothing".into()
            } else {
                at_risk.join(" + ")
            },
            detector.holes(),
            self.breaker,
        )
    }

    /// A line above the current one. Where standard output is closed, nobody wants to know.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => {
                let _ = writeln!(io::stdout(), "{text}");
            }
        }
    }
}

/// An amount with two decimal places; findings of currencies with more keep what fits exactly.
fn in_cents(text: &str) -> Option<Amount> {
    const PRECISION: u8 = 38;
    [2, 4, 6]
        .into_iter()
        .find_map(|scale| Amount::parse(text, PRECISION, scale).ok())
}
