//! What stands beside a run of detection: who follows its findings, and who may look into it. Detection waits for none of
//! them.

use std::path::Path;

use centinel_engine::EngineError;
use centinel_engine::detect::Detector;
use centinel_outlet::Message;

use crate::alerts::{Alerting, Telling, outlets};
use crate::breaker_report::Reporting;
use crate::check::refuse;
use crate::config::Config;
use crate::detect::std_duration;
use crate::detection::Detection;
use crate::exit::Status;
use crate::interface::{Interface, Settings};
use crate::plan;
use crate::printer::complain;
use crate::self_check::{Log, SelfCheck, Watching};
use crate::taking_in::TakingIn;

/// Who answers an alarm of the self-check has to look here.
const ALARM_RUNBOOK: &str = "See /readyz and the log of detection: it may be behind, stand still, or write nowhere. Until it finds planted \
     losses again, it may not find real ones.";

/// Everything that the configuration file puts beside a run. Each part is a thread of its own.
#[derive(Default)]
pub struct Beside {
    /// Tells the circuit breaker.
    reporting: Option<Reporting>,
    /// Takes findings into their store.
    taking_in: Option<TakingIn>,
    /// Looks whether planted losses are found. Ended before those whom it tells.
    self_check: Option<SelfCheck>,
    /// Tells people.
    alerting: Option<Alerting>,
    /// Answers those who ask, also how all of it does.
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
        // What follows the file knows the rules from the first line on.
        detection.in_force.set(&detection.catalog, &detection.rules);
        let no_thread = |error: std::io::Error| {
            complain(format_args!("error: no thread beside detection: {error}"));
            Status::CouldNotJudge
        };
        if let (Some(report), Some(findings)) = (&config.breaker_report, findings) {
            beside.reporting = Some(plan::reporting(report, findings, &detection.state)?);
        }
        if let (Some(store), Some(findings)) = (&config.findings_store, findings) {
            let taking_in = TakingIn::begin(store, findings, detection.in_force.clone());
            beside.taking_in = Some(taking_in.map_err(no_thread)?);
        }
        if let (Some(alerts), Some(findings)) = (&config.alerts, findings) {
            let telling = Telling {
                channels: alerts.channels.clone(),
                outlets: outlets(config, alerts).map_err(|problems| refuse(&problems))?,
                findings: findings.to_owned(),
                state: detection.state.clone(),
                in_force: detection.in_force.clone(),
            };
            let alerting = Alerting::begin(telling).map_err(|problem| {
                complain(format_args!("error: [alerts]: {problem}"));
                Status::CouldNotJudge
            })?;
            beside.alerting = Some(alerting);
        }
        if let Some(interface) = &config.interface {
            let settings = Settings::of(interface).map_err(|problem| {
                complain(format_args!("error: {problem}"));
                Status::WrongUsage
            })?;
            beside.interface = Some(Interface::begin(settings, detection, findings)?);
            beside.show();
        }
        Ok(beside)
    }

    /// How each part does is seen at the interface.
    fn show(&self) {
        let Some(interface) = &self.interface else {
            return;
        };
        let observing = interface.observing();
        if let Some(reporting) = &self.reporting {
            observing.part("breaker report", reporting.trouble());
        }
        if let Some(taking_in) = &self.taking_in {
            observing.part("findings store", taking_in.trouble());
        }
        if let Some(alerting) = &self.alerting {
            observing.alerts(alerting.shown());
        }
    }

    /// Begins the self-check with the log of synthetic orders that detection reads. `rounds` says whether orders are planted:
    /// a run that ends by itself only needs the source's word.
    ///
    /// # Errors
    /// When it cannot begin; the reason was told.
    pub fn check_itself(
        &mut self,
        log: Log,
        config: Option<&Config>,
        findings: Option<&Path>,
        rounds: bool,
    ) -> Result<(), Status> {
        let own = self.alerting.as_ref().map(Alerting::own);
        let self_check = config.and_then(|config| config.self_check.as_ref());
        let silent_after = config.map_or(60_000_000, |config| config.detection.silent_after.0);
        let begun = SelfCheck::begin(Watching {
            log,
            findings: findings.map(Path::to_owned),
            every: self_check
                .filter(|_| rounds)
                .map(|check| std_duration(check.every)),
            within: self_check.map_or(std::time::Duration::from_secs(30), |check| {
                std_duration(check.within)
            }),
            silent_after: std_duration(centinel_model::Duration(silent_after)),
            tell: Box::new(move |finding| {
                if let Some(own) = &own {
                    own.tell("self-check", finding, ALARM_RUNBOOK);
                }
            }),
        });
        let begun = begun.map_err(|error| {
            complain(format_args!("error: the self-check cannot begin: {error}"));
            Status::CouldNotJudge
        })?;
        if let Some(interface) = &self.interface {
            let shown = begun.shown();
            interface.observing().self_check(move || shown.get());
        }
        self.self_check = Some(begun);
        Ok(())
    }

    /// To be called after each commit, once what it told stands in the file.
    pub fn observe(&mut self, detector: &Detector, messages: &[Message]) {
        if let Some(reporting) = &self.reporting {
            reporting.observe(detector);
        }
        if let Some(taking_in) = &self.taking_in {
            taking_in.observe();
        }
        if let Some(alerting) = &self.alerting {
            alerting.observe();
        }
        if let Some(interface) = &self.interface {
            interface.observe(detector, messages);
        }
    }

    /// Detection has ended, or could not go on: those who look see it while the rest is brought to its end.
    pub fn ended(&self, failed: Option<&EngineError>) {
        if let Some(interface) = &self.interface {
            interface
                .observing()
                .ended(failed.map(EngineError::to_string));
        }
    }

    /// Ends all of it, each part in a bounded time.
    pub fn end(self) {
        if let Some(reporting) = self.reporting {
            reporting.end();
        }
        if let Some(self_check) = self.self_check {
            self_check.end();
        }
        if let Some(taking_in) = self.taking_in {
            taking_in.end();
        }
        if let Some(alerting) = self.alerting {
            alerting.end();
        }
        if let Some(interface) = self.interface {
            interface.end();
        }
    }
}
