//! Centinel checks itself: at an interval, synthetic orders with a planted loss go through the whole chain, from a change
//! log to the file of findings. A loss that is not told in time is an alarm, and so is an order that is right and told as
//! broken.
//!
//! The orders have a system, a source and a rule of their own ([`BuiltIn`]), and what is found of them is in no business
//! figure: see [`centinel_model::is_self_check`].

mod built_in;
mod log;
mod round;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use centinel_model::{
    Evidence, FINDING_SCHEMA, Finding, FindingId, Positions, Severity, Timestamp, Verdict,
};

pub use built_in::BuiltIn;
pub use log::{Log, SOURCE};
pub use watch::{SelfCheck, Watching};

/// The rule under which people are told that detection does not find what it must.
pub const ALARM_RULE: &str = "centinel/self-check";

/// How the self-check does, for metrics and for health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(dead_code, reason = "asked by metrics and health")]
pub struct Standing {
    /// Whether rounds are made at all.
    pub on: bool,
    /// Rounds in which the loss was found in time.
    pub found: u64,
    /// Rounds in which it was not, or something else was wrong.
    pub failed: u64,
    /// When a loss was last found in time.
    pub last_found: Option<Timestamp>,
    /// How long that took, from the change to the line in the file of findings; in microseconds.
    pub last_took: Option<u64>,
    /// Since when it fails, and why.
    pub failing: Option<(Timestamp, String)>,
}

/// Shows how the self-check does; all copies show the same.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Standing>>);

impl Shown {
    /// As of now.
    pub fn get(&self) -> Standing {
        let standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What people are told: that it fails, and why; or that it works again.
fn alarm(why: Option<&str>, since: Timestamp, now: Timestamp) -> Finding {
    Finding {
        schema: FINDING_SCHEMA.into(),
        finding_id: FindingId::new(ALARM_RULE, ["self-check"]),
        sequence: u64::try_from(now.0).unwrap_or_default(),
        rule: ALARM_RULE.into(),
        rule_version: String::new(),
        title: "Detection finds a planted loss in time".into(),
        entity: "self_check".into(),
        entity_key: "self-check".into(),
        key: vec![("self_check".into(), "self-check".into())],
        verdict: match why {
            Some(_) => Verdict::Confirmed,
            None => Verdict::Recovered,
        },
        occurrence: 1,
        severity: Severity::Critical,
        owner: "centinel".into(),
        amount: None,
        currency: None,
        hint: why.map(str::to_owned),
        evidence: Evidence::default(),
        positions: Positions::default(),
        anchor: since.to_string(),
        judged_at: now.to_string(),
        checkpoint: None,
        status: None,
        trip: None,
    }
}
