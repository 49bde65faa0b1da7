//! `[audits.<name>]`: what is audited, by which rules, and when.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use centinel_model::{Duration, Severity};
use chrono_tz::{TZ_VARIANTS, Tz};
use toml::Spanned;
use toml::de::DeString;

use super::form::{Fields, Form, Node, Placed};
use super::problem::{nearest, shorten};
use super::{AuditConfig, AuditCut, AuditInput, SuddenChange};
use crate::schedule::{Cron, Missed, PATTERN, Place, Timing};

const FIELDS: [&str; 17] = [
    "snapshot",
    "archive",
    "lag",
    "cut",
    "folders",
    "rules",
    "tags",
    "cron",
    "zone",
    "missed",
    "baseline",
    "reports",
    "keep",
    "timeout",
    "memory",
    "fail_on",
    "sudden_change",
];
const SCHEMES: [&str; 6] = ["s3", "gs", "az", "file", "http", "https"];
const MOST_AUDITS: usize = 256;
const MOST_NAMES: usize = 1_000;
const LAGS: RangeInclusive<Duration> = Duration::ZERO..=Duration::seconds(31 * 86_400);
/// What an archive may be behind, unless it is said.
const ARCHIVE_LAG: Duration = Duration::seconds(15 * 60);
const TIMEOUTS: RangeInclusive<Duration> = Duration::seconds(1)..=Duration::seconds(7 * 86_400);
const TIMEOUT: Duration = Duration::seconds(6 * 3_600);
const MEMORY: usize = 4 << 30;
const KEEP: u64 = 100;

pub(super) fn read(form: &mut Form, node: Node) -> Vec<AuditConfig> {
    let at = node.span().start;
    let Some(fields) = form.table("[audits]", node, "[audits.<name>], a table for each") else {
        return Vec::new();
    };
    let entries = fields.into_entries();
    if entries.is_empty() || entries.len() > MOST_AUDITS {
        let remedy = format!("declare 1 to {MOST_AUDITS}, each as [audits.<name>] with its `cron`");
        form.refuse(at, format!("{} audits", entries.len()), remedy);
        return Vec::new();
    }
    let entries = entries.into_iter();
    let mut audits: Vec<AuditConfig> = entries
        .filter_map(|(name, node)| audit(form, name, node))
        .collect();
    audits.sort_by(|left, right| left.name.cmp(&right.name));
    audits
}

fn audit(form: &mut Form, name: Spanned<DeString>, node: Node) -> Option<AuditConfig> {
    let at = name.span().start;
    let name = name.into_inner().into_owned();
    let what = format!("audit `{}`", shorten(&name));
    if !is_folder_name(&name) {
        let remedy = "small letters a-z, digits, `-` and `_`, at most 64 in all: its reports lie in a folder of this name";
        form.refuse(
            at,
            format!("{what} has no name that a folder could have"),
            remedy,
        );
    }
    let mut fields = form.table(&what, node, "[audits.<name>]")?;
    fields.at = at;
    form.only(&mut fields, &FIELDS);
    let of = |field: &str| format!("`{field}` of {what}");
    let zone = match fields.take("zone") {
        Some(node) => zone(form, &of("zone"), node),
        None => Some(Tz::UTC),
    };
    let cron = form.require(&mut fields, "cron", "\"30 2 * * *\"");
    let cron = cron.and_then(|node| cron_of(form, &of("cron"), node));
    let missed = fields.take("missed");
    let missed = missed.map(|node| {
        let choices = [("catch-up", Missed::CatchUp), ("skip", Missed::Skip)];
        form.choice(&of("missed"), node, &choices)
    });
    let input = input(form, &mut fields);
    let archived = matches!(input, Some(AuditInput::Archive(_)));
    let lag = fields.take("lag");
    let lag = lag.and_then(|node| form.span(&of("lag"), node, LAGS));
    let cut_at = fields.place_of("cut");
    let cut = fields.take("cut").and_then(|node| {
        let choices = [
            ("manifest", AuditCut::Manifest),
            ("scheduled", AuditCut::Scheduled),
            ("at-rest", AuditCut::AtRest),
        ];
        form.choice(&of("cut"), node, &choices)
    });
    if let (true, Some(at)) = (archived, cut_at) {
        let problem = format!("{} has no use for an archive", of("cut"));
        form.refuse(
            at,
            problem,
            "remove it: an archive is audited as of the scheduled time less `lag`",
        );
    }
    let mut names = |form: &mut Form, field: &str, example: &str| {
        let node = fields.take(field);
        node.map(|node| texts(form, &of(field), node, example))
            .unwrap_or_default()
    };
    let rules = names(form, "rules", "[\"order-paid-once\"]");
    let tags = names(form, "tags", "[\"balance\"]");
    let folders = names(form, "folders", "[\"sql-rules\", \"sql-rules/quality\"]");
    let folders = folders.iter().map(|folder| form.beside(folder)).collect();
    let mut path = |form: &mut Form, field: &str| -> Option<PathBuf> {
        let node = fields.take(field)?;
        form.path(&of(field), node)
    };
    let baseline = path(form, "baseline");
    let reports = path(form, "reports").unwrap_or_else(|| form.beside("reports"));
    let keep = fields.take("keep");
    let keep = keep.and_then(|node| form.number(&of("keep"), node, 2..=100_000));
    let timeout = fields.take("timeout");
    let timeout = timeout.and_then(|node| form.span(&of("timeout"), node, TIMEOUTS));
    let memory = fields.take("memory");
    let memory = memory.map(|node| memory_of(form, &of("memory"), node));
    let fail_on = fields.take("fail_on");
    let fail_on = fail_on.and_then(|node| severity(form, &of("fail_on"), node));
    let sudden_change = fields.take("sudden_change");
    let sudden_change = sudden_change.and_then(|node| sudden(form, &what, node));
    let input = input?;
    let differs = match &input {
        AuditInput::Snapshot(place) => place.has_time(),
        AuditInput::Archive(_) => true,
    };
    Some(AuditConfig {
        name,
        line: form.line(at),
        input,
        lag: lag.unwrap_or(if archived {
            ARCHIVE_LAG
        } else {
            Duration::ZERO
        }),
        cut: cut.unwrap_or(AuditCut::Manifest),
        folders,
        rules,
        tags,
        timing: Timing {
            cron: cron?,
            zone: zone?,
            missed: missed.unwrap_or(Some(Missed::CatchUp))?,
            differs,
        },
        baseline,
        reports,
        keep: keep.unwrap_or(KEEP) as usize,
        timeout: timeout.unwrap_or(TIMEOUT),
        memory: memory.unwrap_or(Some(MEMORY))?,
        fail_on: fail_on.unwrap_or(Severity::Error),
        sudden_change,
    })
}

pub(super) fn is_folder_name(name: &str) -> bool {
    let right = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(right)
}

pub(super) fn zone(form: &mut Form, what: &str, node: Node) -> Option<Tz> {
    let Placed { value, at } = form.text(what, node)?;
    match value.parse::<Tz>() {
        Ok(zone) => Some(zone),
        Err(_) => {
            let names: Vec<&str> = TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
            let remedy = match nearest(&value, &names) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "write a name of the IANA time zones, such as \"Asia/Shanghai\"".to_owned(),
            };
            let problem = format!("{what}: `{}` is no time zone", shorten(&value));
            form.refuse(at, problem, remedy);
            None
        }
    }
}

pub(super) fn cron_of(form: &mut Form, what: &str, node: Node) -> Option<Cron> {
    let Placed { value, at } = form.text(what, node)?;
    match Cron::parse(&value) {
        Ok(cron) => Some(cron),
        Err(error) => {
            let problem = format!("{what}: {}", shorten(&error.problem));
            form.refuse(at, problem, error.remedy);
            None
        }
    }
}

/// The one of `snapshot` and `archive`.
fn input(form: &mut Form, fields: &mut Fields) -> Option<AuditInput> {
    let what = fields.what.clone();
    let of = |field: &str| format!("`{field}` of {what}");
    match (fields.take("snapshot"), fields.take("archive")) {
        (Some(node), None) => Some(AuditInput::Snapshot(place(form, &of("snapshot"), node)?)),
        (None, Some(node)) => {
            let at = node.span().start;
            let place = place(form, &of("archive"), node)?;
            if place.has_time() {
                let problem = format!("{} holds a time", of("archive"));
                form.refuse(
                    at,
                    problem,
                    "name the archive itself; the moment is the scheduled time less `lag`",
                );
                return None;
            }
            Some(AuditInput::Archive(place))
        }
        (Some(_), Some(_)) => {
            let remedy = "keep one of them";
            form.refuse(
                fields.at,
                format!("{what} has both `snapshot` and `archive`"),
                remedy,
            );
            None
        }
        (None, None) => {
            let remedy = "add `snapshot = \"s3://bucket/dt=%Y-%m-%d\"` or `archive = \"s3://bucket/archive\"`";
            form.refuse(
                fields.at,
                format!("{what} says not what is audited"),
                remedy,
            );
            None
        }
    }
}

fn place(form: &mut Form, what: &str, node: Node) -> Option<Place> {
    let Placed { value, at } = form.text(what, node)?;
    let place = match Place::parse(&value) {
        Ok(place) => place,
        Err(part) => {
            form.refuse(
                at,
                format!("{what} holds `{part}`, which stands for nothing"),
                PATTERN,
            );
            return None;
        }
    };
    let Some((scheme, rest)) = value.split_once("://") else {
        return Some(place.below(&form.beside("")));
    };
    if !SCHEMES.contains(&scheme) {
        let problem = format!("{what} cannot begin with `{}://`", shorten(scheme));
        let remedy = format!("use {}:// or the path of a folder", SCHEMES.join("://, "));
        form.refuse(at, problem, remedy);
        return None;
    }
    if rest.contains(['@', '?', '#']) {
        let problem = format!("{what} holds an account, a query or a fragment");
        let remedy = "write the bare URL; credentials are given by environment variables";
        form.refuse(at, problem, remedy);
        return None;
    }
    Some(place)
}

pub(super) fn texts(form: &mut Form, what: &str, node: Node, example: &str) -> Vec<String> {
    let at = node.span().start;
    let Some(items) = form.list(what, node, example) else {
        return Vec::new();
    };
    if items.is_empty() || items.len() > MOST_NAMES {
        let remedy = format!("write 1 to {MOST_NAMES}, as {example}, or remove the line");
        form.refuse(at, format!("{what} names {}", items.len()), remedy);
    }
    let items = items.into_iter();
    let texts = items.filter_map(|item| form.text(what, item));
    texts.map(|text| text.value).collect()
}

fn memory_of(form: &mut Form, what: &str, node: Node) -> Option<usize> {
    let Placed { value, at } = form.text(what, node)?;
    let bytes = crate::audit::bytes(&value);
    if let Err(problem) = &bytes {
        let said = format!("{what} cannot be `{}`", shorten(&value));
        form.refuse(at, said, problem.as_str());
    }
    bytes.ok()
}

fn severity(form: &mut Form, what: &str, node: Node) -> Option<Severity> {
    let all = [
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Critical,
    ];
    form.choice(
        what,
        node,
        &all.map(|severity| (severity.as_str(), severity)),
    )
}

fn sudden(form: &mut Form, of: &str, node: Node) -> Option<SuddenChange> {
    let what = format!("`sudden_change` of {of}");
    let mut fields = form.table(&what, node, "{ rows_percent = 50 }")?;
    let known = ["rows_percent", "totals_percent", "over", "from", "severity"];
    form.only(&mut fields, &known);
    let mut number = |form: &mut Form, field: &str, most: u64| {
        let node = fields.take(field)?;
        form.number(&format!("`{field}` of {what}"), node, 1..=most)
    };
    let rows_percent = number(form, "rows_percent", 1_000_000);
    let totals_percent = number(form, "totals_percent", 1_000_000);
    let over = number(form, "over", 100).unwrap_or(7);
    let from = number(form, "from", 100).unwrap_or(3.min(over));
    if rows_percent.is_none() && totals_percent.is_none() {
        let remedy = "add `rows_percent = 50`, `totals_percent = 50` or both";
        form.refuse(fields.at, format!("{what} has no limit"), remedy);
        return None;
    }
    if from > over {
        let remedy = "let `from` be at most `over`";
        form.refuse(
            fields.at,
            format!("{what}: `from` is more than `over`"),
            remedy,
        );
        return None;
    }
    let severity = fields.take("severity");
    let severity =
        severity.and_then(|node| self::severity(form, &format!("`severity` of {what}"), node));
    Some(SuddenChange {
        rows_percent,
        totals_percent,
        over: over as usize,
        from: from as usize,
        severity: severity.unwrap_or(Severity::Error),
    })
}
