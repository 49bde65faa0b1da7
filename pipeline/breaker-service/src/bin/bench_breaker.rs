//! How many checks a second the service answers, with 100,000 trips in force, asked by `wrk` on the same machine.
//! `bench_breaker [SECONDS] [CONNECTIONS]`; wrk is the load tool of that name (Debian's package `wrk`).

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use centinel_breaker::{
    Change, Instant, Name, Numbers, Origin, Point, Points, Scope, Text, Trip, TripId, TripState,
};
use centinel_breaker_service::{Commit, Config, Record, create_first_admin, sqlite};
use serde_json::{Value, json};

const TRIPS: u64 = 100_000;
const PASSWORD: &str = "a password for the bench";

type Failure = Box<dyn std::error::Error>;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn config(store: &Path, port: u16) -> String {
    let point = "on_error = \"hold\"\ndeadline = \"1s\"\non_suspected = \"allow\"\non_undetermined = \"allow\"\n\
                 max_staleness = \"5m\"\nbeyond_max_staleness = \"allow\"\n";
    let points = ["refund", "settlement", "cash_out"]
        .map(|name| format!("[breaker.points.{name}]\n{point}"));
    format!(
        "[breaker]\nlisten = \"127.0.0.1:{port}\"\nstore = \"{}\"\nsecond_person_above = {{}}\n{}\n\
         [breaker.automatic]\nleast_at_risk = {{}}\nmost_held = {{}}\nmost_in_an_hour = 0\nlasts = \"1h\"\n\
         [breaker.limits]\nmost_holds = 2000000\n",
        store.display(),
        points.join("\n"),
    )
}

/// Trips by merchant, by order, and one business code.
fn trips() -> Result<Vec<Record>, Failure> {
    let points = Points::new(&Point::ALL).ok_or("no points")?;
    let mut records = Vec::new();
    for number in 1..=TRIPS {
        let name = |kind: &str| Name::new(&format!("{kind}{number}"));
        let trip = Trip {
            id: TripId(number),
            scope: match number {
                1 => Scope::BusinessCode(Name::new("tripped")?),
                _ if number % 2 == 0 => Scope::Merchant(name("tripped-M")?),
                _ => Scope::Order(name("tripped-O")?),
            },
            points,
            reason: Text::new("the bench")?,
            owner: Name::new("bench")?,
            origin: Origin::Person {
                name: Name::new("bench")?,
            },
            request_id: Some(name("k")?),
            lasts: centinel_model::Duration::seconds(86_400),
            state: TripState::InForce,
            proposed_because: None,
            decided_by: None,
            set_at: centinel_model::Timestamp(1_700_000_000_000_000),
            ended_at: None,
            recovered_at: None,
            set: Instant(0),
            since: Instant(0),
            expires: Instant(86_400_000_000),
            automatic: false,
        };
        records.push(Record::Breaker(Change::Trip(Arc::new(trip))));
    }
    let numbers = Numbers {
        trips: TRIPS,
        ..Numbers::default()
    };
    records.push(Record::Breaker(Change::Numbers(numbers)));
    Ok(records)
}

/// The script of wrk: every request has an id of its own; every `held`th is held. With a pause each connection rests for
/// a millisecond before each request, which makes some thousand in a second.
fn script(key: &str, held: u32, pause: bool) -> String {
    let pause = if pause {
        "function delay() return 1 end"
    } else {
        ""
    };
    format!(
        r#"
{pause}
local thread = 0
function setup(it) it:set("number", thread * 1000000000000 + os.time() % 100000 * 1000000); thread = thread + 1 end
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.headers["Content-Type"] = "application/json"
local points = {{"refund", "settlement", "cash_out"}}
function request()
  number = number + 1
  local code = "B" .. number % 50
  if {held} > 0 and number % {held} == 0 then code = "tripped" end
  return wrk.format(nil, "/v1/checks", nil, string.format(
    '{{"request_id":"q%d","point":"%s","business_code":"%s","merchant_no":"M%d","order_no":"O%d","amount":"12.50","currency":"CNY"}}',
    number, points[number % 3 + 1], code, number % 100000, number))
end
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format("%.0f checks/s, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, most %.1f ms, %d refused or failed",
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency:percentile(99.9) / 1e3, latency.max / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#
    )
}

async fn post(
    client: &reqwest::Client,
    url: &str,
    token: &str,
    body: Value,
) -> Result<Value, Failure> {
    let answer = client
        .post(url)
        .bearer_auth(token)
        .body(body.to_string())
        .send()
        .await?;
    Ok(serde_json::from_str(
        &answer.error_for_status()?.text().await?,
    )?)
}

/// A key for checks, and the admin's session.
async fn tokens(url: &str) -> Result<(String, String), Failure> {
    let client = reqwest::Client::new();
    let sign_in = json!({"name": "root", "password": PASSWORD});
    let mut signed_in = post(&client, &format!("{url}/v1/sessions"), "", sign_in.clone()).await;
    for _ in 0..100 {
        if signed_in.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        signed_in = post(&client, &format!("{url}/v1/sessions"), "", sign_in.clone()).await;
    }
    let token = signed_in?["token"].as_str().unwrap_or_default().to_owned();
    let body = json!({"name": "bench", "scopes": ["check"], "lasts": "1d", "requests_per_second": 1_000_000});
    let key = post(&client, &format!("{url}/v1/keys"), &token, body).await?;
    Ok((key["token"].as_str().unwrap_or_default().to_owned(), token))
}

/// Asks for lists and previews as fast as it may, until the bench ends.
fn look_around(url: String, token: String) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let client = reqwest::Client::new();
            let wish = json!({"scope": "all", "points": ["refund", "settlement", "cash_out"]});
            loop {
                let list = client
                    .get(format!("{url}/v1/trips?limit=1000"))
                    .bearer_auth(&token);
                let preview = client
                    .post(format!("{url}/v1/trips/preview"))
                    .bearer_auth(&token);
                let (list, preview) = (list.send(), preview.body(wish.to_string()).send());
                let _ = futures::future::join(list, preview).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    });
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().unwrap_or_else(|| "10".into());
    let connections = arguments.next().unwrap_or_else(|| "8".into());
    let folder = std::env::temp_dir().join(format!("bench-breaker-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = bench(&folder, &seconds, &connections);
    std::fs::remove_dir_all(&folder)?;
    done
}

/// Never rests, as detection that catches up does not.
fn at_lower_priority() -> Result<Running, Failure> {
    let busy = Command::new("nice")
        .args(["-n", "19", "sh", "-c", "while :; do :; done"])
        .spawn()?;
    Ok(Running(busy))
}

fn bench(folder: &Path, seconds: &str, connections: &str) -> Result<(), Failure> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let (file, wrk) = (folder.join("centinel.toml"), folder.join("checks.lua"));
    let text = config(&folder.join("breaker.db"), port);
    std::fs::write(&file, &text)?;
    let open = sqlite(&Config::read(&text)?);
    open()?.commit(&Commit {
        records: trips()?,
        entries: vec![],
    })?;
    create_first_admin(&open, "root", PASSWORD)?;
    let program = std::env::current_exe()?.with_file_name("breaker_serve");
    let _running = Running(Command::new(program).arg(&file).spawn()?);
    let url = format!("http://127.0.0.1:{port}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (key, session) = runtime.block_on(tokens(&url))?;
    let scenes = [
        ("all allowed", 0, false),
        ("one of 1,000 held and stored", 1_000, false),
        (
            "all allowed and some thousand a second, both cores busy at a lower priority",
            0,
            true,
        ),
        ("all allowed, beside lists of trips and previews", 0, false),
    ];
    for (what, held, busy) in scenes {
        std::fs::write(&wrk, script(&key, held, busy))?;
        if what.ends_with("previews") {
            look_around(url.clone(), session.clone());
        }
        let _busy: Vec<Running> = match busy {
            true => (0..2)
                .map(|_| at_lower_priority())
                .collect::<Result<_, _>>()?,
            false => vec![],
        };
        println!("{TRIPS} trips in force, {connections} connections, {what}:");
        let status = Command::new("wrk")
            .args([
                "-t1",
                &format!("-c{connections}"),
                &format!("-d{seconds}s"),
                "-s",
            ])
            .args([wrk.as_os_str(), url.as_ref()])
            .status()?;
        if !status.success() {
            return Err("wrk failed".into());
        }
    }
    Ok(())
}
