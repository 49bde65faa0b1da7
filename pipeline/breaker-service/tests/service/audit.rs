use centinel_breaker_service::verify_log;
use serde_json::json;

use crate::support::{Service, release, trip};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_who_did_what_and_no_change_of_it_goes_unseen() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check"]).await;
    service
        .post("/v1/trips", &ann, trip("k1", "M1", &["refund"]))
        .await;
    for id in ["r1", "r2", "r3"] {
        service.check(&key, id, "refund", "M1", "1.00").await;
    }
    service
        .post(
            "/v1/releases",
            &ann,
            release("a1", "T1", Some(&["r2"]), "resume"),
        )
        .await;
    let entries = service.get("/v1/audit?limit=1000", &root).await;
    let acts: Vec<String> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let body: serde_json::Value =
                serde_json::from_str(entry["body"].as_str().unwrap()).unwrap();
            let by = body["by"].as_str().unwrap();
            let by = if by.starts_with("key ") { "key" } else { by };
            format!("{by} {}", body["act"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "centinel account.create",
        "root session.begin",
        "root account.create",
        "ann session.begin",
        "root key.create",
        "ann trip.set",
        "key check.hold",
        "key check.hold",
        "key check.hold",
        "ann release",
    ];
    assert_eq!(acts, expected);

    // While it runs, and when it has ended.
    let path = service.store();
    let running = verify_log(&path, None).unwrap();
    assert_eq!((running.wrong.len(), running.head.sequence), (0, 10));
    service.stop().await;
    let head = verify_log(&path, Some(&running.head)).unwrap().head;

    let change = |sql: &str| {
        let copy = path.with_extension("changed");
        std::fs::copy(&path, &copy).unwrap();
        let connection = rusqlite::Connection::open(&copy).unwrap();
        assert!(
            connection.execute("DELETE FROM audit", []).is_err(),
            "append-only"
        );
        connection
            .execute_batch("DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_cut;")
            .unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
        drop(connection);
        let wrong = verify_log(&copy, Some(&head)).unwrap().wrong.join("; ");
        std::fs::remove_file(&copy).unwrap();
        wrong
    };
    let cases = [
        (
            "UPDATE audit SET body = replace(body, 'ann', 'bob') WHERE sequence = 6",
            "entry 6 was changed",
        ),
        (
            "UPDATE audit SET hash = replace(hash, '0', '1') WHERE sequence = 6",
            "entry 6 was changed",
        ),
        (
            "DELETE FROM audit WHERE sequence = 7",
            "entries 7 to 7 are missing",
        ),
        (
            "DELETE FROM audit WHERE sequence > 8",
            "entries up to 10 were cut off",
        ),
        (
            "DELETE FROM holds WHERE id = 'r1'",
            "hold r1 is in the log and not in the store",
        ),
        (
            "UPDATE holds SET body = replace(body, '1.00', '9.00') WHERE id = 'r1'",
            "hold r1 is not as the log says",
        ),
        (
            "INSERT INTO holds SELECT 'r9', replace(body, 'r1', 'r9') FROM holds WHERE id = 'r1'",
            "hold r9 is not in the log",
        ),
        (
            "UPDATE trips SET body = replace(body, 'in_force', 'released')",
            "trip T1 is not as the log says",
        ),
    ];
    for (sql, said) in cases {
        let wrong = change(sql);
        assert!(wrong.contains(said), "{sql}: {wrong}");
    }
    // Cut off and chained anew: only the noted head shows it.
    let rewritten = change("DELETE FROM audit WHERE sequence = 10");
    assert!(rewritten.contains("cut off"), "{rewritten}");
    assert_eq!(json!(head.hash).as_str().unwrap().len(), 64);
}

/// The chain as the README tells it, followed by another program.
const FOLLOW: &str = r#"
import hashlib, json, sys
head = "0" * 64
for count, entry in enumerate(json.load(sys.stdin)["entries"], 1):
    assert entry["sequence"] == count, entry
    head = hashlib.sha256(f"{head}\n{count}\n{entry['body']}\n".encode()).hexdigest()
    assert entry["hash"] == head, entry
print(count, head)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_is_what_the_page_says() {
    let mut service = Service::start().await;
    let root = service.sign_in("root").await;
    let ann = service.person(&root, "ann", "approver").await;
    let key = service.key(&root, &["check"]).await;
    service
        .post("/v1/trips", &ann, trip("k1", "M-ä", &["refund"]))
        .await;
    service.check(&key, "r1", "refund", "M-ä", "1.00").await;
    let entries = service.get("/v1/audit?limit=1000", &root).await;
    let file = service.folder.path().join("entries.json");
    std::fs::write(&file, entries.to_string()).unwrap();
    let followed = std::process::Command::new("python3")
        .args(["-c", FOLLOW])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&followed.stderr);
    assert!(followed.status.success(), "{errors}");
    service.stop().await;
    let head = verify_log(&service.store(), None).unwrap().head;
    let expected = format!("{} {}\n", head.sequence, head.hash);
    assert_eq!(String::from_utf8_lossy(&followed.stdout), expected);
}
