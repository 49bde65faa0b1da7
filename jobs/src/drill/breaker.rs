//! The drill's own breaker: inside this process, on a port of this machine that nobody is told, over a store that goes
//! with it. What it trips holds the drill's requests and nothing else.

use std::io::Read;
use std::time::Duration;

use centinel_breaker::{
    Currency, Declared, Name, Point as BreakerPoint, Points, Report, Request, Scope, ScopeKind,
    Trip, TripState,
};
use centinel_breaker_client::{Client, Decision, Options, Reporter, Source, read_amount};
use centinel_breaker_service::{
    Commit, Config, Key, KeyScope, OpenStore, Record, ServeError, serve_over, sqlite,
};
use centinel_catalog::Catalog;
use centinel_model::Finding;
use centinel_rules::{Point as RulePoint, Rule, Status, Trip as RuleTrip};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::acts::{Ask, Point};

/// How long one call may take: nobody waits for a drill.
const DEADLINE: Duration = Duration::from_secs(10);
/// No limit for so many requests and automatic trips: what is tried is whether they hold.
const MOST: u32 = u32::MAX;
/// The drill's money; no limit holds it.
const CURRENCY: &str = "CNY";

/// A breaker that runs, and one who asks it.
pub struct OwnBreaker {
    runtime: Runtime,
    client: Client,
    reporter: Reporter,
    end: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<(), ServeError>>>,
    _folder: TempDir,
}

/// A trip that a finding of the drill set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTrip {
    /// The rule that found it.
    pub rule: String,
    /// The finding's key.
    pub key: Vec<String>,
    /// `order`, `merchant` or `business_code`.
    pub by: String,
    /// Which.
    pub scope: String,
    /// Where it holds.
    pub points: Vec<Point>,
    /// When it was set, in source time, microseconds.
    pub at: i64,
    /// Why it holds nothing, where the breaker did not put it into force.
    pub problem: Option<String>,
}

/// What the breaker said to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Which question, by its place.
    pub ask: usize,
    /// How many trips had been set by then.
    pub trips: usize,
    /// Whether the money was held; `None` where nobody answered.
    pub held: Option<bool>,
}

impl SetTrip {
    /// Whether it is to hold this money.
    pub fn covers(&self, ask: &Ask) -> bool {
        let name = match self.by.as_str() {
            "order" => &ask.order_no,
            "merchant" => &ask.merchant_no,
            _ => &ask.business_code,
        };
        self.points.contains(&ask.point) && *name == self.scope
    }
}

impl OwnBreaker {
    /// Starts one. The text says what is missing.
    pub fn start() -> Result<OwnBreaker, String> {
        let folder = tempfile::Builder::new()
            .prefix("centinel-drill-breaker-")
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?;
        let config = config(&folder)?;
        let open = sqlite(&config);
        let key = make_key(&open)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| format!("no threads: {error}"))?;
        let (end, ended) = oneshot::channel::<()>();
        let bound = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = bound.map_err(|error| format!("no free port: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let url = format!("http://{address}");
        let serving = runtime.spawn(serve_over(config, open, listener, async {
            let _ = ended.await;
        }));
        let client = Client::new(Options {
            url: url.clone(),
            key: key.clone(),
            deadline: DEADLINE,
            on_error: Decision::Hold,
            max_cache_age: None,
            ca: None,
        });
        let reporter = Reporter::new(&url, &key, DEADLINE, None);
        Ok(OwnBreaker {
            client: client.map_err(|error| error.to_string())?,
            reporter: reporter.map_err(|error| error.to_string())?,
            runtime,
            end: Some(end),
            serving: Some(serving),
            _folder: folder,
        })
    }

    /// Tells a confirmed finding, at this source time; the trip that it sets, where its rule trips.
    pub fn report(
        &self,
        finding: &Finding,
        rule: &Rule,
        catalog: &Catalog,
        at: i64,
    ) -> Option<SetTrip> {
        let trip = rule.trip.as_ref().filter(|_| trips(rule))?;
        let key = finding.key.iter().map(|(_, value)| value.clone()).collect();
        let mut set = SetTrip {
            rule: rule.id.clone(),
            key,
            by: catalog.entity(trip.by).name.clone(),
            scope: String::new(),
            points: trip.points.iter().map(|point| here(*point)).collect(),
            at,
            problem: None,
        };
        set.problem = match self.trip(finding, trip, catalog, &mut set) {
            Ok(Some(trip)) if trip.state == TripState::InForce => None,
            Ok(Some(trip)) => {
                let why = trip.proposed_because.map(|why| why.to_string());
                Some(why.unwrap_or_else(|| "the trip is not in force".into()))
            }
            Ok(None) => Some("the breaker set no trip".into()),
            Err(why) => Some(why),
        };
        Some(set)
    }

    fn trip(
        &self,
        finding: &Finding,
        trip: &RuleTrip,
        catalog: &Catalog,
        set: &mut SetTrip,
    ) -> Result<Option<Trip>, String> {
        let rule = set.rule.clone();
        let refuse = |what: &str| format!("rule {rule}: {what}");
        let entity = catalog.entity(trip.by);
        let [column] = entity.key.as_slice() else {
            return Err(refuse("it trips by a key of several columns"));
        };
        set.scope = value_of(finding, column)
            .ok_or_else(|| refuse(&format!("its finding does not show `{column}`")))?;
        let name = Name::new(&set.scope).map_err(|error| refuse(&error.to_string()))?;
        let (kind, scope) = match entity.name.as_str() {
            "order" => (ScopeKind::Order, Scope::Order(name)),
            "merchant" => (ScopeKind::Merchant, Scope::Merchant(name)),
            "business_code" => (ScopeKind::BusinessCode, Scope::BusinessCode(name)),
            other => return Err(refuse(&format!("no breaker trips by `{other}`"))),
        };
        let points: Vec<BreakerPoint> = set.points.iter().map(|point| there(*point)).collect();
        let points = Points::new(&points).ok_or_else(|| refuse("it trips at no point"))?;
        let declared = Some(Declared { points, by: kind });
        let report = Report::of(finding, true, scope, points, declared)
            .map_err(|error| refuse(&error.to_string()))?;
        let told = self.runtime.block_on(self.reporter.report(&report));
        told.map_err(|error| error.to_string())
    }

    /// May this money move? `None` where nobody answered.
    pub fn ask(&self, ask: &Ask) -> Result<Option<bool>, String> {
        let name = |text: &str| Name::new(text).map_err(|error| format!("`{text}`: {error}"));
        let fen = format!("{}.{:02}", ask.fen / 100, ask.fen % 100);
        let request = Request {
            request_id: name(&ask.id)?,
            point: there(ask.point),
            business_code: name(&ask.business_code)?,
            merchant_no: name(&ask.merchant_no)?,
            order_no: name(&ask.order_no)?,
            amount: read_amount(&fen)?,
            currency: Currency::new(CURRENCY).map_err(|error| error.to_string())?,
        };
        let checked = self.runtime.block_on(self.client.check(&request));
        let checked = checked.map_err(|error| error.to_string())?;
        let by_default = checked.answer.as_ref().is_none_or(|answer| answer.default);
        let known = checked.source == Source::Breaker && !by_default;
        Ok(known.then_some(checked.decision == Decision::Hold))
    }

    /// Ends it.
    pub fn end(mut self) -> Result<(), String> {
        self.end.take();
        let Some(serving) = self.serving.take() else {
            return Ok(());
        };
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(DEADLINE, serving).await });
        match ended {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the drill's breaker does not end".into()),
        }
    }
}

/// Whether a confirmed finding of the rule trips.
pub fn trips(rule: &Rule) -> bool {
    rule.trip.is_some() && rule.status == Status::Stable
}

/// Nothing but trips holds, no trip is too large, and none waits for a person.
fn config(folder: &TempDir) -> Result<Config, String> {
    let point = "on_error = \"hold\"\ndeadline = \"10s\"\non_suspected = \"allow\"\non_undetermined = \"allow\"\n\
                 max_staleness = \"1d\"\nbeyond_max_staleness = \"allow\"\n";
    let points = [Point::Refund, Point::Settlement, Point::CashOut]
        .map(|point_of| format!("[breaker.points.{}]\n{point}", point_of.word()));
    let store = folder.path().join("drill.db");
    let store = store.display().to_string();
    let text = format!(
        "[breaker]\nlisten = \"127.0.0.1:0\"\nstore = {store:?}\nsecond_person_above = {{}}\n{}\
         [breaker.automatic]\nleast_at_risk = {{}}\nmost_held = {{ {CURRENCY} = \"1000000000000000\" }}\n\
         most_in_an_hour = {MOST}\nlasts = \"1d\"\n",
        points.concat(),
    );
    Config::read(&text).map_err(|error| error.to_string())
}

/// A key that may ask and report, put into a store that nobody uses yet; its token.
fn make_key(open: &OpenStore) -> Result<String, String> {
    let mut random = [0u8; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .map_err(|error| format!("the system gives no random numbers: {error}"))?;
    let hexadecimal =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let secret = hexadecimal(&random);
    let key = Key {
        id: "drill".into(),
        name: Name::new("drill").map_err(|error| error.to_string())?,
        scopes: vec![KeyScope::Check, KeyScope::Findings],
        points: Vec::new(),
        hash: hexadecimal(&Sha256::digest(secret.as_bytes())),
        expires: centinel_breaker::Instant(i64::MAX),
        revoked: false,
        requests_per_second: MOST,
    };
    let commit = Commit {
        records: vec![Record::Key(key)],
        entries: Vec::new(),
    };
    open()
        .and_then(|mut store| store.commit(&commit))
        .map_err(|error| error.to_string())?;
    Ok(format!("cbk.drill.{secret}"))
}

/// What the finding shows in a column: in its key, or in its evidence.
fn value_of(finding: &Finding, column: &str) -> Option<String> {
    let in_key = finding.key.iter().find(|(name, _)| name == column);
    let in_key = in_key.map(|(_, value)| value.clone());
    let in_rows = || finding.evidence.rows.first()?.get(column)?.clone();
    in_key.or_else(in_rows)
}

fn here(point: RulePoint) -> Point {
    match point {
        RulePoint::Refund => Point::Refund,
        RulePoint::Settlement => Point::Settlement,
        RulePoint::CashOut => Point::CashOut,
    }
}

fn there(point: Point) -> BreakerPoint {
    match point {
        Point::Refund => BreakerPoint::Refund,
        Point::Settlement => BreakerPoint::Settlement,
        Point::CashOut => BreakerPoint::CashOut,
    }
}
