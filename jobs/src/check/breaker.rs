//! Whether the breaker that the configuration describes could be served, and the one that it names be told.

use std::path::Path;

use centinel_breaker_client::{ClientError, ReportError, Reporter};
use centinel_catalog::read_file;

use super::Probe;
use crate::breaker::runtime;
use crate::config::{BreakerConfig, BreakerReportConfig, Config, Problem};
use crate::detect::std_duration;

/// Certificates and keys are some kilobytes.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// What both tables say together and cannot be.
pub fn wrong(config: &Config) -> Option<Problem> {
    let (breaker, report) = config
        .breaker
        .as_ref()
        .zip(config.breaker_report.as_ref())?;
    let held = breaker.holds_suspected();
    (!held.is_empty() && !report.suspicions).then(|| {
        let problem = format!(
            "`on_suspected` holds at {}, and detection does not say what it suspects",
            held.join(", ")
        );
        let remedy =
            "add `suspicions = true` to [breaker_report], or write `on_suspected = \"allow\"`";
        Problem::new(&config.file, report.line, problem, remedy)
    })
}

/// Looks for the folder of the store, the files of TLS and the webhook's secret. The store itself may be in use.
pub struct BreakerProbe<'a>(pub &'a Config, pub &'a BreakerConfig);

impl Probe for BreakerProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let BreakerProbe(config, breaker) = self;
        let service = &breaker.service;
        let problem =
            |what: String, remedy: &str| Problem::new(&config.file, breaker.line, what, remedy);
        let mut found = Vec::new();
        let folder = service.store.parent().filter(|path| *path != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let what = format!("there is no folder {} for the store", folder.display());
            found.push(problem(what, "make it, or correct `store`"));
        }
        for path in service
            .tls
            .iter()
            .flat_map(|tls| [&tls.certificate, &tls.key])
        {
            if let Err(error) = read_file(path, MAX_PEM_BYTES) {
                let what = format!("{} cannot be read: {error}", path.display());
                found.push(problem(
                    what,
                    "correct `certificate` and `key` of [breaker.tls]",
                ));
            }
        }
        if let Some(webhook) = &service.webhook
            && std::env::var_os(&webhook.secret_env).is_none()
        {
            let what = format!(
                "the environment variable `{}` is not set",
                webhook.secret_env
            );
            found.push(problem(what, "set it where the breaker is started"));
        }
        found
    }
}

/// Asks the breaker whether it would take reports with this key; it is told nothing.
pub struct ReportProbe<'a>(pub &'a Config, pub &'a BreakerReportConfig);

impl Probe for ReportProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let ReportProbe(config, report) = self;
        let refused = |what: String, remedy: &str| {
            vec![Problem::new(&config.file, report.line, what, remedy)]
        };
        let ca = report.ca.as_ref().map(|path| {
            read_file(path, MAX_PEM_BYTES)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        });
        let ca = match ca.transpose() {
            Ok(ca) => ca,
            Err(what) => return refused(what, "correct `ca`"),
        };
        let key = match report.key.read() {
            Ok(key) => key,
            Err(problem) => return vec![problem],
        };
        let deadline = std_duration(report.deadline);
        let reporter = Reporter::new(&report.url, key.reveal(), deadline, ca.as_deref());
        let reporter = match reporter {
            Ok(reporter) => reporter,
            Err(error) => return refused(error.to_string(), "correct `url` or `ca`"),
        };
        let Ok(runtime) = runtime() else {
            return Vec::new();
        };
        match runtime.block_on(reporter.probe()) {
            Ok(()) => Vec::new(),
            Err(
                error @ ReportError::Refused(ClientError::Refused {
                    status: 401 | 403, ..
                }),
            ) => refused(
                error.to_string(),
                "make a key of scope `findings`, and put it in place",
            ),
            Err(error) => refused(
                error.to_string(),
                "start the breaker there, or correct `url`; detection goes on without it, and tells it later",
            ),
        }
    }
}
