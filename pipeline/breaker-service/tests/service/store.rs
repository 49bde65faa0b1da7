//! What any store must do. A store for another database is to be given to `passes` in the same way.

use std::sync::Arc;

use centinel_breaker::{Change, Instant, Knowledge, Lag, Name, Numbers, Request, Told};
use centinel_breaker_service::{
    Account, Commit, Config, Entry, Key, KeyScope, Looked, Mark, OpenStore, Record, Role, Sqlite,
    Way, first_admin, serve,
};
use serde_json::json;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn hold(id: &str, round: u32) -> Record {
    let request: Request =
        serde_json::from_value(crate::support::request(id, "refund", "M1", "1.50")).unwrap();
    let hold = json!({
        "request": request, "cause": {"trip": "T7"}, "claim": 3, "state": "held", "round": round,
        "held_at": "2026-11-22T08:00:00Z", "passed": [], "decided": null,
    });
    let change: Change = serde_json::from_value(json!({"hold": hold})).unwrap();
    Record::Breaker(change)
}

fn told(sequence: u64, id: &str) -> Record {
    let told: Told = serde_json::from_value(json!({
        "sequence": sequence, "request_id": id, "point": "refund", "order_no": "O1", "disposition": "resume",
        "reason": "mended", "by": "ann", "release": "R1", "round": 1, "at": "2026-11-22T08:00:00Z",
    }))
    .unwrap();
    Record::Breaker(Change::Told(Arc::new(told)))
}

fn entry(sequence: u64) -> Entry {
    let (body, hash) = (format!("{{\"n\":{sequence}}}"), format!("{sequence:064}"));
    Entry {
        sequence,
        body,
        hash,
    }
}

fn commit(records: Vec<Record>, entries: &[u64]) -> Commit {
    let entries = entries.iter().map(|sequence| entry(*sequence)).collect();
    Commit { records, entries }
}

pub fn passes(open: &OpenStore) {
    let mut store = open().unwrap();
    assert!(store.load().unwrap().is_empty());
    assert_eq!(store.head().unwrap().sequence, 0);
    assert_eq!(store.head().unwrap().hash, "0".repeat(64));

    let account = Account {
        name: name("ann"),
        role: Role::Viewer,
        password: "$argon2id$".into(),
        disabled: false,
    };
    let key = Key {
        id: "k1".into(),
        name: name("refund service"),
        scopes: vec![KeyScope::Check],
        points: vec![],
        hash: "00".into(),
        expires: Instant(5),
        revoked: false,
        requests_per_second: 1,
    };
    let mark = Mark {
        boot: "b".into(),
        since_boot: 1,
        wall: 2,
        clock: Instant(3),
    };
    let knowledge = Record::Breaker(Change::Knowledge(Knowledge {
        heard: Some(Instant(9)),
        lag: Lag(4),
    }));
    let numbers = |trips| {
        Record::Breaker(Change::Numbers(Numbers {
            trips,
            ..Numbers::default()
        }))
    };
    let all = vec![
        hold("r1", 1),
        hold("r2", 1),
        Record::Account(account.clone()),
        Record::Key(key.clone()),
        Record::Delivered(Way::Webhook, 7),
        Record::Delivered(Way::Kafka, 4),
        Record::Mark(mark.clone()),
        knowledge.clone(),
        numbers(1),
        told(1, "r1"),
        told(2, "r2"),
    ];
    store.commit(&commit(all, &[1, 2])).unwrap();
    // The newest record under a name stays; within one commit the later one.
    store
        .commit(&commit(
            vec![
                hold("r1", 2),
                hold("r1", 3),
                numbers(2),
                Record::Delivered(Way::Webhook, 8),
            ],
            &[3],
        ))
        .unwrap();

    let expected = |records: Vec<Record>| {
        let mut texts: Vec<String> = records.iter().map(|record| format!("{record:?}")).collect();
        texts.sort();
        texts
    };
    let whole = vec![
        hold("r1", 3),
        hold("r2", 1),
        Record::Account(account),
        Record::Key(key),
        Record::Delivered(Way::Webhook, 8),
        Record::Delivered(Way::Kafka, 4),
        Record::Mark(mark),
        knowledge,
        numbers(2),
    ];
    assert_eq!(expected(store.load().unwrap()), expected(whole.clone()));
    // Another one that is opened beside it, or after it, sees the same.
    let mut other = open().unwrap();
    assert_eq!(expected(other.load().unwrap()), expected(whole));
    let sequences = |told: Vec<Told>| told.iter().map(|told| told.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(other.told(0, 10).unwrap()), [1, 2]);
    assert_eq!(sequences(other.told(1, 10).unwrap()), [2]);
    assert_eq!(sequences(other.told(0, 1).unwrap()), [1]);
    assert_eq!(other.entries(1, 10).unwrap(), [entry(2), entry(3)]);
    assert_eq!(other.entries(0, 1).unwrap(), [entry(1)]);
    assert_eq!(other.head().unwrap().sequence, 3);

    // All or nothing: an entry or a message under a number that is there fails the whole commit.
    assert!(store.commit(&commit(vec![hold("r9", 1)], &[4, 3])).is_err());
    assert!(
        store
            .commit(&commit(vec![hold("r9", 1), told(2, "r9")], &[4]))
            .is_err()
    );
    let has = |records: Vec<Record>, id: &str| {
        records
            .iter()
            .any(|record| format!("{record:?}").contains(&format!("Name(\"{id}\")")))
    };
    assert!(!has(store.load().unwrap(), "r9"));
    assert_eq!(store.head().unwrap().sequence, 3);
    assert_eq!(sequences(store.told(0, 10).unwrap()), [1, 2]);

    // A hold that is forgotten takes its messages with it.
    store
        .commit(&commit(
            vec![Record::Breaker(Change::ForgetHold(name("r1")))],
            &[4],
        ))
        .unwrap();
    assert!(!has(store.load().unwrap(), "r1") && has(store.load().unwrap(), "r2"));
    assert_eq!(sequences(store.told(0, 10).unwrap()), [2]);
}

#[test]
fn the_embedded_store_does_what_any_store_must() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("breaker.db");
    let open: OpenStore = Arc::new(move || Ok(Box::new(Sqlite::open(&path)?)));
    passes(&open);
}

/// Beside a breaker that writes, and beside none; what is committed meanwhile is seen by who looks next.
#[test]
fn records_can_be_looked_at_beside_the_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("breaker.db");
    assert!(Looked::open(&path).is_err(), "nothing is made");
    assert!(!path.exists());
    let mut store = Sqlite::open(&path).unwrap();
    store
        .commit(&commit(vec![hold("a", 1), hold("b", 2)], &[1]))
        .unwrap();
    let held = |looked: &Looked| {
        let mut held = Vec::new();
        looked
            .holds(&mut |hold| {
                held.push((hold.request.request_id.to_string(), hold.round));
                true
            })
            .unwrap();
        held
    };
    let looked = Looked::open(&path).unwrap();
    assert_eq!(held(&looked), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    store.commit(&commit(vec![hold("a", 3)], &[2])).unwrap();
    assert_eq!(held(&looked)[0], ("a".to_owned(), 3));
    let mut first = 0;
    looked
        .holds(&mut |_| {
            first += 1;
            false
        })
        .unwrap();
    assert_eq!(first, 1, "who has enough gets no more");
    looked.trips(&mut |_| panic!("there is none")).unwrap();
    looked.releases(&mut |_| panic!("there is none")).unwrap();
    drop(looked);
    drop(store);
    assert_eq!(held(&Looked::open(&path).unwrap()).len(), 2);

    // What is none of its records is told by name.
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE holds SET body = '{}' WHERE id = 'b'", [])
        .unwrap();
    let looked = Looked::open(&path).unwrap();
    let told = looked.holds(&mut |_| true).unwrap_err().to_string();
    assert!(told.contains("the record b of table holds"), "{told}");
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    assert!(Looked::open(&other).is_err());
}

#[test]
fn a_store_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("breaker.db");
    drop(Sqlite::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Sqlite::open(&path).err().unwrap().to_string();
    assert!(error.contains("newer program"), "{error}");
}

#[tokio::test]
async fn one_process_owns_a_store_and_a_missing_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &std::path::Path| Config::read(&crate::support::config_text(path)).unwrap();
    let config = read(&folder.path().join("breaker.db"));
    first_admin(&config, "root", crate::support::PASSWORD).unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let first = tokio::spawn(serve(config.clone(), async {
        let _ = ended.await;
    }));
    // It owns the store before it first waits for anything but its address.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let locked = crate::support::until("the second one's refusal", || async {
        let second = serve(config.clone(), async {}).await;
        second.err().map(|error| error.to_string())
    })
    .await;
    assert!(
        locked.contains("another process uses this store: stop it first"),
        "{locked}"
    );
    let running = first_admin(&config, "other", crate::support::PASSWORD).unwrap_err();
    assert!(running.to_string().contains("another process"), "{running}");
    drop(end);
    first.await.unwrap().unwrap();
    serve(config, async {}).await.unwrap();

    let nowhere = serve(read(&folder.path().join("nowhere/breaker.db")), async {}).await;
    let nowhere = nowhere.unwrap_err().to_string();
    assert!(nowhere.contains("its folder must exist"), "{nowhere}");
}
