//! The breaker's forms as its page describes them (`GET /v1/openapi.json`). This crate does not know the breaker's own
//! types: it is one more caller. Amounts are text in major units, exactly as told.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Sums by currency, in major units.
pub type Money = BTreeMap<String, String>;

/// Where the platform asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Before money is paid back.
    Refund,
    /// Before money is booked to a merchant.
    Settlement,
    /// Before money leaves.
    CashOut,
}

impl Point {
    /// All of them, in the order of an order's life.
    pub const ALL: [Point; 3] = [Point::Refund, Point::Settlement, Point::CashOut];

    /// As it is written in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Point::Refund => "refund",
            Point::Settlement => "settlement",
            Point::CashOut => "cash_out",
        }
    }

    /// Reads it.
    pub fn read(text: &str) -> Option<Point> {
        Point::ALL.into_iter().find(|point| point.as_str() == text)
    }
}

/// What a trip covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One order.
    Order(String),
    /// All orders of a merchant.
    Merchant(String),
    /// All orders of a business code.
    BusinessCode(String),
    /// Everything.
    All,
}

impl Scope {
    /// Reads it from the two fields of a page.
    pub fn read(kind: &str, name: &str) -> Option<Scope> {
        let named = |make: fn(String) -> Scope| (!name.is_empty()).then(|| make(name.to_owned()));
        match kind {
            "order" => named(Scope::Order),
            "merchant" => named(Scope::Merchant),
            "business_code" => named(Scope::BusinessCode),
            "all" => Some(Scope::All),
            _ => None,
        }
    }

    /// What kind it is, as it is written in forms.
    pub fn kind(&self) -> &'static str {
        match self {
            Scope::Order(_) => "order",
            Scope::Merchant(_) => "merchant",
            Scope::BusinessCode(_) => "business_code",
            Scope::All => "all",
        }
    }

    /// The order, merchant or business code; empty for everything.
    pub fn name(&self) -> &str {
        match self {
            Scope::Order(name) | Scope::Merchant(name) | Scope::BusinessCode(name) => name,
            Scope::All => "",
        }
    }
}

/// Where a trip stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TripState {
    /// Waits for a person; holds nothing.
    Proposed,
    /// Holds what it covers.
    InForce,
    /// A person said no.
    Declined,
    /// Nobody said yes in time.
    Lapsed,
    /// Its time is over; what it held stays held.
    Expired,
    /// A person ended it.
    Released,
}

impl TripState {
    /// All of them.
    pub const ALL: [TripState; 6] = [
        TripState::Proposed,
        TripState::InForce,
        TripState::Declined,
        TripState::Lapsed,
        TripState::Expired,
        TripState::Released,
    ];

    /// As it is written in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            TripState::Proposed => "proposed",
            TripState::InForce => "in_force",
            TripState::Declined => "declined",
            TripState::Lapsed => "lapsed",
            TripState::Expired => "expired",
            TripState::Released => "released",
        }
    }

    /// Reads it.
    pub fn read(text: &str) -> Option<TripState> {
        TripState::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// Who or what asked for a trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Origin {
    /// A person.
    Person {
        /// Their account.
        name: String,
    },
    /// A confirmed finding.
    Finding {
        /// The finding.
        finding_id: String,
        /// Which time it broke.
        occurrence: u32,
        /// The rule that found it.
        rule: String,
        /// Its money at risk.
        amount: Option<String>,
        /// Currency of `amount`.
        currency: Option<String>,
    },
}

/// One trip.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Trip {
    /// `T1`, …
    pub id: String,
    /// What it covers.
    pub scope: Scope,
    /// Where it holds.
    pub points: Vec<Point>,
    /// Why.
    pub reason: String,
    /// Who sees to the cause.
    pub owner: String,
    /// Who or what asked for it.
    pub origin: Origin,
    /// How long it lasts once it is in force, such as `4h`.
    pub lasts: String,
    /// Where it stands.
    pub state: TripState,
    /// Why it was only proposed.
    pub proposed_because: Option<String>,
    /// Who confirmed, declined or released it.
    pub decided_by: Option<String>,
    /// When it was set or proposed.
    pub set_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When its finding recovered.
    pub recovered_at: Option<String>,
    /// Whether it took force without a person.
    pub automatic: bool,
    /// What is left, in milliseconds; not told where it was just changed.
    #[serde(default)]
    pub ends_in_ms: Option<i64>,
    /// How many requests it holds; not told where it was just changed.
    #[serde(default)]
    pub held: u64,
}

impl Trip {
    /// The person who asked for it.
    pub fn asked_by(&self) -> Option<&str> {
        match &self.origin {
            Origin::Person { name } => Some(name),
            Origin::Finding { .. } => None,
        }
    }
}

/// A trip that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// Names the wish: sent again, it is the same trip.
    pub request_id: String,
    /// What to cover.
    pub scope: Scope,
    /// Where to hold.
    pub points: Vec<Point>,
    /// Why.
    pub reason: String,
    /// Who sees to the cause.
    pub owner: String,
    /// How long, such as `4h`.
    pub lasts: String,
    /// Whether another person is to confirm it first.
    pub propose: bool,
}

/// What a trip would have held of the traffic that the breaker knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Preview {
    /// Different requests.
    pub requests: u64,
    /// Their money.
    pub money: Money,
    /// Different merchants.
    pub merchants: u64,
    /// Those with the most requests first.
    pub most_concerned: Vec<(String, u64)>,
    /// From how far back the traffic is known, in microseconds.
    pub known_for_us: i64,
    /// How many requests are known of all scopes and points.
    pub known_requests: u64,
    /// Findings that are open in this scope.
    pub open_findings: OpenFindings,
}

/// Open findings of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct OpenFindings {
    /// How many.
    pub count: u64,
    /// Their money at risk.
    pub money: Money,
    /// The first of them.
    pub first: Vec<String>,
}

/// What holds a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A trip.
    Trip(String),
    /// A finding that is suspected or could not be judged.
    Finding(String),
    /// Detection was not heard for too long.
    Stale,
}

impl Cause {
    /// Reads it as it is written in addresses.
    pub fn read(text: &str) -> Option<Cause> {
        match text.split_once(':') {
            Some(("finding", id)) if !id.is_empty() => Some(Cause::Finding(id.to_owned())),
            None if text == "stale" => Some(Cause::Stale),
            None if text.starts_with('T') => Some(Cause::Trip(text.to_owned())),
            _ => None,
        }
    }
}

/// As it is written in addresses.
impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Trip(trip) => out.write_str(trip),
            Cause::Finding(id) => write!(out, "finding:{id}"),
            Cause::Stale => out.write_str("stale"),
        }
    }
}

/// How many requests a cause holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CauseHeld {
    /// The cause.
    pub cause: Cause,
    /// How many.
    pub held: u64,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Request {
    /// Names the request for ever.
    pub request_id: String,
    /// Where it was asked.
    pub point: Point,
    /// Business code of the order.
    pub business_code: String,
    /// Merchant number.
    pub merchant_no: String,
    /// Order number.
    pub order_no: String,
    /// What would move.
    pub amount: String,
    /// Its currency.
    pub currency: String,
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// It waits.
    Held,
    /// It may go.
    Resumed,
    /// It must never go.
    Rejected,
}

/// How a hold ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Decided {
    /// The release that decided it.
    pub release: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

/// One held request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hold {
    /// What was asked.
    pub request: Request,
    /// What holds it, or held it last.
    pub cause: Cause,
    /// Numbers claims in their order.
    pub claim: u64,
    /// Where it stands.
    pub state: HoldState,
    /// How many times it was held.
    pub round: u32,
    /// When it was held.
    pub held_at: String,
    /// How it ended.
    pub decided: Option<Decided>,
}

/// What becomes of a held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// The platform goes on with it.
    Resume,
    /// The platform gives it up.
    Reject,
}

impl Disposition {
    /// Reads it.
    pub fn read(text: &str) -> Option<Disposition> {
        match text {
            "resume" => Some(Disposition::Resume),
            "reject" => Some(Disposition::Reject),
            _ => None,
        }
    }
}

/// What a person asks to release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Names the wish: sent again, it is the same release.
    pub request_id: String,
    /// What held the requests. A trip that is released whole ends.
    pub cause: Cause,
    /// Request ids of chosen holds; absent for all that the cause holds.
    pub holds: Option<Vec<String>>,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Why.
    pub reason: String,
}

/// Where a release stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseState {
    /// Waits for a second person.
    Proposed,
    /// Decided; its holds are being let go.
    UnderWay,
    /// All its holds are decided.
    Done,
    /// A person said no.
    Declined,
    /// Nobody said yes in time.
    Lapsed,
}

/// One release.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// `R1`, …
    pub id: String,
    /// What was asked.
    pub ask: Ask,
    /// Who asked.
    pub asked_by: String,
    /// Who confirmed or declined it.
    pub decided_by: Option<String>,
    /// Why a second person is needed.
    pub proposed_because: Option<String>,
    /// Where it stands.
    pub state: ReleaseState,
    /// How many holds it concerned when it was asked.
    pub count: u64,
    /// Their money.
    pub money: Money,
    /// How many were resumed or rejected so far.
    pub decided: u64,
    /// When it was asked.
    pub asked_at: String,
}
