//! `findings` and `finding_entries`: the store of findings.

use std::path::Path;

use centinel_engine::query::Tables;
use centinel_findings::{FindingsError, Scanned, ScannedEntry, Store, What, life};
use centinel_model::Finding;

use super::rows::{
    Cell, Field, Kind, add, json, key, text, text_or_none, time, time_or_none, whole,
};

/// The columns for which a finding must be read whole.
const WHOLE: [&str; 10] = [
    "title",
    "entity",
    "key",
    "hint",
    "judged_at",
    "anchor",
    "rule_version",
    "status",
    "evidence",
    "evidence_rows",
];

pub fn add_tables(tables: &mut Tables, store: &Path) {
    let path = store.to_owned();
    let source = move |wanted: &[&str], each: &mut dyn FnMut(Scanned) -> Result<bool, String>| {
        let whole = wanted.iter().any(|name| WHOLE.contains(name));
        scan(&path, |store, out| store.scan(whole, out), each)
    };
    add(
        tables,
        "findings",
        "a finding as it is now",
        findings(),
        Box::new(source),
    );
    let path = store.to_owned();
    let source = move |_: &[&str], each: &mut dyn FnMut(ScannedEntry) -> Result<bool, String>| {
        scan(&path, |store, out| store.scan_entries(out), each)
    };
    add(
        tables,
        "finding_entries",
        "something that happened to a finding",
        entries(),
        Box::new(source),
    );
}

/// Opens the store and scans it; the first failure of `each` is the scan's.
fn scan<T>(
    path: &Path,
    begin: impl Fn(&Store, &mut dyn FnMut(T) -> bool) -> Result<(), FindingsError>,
    each: &mut dyn FnMut(T) -> Result<bool, String>,
) -> Result<(), String> {
    let store = Store::open_read_only(path).map_err(|error| error.to_string())?;
    let mut failed = None;
    let scanned = begin(&store, &mut |row| {
        let goes_on = each(row);
        goes_on.unwrap_or_else(|problem| {
            failed = Some(problem);
            false
        })
    });
    scanned.map_err(|error| error.to_string())?;
    failed.map_or(Ok(()), Err)
}

/// What detection said last. It is there for the columns of [`WHOLE`].
fn told(row: &Scanned) -> Result<&Finding, String> {
    let finding = row.finding.as_deref();
    finding.ok_or_else(|| "the finding was not read whole".into())
}

fn findings() -> Vec<Field<Scanned>> {
    let field = Field::<Scanned>::new;
    vec![
        field("finding_id", Kind::Text, "its id", |row| {
            text(&row.finding_id)
        }),
        field("rule", Kind::Text, "the rule that is broken", |row| {
            text(&row.rule)
        }),
        field(
            "severity",
            Kind::Text,
            "info, warn, error or critical",
            |row| text(row.severity),
        ),
        field("owner", Kind::Text, "who answers for it", |row| {
            text(&row.owner)
        }),
        field(
            "open",
            Kind::Flag,
            "whether somebody should look at it",
            |row| Ok(Cell::Flag(Some(row.open))),
        ),
        field(
            "verdict",
            Kind::Text,
            "suspected, confirmed, cleared, recovered, undetermined or rule_changed",
            |row| text(life::verdict_word(row.verdict)),
        ),
        field(
            "handling",
            Kind::Text,
            "new, acknowledged, resolved or false_alarm",
            |row| text(row.handling.as_str()),
        ),
        field(
            "worse",
            Kind::Flag,
            "worse than when it was acknowledged",
            |row| Ok(Cell::Flag(Some(row.worse))),
        ),
        field(
            "entity",
            Kind::Text,
            "the kind of entity, such as order",
            |row| text(&told(row)?.entity),
        ),
        field("entity_key", Kind::Text, "which one", |row| {
            text(&row.entity_key)
        }),
        field(
            "key",
            Kind::Text,
            "the rule's key columns, as JSON",
            |row| key(&told(row)?.key),
        ),
        field(
            "amount",
            Kind::Money,
            "money at risk in major units",
            |row| Ok(Cell::Money(row.amount.clone())),
        ),
        field(
            "amount_text",
            Kind::Text,
            "the same as it was told",
            |row| text_or_none(row.amount.as_ref()),
        ),
        field("currency", Kind::Text, "its currency", |row| {
            text_or_none(row.currency.as_ref())
        }),
        field("since", Kind::Time, "from when on it is broken", |row| {
            Ok(Cell::Time(Some(row.since)))
        }),
        field("occurrence", Kind::Whole, "how often it broke", |row| {
            whole(row.occurrence)
        }),
        field("title", Kind::Text, "the rule's title", |row| {
            text(&told(row)?.title)
        }),
        field("hint", Kind::Text, "a remark that helps", |row| {
            text_or_none(told(row)?.hint.as_ref())
        }),
        field(
            "judged_at",
            Kind::Time,
            "the rule's clock at its last message",
            |row| time(&told(row)?.judged_at),
        ),
        field(
            "anchor",
            Kind::Time,
            "from when on patience counted then",
            |row| time(&told(row)?.anchor),
        ),
        field("rule_version", Kind::Text, "the rule's version", |row| {
            text(&told(row)?.rule_version)
        }),
        field(
            "status",
            Kind::Text,
            "how far the rule is trusted: draft, shadow, stable",
            |row| text_or_none(told(row)?.status.as_ref()),
        ),
        field(
            "evidence",
            Kind::Text,
            "the rows that show it, as JSON",
            |row| json(&told(row)?.evidence.rows),
        ),
        field(
            "evidence_rows",
            Kind::Whole,
            "how many rows there were",
            |row| whole(told(row)?.evidence.total),
        ),
        field(
            "sequence",
            Kind::Whole,
            "messages of detection about it",
            |row| whole(row.sequence),
        ),
        field(
            "acts",
            Kind::Whole,
            "how often people did something to it",
            |row| whole(row.acts),
        ),
        field(
            "last_entry",
            Kind::Whole,
            "the number of its last entry",
            |row| whole(row.last_entry),
        ),
        field("handled_by", Kind::Text, "who judged it", |row| {
            text_or_none(row.handled.as_ref().map(|handled| &handled.by))
        }),
        field("handled_at", Kind::Time, "when", |row| {
            time_or_none(row.handled.as_ref().map(|handled| handled.at.as_str()))
        }),
        field("reason", Kind::Text, "why", |row| {
            let reason = row
                .handled
                .as_ref()
                .and_then(|handled| handled.reason.as_ref());
            text_or_none(reason)
        }),
    ]
}

fn entries() -> Vec<Field<ScannedEntry>> {
    let field = Field::<ScannedEntry>::new;
    vec![
        field(
            "number",
            Kind::Whole,
            "its number, over all findings",
            |row| whole(row.entry.number),
        ),
        field("finding_id", Kind::Text, "the finding", |row| {
            text(&row.finding_id)
        }),
        field("at", Kind::Time, "when it came here", |row| {
            time(&row.entry.at)
        }),
        field("by", Kind::Text, "who did it, or `detection`", |row| {
            text(&row.entry.by)
        }),
        field(
            "what",
            Kind::Text,
            "told, acknowledged, resolved, false_alarm, reopened, worse, assigned or note",
            |row| text(word(&row.entry.what)),
        ),
        field("text", Kind::Text, "what was said", |row| {
            text_or_none(said(&row.entry.what))
        }),
        field("verdict", Kind::Text, "what detection told", |row| {
            text_or_none(message(row).map(|told| life::verdict_word(told.verdict)))
        }),
        field(
            "sequence",
            Kind::Whole,
            "the number of its message",
            |row| super::rows::whole_or_none(message(row).map(|told| told.sequence)),
        ),
        field(
            "amount",
            Kind::Money,
            "money at risk then, in major units",
            |row| {
                Ok(Cell::Money(
                    message(row).and_then(|told| told.amount.clone()),
                ))
            },
        ),
        field(
            "amount_text",
            Kind::Text,
            "the same as it was told",
            |row| text_or_none(message(row).and_then(|told| told.amount.as_ref())),
        ),
        field("currency", Kind::Text, "its currency", |row| {
            text_or_none(message(row).and_then(|told| told.currency.as_ref()))
        }),
        field("judged_at", Kind::Time, "the rule's clock then", |row| {
            time_or_none(message(row).map(|told| told.judged_at.as_str()))
        }),
        field(
            "evidence",
            Kind::Text,
            "the rows that showed it then, as JSON",
            |row| match message(row) {
                Some(told) => json(&told.evidence.rows),
                None => Ok(Cell::Text(None)),
            },
        ),
    ]
}

fn message(row: &ScannedEntry) -> Option<&Finding> {
    match &row.entry.what {
        What::Told { finding } => Some(finding),
        _ => None,
    }
}

fn word(what: &What) -> &'static str {
    match what {
        What::Told { .. } => "told",
        What::Acknowledged { .. } => "acknowledged",
        What::Resolved { .. } => "resolved",
        What::FalseAlarm { .. } => "false_alarm",
        What::Reopened { .. } => "reopened",
        What::Worse { .. } => "worse",
        What::Assigned { .. } => "assigned",
        What::Note { .. } => "note",
    }
}

fn said(what: &What) -> Option<&String> {
    match what {
        What::Told { .. } => None,
        What::Acknowledged { reason } => reason.as_ref(),
        What::Resolved { reason }
        | What::FalseAlarm { reason }
        | What::Reopened { reason }
        | What::Worse { reason } => Some(reason),
        What::Assigned { owner } => owner.as_ref(),
        What::Note { text } => Some(text),
    }
}
