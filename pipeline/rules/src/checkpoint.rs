//! Checkpoints: named sets of rules that a change by hand triggers, in `checkpoints.yaml` beside the rules.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use centinel_catalog::Diagnostic;
use centinel_model::Duration;
use serde::Deserialize;

use crate::mistakes::{Mistakes, SourceFile, suggest};
use crate::rule::Rule;

/// The form of the file.
const FORM: &str = "checkpoints/1";
/// The name of the file that declares checkpoints, beside the rules.
pub const CHECKPOINTS: &str = "checkpoints.yaml";
const MAX_BYTES: usize = 64 << 10;
const DEFAULT_RETRIES: u32 = 3;
const MOST_RETRIES: u32 = 1_000;

/// What is asked about an order, or another entity, that somebody changed by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its name, by which guards name it.
    pub name: String,
    /// Ids of the rules.
    pub rules: Vec<String>,
    /// How long after the change it is asked first.
    pub settle: Duration,
    /// How often again.
    pub retries: u32,
    /// The time between two such times.
    pub retry_interval: Duration,
}

impl Checkpoint {
    /// How long after the change its answer counts.
    pub fn patience(&self) -> Duration {
        self.settle.plus(self.retry_interval.times(self.retries))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    centinel: String,
    checkpoints: BTreeMap<String, WrittenCheckpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCheckpoint {
    rules: Vec<String>,
    #[serde(default)]
    settle: Option<String>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    retry_interval: Option<String>,
}

/// The checkpoints of a folder of rules, `None` where it has no such file; or every mistake.
pub(crate) fn load_checkpoints(
    folder: &Path,
    rules: &[Arc<Rule>],
) -> Result<Option<Vec<Checkpoint>>, Vec<Diagnostic>> {
    let path = folder.join(CHECKPOINTS);
    let mut file = SourceFile {
        path: path.display().to_string(),
        text: String::new(),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if text.len() <= MAX_BYTES => file.text = text,
        Ok(_) => return Err(refuse(&file, "the file is larger than 64 KiB".into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(&file, format!("the file cannot be read: {error}"))),
    }
    let mut mistakes = Mistakes::new(&file);
    let written: Written = match serde_saphyr::from_str(&file.text) {
        Ok(written) => written,
        Err(error) => {
            let place = error.location().and_then(|location| {
                let (line, column) = (location.line(), location.column());
                mistakes.range((line, column), (line, column + 1))
            });
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default().to_owned();
            mistakes.add(place, said, example());
            return Err(mistakes.list);
        }
    };
    if written.centinel != FORM {
        let problem = format!(
            "`{}` is not a form that this program reads",
            written.centinel
        );
        mistakes.add(
            place_of(&file, "centinel"),
            problem,
            format!("write `centinel: {FORM}`"),
        );
    }
    let mut checkpoints = Vec::new();
    for (name, written) in written.checkpoints {
        for id in &written.rules {
            if !rules.iter().any(|rule| rule.id == *id) {
                let known = rules.iter().map(|rule| rule.id.as_str());
                let problem =
                    format!("checkpoint `{name}` names `{id}`, and there is no such rule");
                mistakes.add(place_of(&file, id), problem, suggest(id, known));
            }
        }
        if written.rules.is_empty() {
            let problem = format!("checkpoint `{name}` has no rules");
            mistakes.add(place_of(&file, &name), problem, "name at least one");
        }
        let mut span = |field: &str, text: &Option<String>, default: Duration| {
            let Some(text) = text else { return default };
            Duration::parse(text).unwrap_or_else(|error| {
                let problem = format!("`{field}` of `{name}`: {error}");
                mistakes.add(
                    place_of(&file, text),
                    problem,
                    "write a span such as 30s, 2m or 24h",
                );
                default
            })
        };
        let settle = span("settle", &written.settle, Duration::ZERO);
        let retry_interval = span(
            "retry_interval",
            &written.retry_interval,
            Duration::seconds(10),
        );
        let retries = written.retries.unwrap_or(DEFAULT_RETRIES);
        if retries > MOST_RETRIES {
            let problem = format!("{retries} retries of `{name}`");
            mistakes.add(
                place_of(&file, &name),
                problem,
                format!("at most {MOST_RETRIES}"),
            );
        }
        checkpoints.push(Checkpoint {
            name,
            rules: written.rules,
            settle,
            retries,
            retry_interval,
        });
    }
    match mistakes.is_empty() {
        true => Ok(Some(checkpoints)),
        false => Err(mistakes.list),
    }
}

fn refuse(file: &SourceFile, problem: String) -> Vec<Diagnostic> {
    let mut mistakes = Mistakes::new(file);
    mistakes.add(None, problem, example());
    mistakes.list
}

fn example() -> String {
    format!(
        "write `centinel: {FORM}` and `checkpoints: {{ order-chain: {{ rules: [a, b], settle: 2m }} }}`"
    )
}

/// Where a word first stands in the file.
fn place_of(file: &SourceFile, word: &str) -> Option<std::ops::Range<usize>> {
    let start = file.text.find(word)?;
    Some(start..start + word.len())
}
