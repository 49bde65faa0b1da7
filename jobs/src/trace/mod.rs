//! `centinel trace`: what happened to one order, or any entity, in every system, as one line of time.

mod breaker;
mod known;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use centinel_trace::{Parts, compose};
use clap::Args;

use crate::check::refuse;
use crate::config::Config;
use crate::exit::Status;
use crate::findings::one_line;
use crate::folders::Folders;
use crate::printer::{Printer, complain};

/// The configuration file that is taken where none is named.
const CONFIG: &str = "centinel.toml";
/// What the job says by its status where nobody knows anything of the entity.
const NOTHING_KNOWN: u8 = 1;

/// What is traced, and where it is known.
///
/// Exit status: 0 something is known, 1 nothing is, 3 a place that should know could not be read (what others know is shown
/// all the same), 64 wrong usage.
#[derive(Args, Debug)]
pub struct TraceArguments {
    /// The entity's key: an order's number
    #[arg(value_name = "ORDER")]
    key: String,
    /// Which entity it is, as the schemas call it
    #[arg(long, value_name = "NAME", default_value = "order")]
    entity: String,
    /// The configuration file of detection, which says where all of this is; centinel.toml where it is there and nothing
    /// else is named. A running detection is asked by its [interface]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["state", "schemas", "rules"])]
    config: Option<PathBuf>,
    /// Folder of the state of a detection that does not run
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    folders: Folders,
    /// The archive (a folder or URL, as for `detect --archive`). It is always read where it is named here; that of the
    /// configuration is read where state does not know everything
    #[arg(long, value_name = "DIR-or-URL")]
    archive: Option<String>,
    /// The store of findings
    #[arg(long, value_name = "FILE")]
    findings_store: Option<PathBuf>,
    /// The store of a breaker on this machine, which may run
    #[arg(long, value_name = "FILE")]
    breaker_store: Option<PathBuf>,
    /// Write JSON (centinel/trace/1), in one line
    #[arg(long)]
    json: bool,
}

/// Runs `centinel trace`.
pub fn run(arguments: &TraceArguments) -> ExitCode {
    match arguments.trace() {
        Ok(code) => code,
        Err(status) => status.into(),
    }
}

impl TraceArguments {
    fn trace(&self) -> Result<ExitCode, Status> {
        let config = self.config()?;
        let folders = match &config {
            Some(config) => Folders {
                schemas: config.schemas.clone(),
                rules: config.rules.clone(),
            },
            None => self.folders.clone(),
        };
        let catalog = Folders::catalog_of(&folders.schemas)?;
        let Some(entity) = catalog.entity_id(&self.entity) else {
            let names: Vec<&str> = catalog
                .entities
                .iter()
                .map(|known| known.name.as_str())
                .collect();
            let (entity, known) = (one_line(&self.entity), names.join(", "));
            complain(format_args!(
                "error: no schema names an entity `{entity}`: name one of {known}"
            ));
            return Err(Status::WrongUsage);
        };
        let key = catalog.entity(entity).normalise(&self.key).into_owned();
        let mut told = known::Told::default();
        let places = known::Places {
            config: config.as_ref(),
            folders,
            catalog,
            state: self.state.clone(),
            archive: self.archive.clone(),
            findings_store: self.findings_store.clone(),
            breaker_store: self.breaker_store.clone(),
        };
        let histories = places.histories(&self.entity, &key, &mut told)?;
        let findings = places.findings(&self.entity, &key, &mut told);
        let breaker = places.breaker(&self.entity, &key, &findings, &mut told);
        let parts = Parts {
            histories,
            findings,
            breaker,
        };
        let mut trace = compose(&self.entity, &key, parts);
        trace.completeness.notes.extend(told.notes);
        let mut printer = Printer::stdout();
        match self.json {
            true => printer.line(json(&trace)?),
            false => show::lines(&trace, show::width(), &mut |line| printer.line(line)),
        }
        for problem in &told.problems {
            complain(format_args!("error: {}", one_line(problem)));
        }
        let status = match told.problems.is_empty() {
            true => Status::Clean,
            false => Status::CouldNotJudge,
        };
        Ok(match printer.finish(status) {
            Status::Clean if trace.is_empty() => ExitCode::from(NOTHING_KNOWN),
            status => status.into(),
        })
    }

    fn config(&self) -> Result<Option<Config>, Status> {
        let named = self.state.is_some() || self.archive.is_some();
        let path = match &self.config {
            Some(path) => path,
            None if named => return Ok(None),
            None if Path::new(CONFIG).exists() => Path::new(CONFIG),
            None => {
                complain(
                    "error: nothing says where to look: give --config FILE, --state DIR or --archive URL",
                );
                return Err(Status::WrongUsage);
            }
        };
        Config::load(path)
            .map(Some)
            .map_err(|problems| refuse(&problems))
    }
}

/// In one line, in which nothing steers a terminal or turns the direction of writing.
fn json(trace: &centinel_trace::Trace) -> Result<String, Status> {
    let text = serde_json::to_string(trace).map_err(|error| {
        complain(format_args!("error: {error}"));
        Status::CouldNotJudge
    })?;
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        let mut itself = [0; 4];
        let itself = character.encode_utf8(&mut itself);
        // What is not harmless stands within a text, where JSON has a way to write it.
        match one_line(itself) == *itself {
            true => line.push(character),
            false => line.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use centinel_trace::Trace;

    #[test]
    fn json_steers_no_terminal_and_says_the_same() {
        let key = "O\u{1b}[2J\u{9b}31m\u{202e}1\n退款\u{7f}\u{2028}\"\\";
        let trace = compose("order", key, Parts::default());
        let line = json(&trace).unwrap();
        assert_eq!(one_line(&line), line);
        assert_eq!(serde_json::from_str::<Trace>(&line).unwrap(), trace);
    }
}
