//! Rules, the console and SQL queries without a pause, all beside one breaker and at a lower priority, as its page says to run
//! them: checks are answered as if it were alone.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use data_fixtures::write::{LogFiles, LogForm, LogLayout};
use data_fixtures::{Simulation, SimulationParameters, Source};
use reqwest::{Client, Response, redirect};
use serde_json::{Value, json};

use crate::shop::{Breaker, PASSWORD, Running, Shop, shown, until};

const ORDERS: u64 = 6_000;
const TRIPS: usize = 500;
/// Checks that are let go, and among them ones that are held, which are on the disk before they are answered.
const CHECKS: usize = 4_000;
const ONE_HELD_IN: usize = 20;
/// What must have ended during the checks: runs of detection over the whole log, queries, pages.
const LEAST: [usize; 3] = [2, 6, 200];
/// What any wait ends with at the latest.
const LONG: Duration = Duration::from_secs(150);
const NICE: i32 = 10;
const PEOPLE: [&str; 3] = ["ann", "bob", "eve"];
/// Of one session; a further one would take the place of the oldest.
const STREAMS: usize = 3;

/// Every pair of findings, which is answered; triples, which take too long; and changes by changes, which take too much memory.
const PAIRS: &str = "SELECT p.rule, count(*) AS pairs, sum(p.amount + q.amount) AS money,
        count(DISTINCT p.finding_id || q.finding_id) AS apart
    FROM findings p CROSS JOIN findings q GROUP BY p.rule ORDER BY p.rule";
const TRIPLES: &str = "SELECT count(*) FROM findings a, findings b, findings c WHERE a.amount * b.amount + c.amount = -1";
const CHANGES: &str = "SELECT count(*) FROM archive.payment a, archive.payment b, archive.payment c, archive.payment d
    WHERE a.amount * b.amount + c.amount * d.amount = -1";

/// Something that is done again and again until this is dropped.
struct Again {
    what: String,
    stop: Arc<AtomicBool>,
    ended: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Again {
    /// `begin` makes, in a thread of its own, what is done once.
    fn begin<F: FnMut() + 'static>(
        what: &str,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> Again {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicUsize::new(0));
        let (stops, ends) = (Arc::clone(&stop), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let mut once = begin();
            while !stops.load(Ordering::Relaxed) {
                once();
                ends.fetch_add(1, Ordering::Relaxed);
            }
        });
        Again {
            what: what.to_owned(),
            stop,
            ended,
            thread: Some(thread),
        }
    }

    /// How often it was done; it goes on.
    fn ended(&self) -> usize {
        let over = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        assert!(!over, "{} failed, see above", self.what);
        self.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let done = thread.join();
            // What it died of, it has said.
            assert!(done.is_ok() || std::thread::panicking(), "{}", self.what);
        }
    }
}

/// The program at a lower priority, over the shop's folder.
fn beside(shop: &Shop, arguments: &[&str]) -> Command {
    let program = shop.centinel(&[]);
    let mut command = Command::new("nice");
    command
        .args(["-n", &NICE.to_string()])
        .arg(program.get_program())
        .args(arguments)
        .current_dir(program.get_current_dir().unwrap())
        .stdin(Stdio::null());
    command
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// The platform's log, and one configuration for all programs over the shipped schemas and rules. Returns the console's address.
fn furnish(shop: &Shop) -> String {
    let (root, folder) = (root(), shop.path(""));
    let mut log = LogFiles::create(&folder, LogForm::JsonLines, LogLayout::Merged).unwrap();
    let platform = Simulation::new(SimulationParameters {
        orders: ORDERS,
        fault_share: 1_000,
        ..SimulationParameters::default()
    });
    for delivered in platform {
        log.write(&delivered).unwrap();
    }
    log.finish().unwrap();

    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (interface, console) = (free(), free());
    let (interface, console) = (
        interface.local_addr().unwrap(),
        console.local_addr().unwrap(),
    );
    let mut config = std::fs::read_to_string(shop.path("centinel.toml")).unwrap();
    for (from, to) in [
        (
            "schemas = \"schemas\"",
            format!("schemas = {:?}", root.join("schemas")),
        ),
        (
            "rules = \"rules\"",
            format!("rules = {:?}", root.join("sql-rules")),
        ),
        (
            "file = \"findings.jsonl\"",
            "file = \"findings.jsonl\"\nstore = \"findings.db\"".to_owned(),
        ),
    ] {
        assert_eq!(config.matches(from).count(), 1, "{from}");
        config = config.replace(from, &to);
    }
    for source in Source::ALL.map(Source::name) {
        if !config.contains(&format!("[sources.{source}]")) {
            config += &format!("[sources.{source}]\nkind = \"file\"\npath = \"log.jsonl\"\n");
        }
    }
    config += &format!(
        "[archive]\nurl = \"archive\"\nsegment_age = \"1s\"\n\
         [interface]\nlisten = \"{interface}\"\ntoken = {{ file = \"interface.token\" }}\n\
         [console]\nlisten = \"{console}\"\nbreaker = \"{}\"\n\
         [breaker.limits]\nperson_requests_per_second = 100000\n",
        shop.url
    );
    shop.write("centinel.toml", &config);
    shop.write("interface.token", "0123456789abcdef0123456789abcdef");
    format!("http://{console}")
}

/// How long checks took.
#[derive(Default)]
struct Took {
    allowed: Vec<Duration>,
    held: Vec<Duration>,
}

impl Took {
    /// The time within which half of them, and 99 of 100, were answered.
    fn of(times: &mut [Duration]) -> [Duration; 2] {
        times.sort();
        [times[times.len() / 2], times[times.len() * 99 / 100]]
    }
}

/// A payment system that asks one thing after the other by one connection.
struct Platform {
    runtime: tokio::runtime::Runtime,
    client: Client,
    url: String,
    key: String,
    asked: usize,
}

impl Platform {
    fn new(shop: &Shop, breaker: &Breaker) -> Platform {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Platform {
            runtime,
            client: Client::builder().timeout(LONG).build().unwrap(),
            url: format!("{}/v1/checks", shop.url),
            key: breaker.checks.clone(),
            asked: 0,
        }
    }

    /// Asks so often. Each answer is the breaker's own, and right.
    fn ask(&mut self, times: usize, took: &mut Took) {
        for _ in 0..times {
            self.asked += 1;
            let number = self.asked;
            let held = number.is_multiple_of(ONE_HELD_IN);
            let merchant = match held {
                true => format!("TRIPPED-{}", number / ONE_HELD_IN % TRIPS),
                false => format!("M-{}", number % 997),
            };
            let body = json!({
                "request_id": format!("r{number}"), "point": "refund", "business_code": "B1", "merchant_no": merchant,
                "order_no": format!("O-{number}"), "amount": "1.00", "currency": "CNY",
            });
            let request = self.client.post(&self.url).bearer_auth(&self.key);
            let request = request.body(body.to_string());
            let began = Instant::now();
            let answer = self.runtime.block_on(async {
                let answer = request.send().await.unwrap();
                answer.bytes().await.unwrap()
            });
            let lasted = began.elapsed();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            let expected = if held { "hold" } else { "allow" };
            assert_eq!(
                (&answer["decision"], &answer["default"]),
                (&json!(expected), &json!(false)),
                "{answer}"
            );
            match held {
                true => took.held.push(lasted),
                false => took.allowed.push(lasted),
            }
        }
    }
}

/// The whole log, judged by all shipped rules from the beginning; each time the same is found.
fn rules(shop: &Arc<Shop>) -> Again {
    let shop = Arc::clone(shop);
    Again::begin("detection", move || {
        let mut first = None;
        move || {
            let folder = shop.path("again");
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir(&folder).unwrap();
            let mut detect = beside(&shop, &["detect", "--state", "again/state", "--until-end"]);
            for (name, in_it) in [("--schemas", "schemas"), ("--rules", "sql-rules")] {
                detect.arg(name).arg(root().join(in_it));
            }
            detect.args(["--input", "log.jsonl", "--out", "again/findings.jsonl"]);
            let (status, _, said) = shown(detect.output().unwrap());
            assert_eq!(status, 2, "{said}");
            let told = std::fs::read_to_string(folder.join("findings.jsonl")).unwrap();
            let told = told.lines().count();
            assert_eq!(*first.get_or_insert(told), told);
        }
    })
}

/// A query in SQL, whose end must be as expected.
fn queries(
    shop: &Arc<Shop>,
    sql: &'static str,
    limits: &'static [&'static str],
    right: fn(i32, &str, &str) -> bool,
) -> Again {
    let shop = Arc::clone(shop);
    Again::begin(sql, move || {
        move || {
            let mut query = beside(&shop, &["query", sql, "--format", "jsonl"]);
            let (status, out, said) = shown(query.args(limits).output().unwrap());
            assert!(right(status, &out, &said), "{status} {out} {said}");
        }
    })
}

/// Somebody at a browser, who is signed in and looks at one page after the other.
struct Visitor {
    runtime: tokio::runtime::Runtime,
    client: Client,
    console: String,
    cookie: String,
    /// Streams that go on.
    live: RefCell<VecDeque<Response>>,
}

impl Visitor {
    /// At the priority of the thread that this is called in: in life, browsers have machines of their own.
    fn sign_in(console: &str, name: &str) -> Visitor {
        rustix::process::nice(NICE).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let client = Client::builder().redirect(redirect::Policy::none());
        let client = client.timeout(LONG).build().unwrap();
        let form = format!("name={name}&password={}", PASSWORD.replace(' ', "+"));
        let request = client
            .post(format!("{console}/sign-in"))
            .header("origin", console)
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer = runtime.block_on(async { request.send().await.unwrap() });
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        Visitor {
            runtime,
            client,
            console: console.to_owned(),
            cookie: cookie.split(';').next().unwrap().to_owned(),
            live: RefCell::default(),
        }
    }

    /// Looks at a page. Of streams, the last few stay open: what they say comes seldom.
    fn look(&self, path: &str) {
        self.runtime.block_on(async {
            let request = self.client.get(format!("{}{path}", self.console));
            let request = request.header("cookie", &self.cookie);
            let answer = request.send().await.unwrap();
            let status = answer.status();
            if path == "/live" && status == 200 {
                let mut live = self.live.borrow_mut();
                live.push_back(answer);
                if live.len() > STREAMS {
                    live.pop_front();
                }
                return;
            }
            let text = answer.text().await.unwrap();
            assert_eq!(status, 200, "{path}: {text}");
        });
    }
}

fn visitor(console: &str, name: &'static str, pages: &[String]) -> Again {
    let (console, pages) = (console.to_owned(), pages.to_vec());
    Again::begin(name, move || {
        let visitor = Visitor::sign_in(&console, name);
        let mut pages = pages.into_iter().cycle();
        move || visitor.look(&pages.next().unwrap())
    })
}

/// Every page that asks something, some of an order that has a finding, and the stream that tells pages of changes.
fn pages(shop: &Shop) -> Vec<String> {
    let told = std::fs::read_to_string(shop.path("findings.jsonl")).unwrap();
    let mut told = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let finding = told
        .find(|told| told["verdict"] == "confirmed" && told["entity"] == "order")
        .unwrap();
    let named = |field: &str| finding[field].as_str().unwrap().to_owned();
    let mut pages = vec![
        format!("/findings/{}", named("finding_id")),
        format!("/trace/order/{}", named("entity_key")),
    ];
    let others = [
        "/",
        "/findings",
        "/findings?severity=critical&severity=error&order=money",
        "/breaker",
        "/breaker/holds",
        "/breaker/trips/new?scope=all&point=refund&point=settlement&point=cash_out&preview=yes",
        "/rules",
        "/sources",
        "/log/breaker",
        "/live",
    ];
    pages.extend(others.map(str::to_owned));
    pages
}

/// What has ended of each kind of load.
fn ended(kinds: &[Vec<Again>; 3]) -> [usize; 3] {
    kinds
        .each_ref()
        .map(|kind| kind.iter().map(Again::ended).sum())
}

#[test]
fn what_runs_beside_the_breaker_keeps_no_check_waiting() {
    let shop = Shop::new(false);
    let console = furnish(&shop);
    let (breaker, shop) = (shop.begin(), Arc::new(shop));
    for name in PEOPLE {
        breaker.person(name, "operator");
    }
    let ann = breaker.person("may-trip", "approver");
    for number in 0..TRIPS {
        let trip = json!({
            "request_id": format!("t{number}"), "scope": {"merchant": format!("TRIPPED-{number}")}, "points": ["refund"],
            "reason": "double refunds", "owner": "settlement", "lasts": "4h",
        });
        breaker.post_as(&ann, "/v1/trips", trip);
    }
    let mut platform = Platform::new(&shop, &breaker);
    platform.ask(CHECKS / 4, &mut Took::default());
    let mut alone = Took::default();
    platform.ask(CHECKS, &mut alone);

    // Detection with what the console asks of it, and the console; then the load.
    let detection = Running::start(beside(&shop, &["detect", "--config", "centinel.toml"]));
    let first_segment = shop.path("archive/segments/000000000001.json");
    until("findings and an archive", || {
        (shop.told().len() > 800 && first_segment.exists()).then_some(())
    });
    // It takes in what the file has.
    let listed = shop.run(&["findings", "list", "--config", "centinel.toml"]);
    assert_eq!(listed.0, 2, "{listed:?}");
    let mut pages_served = Running::start(beside(&shop, &["console", "--config", "centinel.toml"]));
    pages_served.wait_said("the console listens on");
    let pages = pages(&shop);
    let (some, others) = pages.split_at(pages.len() / 2);
    let turned = [others, some].concat();
    let load = [
        vec![rules(&shop)],
        vec![
            queries(&shop, PAIRS, &[], |status, out, said| {
                status == 0 && said.is_empty() && out.lines().count() > 5
            }),
            queries(&shop, TRIPLES, &["--timeout", "2s"], |status, out, said| {
                status == 3 && out.is_empty() && said.contains("longer than 2s")
            }),
            queries(
                &shop,
                CHANGES,
                &["--memory", "1GiB"],
                |status, out, said| {
                    status == 3 && out.is_empty() && said.contains("needs more than 1024 MiB")
                },
            ),
        ],
        vec![
            visitor(&console, PEOPLE[0], &pages),
            visitor(&console, PEOPLE[1], &turned),
            visitor(&console, PEOPLE[2], &pages),
        ],
    ];
    until("something of each kind of load", || {
        (!ended(&load).contains(&0)).then_some(())
    });

    let (mut loaded, before, began) = (Took::default(), ended(&load), Instant::now());
    let during = loop {
        platform.ask(CHECKS / ONE_HELD_IN, &mut loaded);
        let now = ended(&load);
        let during: [usize; 3] = std::array::from_fn(|kind| now[kind] - before[kind]);
        let asked = loaded.allowed.len() + loaded.held.len();
        let enough = during
            .iter()
            .zip(LEAST)
            .all(|(ended, least)| *ended >= least);
        if asked >= CHECKS && enough {
            break during;
        }
        assert!(
            began.elapsed() < LONG,
            "only {during:?} of {LEAST:?} during {asked} checks"
        );
    };
    let lasted = began.elapsed();
    drop(load);
    let [runs, queries, looks] = during;
    println!(
        "{} checks in {lasted:?} beside {runs} runs of detection over {ORDERS} orders, {queries} queries and {looks} pages",
        loaded.allowed.len() + loaded.held.len()
    );
    for (what, alone, loaded) in [
        ("let go", &mut alone.allowed, &mut loaded.allowed),
        ("held, and stored", &mut alone.held, &mut loaded.held),
    ] {
        let ([half_alone, alone], [half, beside]) = (Took::of(alone), Took::of(loaded));
        println!(
            "{what}: half within {half_alone:?} and 99 of 100 within {alone:?} alone, {half:?} and {beside:?} beside"
        );
        // Wide: it holds no speed, the bench does. What waited for any of the load would not be answered within it.
        let bound = (alone * 10).max(Duration::from_millis(500));
        assert!(
            beside < bound,
            "{what}: 99 of 100 took {beside:?}, {alone:?} alone"
        );
    }
    drop((pages_served, detection));
    assert_eq!(breaker.running.terminate(), 0);
}
