//! A circuit breaker inside the demonstration: findings trip it, and the simulated platform asks it before money moves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use centinel_breaker::{Trip, TripId, TripState};
use centinel_breaker_client::{
    Client, ClientError, Currency, Decision, Name, Options, Point, Request, read_amount,
};
use centinel_breaker_service::{Config, KeyScope, Role, create_key, renew_account};
use data_fixtures::{Delivered, Record, Row};

use crate::breaker::{Inside, runtime};
use crate::breaker_report::{Reporting, Telling};
use crate::exit::Status;
use crate::printer::complain;

/// Rules trip orders by the hundred here, and seldom is somebody there to release them: they end by themselves.
const SETTINGS: &str = r#"
[breaker]
listen = "LISTEN"
store = "breaker.db"
second_person_above = { CNY = "50000" }

[breaker.points.refund]
on_error = "allow"
deadline = "200ms"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"

[breaker.points.settlement]
on_error = "hold"
deadline = "500ms"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"

[breaker.points.cash_out]
on_error = "hold"
deadline = "500ms"
on_suspected = "allow"
on_undetermined = "hold"
max_staleness = "10m"
beyond_max_staleness = "allow"

[breaker.automatic]
least_at_risk = { CNY = "1" }
most_held = { CNY = "1000000" }
most_in_an_hour = 1000
lasts = "1h"
"#;
/// Files of the store, beside it.
pub const FILES: [&str; 4] = [
    "breaker.db",
    "breaker.db-wal",
    "breaker.db-shm",
    "breaker.db.lock",
];
/// Where it is kept, below the state, how far the breaker has been told.
pub const PLACE: &str = "breaker-report.json";
/// Keys are made anew at each start.
const KEYS_LAST: centinel_model::Duration = centinel_model::Duration::seconds(2 * 86_400);
/// Who may sign in at the console: two persons, so that a release can need both.
const PEOPLE: [(&str, Role); 2] = [("operator", Role::Operator), ("approver", Role::Approver)];
/// Checks that wait to be asked; more are not asked.
const WAITING: usize = 1_024;

/// The breaker's part of the configuration, for this address.
pub fn settings(listen: SocketAddr) -> String {
    SETTINGS.replace("LISTEN", &listen.to_string())
}

/// What came of it so far.
#[derive(Debug, Default)]
pub struct Tally {
    trips: Mutex<BTreeMap<TripId, TripState>>,
    asked: AtomicU64,
    held: AtomicU64,
}

impl Tally {
    fn trip(&self, trip: &Trip) {
        let mut trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        trips.insert(trip.id, trip.state);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let trips = self.trips.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |state| trips.values().filter(|trip| **trip == state).count();
        write!(
            out,
            "breaker: {} tripped, {} proposed, {} of {} checks held",
            of(TripState::InForce),
            of(TripState::Proposed),
            self.held.load(Ordering::Relaxed),
            self.asked.load(Ordering::Relaxed)
        )
    }
}

/// The breaker, and all who speak with it.
pub struct Demonstration {
    pub tally: Arc<Tally>,
    /// Names and passwords of those who may sign in; passwords are made anew at each start.
    pub people: Vec<(&'static str, String)>,
    /// Told first at the end.
    reporting: Reporting,
    asking: JoinHandle<()>,
    inside: Inside,
}

/// Where the simulated platform asks.
pub struct Checks(SyncSender<Request>);

impl Demonstration {
    /// Starts all of it. `state` is detection's.
    pub fn start(
        config: &Config,
        state: &Path,
        findings: &Path,
    ) -> Result<(Demonstration, Checks), Status> {
        let failed = |what: &dyn std::fmt::Display| {
            complain(format_args!("error: {what}"));
            Status::CouldNotJudge
        };
        let key = |name, scopes: &[KeyScope]| {
            create_key(config, name, scopes, KEYS_LAST).map_err(|error| failed(&error))
        };
        let reports = key("detection", &[KeyScope::Findings])?;
        let checks = key("platform", &[KeyScope::Check, KeyScope::Changes])?;
        let people = PEOPLE.map(|(name, role)| {
            let password = renew_account(config, name, role).map_err(|error| failed(&error));
            password.map(|password| (name, password))
        });
        let people = people.into_iter().collect::<Result<Vec<_>, Status>>()?;
        let inside = Inside::start(config.clone())?;
        let tally = Arc::new(Tally::default());
        let tripped = Arc::clone(&tally);
        let reporting = Reporting::begin(Telling {
            url: inside.url(),
            key: Box::new(move || Ok(reports.clone())),
            ca: None,
            deadline: Duration::from_secs(2),
            findings: findings.to_owned(),
            place: state.join(PLACE),
            trip: Box::new(move |trip| tripped.trip(trip)),
        })
        .map_err(|problem| failed(&problem))?;
        let options = Options {
            url: inside.url(),
            key: checks,
            deadline: Duration::from_millis(500),
            on_error: Decision::Hold,
            max_cache_age: Some(Duration::from_secs(3)),
            ca: None,
        };
        let (send, waiting) = sync_channel(WAITING);
        let runtime = runtime()?;
        let counted = Arc::clone(&tally);
        let asking = std::thread::spawn(move || {
            let asked = runtime.block_on(ask(options, waiting, &counted));
            if let Err(error) = asked {
                complain(format_args!("error: {error}"));
            }
        });
        let all = Demonstration {
            tally,
            people,
            reporting,
            asking,
            inside,
        };
        Ok((all, Checks(send)))
    }

    /// Who tells the breaker of findings.
    pub fn reporting(&self) -> &Reporting {
        &self.reporting
    }

    /// The address for people.
    pub fn url(&self) -> String {
        self.inside.url()
    }

    /// Ends all of it, once nobody asks any more.
    pub fn end(self) {
        self.reporting.end();
        // It has said itself why it failed.
        let _ = self.asking.join();
    }
}

impl Checks {
    /// Asks before this happens, if money moves by it. The platform of a demonstration does not wait for the answer.
    pub fn before(&self, delivered: &Delivered) {
        if let Some(request) = request_of(&delivered.record) {
            // Where too many wait, one is not asked.
            let _ = self.0.try_send(request);
        }
    }
}

async fn ask(
    options: Options,
    waiting: Receiver<Request>,
    tally: &Tally,
) -> Result<(), ClientError> {
    let client = Client::new(options)?;
    // The cache lives on the runtime's other threads while this one waits.
    while let Ok(request) = waiting.recv() {
        let checked = client.check(&request).await?;
        tally.asked.fetch_add(1, Ordering::Relaxed);
        if checked.decision == Decision::Hold {
            tally.held.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// A refund, a settlement, or that a settled order is paid out.
fn request_of(record: &Record) -> Option<Request> {
    let Record::Change(change) = record else {
        return None;
    };
    let was_paid_out = |before: &Option<Row>| match before {
        Some(Row::Settlement(row)) => row.cash_out_no.is_some(),
        _ => false,
    };
    let (point, number, order, merchant, fen) = match (&change.before, &change.after) {
        (None, Row::Refund(row)) => (
            Point::Refund,
            row.refund_no,
            row.order_no,
            row.merchant,
            row.amount,
        ),
        (None, Row::Settlement(row)) => (
            Point::Settlement,
            row.settlement_no,
            row.order_no,
            row.merchant,
            row.amount,
        ),
        (before, Row::Settlement(row)) if row.cash_out_no.is_some() && !was_paid_out(before) => (
            Point::CashOut,
            row.settlement_no,
            row.order_no,
            row.merchant,
            row.amount,
        ),
        _ => return None,
    };
    let fen = fen.unsigned_abs();
    Some(Request {
        request_id: Name::new(&format!("{point}-{}", number.text())).ok()?,
        point,
        business_code: Name::new("SHOP").ok()?,
        merchant_no: Name::new(&format!("M{merchant:08}")).ok()?,
        order_no: Name::new(&order.text()).ok()?,
        amount: read_amount(&format!("{}.{:02}", fen / 100, fen % 100)).ok()?,
        currency: Currency::new("CNY").ok()?,
    })
}
