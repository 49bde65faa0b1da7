//! Whether people could be told by the channels that the configuration names. Nothing is sent.

use std::path::Path;

use centinel_alert::{Alerts, StateFile};

use super::Probe;
use crate::alerts::{STATE, outlets};
use crate::config::{AlertsConfig, Config, Problem};

/// Reads the secrets, makes what sends, looks for the folders of files, and whether the alerts' state can be gone on with.
pub struct AlertsProbe<'a>(pub &'a Config, pub &'a AlertsConfig);

impl Probe for AlertsProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let AlertsProbe(config, alerts) = self;
        let mut found = match outlets(config, alerts) {
            Ok(_) => Vec::new(),
            Err(problems) => problems,
        };
        let problem =
            |what: String, remedy: &str| Problem::new(&config.file, alerts.line, what, remedy);
        let base = config.file.parent().unwrap_or(Path::new("."));
        for (name, path) in alerts.channels.files() {
            let path = base.join(path);
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = folder.unwrap_or(Path::new("."));
            if !folder.is_dir() {
                let what = format!(
                    "[alerts.{name}]: there is no folder {} for the file",
                    folder.display()
                );
                found.push(problem(what, "make it, or correct `path`"));
            }
        }
        let path = config.state.join(STATE);
        let stored = StateFile::new(&path).read();
        let state = stored
            .map_err(|error| error.to_string())
            .and_then(|stored| match stored {
                None => Ok(()),
                Some(bytes) => Alerts::restore(alerts.channels.rules.clone(), &bytes)
                    .map(drop)
                    .map_err(|error| error.to_string()),
            });
        if let Err(error) = state {
            let what = format!("{}: {error}", path.display());
            found.push(problem(what, "mend the state of the alerts"));
        }
        found
    }
}
