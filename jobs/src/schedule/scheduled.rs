//! What is run by the clock: audits and drills.

use std::path::PathBuf;

use centinel_model::Duration;

use super::due::Timing;
use crate::config::{AuditConfig, Config, DrillConfig};

/// One of what the configuration declares with a `cron`.
#[derive(Clone, Copy, Debug)]
pub enum Scheduled<'a> {
    /// An audit.
    Audit(&'a AuditConfig),
    /// A drill.
    Drill(&'a DrillConfig),
}

impl<'a> Scheduled<'a> {
    /// All of them, audits first; each has a name of its own.
    pub fn all(config: &'a Config) -> Vec<Scheduled<'a>> {
        let audits = config.audits.iter().map(Scheduled::Audit);
        let drills = config.drills.iter().map(Scheduled::Drill);
        audits.chain(drills).collect()
    }

    /// Its name.
    pub fn name(self) -> &'a str {
        match self {
            Scheduled::Audit(audit) => &audit.name,
            Scheduled::Drill(drill) => &drill.name,
        }
    }

    /// What it is, for people.
    pub fn what(self) -> &'static str {
        match self {
            Scheduled::Audit(_) => "audit",
            Scheduled::Drill(_) => "drill",
        }
    }

    /// When it is run.
    pub fn timing(self) -> &'a Timing {
        match self {
            Scheduled::Audit(audit) => &audit.timing,
            Scheduled::Drill(drill) => &drill.timing,
        }
    }

    /// A run that takes longer is cut off.
    pub fn timeout(self) -> Duration {
        match self {
            Scheduled::Audit(audit) => audit.timeout,
            Scheduled::Drill(drill) => drill.timeout,
        }
    }

    /// The folder of its history and its reports.
    pub fn folder(self) -> PathBuf {
        match self {
            Scheduled::Audit(audit) => audit.reports.join(&audit.name),
            Scheduled::Drill(drill) => drill.reports.join(&drill.name),
        }
    }
}
