//! The options that say which findings are meant.

use centinel_findings::{Filter, Handling, Order, life};
use centinel_model::{Severity, Timestamp, Verdict};
use clap::{Args, ValueEnum};

/// Which findings, and in what order.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// Only those that somebody should look at: broken or not judged, and neither resolved nor a false alarm
    #[arg(long)]
    open: bool,
    /// Only with this verdict: suspected, confirmed, undetermined, cleared, recovered, rule_changed; may be given several
    /// times, as most of these options
    #[arg(long, value_name = "VERDICT", value_parser = verdict)]
    verdict: Vec<Verdict>,
    /// Only those of which people said so: new, acknowledged, resolved, false_alarm
    #[arg(long, value_name = "WORD", value_parser = handling)]
    handling: Vec<Handling>,
    /// Only those that are worse than when they were acknowledged
    #[arg(long)]
    worse: bool,
    /// Only of this severity: info, warn, error, critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Vec<Severity>,
    /// Only of this rule
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// Only of rules that read tables of this system, as the schemas name it; known where a configuration file is used
    #[arg(long, value_name = "SYSTEM")]
    system: Vec<String>,
    /// Only those that this one answers for
    #[arg(long, value_name = "NAME")]
    owner: Vec<String>,
    /// Only with money in this currency
    #[arg(long, value_name = "CODE")]
    currency: Vec<String>,
    /// Only of the entity with this key, such as an order number
    #[arg(long, value_name = "KEY")]
    entity: Option<String>,
    /// Only those since this time or later
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    since: Option<Timestamp>,
    /// Only those since before this time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// Only with these words, whole or begun, in keys, hint, evidence or notes
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// The newest first, or by currency the largest
    #[arg(long, value_enum, default_value = "time")]
    order: By,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Time,
    Money,
}

impl Selection {
    pub fn filter(&self) -> Filter {
        Filter {
            open: self.open.then_some(true),
            verdicts: self.verdict.clone(),
            handlings: self.handling.clone(),
            worse: self.worse.then_some(true),
            severities: self.severity.clone(),
            rules: self.rule.clone(),
            systems: self.system.clone(),
            owners: self.owner.clone(),
            currencies: self.currency.clone(),
            entity_key: self.entity.clone(),
            from: self.since,
            until: self.until,
            text: self.text.clone(),
        }
    }

    pub fn order(&self) -> Order {
        match self.order {
            By::Time => Order::Time,
            By::Money => Order::Money,
        }
    }
}

fn verdict(word: &str) -> Result<Verdict, String> {
    life::verdict_of(word).ok_or_else(|| one_of(life::VERDICTS.map(life::verdict_word)))
}

fn handling(word: &str) -> Result<Handling, String> {
    Handling::parse(word).ok_or_else(|| one_of(Handling::ALL.map(Handling::as_str)))
}

fn severity(word: &str) -> Result<Severity, String> {
    let all = [
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Critical,
    ];
    let found = all.into_iter().find(|severity| severity.as_str() == word);
    found.ok_or_else(|| one_of(all.map(Severity::as_str)))
}

fn one_of<const N: usize>(words: [&str; N]) -> String {
    format!("it is one of {}", words.join(", "))
}
