//! `[drills.<name>]`: which faults are planted, in what, and when.

use std::ops::RangeInclusive;

use centinel_model::Duration;
use chrono_tz::Tz;
use data_fixtures::FaultKind;
use toml::Spanned;
use toml::de::DeString;

use super::audits::{cron_of, is_folder_name, texts, zone};
use super::form::{Form, Node};
use super::problem::shorten;
use super::{AuditConfig, DrillConfig, suggest};
use crate::drill::{ORDERS, USUAL_ORDERS};
use crate::schedule::{Missed, Timing};

const FIELDS: [&str; 10] = [
    "input",
    "seed",
    "orders",
    "kinds",
    "with_breaker",
    "cron",
    "zone",
    "missed",
    "reports",
    "timeout",
];
const MOST_DRILLS: usize = 64;
const TIMEOUTS: RangeInclusive<Duration> = Duration::seconds(1)..=Duration::seconds(86_400);
const TIMEOUT: Duration = Duration::seconds(3_600);

pub(super) fn read(form: &mut Form, node: Node, audits: &[AuditConfig]) -> Vec<DrillConfig> {
    let at = node.span().start;
    let Some(fields) = form.table("[drills]", node, "[drills.<name>], a table for each") else {
        return Vec::new();
    };
    let entries = fields.into_entries();
    if entries.is_empty() || entries.len() > MOST_DRILLS {
        let remedy = format!("declare 1 to {MOST_DRILLS}, each as [drills.<name>] with its `cron`");
        form.refuse(at, format!("{} drills", entries.len()), remedy);
        return Vec::new();
    }
    let entries = entries.into_iter();
    let mut drills: Vec<DrillConfig> = entries
        .filter_map(|(name, node)| drill(form, name, node, audits))
        .collect();
    drills.sort_by(|left, right| left.name.cmp(&right.name));
    drills
}

fn drill(
    form: &mut Form,
    name: Spanned<DeString>,
    node: Node,
    audits: &[AuditConfig],
) -> Option<DrillConfig> {
    let at = name.span().start;
    let name = name.into_inner().into_owned();
    let what = format!("drill `{}`", shorten(&name));
    if !is_folder_name(&name) {
        let remedy = "small letters a-z, digits, `-` and `_`, at most 64 in all: its history lies in a folder of this name";
        form.refuse(
            at,
            format!("{what} has no name that a folder could have"),
            remedy,
        );
    }
    if audits.iter().any(|audit| audit.name == name) {
        let remedy = "give it another name: `--once` tells them apart by it";
        form.refuse(at, format!("{what} has the name of an audit"), remedy);
    }
    let mut fields = form.table(&what, node, "[drills.<name>]")?;
    fields.at = at;
    form.only(&mut fields, &FIELDS);
    let of = |field: &str| format!("`{field}` of {what}");
    let zone = match fields.take("zone") {
        Some(node) => zone(form, &of("zone"), node),
        None => Some(Tz::UTC),
    };
    let cron = form.require(&mut fields, "cron", "\"0 4 * * mon\"");
    let cron = cron.and_then(|node| cron_of(form, &of("cron"), node));
    let missed = fields.take("missed");
    let missed = missed.map(|node| {
        let choices = [("catch-up", Missed::CatchUp), ("skip", Missed::Skip)];
        form.choice(&of("missed"), node, &choices)
    });
    let input = match fields.take("input") {
        Some(node) => texts(form, &of("input"), node, "[\"log.jsonl\"]"),
        None => Vec::new(),
    };
    let simulated = ["seed", "orders"].map(|field| fields.place_of(field));
    if let (false, Some(at)) = (input.is_empty(), simulated.into_iter().flatten().next()) {
        let problem = format!("{what} simulates no platform: it copies `input`");
        form.refuse(at, problem, "remove `seed` and `orders`, or `input`");
    }
    let input = input.iter().map(|path| form.beside(path)).collect();
    let seed = fields.take("seed");
    let seed = seed.and_then(|node| form.number(&of("seed"), node, 0..=i64::MAX as u64));
    let orders = fields.take("orders");
    let orders = orders.and_then(|node| form.number(&of("orders"), node, ORDERS));
    let kinds = match fields.take("kinds") {
        Some(node) => kinds(form, &of("kinds"), node),
        None => Vec::new(),
    };
    let with_breaker = fields.take("with_breaker");
    let with_breaker = with_breaker.and_then(|node| form.flag(&of("with_breaker"), node));
    let reports = fields.take("reports");
    let reports = reports.and_then(|node| form.path(&of("reports"), node));
    let reports = reports.unwrap_or_else(|| form.beside("reports"));
    let timeout = fields.take("timeout");
    let timeout = timeout.and_then(|node| form.span(&of("timeout"), node, TIMEOUTS));
    Some(DrillConfig {
        name,
        line: form.line(at),
        input,
        seed: seed.unwrap_or(1),
        orders: orders.unwrap_or(USUAL_ORDERS),
        kinds,
        with_breaker: with_breaker.unwrap_or(true),
        timing: Timing {
            cron: cron?,
            zone: zone?,
            missed: missed.unwrap_or(Some(Missed::CatchUp))?,
            // Whatever the time, the same is played.
            differs: false,
        },
        reports,
        timeout: timeout.unwrap_or(TIMEOUT),
    })
}

fn kinds(form: &mut Form, what: &str, node: Node) -> Vec<FaultKind> {
    let at = node.span().start;
    let names: Vec<&str> = FaultKind::ALL.iter().map(|fault| fault.name()).collect();
    let wanted = texts(form, what, node, "[\"duplicate-refund\"]");
    let found = wanted.iter().filter_map(|name| {
        let fault = FaultKind::by_name(name);
        if fault.is_none() {
            let problem = format!("{what}: there is no fault `{}`", shorten(name));
            form.refuse(at, problem, suggest(name, &names));
        }
        fault
    });
    found.collect()
}
