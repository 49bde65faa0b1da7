//! Where the quarantine is: in a detection that runs, or in the state of one that does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use centinel_engine::detect::{
    Detector, DetectorLimits, MOST_AT_ONCE, QuarantineError, SettledTo, quarantine, quarantined,
    settle_at_rest,
};
use centinel_interface::{
    Client, ClientError, Problem, QuarantinedBytes, QuarantinedRecord, Settle, Standing,
};
use centinel_state::{FileStore, StateError, Store};
use clap::Args;
use tokio::runtime::Runtime;

use super::records::{bytes, problem, record};
use crate::audit::wanted;
use crate::beside;
use crate::check::refuse;
use crate::config::Config;
use crate::detect::{runnable, wall_clock};
use crate::exit::Status;
use crate::folders::Folders;
use crate::interface;
use crate::plan;
use crate::printer::complain;
use crate::self_check::BuiltIn;

const CONFIG: &str = "centinel.toml";
const CACHE_BYTES: usize = 64 << 20;
/// How long detection may take to answer: a little longer than it lets itself.
const DEADLINE: Duration = Duration::from_secs(90);

/// Whose quarantine it is.
#[derive(Args, Clone, Debug)]
pub struct PlaceArguments {
    /// The configuration file of detection; centinel.toml where it is there and no state is named
    #[arg(long, value_name = "FILE", conflicts_with_all = ["state", "schemas", "rules"])]
    config: Option<PathBuf>,
    /// Folder of the state, where detection does not run by a configuration file
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    folders: Folders,
    /// With --state: detection judges by this rule only; may be given several times
    #[arg(long, value_name = "ID", requires = "state")]
    rule: Vec<String>,
}

/// Whose quarantine is asked.
pub enum Place {
    /// A detection that runs.
    Running(Box<Running>),
    /// The state of one that does not.
    AtRest(Box<AtRest>),
}

/// A detection that answers.
pub struct Running {
    client: Client,
    runtime: Runtime,
}

/// A state that nobody else has open.
pub struct AtRest {
    /// What the state has of the self-check.
    built_in: Option<BuiltIn>,
    store: Arc<dyn Store>,
    config: Option<Config>,
    folders: Folders,
    rule: Vec<String>,
}

impl PlaceArguments {
    /// Asks the detection that runs, where the configuration says how; else opens the state.
    pub fn open(&self) -> Result<Place, Status> {
        let config = match (&self.state, &self.config) {
            (Some(_), _) => None,
            (None, given) => Some(configured(given.as_deref())?),
        };
        if let Some(running) = config.as_ref().map(running).transpose()?.flatten() {
            return Ok(Place::Running(Box::new(running)));
        }
        let state = self.open_state(config)?;
        Ok(Place::AtRest(Box::new(state)))
    }

    fn open_state(&self, config: Option<Config>) -> Result<AtRest, Status> {
        let state = match &config {
            Some(config) => config.state.clone(),
            None => self.state.clone().unwrap_or_default(),
        };
        if !state.join("state.redb").exists() {
            complain(format_args!(
                "error: there is no state in {}",
                state.display()
            ));
            return Err(Status::WrongUsage);
        }
        let store = FileStore::open(&state, CACHE_BYTES).map_err(|error| {
            complain(format_args!("error: {error}"));
            if matches!(error, StateError::InUse { .. }) {
                complain(
                    "detection runs: stop it, or ask it by its interface (--config, [interface])",
                );
            }
            Status::CouldNotJudge
        })?;
        let folders = match &config {
            Some(config) => Folders {
                schemas: config.schemas.clone(),
                rules: config.rules.clone(),
            },
            None => self.folders.clone(),
        };
        Ok(AtRest {
            built_in: BuiltIn::of(config.as_ref(), &state),
            store: Arc::new(store),
            config,
            folders,
            rule: self.rule.clone(),
        })
    }
}

fn configured(given: Option<&Path>) -> Result<Config, Status> {
    let path = given.unwrap_or(Path::new(CONFIG));
    if given.is_none() && !path.exists() {
        complain("error: no state is named: give --state DIR, or the --config FILE of detection");
        return Err(Status::WrongUsage);
    }
    Config::load(path).map_err(|problems| refuse(&problems))
}

/// The detection of this configuration, if it runs and can be asked.
fn running(config: &Config) -> Result<Option<Running>, Status> {
    let Some(asked) = &config.interface else {
        return Ok(None);
    };
    let failed = |what: String| {
        complain(format_args!("error: {what}"));
        Status::WrongUsage
    };
    let client = interface::client(asked, DEADLINE).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    match runtime.block_on(client.health()) {
        Ok(_) => Ok(Some(Running { client, runtime })),
        Err(ClientError::Unreachable(_)) => Ok(None),
        Err(other) => Err(failed(other.to_string())),
    }
}

fn refused(error: ClientError) -> Problem {
    match error {
        ClientError::Refused { status: 404, text } => Problem::NotFound(text),
        ClientError::Refused { status: 409, text } => Problem::Refused(text),
        other => Problem::Unavailable(other.to_string()),
    }
}

impl Place {
    /// Records, the newest first, below a number.
    pub fn list(&self, below: Option<u64>, most: usize) -> Result<Vec<QuarantinedRecord>, Problem> {
        match self {
            Place::AtRest(state) => state.list(below, most),
            Place::Running(running) => running.list(below, most),
        }
    }

    /// One record and its bytes.
    pub fn one(&self, number: u64) -> Result<(QuarantinedRecord, QuarantinedBytes), Problem> {
        match self {
            Place::AtRest(state) => state.one(number),
            Place::Running(running) => running.one(number),
        }
    }

    /// Settles records; `each` is told of some at a time what came of them.
    pub fn settle(
        &self,
        numbers: &[u64],
        settle: &Settle,
        each: &mut dyn FnMut(Result<Vec<QuarantinedRecord>, Problem>),
    ) -> Result<(), Status> {
        match self {
            Place::AtRest(state) => state.settle(numbers, settle, each),
            Place::Running(running) => {
                let Running { client, runtime } = running.as_ref();
                for number in numbers {
                    let settled = runtime.block_on(client.settle(*number, settle));
                    each(settled.map(|record| vec![record]).map_err(refused));
                }
                Ok(())
            }
        }
    }

    /// When what was in doubt is judged.
    pub fn when_judged(&self) -> &'static str {
        match self {
            Place::AtRest(_) => "when detection runs the next time",
            Place::Running(_) => "now",
        }
    }
}

impl Running {
    fn list(&self, below: Option<u64>, most: usize) -> Result<Vec<QuarantinedRecord>, Problem> {
        let asked = self.client.quarantine(below, most);
        self.runtime.block_on(asked).map_err(refused)
    }

    fn one(&self, number: u64) -> Result<(QuarantinedRecord, QuarantinedBytes), Problem> {
        let listed = self.list(number.checked_add(1), 1)?;
        let record = listed.into_iter().find(|record| record.number == number);
        let record = record
            .ok_or_else(|| Problem::NotFound(format!("no record {number} is in quarantine")))?;
        let bytes = self.runtime.block_on(self.client.quarantined(number));
        Ok((record, bytes.map_err(refused)?))
    }
}

impl AtRest {
    fn list(&self, below: Option<u64>, most: usize) -> Result<Vec<QuarantinedRecord>, Problem> {
        let holes = quarantine(self.store.as_ref(), below, most).map_err(problem)?;
        Ok(holes.into_iter().map(record).collect())
    }

    fn one(&self, number: u64) -> Result<(QuarantinedRecord, QuarantinedBytes), Problem> {
        let (hole, kept) = quarantined(self.store.as_ref(), number).map_err(problem)?;
        let bytes = bytes(&hole, &kept);
        Ok((record(hole), bytes))
    }

    /// Accepted records are settled by many in one commit, re-driven ones each by itself.
    fn settle(
        &self,
        numbers: &[u64],
        settle: &Settle,
        each: &mut dyn FnMut(Result<Vec<QuarantinedRecord>, Problem>),
    ) -> Result<(), Status> {
        let (to, at_once) = match settle.to {
            Standing::Redriven => (SettledTo::Redriven, 1),
            _ => (SettledTo::Accepted, MOST_AT_ONCE),
        };
        let config = self.config.as_ref();
        let inputs = match config.filter(|_| to == SettledTo::Redriven) {
            Some(config) => plan::inputs(config).map_err(|problems| refuse(&problems))?,
            None => Vec::new(),
        };
        let archive = config.map(plan::archive).transpose();
        let archive = archive.map_err(|problem| refuse(&[problem]))?.flatten();
        let mut detector = self.detector()?;
        for part in numbers.chunks(at_once) {
            let asked = centinel_engine::detect::Settle {
                numbers: part.to_vec(),
                to,
                by: settle.by.clone(),
                reason: settle.reason.clone(),
            };
            let done = settle_at_rest(
                &mut detector,
                &inputs,
                archive.as_ref(),
                &asked,
                wall_clock(),
            );
            if let Err(QuarantineError::Failed(_)) = &done {
                detector = self.detector()?;
            }
            let done = done.map(|holes| holes.into_iter().map(record).collect());
            each(done.map_err(problem));
        }
        Ok(())
    }

    /// As detection takes the state up.
    fn detector(&self) -> Result<Detector, Status> {
        let (catalog, rules) = self.folders.load_with(self.built_in)?;
        let rules = runnable(wanted(&rules.rules, &self.rule), !self.rule.is_empty())?;
        let limits = DetectorLimits {
            rules_may_retire: self.rule.is_empty(),
            suspicions: beside::wants_suspicions(self.config.as_ref()),
            ..DetectorLimits::default()
        };
        Detector::new(catalog, &rules, Arc::clone(&self.store), limits).map_err(|error| {
            complain(format_args!("error: {error}"));
            Status::CouldNotJudge
        })
    }
}
