mod kept;
mod property;
mod storm;
mod told;

use std::collections::BTreeMap;

use centinel_model::{
    Duration, Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Severity, Timestamp, Verdict,
};

use super::*;

const START: Timestamp = Timestamp(1_795_000_000_000_000);

fn at(seconds: i64) -> Timestamp {
    START.plus(Duration::seconds(seconds))
}

fn channel() -> ChannelRules {
    ChannelRules {
        severity: Severity::Info,
        owners: Vec::new(),
        tags: Vec::new(),
        fallback: false,
        resolved: true,
        undetermined: true,
        wait: Duration::seconds(10),
        again: Duration::seconds(300),
        limits: Vec::new(),
        attempts: 3,
        refresh: None,
        trace: None,
    }
}

fn limit(messages: u32, seconds: i64) -> Limit {
    Limit {
        messages,
        per: Duration::seconds(seconds),
    }
}

fn rules<const N: usize>(channels: [(&str, ChannelRules); N]) -> Rules {
    let channels = channels.map(|(name, rules)| (name.to_owned(), rules));
    Rules {
        causes: vec!["release".into(), "merchant_no".into()],
        channels: channels.into_iter().collect(),
    }
}

fn finding(rule: &str, order: &str, merchant: &str, sequence: u64, verdict: Verdict) -> Finding {
    let row = [("merchant_no", merchant), ("paid", "100.00")];
    let row = row.map(|(column, value)| (column.to_owned(), Some(value.to_owned())));
    Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new(rule, [order]),
        sequence,
        rule: rule.into(),
        rule_version: "0123456789abcdef".into(),
        title: "What was settled is what was paid".into(),
        entity: "order".into(),
        entity_key: order.into(),
        key: vec![("order_no".into(), order.into())],
        verdict,
        occurrence: 1,
        severity: Severity::Critical,
        owner: "settlement".into(),
        amount: Some("10.50".into()),
        currency: Some("CNY".into()),
        hint: None,
        evidence: Evidence {
            rows: vec![BTreeMap::from(row)],
            total: 1,
        },
        positions: Positions::default(),
        anchor: "2026-11-18T08:00:00Z".into(),
        judged_at: "2026-11-18T08:05:00Z".into(),
        checkpoint: None,
        status: None,
        trip: None,
    }
}

/// An engine under test, with the numbers of its one input.
struct Played {
    alerts: Alerts,
    number: u64,
}

impl Played {
    fn new<const N: usize>(channels: [(&str, ChannelRules); N]) -> Played {
        Played {
            alerts: Alerts::new(rules(channels), "i"),
            number: 0,
        }
    }

    fn take(&mut self, finding: &Finding, now: Timestamp) -> Taken {
        self.take_noted(finding, &RuleNote::default(), now)
    }

    fn take_noted(&mut self, finding: &Finding, note: &RuleNote, now: Timestamp) -> Taken {
        self.number += 1;
        let place = Place {
            input: "detection",
            number: self.number,
        };
        self.alerts.take(place, finding, note, now)
    }

    /// All that is due now, delivered.
    fn delivered(&mut self, now: Timestamp) -> Vec<Message> {
        let mut all = Vec::new();
        while let Some(message) = self.alerts.due(now) {
            assert!(self.alerts.done(&message, &Outcome::Delivered, now));
            all.push(message);
            assert!(all.len() < 10_000, "there is no end of messages");
        }
        all
    }

    fn crash(&mut self) {
        let bytes = self.alerts.store().unwrap();
        self.alerts = Alerts::restore(self.alerts.rules.clone(), &bytes).unwrap();
    }
}

fn alert(message: &Message) -> &crate::message::Alert {
    match &message.body {
        Body::Alert(alert) => alert,
        other => panic!("no alert: {other:?}"),
    }
}

fn later(why: &str) -> Outcome {
    Outcome::Later {
        why: why.into(),
        after: None,
    }
}
