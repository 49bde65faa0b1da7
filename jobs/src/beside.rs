//! What stands beside a run of detection: who follows its findings, and who may look into it. Detection waits for none of
//! them.

use std::path::Path;

use centinel_engine::detect::Detector;
use centinel_outlet::Message;

use crate::breaker_report::Reporting;
use crate::config::Config;
use crate::detection::Detection;
use crate::exit::Status;
use crate::interface::{Interface, Settings};
use crate::plan;
use crate::printer::complain;

/// Everything that the configuration file puts beside a run. Each part is a thread of its own.
#[derive(Default)]
pub struct Beside {
    /// Tells the circuit breaker.
    reporting: Option<Reporting>,
    /// Answers those who ask.
    interface: Option<Interface>,
}

/// Whether somebody is told what is only suspected.
pub fn wants_suspicions(config: Option<&Config>) -> bool {
    let report = config.and_then(|config| config.breaker_report.as_ref());
    report.is_some_and(|report| report.suspicions)
}

impl Beside {
    /// Begins all of it. `findings` is the file that is followed, which exists.
    ///
    /// # Errors
    /// What cannot begin; the reason was told.
    pub fn begin(
        config: Option<&Config>,
        detection: &Detection,
        findings: Option<&Path>,
    ) -> Result<Beside, Status> {
        let mut beside = Beside::default();
        let Some(config) = config else {
            return Ok(beside);
        };
        if let (Some(report), Some(findings)) = (&config.breaker_report, findings) {
            beside.reporting = Some(plan::reporting(report, findings, &detection.state)?);
        }
        if let Some(interface) = &config.interface {
            let settings = Settings::of(interface).map_err(|problem| {
                complain(format_args!("error: {problem}"));
                Status::WrongUsage
            })?;
            beside.interface = Some(Interface::begin(settings, detection)?);
        }
        Ok(beside)
    }

    /// To be called after each commit, once what it told stands in the file.
    pub fn observe(&mut self, detector: &Detector, _messages: &[Message]) {
        if let Some(reporting) = &self.reporting {
            reporting.observe(detector);
        }
        if let Some(interface) = &self.interface {
            interface.observe(detector);
        }
    }

    /// Ends all of it, each part in a bounded time.
    pub fn end(self) {
        if let Some(reporting) = self.reporting {
            reporting.end();
        }
        if let Some(interface) = self.interface {
            interface.end();
        }
    }
}
