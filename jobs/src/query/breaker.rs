//! `trips`, `holds` and `releases`: the breaker's store, beside a breaker that runs or without one.

use std::path::Path;
use std::sync::Arc;

use centinel_breaker::{Cause, Hold, Origin, Points, Release, Scope, Trip, write_amount};
use centinel_breaker_service::{Looked, StoreError};
use centinel_engine::query::Tables;
use serde::Serialize;

use super::rows::{Cell, Field, Kind, add, json, text, text_or_none, whole, whole_or_none};

pub fn add_tables(tables: &mut Tables, store: &Path) {
    let path = store.to_owned();
    add(
        tables,
        "trips",
        "a trip of the breaker",
        trips(),
        Box::new(move |_, each| look(&path, |looked, out| looked.trips(out), each)),
    );
    let path = store.to_owned();
    add(
        tables,
        "holds",
        "a held request, as it stands now",
        holds(),
        Box::new(move |_, each| look(&path, |looked, out| looked.holds(out), each)),
    );
    let path = store.to_owned();
    add(
        tables,
        "releases",
        "a release of held requests",
        releases(),
        Box::new(move |_, each| look(&path, |looked, out| looked.releases(out), each)),
    );
}

/// Opens the store and gives its records on; the first failure of `each` is the look's.
fn look<T>(
    path: &Path,
    begin: impl Fn(&Looked, &mut dyn FnMut(Arc<T>) -> bool) -> Result<(), StoreError>,
    each: &mut dyn FnMut(Arc<T>) -> Result<bool, String>,
) -> Result<(), String> {
    let looked = Looked::open(path).map_err(|error| error.to_string())?;
    let mut failed = None;
    let looked_at = begin(&looked, &mut |record| {
        let goes_on = each(record);
        goes_on.unwrap_or_else(|problem| {
            failed = Some(problem);
            false
        })
    });
    looked_at.map_err(|error| error.to_string())?;
    failed.map_or(Ok(()), Err)
}

/// A word as the breaker's interface writes it.
fn word(value: &impl Serialize) -> Result<Cell, String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => text(word),
        _ => Err("it holds no word where one must be".into()),
    }
}

fn points(points: Points) -> Result<Cell, String> {
    let names: Vec<&str> = points.iter().map(|point| point.as_str()).collect();
    text(names.join(", "))
}

fn scope_key(scope: &Scope) -> Option<&str> {
    match scope {
        Scope::Order(name) | Scope::Merchant(name) | Scope::BusinessCode(name) => {
            Some(name.as_str())
        }
        Scope::All => None,
    }
}

fn kind_of(cause: &Cause) -> &'static str {
    match cause {
        Cause::Trip(_) => "trip",
        Cause::Finding(_) => "finding",
        Cause::Stale => "stale",
    }
}

fn trip_of(cause: &Cause) -> Option<String> {
    match cause {
        Cause::Trip(trip) => Some(trip.to_string()),
        _ => None,
    }
}

fn finding_of(cause: &Cause) -> Option<&str> {
    match cause {
        Cause::Finding(finding) => Some(finding.as_str()),
        _ => None,
    }
}

/// What of a trip's origin is a finding's.
macro_rules! of_finding {
    ($row:ident, $part:ident) => {
        match &$row.origin {
            Origin::Finding { $part, .. } => Some($part),
            Origin::Person { .. } => None,
        }
    };
}

fn trips() -> Vec<Field<Arc<Trip>>> {
    let field = Field::<Arc<Trip>>::new;
    vec![
        field("trip", Kind::Text, "its number, such as T1", |row| {
            text(row.id)
        }),
        field(
            "state",
            Kind::Text,
            "proposed, in_force, declined, lapsed, expired or released",
            |row| word(&row.state),
        ),
        field(
            "scope",
            Kind::Text,
            "order, merchant, business_code or all",
            |row| word(&row.scope.kind()),
        ),
        field("scope_key", Kind::Text, "which one", |row| {
            text_or_none(scope_key(&row.scope))
        }),
        field("points", Kind::Text, "where it holds", |row| {
            points(row.points)
        }),
        field("reason", Kind::Text, "why", |row| text(row.reason.as_str())),
        field("owner", Kind::Text, "who sees to the cause", |row| {
            text(row.owner.as_str())
        }),
        field(
            "automatic",
            Kind::Flag,
            "whether it took force without a person",
            |row| Ok(Cell::Flag(Some(row.automatic))),
        ),
        field(
            "person",
            Kind::Text,
            "who asked for it, where a person did",
            |row| {
                text_or_none(match &row.origin {
                    Origin::Person { name } => Some(name.as_str()),
                    Origin::Finding { .. } => None,
                })
            },
        ),
        field(
            "finding_id",
            Kind::Text,
            "the finding that asked for it",
            |row| text_or_none(of_finding!(row, finding_id)),
        ),
        field("occurrence", Kind::Whole, "which time that broke", |row| {
            whole_or_none(of_finding!(row, occurrence).copied())
        }),
        field("rule", Kind::Text, "its rule", |row| {
            text_or_none(of_finding!(row, rule))
        }),
        field(
            "amount",
            Kind::Money,
            "its money at risk in major units",
            |row| {
                let amount = of_finding!(row, amount).and_then(|amount| *amount);
                Ok(Cell::Money(amount.map(write_amount)))
            },
        ),
        field("currency", Kind::Text, "its currency", |row| {
            text_or_none(of_finding!(row, currency).and_then(|currency| *currency))
        }),
        field(
            "lasts",
            Kind::Text,
            "how long it lasts once it is in force",
            |row| text(row.lasts),
        ),
        field(
            "proposed_because",
            Kind::Text,
            "why it was only proposed",
            |row| text_or_none(row.proposed_because.as_ref().map(|why| why.as_str())),
        ),
        field(
            "decided_by",
            Kind::Text,
            "who confirmed, declined or released it",
            |row| text_or_none(row.decided_by.as_ref()),
        ),
        field("set_at", Kind::Time, "when it was set or proposed", |row| {
            Ok(Cell::Time(Some(row.set_at)))
        }),
        field("ended_at", Kind::Time, "when it ended", |row| {
            Ok(Cell::Time(row.ended_at))
        }),
        field(
            "recovered_at",
            Kind::Time,
            "when its finding recovered",
            |row| Ok(Cell::Time(row.recovered_at)),
        ),
    ]
}

fn holds() -> Vec<Field<Arc<Hold>>> {
    let field = Field::<Arc<Hold>>::new;
    vec![
        field("request_id", Kind::Text, "the request", |row| {
            text(row.request.request_id.as_str())
        }),
        field(
            "point",
            Kind::Text,
            "refund, settlement or cash_out",
            |row| text(row.request.point),
        ),
        field("state", Kind::Text, "held, resumed or rejected", |row| {
            word(&row.state)
        }),
        field("business_code", Kind::Text, "of its order", |row| {
            text(row.request.business_code.as_str())
        }),
        field("merchant_no", Kind::Text, "its merchant", |row| {
            text(row.request.merchant_no.as_str())
        }),
        field("order_no", Kind::Text, "its order", |row| {
            text(row.request.order_no.as_str())
        }),
        field(
            "amount",
            Kind::Money,
            "what would move, in major units",
            |row| Ok(Cell::Money(Some(write_amount(row.request.amount)))),
        ),
        field("currency", Kind::Text, "its currency", |row| {
            text(row.request.currency)
        }),
        field(
            "cause",
            Kind::Text,
            "what holds it: trip, finding or stale",
            |row| text(kind_of(&row.cause)),
        ),
        field("trip", Kind::Text, "the trip that holds it", |row| {
            text_or_none(trip_of(&row.cause))
        }),
        field(
            "finding_id",
            Kind::Text,
            "the finding that holds it",
            |row| text_or_none(finding_of(&row.cause)),
        ),
        field("round", Kind::Whole, "how many times it was held", |row| {
            whole(row.round)
        }),
        field("held_at", Kind::Time, "when it was held", |row| {
            Ok(Cell::Time(Some(row.held_at)))
        }),
        field(
            "release",
            Kind::Text,
            "the release that decided it, such as R1",
            |row| text_or_none(row.decided.as_ref().map(|decided| decided.release)),
        ),
        field("decided_by", Kind::Text, "by whom", |row| {
            text_or_none(row.decided.as_ref().map(|decided| decided.by.as_str()))
        }),
        field("reason", Kind::Text, "why", |row| {
            text_or_none(row.decided.as_ref().map(|decided| decided.reason.as_str()))
        }),
        field("decided_at", Kind::Time, "when", |row| {
            Ok(Cell::Time(row.decided.as_ref().map(|decided| decided.at)))
        }),
    ]
}

fn releases() -> Vec<Field<Arc<Release>>> {
    let field = Field::<Arc<Release>>::new;
    vec![
        field("release", Kind::Text, "its number, such as R1", |row| {
            text(row.id)
        }),
        field(
            "state",
            Kind::Text,
            "proposed, under_way, done, declined or lapsed",
            |row| word(&row.state),
        ),
        field("disposition", Kind::Text, "resume or reject", |row| {
            word(&row.ask.disposition)
        }),
        field(
            "cause",
            Kind::Text,
            "what held the requests: trip, finding or stale",
            |row| text(kind_of(&row.ask.cause)),
        ),
        field("trip", Kind::Text, "the trip", |row| {
            text_or_none(trip_of(&row.ask.cause))
        }),
        field("finding_id", Kind::Text, "the finding", |row| {
            text_or_none(finding_of(&row.ask.cause))
        }),
        field("reason", Kind::Text, "why", |row| {
            text(row.ask.reason.as_str())
        }),
        field("asked_by", Kind::Text, "who asked", |row| {
            text(row.asked_by.as_str())
        }),
        field(
            "decided_by",
            Kind::Text,
            "who confirmed or declined it",
            |row| text_or_none(row.decided_by.as_ref()),
        ),
        field(
            "alone",
            Kind::Flag,
            "whether one person answers for it alone",
            |row| Ok(Cell::Flag(Some(row.alone()))),
        ),
        field(
            "proposed_because",
            Kind::Text,
            "why a second person is needed",
            |row| text_or_none(row.proposed_because.as_ref().map(|why| why.as_str())),
        ),
        field(
            "holds",
            Kind::Whole,
            "holds that it concerned when it was asked",
            |row| whole(row.count),
        ),
        field(
            "decided",
            Kind::Whole,
            "how many were resumed or rejected so far",
            |row| whole(row.decided),
        ),
        field(
            "money",
            Kind::Text,
            "their money by currency, as JSON",
            |row| json(&row.money),
        ),
        field("asked_at", Kind::Time, "when it was asked", |row| {
            Ok(Cell::Time(Some(row.asked_at)))
        }),
    ]
}
