//! The file as a whole.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use centinel_catalog::read_file;
use centinel_model::Duration;
use toml::Spanned;
use toml::de::{DeString, DeTable};

use super::form::{Fields, Form, Node};
use super::problem::{Problem, shorten};
use super::{
    BreakerConfig, Config, DetectionConfig, FORM, FileConfig, MAX_FILE_BYTES, Source, SourceConfig,
    alerts, archive, audits, binlog, bootstrap, breaker, console, drills, interface, kafka,
};

/// As many as schemas may name.
const MAX_SOURCES: usize = 64;

impl Config {
    /// Reads a configuration file. No secret is read yet.
    ///
    /// # Errors
    /// Every problem, in the order of the file.
    pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
        Config::parse(&text_of(path)?, path)
    }

    /// Reads `[breaker]` alone: a breaker starts whatever else is wrong in the file.
    ///
    /// # Errors
    /// Every problem, in the order of the file.
    pub fn load_breaker(path: &Path) -> Result<BreakerConfig, Vec<Problem>> {
        let text = text_of(path)?;
        let mut form = Form::new(path, &text);
        let breaker = document(&mut form).and_then(|mut fields| {
            stated_form(&mut form, &mut fields)?;
            let node = form.require(&mut fields, "breaker", "{ … }, a table");
            node.and_then(|node| breaker::read(&mut form, node.span().start))
        });
        let problems = form.into_problems();
        match breaker {
            Some(breaker) if problems.is_empty() => Ok(breaker),
            _ => Err(problems),
        }
    }

    /// Reads the text of a configuration file that lies at `path`.
    ///
    /// # Errors
    /// Every problem, in the order of the file; of text that is not TOML only what keeps it from being that.
    pub fn parse(text: &str, path: &Path) -> Result<Config, Vec<Problem>> {
        let mut form = Form::new(path, text);
        let config = document(&mut form).and_then(|fields| config(&mut form, fields));
        let problems = form.into_problems();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }
}

/// The text of a configuration file.
fn text_of(path: &Path) -> Result<String, Vec<Problem>> {
    let refuse = |problem: String, remedy: &str| Err(vec![Problem::new(path, 0, problem, remedy)]);
    let bytes = match read_file(path, MAX_FILE_BYTES + 1) {
        Ok(bytes) => bytes,
        Err(error) => {
            let remedy =
                "name a file that is there with --config; jobs/README.md says what it holds";
            return refuse(format!("the configuration cannot be read: {error}"), remedy);
        }
    };
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let problem = "the configuration is larger than 1 MiB".to_owned();
        return refuse(problem, "see whether this is the right file");
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let (problem, remedy) = ("this line is not UTF-8 text", "save the file as UTF-8");
        vec![Problem::new(path, line, problem, remedy)]
    })
}

/// The file as a table, if it is TOML.
fn document<'a>(form: &mut Form<'a>) -> Option<Fields<'a>> {
    let (document, errors) = DeTable::parse_recoverable(form.document());
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        let problem = format!("this is not TOML: {}", error.message());
        let remedy = match error.message() {
            "duplicate key" => "keep one of them",
            _ => "texts stand in quotes, names before `=`; https://toml.io has the whole form",
        };
        form.refuse(at, problem, remedy);
    }
    errors
        .is_empty()
        .then(|| Fields::new("the configuration", 0, document.into_inner()))
}

/// Whether the file says the form that this program reads.
fn stated_form(form: &mut Form, fields: &mut Fields) -> Option<()> {
    let Some(node) = form.require(fields, "centinel", "\"config/1\"") else {
        // The rest may be right all the same.
        return Some(());
    };
    let stated = form.text("`centinel`", node)?;
    if stated.value != FORM {
        let problem = format!(
            "`{}` is not a form that this program reads",
            shorten(&stated.value)
        );
        form.refuse(stated.at, problem, format!("write centinel = \"{FORM}\""));
        return None;
    }
    Some(())
}

fn config(form: &mut Form, mut fields: Fields) -> Option<Config> {
    let known = [
        "centinel",
        "schemas",
        "rules",
        "state",
        "findings",
        "archive",
        "detection",
        "sources",
        "audits",
        "breaker",
        "breaker_report",
        "drills",
        "alerts",
        "self_check",
        "interface",
        "console",
    ];
    stated_form(form, &mut fields)?;
    form.only(&mut fields, &known);
    let mut folder = |form: &mut Form, name: &str, usual: Option<&str>| match fields.take(name) {
        Some(node) => form.path(&format!("`{name}`"), node),
        None => usual.map(|usual| form.beside(usual)),
    };
    let schemas = folder(form, "schemas", Some("schemas"));
    let rules = folder(form, "rules", Some("sql-rules"));
    // Who only audits or drills, or only serves the breaker or pages, reads no source and keeps no state.
    let others = ["audits", "drills", "breaker", "console"];
    let others = others.iter().any(|name| fields.has(name));
    let no_detection = others && !fields.has("sources");
    let state = match no_detection && !fields.has("state") {
        true => Some(form.beside("state")),
        false => {
            let state = form.require(&mut fields, "state", "\"state\"");
            state.and_then(|node| form.path("`state`", node))
        }
    };
    let tells_file = fields.has("findings");
    let findings = fields
        .take("findings")
        .and_then(|node| findings(form, node));
    let (findings, findings_store) = findings.unzip();
    let archive = fields
        .take("archive")
        .and_then(|node| archive::read(form, node));
    let detection = fields
        .take("detection")
        .and_then(|node| detection(form, node));
    let sources = match no_detection {
        true => None,
        false => form.require(&mut fields, "sources", "{ … }, a table for each source"),
    };
    let sources = sources
        .map(|node| sources_of(form, node))
        .unwrap_or_default();
    let audits = fields.take("audits").map(|node| audits::read(form, node));
    let audits = audits.unwrap_or_default();
    let drills = fields.take("drills");
    let drills = drills.map(|node| drills::read(form, node, &audits));
    let breaker = fields.take("breaker").map(|node| node.span().start);
    let breaker = breaker.and_then(|at| breaker::read(form, at));
    for name in ["breaker_report", "alerts", "self_check"] {
        let Some(at) = fields.place_of(name).filter(|_| !tells_file) else {
            continue;
        };
        form.refuse(
            at,
            format!("[{name}] needs the file of findings, which it follows"),
            "add [findings] with `file = \"findings.jsonl\"`",
        );
    }
    let breaker_report = fields
        .take("breaker_report")
        .and_then(|node| breaker::read_report(form, node));
    let alerts = fields.take("alerts");
    let alerts = alerts.and_then(|node| alerts::read(form, node));
    let self_check = fields.take("self_check");
    let self_check = self_check.and_then(|node| alerts::read_self_check(form, node));
    let interface = fields.take("interface");
    let interface = interface.and_then(|node| interface::read(form, node));
    let console = fields.take("console");
    let console =
        console.and_then(|node| console::read(form, node, breaker.as_ref(), interface.as_ref()));
    Some(Config {
        file: form.file().to_owned(),
        schemas: schemas?,
        rules: rules?,
        state: state?,
        findings,
        findings_store: findings_store.flatten(),
        archive,
        detection: detection.unwrap_or_default(),
        sources,
        audits,
        drills: drills.unwrap_or_default(),
        breaker,
        breaker_report,
        alerts,
        self_check,
        interface,
        console,
    })
}

/// The file, and the store where there is one.
fn findings(form: &mut Form, node: Node) -> Option<(PathBuf, Option<PathBuf>)> {
    let mut fields = form.table("[findings]", node, "[findings]")?;
    form.only(&mut fields, &["file", "store"]);
    let file = form.require(&mut fields, "file", "\"findings.jsonl\"")?;
    let file = form.path("`file` of [findings]", file)?;
    let store = match fields.take("store") {
        Some(node) => Some(form.path("`store` of [findings]", node)?),
        None => None,
    };
    Some((file, store))
}

fn detection(form: &mut Form, node: Node) -> Option<DetectionConfig> {
    const WAIT: RangeInclusive<Duration> = Duration(1_000)..=Duration::seconds(10);
    const SILENT: RangeInclusive<Duration> = Duration::seconds(1)..=Duration::seconds(86_400);
    let mut fields = form.table("[detection]", node, "[detection]")?;
    let known = [
        "batch_rows",
        "batch_wait",
        "cache_mib",
        "silent_after",
        "bootstrap",
        "bootstrap_as_of",
        "forget",
    ];
    form.only(&mut fields, &known);
    let usual = DetectionConfig::default();
    let bootstrap = bootstrap::read(form, &mut fields);
    let forget = fields
        .take("forget")
        .and_then(|node| form.flag("`forget` of [detection]", node));
    let mut number = |form: &mut Form, name: &str, range, usual: usize| {
        let number = fields
            .take(name)
            .and_then(|node| form.number(&format!("`{name}` of [detection]"), node, range));
        number
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(usual)
    };
    let batch_rows = number(form, "batch_rows", 1..=1_000_000, usual.batch_rows);
    let cache_mib = number(form, "cache_mib", 16..=1 << 20, usual.cache_mib);
    let mut span = |form: &mut Form, name: &str, range, usual| {
        let span = fields
            .take(name)
            .and_then(|node| form.span(&format!("`{name}` of [detection]"), node, range));
        span.unwrap_or(usual)
    };
    Some(DetectionConfig {
        batch_rows,
        cache_mib,
        batch_wait: span(form, "batch_wait", WAIT, usual.batch_wait),
        silent_after: span(form, "silent_after", SILENT, usual.silent_after),
        bootstrap,
        forget: forget.unwrap_or(usual.forget),
    })
}

fn sources_of(form: &mut Form, node: Node) -> Vec<Source> {
    let at = node.span().start;
    let Some(fields) = form.table("[sources]", node, "[sources.<name>], a table for each") else {
        return Vec::new();
    };
    let entries = fields.into_entries();
    if entries.is_empty() || entries.len() > MAX_SOURCES {
        let problem = format!("{} sources", entries.len());
        let remedy = format!("name 1 to {MAX_SOURCES}, each as [sources.<name>] with its `kind`");
        form.refuse(at, problem, remedy);
        return Vec::new();
    }
    let entries = entries.into_iter();
    let sources: Vec<Source> = entries
        .filter_map(|(name, node)| source(form, name, node))
        .collect();
    binlog::refuse_equal_ids(form, &sources);
    sources
}

#[derive(Clone, Copy)]
enum Kind {
    Binlog,
    Kafka,
    File,
}

fn source(form: &mut Form, name: Spanned<DeString>, node: Node) -> Option<Source> {
    const KINDS: [(&str, Kind); 3] = [
        ("binlog", Kind::Binlog),
        ("kafka", Kind::Kafka),
        ("file", Kind::File),
    ];
    let at = name.span().start;
    let name = name.into_inner().into_owned();
    let what = format!("source `{}`", shorten(&name));
    let mut fields = form.table(&what, node, "[sources.<name>]")?;
    fields.at = at;
    let Some(kind) = fields.take("kind") else {
        let remedy = match (fields.has_table_with("kind"), fields.names_like("kind")) {
            (Some(rest), _) => {
                format!("write [sources.\"{name}.{rest}\"]: a name with a point stands in quotes")
            }
            (None, Some(wrong)) => format!("rename `{wrong}` to `kind`"),
            (None, None) => "add `kind = \"binlog\"`, \"kafka\" or \"file\"".to_owned(),
        };
        form.refuse(at, format!("{what} has no `kind`"), remedy);
        return None;
    };
    let config = match form.choice(&format!("`kind` of {what}"), kind, &KINDS)? {
        Kind::Binlog => SourceConfig::Binlog(binlog::read(form, fields)?),
        Kind::Kafka => SourceConfig::Kafka(kafka::read(form, fields)?),
        Kind::File => SourceConfig::File(file(form, fields)?),
    };
    let line = form.line(at);
    Some(Source { name, line, config })
}

fn file(form: &mut Form, mut fields: Fields) -> Option<FileConfig> {
    form.only(&mut fields, &["kind", "path"]);
    let path = form.require(&mut fields, "path", "\"log.jsonl\"")?;
    let path = form.path(&format!("`path` of {}", fields.what), path)?;
    Some(FileConfig { path })
}
