//! What the program says on standard error: lines for people, as they always were, or one JSON object a line for those who
//! gather logs.
//!
//! What is said may hold data, such as an order number, and data must not look like a line of its own, nor speak to a
//! terminal: whatever is not a printable letter is written as an escape. Secrets are never said.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;

use clap::ValueEnum;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::detect::wall_clock;

/// Says it where the command line does not.
pub const VARIABLE: &str = "CENTINEL_LOG";
/// Of this program's crates only.
const OURS: &str = "centinel";
/// Fields that are no fields: who said it, and whether its lines are its own.
const MODULE: &str = "said_by";
const OWN_LINES: &str = "own_lines";

/// How it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The words alone.
    #[default]
    Text,
    /// One JSON object a line: `timestamp`, `level`, `target`, `message`, `fields`
    Json,
}

static CHOSEN: OnceLock<Format> = OnceLock::new();

/// Begins; what was said before is lost. `given` is what the command line says.
///
/// # Errors
/// Where the environment names a form that there is not.
pub fn begin(given: Option<Format>) -> Result<(), String> {
    let named = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty());
    let (format, wrong) = match (given, named) {
        (Some(format), _) => (format, None),
        (None, None) => (Format::Text, None),
        (None, Some(name)) => match Format::from_str(&name, true) {
            Ok(format) => (format, None),
            Err(_) => (Format::Text, Some(name)),
        },
    };
    let chosen = *CHOSEN.get_or_init(|| format);
    let lines = Lines { format: chosen };
    // Only a second call fails, and then the first one's does the same.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
    match wrong {
        None => Ok(()),
        Some(name) => Err(format!("{VARIABLE} is `{name}`: write text or json")),
    }
}

/// The word for it, for processes that this one starts.
pub fn chosen() -> &'static str {
    match CHOSEN.get() {
        Some(Format::Json) => "json",
        _ => "text",
    }
}

/// Says a text that a part of the program put together; `file` is the part's. Its level is in its first word.
pub fn say(file: &str, text: &str, own_lines: bool) {
    let module = module_of(file);
    let first = text.split(' ').next().unwrap_or_default();
    match first {
        "error:" => tracing::error!(said_by = module, own_lines, "{text}"),
        "warning:" => tracing::warn!(said_by = module, own_lines, "{text}"),
        _ => tracing::info!(said_by = module, own_lines, "{text}"),
    }
}

/// `jobs/src/detect.rs` → `centinel::detect`.
fn module_of(file: &str) -> String {
    let inside = file
        .strip_prefix("jobs/src/")
        .and_then(|file| file.strip_suffix(".rs"));
    match inside {
        Some(inside) => format!(
            "{OURS}::{}",
            inside.trim_end_matches("/mod").replace('/', "::")
        ),
        None => OURS.to_owned(),
    }
}

struct Lines {
    format: Format,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with(OURS) && *metadata.level() <= Level::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let line = match self.format {
            Format::Text => said.text(),
            Format::Json => said.json(event.metadata()),
        };
        // Where it is closed, nobody wants to know. One write, so that lines of threads do not mix.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// What one event holds.
#[derive(Default)]
struct Said {
    message: String,
    module: Option<String>,
    own_lines: bool,
    fields: Map<String, Value>,
}

impl Said {
    fn text(&self) -> String {
        let mut line = match self.own_lines {
            true => {
                let lines: Vec<String> = self.message.split('\n').map(escaped).collect();
                lines.join("\n")
            }
            false => escaped(&self.message),
        };
        line.push('\n');
        line
    }

    fn json(&self, metadata: &Metadata<'_>) -> String {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("timestamp", wall_clock().to_string().into());
        put("level", metadata.level().as_str().to_lowercase().into());
        let target = self.module.as_deref().unwrap_or(metadata.target());
        put("target", target.into());
        put("message", self.message.as_str().into());
        put("fields", self.fields.clone().into());
        let mut line = Value::Object(object).to_string();
        line.push('\n');
        line
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (MODULE, Value::String(text)) => self.module = Some(text),
            (OWN_LINES, value) => self.own_lines = value == Value::Bool(true),
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

/// Control characters, ends of lines that only some know, and letters that turn the direction of what follows, as escapes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() || turns => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what would be written.
    struct Kept(Format, Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut said = Said::default();
            event.record(&mut said);
            let line = match self.0 {
                Format::Text => said.text(),
                Format::Json => said.json(event.metadata()),
            };
            self.1.lock().unwrap().push(line);
        }
    }

    fn said(format: Format, say: impl FnOnce()) -> Vec<String> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let layer = Kept(format, Arc::clone(&kept));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        kept.lock().unwrap().clone()
    }

    const HOSTILE: &str = "O-1\nerror: all is well\r\u{1b}[2J\u{202e}\u{2028}";

    #[test]
    fn data_cannot_forge_a_line_for_people() {
        let lines = said(Format::Text, || {
            say(
                "jobs/src/detect.rs",
                &format!("order {HOSTILE} is odd"),
                false,
            );
        });
        assert_eq!(
            lines,
            ["order O-1\\nerror: all is well\\r\\u{1b}[2J\\u{202e}\\u{2028} is odd\n"]
        );
    }

    #[test]
    fn data_cannot_forge_a_line_for_programs() {
        let lines = said(Format::Json, || {
            say(
                "jobs/src/breaker/mod.rs",
                &format!("error: order {HOSTILE}"),
                false,
            );
            tracing::warn!(target: "centinel::x", rule = HOSTILE, count = 3_u64, "told");
        });
        assert!(
            lines.iter().all(|line| line.matches('\n').count() == 1),
            "{lines:?}"
        );
        let read: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read[0]["level"], "error");
        assert_eq!(read[0]["target"], "centinel::breaker");
        assert_eq!(read[0]["message"], format!("error: order {HOSTILE}"));
        assert_eq!(read[0]["fields"], serde_json::json!({}));
        assert_eq!(read[1]["level"], "warn");
        assert_eq!(read[1]["target"], "centinel::x");
        assert_eq!(
            read[1]["fields"],
            serde_json::json!({"rule": HOSTILE, "count": 3})
        );
        let time = read[0]["timestamp"].as_str().unwrap();
        assert!(centinel_model::Timestamp::parse(time).is_ok(), "{time}");
    }

    #[test]
    fn lines_that_are_its_own_stay_lines() {
        let lines = said(Format::Text, || {
            say("jobs/src/folders.rs", "error: no\n  help: yes\u{7}", true);
        });
        assert_eq!(lines, ["error: no\n  help: yes\\u{7}\n"]);
    }
}
