//! The real program, killed with SIGKILL at any moment under load: what it acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Place, attempt};
use crate::support::{release, request, trip, until};

const KILLS: usize = 60;
/// Kills while a large release goes on.
const KILLS_OF_RELEASES: u64 = 12;
const HELD: usize = 2_500;

/// What was acknowledged over all lives.
#[derive(Default)]
struct Acknowledged {
    holds: BTreeSet<String>,
    trips: BTreeMap<String, String>,
    released: BTreeSet<String>,
}

/// Holds without end. An identity is asked for again until it is acknowledged.
async fn hold(
    url: String,
    key: String,
    worker: usize,
    from: usize,
    known: Arc<Mutex<Acknowledged>>,
) {
    let client = reqwest::Client::new();
    for number in from.. {
        let id = format!("w{worker}-{number}");
        let body = request(&id, "settlement", "M1", "1.00");
        let Some(answer) = attempt(&client, "POST", &format!("{url}/v1/checks"), &key, &body).await
        else {
            return;
        };
        if answer["stored"] == true {
            assert_eq!(answer["decision"], "hold");
            known.lock().unwrap().holds.insert(id);
        }
    }
}

/// Trips and releases without end; what was not acknowledged is sent again in the next life, under the same id.
async fn act(url: String, person: String, life: usize, known: Arc<Mutex<Acknowledged>>) {
    let client = reqwest::Client::new();
    for number in 0.. {
        let id = format!("k{life}-{number}");
        let body = trip(&id, &format!("M-{id}"), &["refund"]);
        let Some(set) = attempt(&client, "POST", &format!("{url}/v1/trips"), &person, &body).await
        else {
            return;
        };
        known
            .lock()
            .unwrap()
            .trips
            .insert(id.clone(), set["id"].as_str().unwrap().to_owned());

        let free = {
            let known = known.lock().unwrap();
            known.holds.difference(&known.released).next().cloned()
        };
        let Some(free) = free else { continue };
        let body = release(&format!("a-{free}"), "T1", Some(&[&free]), "resume");
        let Some(_) = attempt(
            &client,
            "POST",
            &format!("{url}/v1/releases"),
            &person,
            &body,
        )
        .await
        else {
            return;
        };
        known.lock().unwrap().released.insert(free);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_release_that_is_killed_midway_goes_on_and_lets_each_go_once() {
    let place = Place::new("0");
    let mut running = place.start();
    let root = place.sign_in("root").await;
    place.approver(&root, "ann").await;
    place.approver(&root, "bob").await;
    let key = place.key(&root).await;
    let mut expected = BTreeSet::new();
    for life in 0..KILLS_OF_RELEASES {
        let (ann, bob) = (place.sign_in("ann").await, place.sign_in("bob").await);
        let wish = trip(&format!("k{life}"), &format!("M{life}"), &["settlement"]);
        let set = place.persist("POST", "/v1/trips", &ann, wish).await;
        let set = set["id"].as_str().unwrap();
        let held = futures::future::join_all((0..HELD).map(|number| {
            let (place, key) = (&place, &key);
            let id = format!("{life}-{number}");
            async move {
                let body = request(&id, "settlement", &format!("M{life}"), "1.00");
                let held = place.persist("POST", "/v1/checks", key, body).await;
                assert_eq!(held["stored"], true);
                id
            }
        }));
        expected.extend(held.await);
        let ask = release(&format!("a{life}"), set, None, "resume");
        let proposed = place.persist("POST", "/v1/releases", &ann, ask).await;
        assert_eq!(proposed["state"], "proposed");
        let path = format!("/v1/releases/{}", proposed["id"].as_str().unwrap());
        let confirmed = format!("{path}/confirm");
        // Killed before, while or after it is confirmed; confirmed again under the same id it is done once.
        let url = format!("{}{confirmed}", place.url);
        let confirming = tokio::spawn({
            let (client, bob) = (place.client.clone(), bob.clone());
            async move { attempt(&client, "POST", &url, &bob, &Value::Null).await }
        });
        tokio::time::sleep(Duration::from_millis(life * 5)).await;
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        confirming.await.unwrap();
        running = place.start();
        let bob = place.sign_in("bob").await;
        place.persist("POST", &confirmed, &bob, Value::Null).await;
        until("the end of the release", || async {
            let release = place.persist("GET", &path, &bob, Value::Null).await;
            assert_eq!(release["count"], HELD);
            (release["state"] == "done").then(|| assert_eq!(release["decided"], HELD))
        })
        .await;
    }
    assert_eq!(place.told(&key).await, expected);
    drop(running);
    place.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_loses_nothing_and_applies_nothing_twice() {
    let place = Place::new("100000000");
    let url = place.url.clone();
    let running = place.start();
    let root = place.sign_in("root").await;
    place.approver(&root, "ann").await;
    let key = place.key(&root).await;
    let person = place.sign_in("ann").await;
    let wish = trip("k", "M1", &["settlement"]);
    place.persist("POST", "/v1/trips", &person, wish).await;
    drop(running);

    let known = Arc::new(Mutex::new(Acknowledged::default()));
    for life in 0..KILLS {
        let mut running = place.start();
        let person = place.sign_in("ann").await;
        let mut load: Vec<_> = (0..4)
            .map(|worker| {
                let from = known.lock().unwrap().holds.len();
                tokio::spawn(hold(url.clone(), key.clone(), worker, from, known.clone()))
            })
            .collect();
        load.push(tokio::spawn(act(url.clone(), person, life, known.clone())));
        tokio::time::sleep(Duration::from_millis((life as u64 * 37) % 160)).await;
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        for one in load {
            one.await.unwrap();
        }
    }

    let running = place.start();
    let person = place.sign_in("ann").await;
    let known = std::mem::take(&mut *known.lock().unwrap());
    assert!(
        known.holds.len() > 300 && known.trips.len() > 50 && known.released.len() > 50,
        "{} holds, {} trips, {} releases",
        known.holds.len(),
        known.trips.len(),
        known.released.len()
    );
    // Every acknowledged release is among what was told.
    let resumed = place.told(&key).await;
    assert!(known.released.is_subset(&resumed));
    for id in &known.holds {
        let path = format!("/v1/holds/{id}");
        let hold = place.persist("GET", &path, &person, Value::Null).await;
        let expected = if resumed.contains(id) {
            "resumed"
        } else {
            "held"
        };
        assert_eq!(
            (&hold["state"], &hold["round"]),
            (&json!(expected), &json!(1)),
            "{id}"
        );
    }
    // Every acknowledged trip is there under the number that was told, and no wish made two.
    let (mut trips, mut before) = (BTreeMap::new(), None);
    loop {
        let from = before.map_or(String::new(), |before: String| format!("&before={before}"));
        let path = format!("/v1/trips?limit=1000{from}");
        let listed = place.persist("GET", &path, &person, Value::Null).await;
        for one in listed["trips"].as_array().unwrap() {
            let wish = one["request_id"].as_str().unwrap().to_owned();
            let id = one["id"].as_str().unwrap().to_owned();
            assert!(trips.insert(wish, id).is_none(), "set twice: {one}");
        }
        match listed["next"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    for (wish, id) in &known.trips {
        assert_eq!(trips.get(wish), Some(id));
    }
    drop(running);
    place.verify();
}
