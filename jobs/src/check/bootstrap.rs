//! Whether a new state could begin with the snapshot that the configuration names.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use centinel_catalog::Catalog;
use centinel_engine::detect::check_bootstrap;

use super::Probe;
use crate::config::{BootstrapConfig, Config, Problem};
use crate::plan;
use crate::printer::complain;

/// How long the place has to answer to everything: the ends of all files are read.
const LIMIT: Duration = Duration::from_secs(60);

/// Tries the snapshot: it is listed, its manifest is read, and of each file what it says of its columns.
pub struct BootstrapProbe<'a>(
    pub &'a Config,
    pub &'a BootstrapConfig,
    pub &'a Arc<Catalog>,
);

impl Probe for BootstrapProbe<'_> {
    fn probe(&self) -> Vec<Problem> {
        let BootstrapProbe(config, bootstrap, catalog) = self;
        let Some(options) = plan::bootstrap(config) else {
            return Vec::new();
        };
        let problem =
            |what: String, remedy: &str| Problem::new(&config.file, bootstrap.line, what, remedy);
        // A store that is away is asked again and again, for longer than a person waits. What is left of that ends
        // with the program.
        let (send, checked) = channel();
        let catalog = Arc::clone(catalog);
        let looking = std::thread::Builder::new()
            .name("bootstrap".into())
            .spawn(move || send.send(check_bootstrap(&catalog, &options)));
        let checked = match looking {
            Ok(_) => checked.recv_timeout(LIMIT),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        let location = &bootstrap.location;
        let Ok(checked) = checked else {
            return vec![problem(
                format!(
                    "{location} could not be looked through within {} s",
                    LIMIT.as_secs()
                ),
                "let this machine reach it and list it, or correct `bootstrap`",
            )];
        };
        if checked.problems.is_empty() && !checked.absent.is_empty() {
            complain(format_args!(
                "note: {location} does not hold `{}`: what happened to them before is not known, and what depends on it \
                 is undetermined",
                checked.absent.join("`, `")
            ));
        }
        let remedy = "mend the snapshot or correct `bootstrap`, as it says";
        let problems = checked.problems.into_iter();
        problems.map(|what| problem(what, remedy)).collect()
    }
}
