//! `centinel alerts test`: a message that is marked as a test, in the channel's own form.

use std::path::PathBuf;
use std::sync::Arc;

use centinel_alert::{Alerts, ChannelRules, Message, Outcome, Outlet, Place, RuleNote, Rules};
use centinel_model::{
    Duration, Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Severity, Timestamp, Verdict,
};
use clap::Args;

use super::{configured, outlets};
use crate::check::refuse;
use crate::detect::wall_clock;
use crate::exit::Status;
use crate::printer::{Printer, complain};

/// The rule of a test.
const TEST_RULE: &str = "centinel/alert-test";

/// The command line of `centinel alerts test`.
#[derive(Args, Debug)]
pub struct TestArguments {
    /// The configuration file
    #[arg(long, default_value = "centinel.toml", value_name = "FILE")]
    config: PathBuf,
    /// The channels; all where none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl TestArguments {
    pub fn run(&self) -> Result<Status, Status> {
        let (config, alerts) = configured(&self.config)?;
        let outlets = outlets(&config, &alerts).map_err(|problems| refuse(&problems))?;
        if let Some(unknown) = self.names.iter().find(|name| !outlets.contains_key(*name)) {
            let known: Vec<&str> = outlets.keys().map(String::as_str).collect();
            complain(format_args!(
                "error: there is no channel `{unknown}`: name one of {}",
                known.join(", ")
            ));
            return Err(Status::WrongUsage);
        }
        let failed = |error: std::io::Error| {
            complain(format_args!("error: nothing can be sent: {error}"));
            Status::CouldNotJudge
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let mut printer = Printer::stdout();
        let mut status = Status::Clean;
        let asked = |name: &String| self.names.is_empty() || self.names.contains(name);
        for (name, outlet) in outlets.iter().filter(|(name, _)| asked(name)) {
            let said = match alerts.channels.rules.channels.get(name) {
                Some(rules) => runtime.block_on(send(name, rules, outlet)),
                None => Err("it has no rules".into()),
            };
            match said {
                Ok(()) => printer.line(format_args!("{name}: took the test")),
                Err(why) => {
                    printer.line(format_args!("{name}: did not take the test: {why}"));
                    status = Status::CouldNotJudge;
                }
            }
        }
        Ok(printer.finish(status))
    }
}

async fn send(name: &str, rules: &ChannelRules, outlet: &Arc<dyn Outlet>) -> Result<(), String> {
    let now = wall_clock();
    let message = message(name, rules, now).ok_or("no message could be put together")?;
    match outlet.send(&message, now).await {
        Outcome::Delivered => Ok(()),
        Outcome::Later { why, .. } | Outcome::Refused { why } => Err(why),
    }
}

/// The message as this channel would get it, whatever it takes otherwise.
fn message(name: &str, rules: &ChannelRules, now: Timestamp) -> Option<Message> {
    let rules = ChannelRules {
        severity: Severity::Info,
        owners: Vec::new(),
        tags: Vec::new(),
        wait: Duration(0),
        ..rules.clone()
    };
    let rules = Rules {
        causes: Vec::new(),
        channels: [(name.to_owned(), rules)].into(),
    };
    let mut alerts = Alerts::new(rules, &format!("test-{:x}", now.0));
    let (input, number) = ("test", 1);
    alerts.take(Place { input, number }, &finding(now), &note(), now);
    alerts.due(now)
}

fn note() -> RuleNote {
    RuleNote {
        runbook: "There is nothing to do: somebody tried whether this channel works.".into(),
        ..RuleNote::default()
    }
}

fn finding(now: Timestamp) -> Finding {
    Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new(TEST_RULE, ["test"]),
        sequence: 1,
        rule: TEST_RULE.into(),
        rule_version: String::new(),
        title: "TEST: nothing is wrong, somebody tries this channel".into(),
        entity: "test".into(),
        entity_key: "test".into(),
        key: vec![("test".into(), "test".into())],
        verdict: Verdict::Confirmed,
        occurrence: 1,
        severity: Severity::Info,
        owner: "centinel".into(),
        amount: None,
        currency: None,
        hint: Some("TEST".into()),
        evidence: Evidence::default(),
        positions: Positions::default(),
        anchor: now.to_string(),
        judged_at: now.to_string(),
        checkpoint: None,
        status: None,
        trip: None,
    }
}
