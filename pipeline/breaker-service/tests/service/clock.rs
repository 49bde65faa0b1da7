//! Steps of the wall clock change labels, and nothing that is decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use centinel_breaker_service::{
    Commit, Config, Mark, Record, Sqlite, Store, Wall, create_first_admin, sqlite, verify_log,
};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Service, config_text, trip, until};

const HOUR: i64 = 3_600_000_000;
const HOUR_MS: i64 = 3_600_000;
/// What a test may take.
const SLACK_MS: i64 = 120_000;

/// A wall clock that is put forward and back.
fn stepping() -> (Wall, Arc<AtomicI64>) {
    let step = Arc::new(AtomicI64::new(0));
    let by = step.clone();
    let wall = move || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        i64::try_from(now.unwrap().as_micros()).unwrap() + by.load(Ordering::Relaxed)
    };
    (Arc::new(wall), step)
}

async fn left(service: &Service, token: &str, trip: &str) -> Value {
    let trip = service.get(&format!("/v1/trips/{trip}"), token).await;
    trip["ends_in_ms"].clone()
}

/// About so many hours are left of the trip.
async fn assert_left(service: &Service, token: &str, hours: i64) {
    let left = left(service, token, "T1").await;
    let left = left
        .as_i64()
        .unwrap_or_else(|| panic!("it is over, not {hours} hours before"));
    let range = hours * HOUR_MS - SLACK_MS..=hours * HOUR_MS;
    assert!(range.contains(&left), "{left} ms of {hours} h");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_by_hours_either_way_change_labels_only() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let config = Config::read(&config_text(&folder.path().join("breaker.db"))).unwrap();
    create_first_admin(&sqlite(&config), "root", PASSWORD).unwrap();
    let (wall, step) = stepping();
    let mut service = Service::by(wall.clone(), folder.clone()).await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check", "findings"]).await;
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["settlement"]))
        .await;
    service
        .post("/v1/progress", &key, json!({"lag_ms": 0}))
        .await;

    // While it runs: trip, key, sessions and staleness are as they were.
    for hours in [5, -5, 300, -300] {
        step.store(hours * HOUR, Ordering::Relaxed);
        // Some ticks go by.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_left(&service, &ann, 4).await;
        let id = format!("r{hours}");
        let held = service.check(&key, &id, "settlement", "M1", "1.00").await;
        assert_eq!(
            (&held["decision"], &held["trip"]),
            (&json!("hold"), &json!("T1"))
        );
        let fresh = service.check(&key, "c1", "cash_out", "M2", "1.00").await;
        assert_eq!(fresh["decision"], "allow");
        assert!(fresh["staleness_ms"].as_i64().unwrap() < SLACK_MS);
        // The label says what the wall clock says.
        let hold = service.get(&format!("/v1/holds/{id}"), &ann).await;
        let said = centinel_model::Timestamp::parse(hold["held_at"].as_str().unwrap()).unwrap();
        assert!((said.0 - wall()).abs() < SLACK_MS * 1_000, "{hold}");
    }
    // A short trip ends when its time is over, though the wall clock went back by days.
    let mut short = trip("k2", "M3", &["refund"]);
    short["lasts"] = json!("1s");
    service.post("/v1/trips", &ann, short).await;
    until("the end of the trip", || async {
        let trip = service.get("/v1/trips/T2", &ann).await;
        (trip["state"] == "expired").then_some(())
    })
    .await;

    // Between two runs on a machine that was not started anew, the same.
    for hours in [7, -7] {
        service.stop().await;
        step.store(hours * HOUR, Ordering::Relaxed);
        service = Service::by(wall.clone(), folder.clone()).await;
        let ann = service.sign_in("ann").await;
        assert_left(&service, &ann, 4).await;
        let held = service.check(&key, "r5", "settlement", "M1", "1.00").await;
        assert_eq!(held["trip"], "T1");
    }

    // Only across a start of the machine the wall clock counts, and never backward.
    for (hours, expected) in [(-9, 4), (-6, 1)] {
        service.stop().await;
        started_anew(&service);
        step.store(hours * HOUR, Ordering::Relaxed);
        service = Service::by(wall.clone(), folder.clone()).await;
        let ann = service.sign_in("ann").await;
        assert_left(&service, &ann, expected).await;
    }
    service.stop().await;
    let verified = verify_log(&service.store(), None).unwrap();
    assert_eq!(verified.wrong, Vec::<String>::new());
}

/// The store as if the machine had been started since.
fn started_anew(service: &Service) {
    let mut store = Sqlite::open(&service.store()).unwrap();
    let records = store.load().unwrap();
    let mark = records.into_iter().find_map(|record| match record {
        Record::Mark(mark) => Some(mark),
        _ => None,
    });
    let mark = Mark {
        boot: "another start".into(),
        ..mark.unwrap()
    };
    let records = vec![Record::Mark(mark)];
    let entries = vec![];
    store.commit(&Commit { records, entries }).unwrap();
}
