//! The loop around the core, with real servers, time and files.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use centinel_alert::{Alerts, Batch, Channels, Delivery, Message, Progress, RuleNote, StateFile};
use centinel_model::{Evidence, Finding, FindingId, Positions, Severity, Timestamp, Verdict};
use tokio::sync::{mpsc, watch};

use crate::server::{Server, answer};

fn clock() -> Timestamp {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Timestamp(i64::try_from(now.as_micros()).unwrap())
}

fn found(number: u64) -> (u64, Finding, RuleNote) {
    let order = format!("O{number}");
    let finding = Finding {
        schema: "centinel/finding/1".into(),
        finding_id: FindingId::new("r", [order.as_str()]),
        sequence: 1,
        rule: format!("rule-{number}"),
        rule_version: String::new(),
        title: "t".into(),
        entity: "order".into(),
        entity_key: order.clone(),
        key: vec![("order_no".into(), order)],
        verdict: Verdict::Confirmed,
        occurrence: 1,
        severity: Severity::Error,
        owner: "o".into(),
        amount: None,
        currency: None,
        hint: None,
        evidence: Evidence {
            rows: vec![BTreeMap::new()],
            total: 1,
        },
        positions: Positions::default(),
        anchor: "2026-11-22T08:00:00Z".into(),
        judged_at: "2026-11-22T08:00:00Z".into(),
        checkpoint: None,
        status: None,
        trip: None,
    };
    (number, finding, RuleNote::default())
}

/// One life of the loop.
struct Running {
    input: mpsc::Sender<Batch>,
    end: watch::Sender<bool>,
    shown: watch::Receiver<Progress>,
    task: tokio::task::JoinHandle<Alerts>,
}

fn start(config: &str, folder: &Path) -> Running {
    let channels = Channels::read(config).unwrap();
    let variable = |_: &str| Some("0123456789abcdef0123456789abcdef".into());
    let outlets = channels.outlets(&variable, folder).unwrap();
    let file = StateFile::new(&folder.join("alerts.state"));
    let alerts = match file.read().unwrap() {
        Some(bytes) => Alerts::restore(channels.rules.clone(), &bytes).unwrap(),
        None => Alerts::new(channels.rules.clone(), "first"),
    };
    let status = alerts.status();
    let (input, read) = mpsc::channel(4);
    let (end, ending) = watch::channel(false);
    let (show, shown) = watch::channel(Progress {
        status,
        not_stored: None,
    });
    let delivery = Delivery {
        alerts,
        outlets,
        file,
        clock,
    };
    let task = tokio::spawn(delivery.run(read, ending, show));
    Running {
        input,
        end,
        shown,
        task,
    }
}

fn batch(numbers: std::ops::RangeInclusive<u64>) -> Batch {
    Batch {
        input: "detection".into(),
        findings: numbers.map(found).collect(),
    }
}

impl Running {
    async fn until(&mut self, right: impl FnMut(&Progress) -> bool) {
        let waits = self.shown.wait_for(right);
        let waited = tokio::time::timeout(Duration::from_secs(30), waits).await;
        waited.expect("it does not come to this").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_channel_delays_no_other_and_an_end_waits_for_what_is_on_its_way() {
    let slow = Server::start(|_, _| {
        let mut slow = answer(200, "");
        slow.delay = Duration::from_secs(2);
        slow
    });
    let (slow, fast) = (slow.await, Server::start(|_, _| answer(200, "")).await);
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, server: &Server| {
        format!(
            "[alerts.{name}]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = {{ env = \"S\" }}\nallow = [\"127.0.0.1\"]\nwait = \"0s\"\n",
            server.url
        )
    };
    let config = table("slow", &slow) + &table("fast", &fast);
    let mut running = start(&config, folder.path());
    running.input.send(batch(1..=3)).await.unwrap();
    running
        .until(|shown| shown.status.channels["fast"].health.delivered == 3)
        .await;
    assert_eq!(
        running.shown.borrow().status.channels["slow"]
            .health
            .delivered,
        0
    );
    running.end.send(true).unwrap();
    let alerts = running.task.await.unwrap();
    let status = alerts.status();
    assert_eq!(
        status.channels["slow"].health.delivered, 1,
        "it was on its way"
    );
    assert_eq!(status.channels["slow"].pending, 2);
    assert_eq!(alerts.consumed("detection"), 3);

    // The next life goes on there.
    let mut running = start(&config, folder.path());
    running.input.send(batch(1..=3)).await.unwrap();
    running
        .until(|shown| shown.status.channels["slow"].health.delivered == 3)
        .await;
    running.end.send(true).unwrap();
    running.task.await.unwrap();
    assert_eq!((slow.asked().len(), fast.asked().len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_sends_again_under_the_same_id_and_loses_nothing() {
    let server = Server::start(|_, count| {
        let mut answer = answer(200, "");
        if count == 0 {
            answer.delay = Duration::from_secs(60);
        }
        answer
    });
    let server = server.await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[alerts.hook]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = {{ env = \"S\" }}\nallow = [\"127.0.0.1\"]\nwait = \"0s\"\n",
        server.url
    );
    let running = start(&config, folder.path());
    running.input.send(batch(1..=2)).await.unwrap();
    while server.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // As a kill does: nothing more is stored, and the answer is not heard.
    running.task.abort();
    let mut running = start(&config, folder.path());
    running.input.send(batch(1..=2)).await.unwrap();
    running
        .until(|shown| shown.status.channels["hook"].health.mentioned == 2)
        .await;
    let asked: Vec<Message> = server
        .asked()
        .iter()
        .map(|asked| serde_json::from_str(&asked.body).unwrap())
        .collect();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], asked[1]);
    assert_ne!(asked[1].id, asked[2].id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_cannot_be_stored_silences_nobody_and_is_said() {
    let server = Server::start(|_, _| answer(200, "")).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[alerts.hook]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = {{ env = \"S\" }}\nallow = [\"127.0.0.1\"]\nwait = \"0s\"\n",
        server.url
    );
    let mut running = start(&config, folder.path());
    folder.close().unwrap();
    running.input.send(batch(1..=1)).await.unwrap();
    running
        .until(|shown| shown.status.channels["hook"].health.delivered == 1)
        .await;
    assert!(running.shown.borrow().not_stored.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_reaches_a_robot_as_a_few_messages_that_it_takes() {
    let server = Server::start(crate::dingtalk::robot()).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/robot/send?access_token=t0", server.url);
    std::fs::write(folder.path().join("url"), url).unwrap();
    std::fs::write(folder.path().join("secret"), crate::dingtalk::SECRET).unwrap();
    let config = "[alerts.robot]\nkind = \"dingtalk\"\nurl = { file = \"url\" }\nsecret = { file = \"secret\" }\n\
                  allow = [\"127.0.0.1\"]\nwait = \"0s\"\n";
    let mut running = start(config, folder.path());
    running.input.send(batch(1..=5_000)).await.unwrap();
    running
        .until(|shown| shown.status.channels["robot"].health.mentioned == 5_000)
        .await;
    let health = running.shown.borrow().status.channels["robot"]
        .health
        .clone();
    assert_eq!((health.delivered, health.failed), (4, 0));
    assert!(server.asked()[3].body.contains("digest of 4997 findings"));
}
