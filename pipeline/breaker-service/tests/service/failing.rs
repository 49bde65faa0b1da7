//! A store that fails: defaults, marked as such, and recovery by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use centinel_breaker::Told;
use centinel_breaker_service::{
    Commit, Config, Entry, Head, OpenStore, Record, Sqlite, Store, StoreError, create_first_admin,
    verify_log,
};
use serde_json::{Value, json};

use crate::support::{Service, config_text, trip, until};

pub const WORKS: u8 = 0;
pub const FAILS: u8 = 1;
/// Commits come through, and report a failure.
const LIES: u8 = 2;
/// Not even opening works.
const GONE: u8 = 3;
/// Commits take longer than any check waits.
const HANGS: u8 = 4;

struct Failing {
    inner: Sqlite,
    mode: Arc<AtomicU8>,
}

fn failure<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("no space left on device".into()))
}

impl Store for Failing {
    fn load(&mut self) -> Result<Vec<Record>, StoreError> {
        self.inner.load()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        match self.mode.load(Ordering::Relaxed) {
            WORKS => self.inner.commit(commit),
            LIES => {
                self.inner.commit(commit)?;
                failure()
            }
            HANGS => {
                std::thread::sleep(std::time::Duration::from_secs(3));
                self.inner.commit(commit)
            }
            _ => failure(),
        }
    }

    fn head(&mut self) -> Result<Head, StoreError> {
        self.inner.head()
    }

    fn told(&mut self, after: u64, limit: usize) -> Result<Vec<Told>, StoreError> {
        self.inner.told(after, limit)
    }

    fn entries(&mut self, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(after, limit)
    }
}

pub async fn failing() -> (Service, Arc<AtomicU8>) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("breaker.db");
    let config = Config::read(&config_text(&path)).unwrap();
    let mode = Arc::new(AtomicU8::new(WORKS));
    let open: OpenStore = {
        let mode = mode.clone();
        Arc::new(move || {
            if mode.load(Ordering::Relaxed) == GONE {
                return failure();
            }
            let (inner, mode) = (Sqlite::open(&path)?, mode.clone());
            Ok(Box::new(Failing { inner, mode }))
        })
    };
    create_first_admin(&open, "root", crate::support::PASSWORD).unwrap();
    (Service::over(config, open, folder).await, mode)
}

fn marks(answer: &Value) -> (String, bool, bool) {
    let decision = answer["decision"].as_str().unwrap().to_owned();
    (
        decision,
        answer["default"] == true,
        answer["stored"] == true,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_answered_by_the_default_until_it_can() {
    let (mut service, mode) = failing().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check"]).await;
    let points = ["refund", "settlement"];
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &points))
        .await;
    service
        .check(&key, "held-before", "refund", "M1", "1.00")
        .await;

    for broken in [FAILS, GONE] {
        mode.store(broken, Ordering::Relaxed);
        // Until the service notices, nothing is shown that is not stored.
        let refund = service.check(&key, "r1", "refund", "M1", "1.00").await;
        assert_eq!(marks(&refund), ("allow".into(), true, false));
        let settlement = service.check(&key, "r2", "settlement", "M1", "1.00").await;
        assert_eq!(marks(&settlement), ("hold".into(), true, false));
        // What is known needs no store.
        assert_eq!(
            marks(
                &service
                    .check(&key, "held-before", "refund", "M1", "1.00")
                    .await
            ),
            ("hold".into(), false, true)
        );
        assert_eq!(
            marks(&service.check(&key, "r3", "refund", "M2", "1.00").await),
            ("allow".into(), false, false)
        );
        let (status, refused) = service
            .call("POST", "/v1/trips", &ann, trip("k2", "M2", &points))
            .await;
        assert_eq!((status, &refused["code"]), (503, &json!("unavailable")));
        assert_eq!(service.get("/v1/health", "").await["store"], "failing");
        assert_eq!(
            service.get("/v1/trips", &ann).await["trips"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }

    mode.store(WORKS, Ordering::Relaxed);
    until("recovery", || async {
        (service.get("/v1/health", "").await["store"] == "working").then_some(())
    })
    .await;
    assert_eq!(
        marks(&service.check(&key, "r1", "refund", "M1", "1.00").await),
        ("hold".into(), false, true)
    );
    assert_eq!(
        service
            .post("/v1/trips", &ann, trip("k2", "M2", &points))
            .await["id"],
        "T2"
    );

    // The defaults are in the log, by request.
    let entries = until("the defaults in the log", || async {
        let entries = service.get("/v1/audit?limit=1000", &root).await.to_string();
        entries.contains("check.default").then_some(entries)
    })
    .await;
    assert!(
        entries.contains(r#"\"count\":4"#) || entries.matches("check.default").count() > 1,
        "{entries}"
    );
    assert!(entries.contains("r1") && entries.contains("r2"));
    service.stop().await;
    assert_eq!(
        verify_log(&service.store(), None).unwrap().wrong,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_came_through_after_all_is_applied_once() {
    let (mut service, mode) = failing().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check", "dispositions"]).await;
    mode.store(LIES, Ordering::Relaxed);
    let (status, _) = service
        .call("POST", "/v1/trips", &ann, trip("k1", "M1", &["settlement"]))
        .await;
    assert_eq!(status, 503);
    mode.store(WORKS, Ordering::Relaxed);
    let again = until("recovery", || async {
        let (status, trip) = service
            .call("POST", "/v1/trips", &ann, trip("k1", "M1", &["settlement"]))
            .await;
        (status == 200).then_some(trip)
    })
    .await;
    assert_eq!(again["id"], "T1");
    assert_eq!(
        service.get("/v1/trips", &ann).await["trips"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    mode.store(LIES, Ordering::Relaxed);
    assert_eq!(
        marks(&service.check(&key, "r1", "settlement", "M1", "1.00").await),
        ("hold".into(), true, false)
    );
    mode.store(WORKS, Ordering::Relaxed);
    let held = until("the hold", || async {
        let answer = service.check(&key, "r1", "settlement", "M1", "1.00").await;
        (answer["stored"] == true).then_some(answer)
    })
    .await;
    assert_eq!(held["default"], false);
    assert_eq!(service.get("/v1/holds/r1", &ann).await["round"], 1);
    service.stop().await;
    assert_eq!(
        verify_log(&service.store(), None).unwrap().wrong,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_keeps_no_check_beyond_its_deadline() {
    let (mut service, mode) = failing().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check"]).await;
    let points = ["refund", "settlement"];
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &points))
        .await;
    mode.store(HANGS, Ordering::Relaxed);
    let start = std::time::Instant::now();
    let (refund, settlement, elsewhere) = tokio::join!(
        service.check(&key, "r1", "refund", "M1", "1.00"),
        service.check(&key, "r2", "settlement", "M1", "1.00"),
        service.check(&key, "r3", "refund", "M2", "1.00"),
    );
    let took = start.elapsed();
    assert_eq!(marks(&refund), ("allow".into(), true, false));
    assert_eq!(marks(&settlement), ("hold".into(), true, false));
    assert_eq!(marks(&elsewhere), ("allow".into(), false, false));
    assert!(took < std::time::Duration::from_secs(4), "{took:?}");
    mode.store(WORKS, Ordering::Relaxed);
    // What was being written meanwhile may be there; asked again it is, once, and the log says how it was answered.
    let held = until("the hold", || async {
        let answer = service.check(&key, "r2", "settlement", "M1", "1.00").await;
        (answer["stored"] == true).then_some(answer)
    })
    .await;
    assert_eq!(marks(&held), ("hold".into(), false, true));
    assert_eq!(service.get("/v1/holds/r2", &ann).await["round"], 1);
    until("the defaults in the log", || async {
        let entries = service.get("/v1/audit?limit=1000", &root).await.to_string();
        entries.contains("check.default").then_some(())
    })
    .await;
    service.stop().await;
    assert_eq!(
        verify_log(&service.store(), None).unwrap().wrong,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_when_there_is_room_again() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let path = folder.path().join("breaker.db");
    let config = Config::read(&config_text(&path)).unwrap();
    // SQLite itself says that the disk is full.
    let pages = Arc::new(AtomicU32::new(120));
    let open: OpenStore = {
        let pages = pages.clone();
        Arc::new(move || {
            let mut store = Sqlite::open(&path)?;
            store.limit_pages(pages.load(Ordering::Relaxed))?;
            Ok(Box::new(store))
        })
    };
    create_first_admin(&open, "root", crate::support::PASSWORD).unwrap();
    let mut service = Service::over(config, open, folder).await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check"]).await;
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["settlement"]))
        .await;
    let (mut stored, mut defaults) = (Vec::new(), 0);
    for number in 0..1_500 {
        let id = format!("r{number}");
        let answer = service.check(&key, &id, "settlement", "M1", "1.00").await;
        match marks(&answer) {
            (decision, false, true) if decision == "hold" => stored.push(id),
            (decision, true, false) if decision == "hold" => {
                defaults += 1;
                assert!(defaults > 0);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(stored.len() > 20 && defaults == 1, "{}", stored.len());
    pages.store(100_000, Ordering::Relaxed);
    until("room", || async {
        let answer = service
            .check(&key, "after", "settlement", "M1", "1.00")
            .await;
        (answer["stored"] == true).then_some(())
    })
    .await;
    service.restart().await;
    for id in &stored {
        assert_eq!(
            marks(&service.check(&key, id, "settlement", "M1", "1.00").await),
            ("hold".into(), false, true)
        );
    }
    service.stop().await;
    assert_eq!(
        verify_log(&service.store(), None).unwrap().wrong,
        Vec::<String>::new()
    );
}
