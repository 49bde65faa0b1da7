//! `centinel check` as a person or a script meets it.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use test_servers::{Kafka, S3};

/// A folder with a configuration that reads these sources from one file, over the repository's schemas and rules.
fn folder(sources: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (schemas, rules) = (root.join("schemas"), root.join("sql-rules"));
    let mut text = format!(
        "centinel = \"config/1\"\nschemas = {schemas:?}\nrules = {rules:?}\nstate = \"state\"\n"
    );
    for source in sources {
        text.push_str(&format!(
            "[sources.{source}]\nkind = \"file\"\npath = \"log.jsonl\"\n"
        ));
    }
    std::fs::write(folder.path().join("centinel.toml"), text).unwrap();
    folder
}

const SOURCES: [&str; 7] = [
    "accounting-db",
    "billing-db",
    "business-events",
    "cash-out-db",
    "payment-db",
    "refund-db",
    "settlement-db",
];

/// Runs it in the folder, where it finds `centinel.toml` by itself.
fn check(folder: &tempfile::TempDir) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    let done = command.arg("check").current_dir(folder.path());
    let done = done.env_remove("CHECK_PASSWORD").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

#[test]
fn all_well_is_0() {
    let folder = folder(&SOURCES);
    std::fs::write(folder.path().join("log.jsonl"), "").unwrap();
    let (status, out, complaints) = check(&folder);
    assert_eq!((status, complaints.as_str()), (0, ""), "{out}");
    for source in SOURCES {
        assert!(out.contains(&format!("{source}: can be read")), "{out}");
    }
}

#[test]
fn a_source_that_cannot_be_read_is_3() {
    let (status, out, complaints) = check(&folder(&SOURCES));
    assert_eq!(status, 3, "{complaints}");
    assert!(out.contains("refund-db: cannot be read"), "{out}");
    assert!(complaints.contains("centinel.toml:5: "), "{complaints}");
    assert!(complaints.contains("help: correct `path`"), "{complaints}");
}

#[test]
fn what_is_wrong_in_the_file_is_64_and_all_of_it_is_said() {
    let folder = folder(&SOURCES[1..]);
    let (status, out, complaints) = check(&folder);
    assert_eq!((status, out.as_str()), (64, ""));
    assert!(
        complaints.contains("add [sources.accounting-db]"),
        "{complaints}"
    );

    let path = folder.path().join("centinel.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let wrong = text.replace("kind = \"file\"\npath", "kind = \"file\"\npth");
    std::fs::write(&path, wrong).unwrap();
    let (status, out, complaints) = check(&folder);
    assert_eq!((status, out.as_str()), (64, ""));
    assert_eq!(complaints.matches("did you mean `path`?").count(), 6);
    std::fs::remove_file(&path).unwrap();
    let (status, _, complaints) = check(&folder);
    assert_eq!(status, 64);
    assert!(complaints.contains("centinel.toml: the configuration cannot be read"));
}

#[test]
fn a_secret_that_is_missing_is_64() {
    let folder = folder(&SOURCES[1..]);
    let path = folder.path().join("centinel.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(
        "[sources.accounting-db]\nkind = \"binlog\"\nhost = \"127.0.0.1\"\nuser = \"reader\"\n\
         password = { env = \"CHECK_PASSWORD\" }\nserver_id = 7\n",
    );
    std::fs::write(&path, text).unwrap();
    let (status, out, complaints) = check(&folder);
    assert_eq!((status, out.as_str()), (64, ""));
    assert!(
        complaints.contains("`CHECK_PASSWORD` is not set"),
        "{complaints}"
    );
}

/// All sources can be read, and there is this `[archive]`.
fn with_archive(archive: &str) -> tempfile::TempDir {
    let folder = folder(&SOURCES);
    std::fs::write(folder.path().join("log.jsonl"), "").unwrap();
    let path = folder.path().join("centinel.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(&format!("[archive]\n{archive}\n"));
    std::fs::write(&path, text).unwrap();
    folder
}

/// It is refused at its line, with this remedy, in a time that a person waits.
#[track_caller]
fn assert_refused(folder: &tempfile::TempDir, what: &str, remedy: &str) -> String {
    let began = Instant::now();
    let (status, out, complaints) = check(folder);
    assert_eq!(status, 3, "{out}{complaints}");
    assert!(out.contains("archive: cannot be kept\n"), "{out}");
    let text = std::fs::read_to_string(folder.path().join("centinel.toml")).unwrap();
    let line = 1 + text.lines().position(|line| line == "[archive]").unwrap();
    let place = format!("centinel.toml:{line}: ");
    assert!(complaints.contains(&place), "{place}{complaints}");
    assert!(complaints.contains(what), "{complaints}");
    let remedy = format!("help: {remedy}");
    assert!(complaints.contains(&remedy), "{complaints}");
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
    complaints
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn an_archive_in_a_folder_is_tried_and_nothing_stays() {
    let folder = with_archive("url = \"kept/here\"");
    let before = names(folder.path());
    let can = |folder: &tempfile::TempDir| {
        let (status, out, complaints) = check(folder);
        assert_eq!((status, complaints.as_str()), (0, ""), "{out}");
        assert!(out.ends_with("archive: can be kept\n"), "{out}");
    };
    can(&folder);
    assert_eq!(names(folder.path()), before, "detection makes the folder");

    let kept = folder.path().join("kept/here");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::write(kept.join("archive.json"), "{}").unwrap();
    can(&folder);
    assert_eq!(names(&kept), ["archive.json"]);

    std::fs::remove_dir_all(&kept).unwrap();
    std::fs::write(&kept, "a file").unwrap();
    assert_refused(
        &folder,
        "is not a folder",
        "correct `url`, or let the account",
    );
    // Nobody can write there, not even root.
    let folder = with_archive("url = \"file:///sys/archive\"");
    assert_refused(
        &folder,
        "/sys cannot be written: ",
        "correct `url`, or let the account",
    );
}

fn s3_archive(endpoint: &str, bucket: &str, secret: &str) -> tempfile::TempDir {
    let folder = with_archive(&format!(
        "url = \"s3://{bucket}/of/platform\"\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\n\
         access_key_id = {{ file = \"key-id\" }}\nsecret_access_key = {{ file = \"secret\" }}"
    ));
    std::fs::write(folder.path().join("key-id"), "centinel-access-key").unwrap();
    std::fs::write(folder.path().join("secret"), secret).unwrap();
    for name in ["key-id", "secret"] {
        use std::os::unix::fs::PermissionsExt;
        let own = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.path().join(name), own).unwrap();
    }
    folder
}

#[test]
fn an_archive_on_an_s3_server_is_tried_and_each_problem_has_its_remedy() {
    let mut server = S3::start();
    server.create_bucket("kept");
    let (endpoint, secret) = (server.endpoint(), server.secret_key());
    assert_eq!(server.access_key(), "centinel-access-key");
    let right = s3_archive(&endpoint, "kept", secret);
    let (status, out, complaints) = check(&right);
    assert_eq!((status, complaints.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("archive: can be kept\n"), "{out}");
    assert_eq!(server.objects("kept"), Vec::<String>::new());

    let wrong = s3_archive(&endpoint, "kept", "not-the-secret");
    let remedy = "correct `access_key_id` and `secret_access_key`";
    let said = assert_refused(&wrong, "the server answers 403", remedy);
    for secret in ["centinel-access-key", "not-the-secret"] {
        assert!(!said.contains(secret), "{said}");
    }
    let none = s3_archive(&endpoint, "no-such-bucket", secret);
    assert_refused(
        &none,
        "(NoSuchBucket)",
        "create the bucket, or correct `url`",
    );

    server.stop();
    let away = "correct `endpoint`, or start the server there";
    assert_refused(&right, "Connection refused", away);
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All sources can be read, and a new state is to begin with these files of the small platform.
fn with_bootstrap(files: &[&str], more: &str) -> tempfile::TempDir {
    let folder = folder(&SOURCES);
    std::fs::write(folder.path().join("log.jsonl"), "").unwrap();
    std::fs::create_dir(folder.path().join("before")).unwrap();
    for name in files {
        let from = root()
            .join("data-fixtures/small/healthy/snapshot")
            .join(name);
        std::fs::copy(from, folder.path().join("before").join(name)).unwrap();
    }
    let path = folder.path().join("centinel.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(&format!("[detection]\nbootstrap = \"before\"\n{more}"));
    std::fs::write(&path, text).unwrap();
    folder
}

/// A state cannot begin with it, which is said at its line.
#[track_caller]
fn assert_unfit(folder: &tempfile::TempDir, says: &[&str]) {
    let (status, out, complaints) = check(folder);
    assert_eq!(status, 3, "{out}{complaints}");
    assert!(out.contains("bootstrap: cannot be begun with\n"), "{out}");
    let text = std::fs::read_to_string(folder.path().join("centinel.toml")).unwrap();
    let line = text
        .lines()
        .position(|line| line.starts_with("bootstrap ="));
    let place = format!("centinel.toml:{}: ", line.unwrap() + 1);
    for says in [&[place.as_str(), "help: "][..], says].concat() {
        assert!(complaints.contains(says), "`{says}` in {complaints}");
    }
}

#[test]
fn what_a_new_state_begins_with_is_tried() {
    let snapshot = root().join("data-fixtures/small/healthy/snapshot");
    let entries = std::fs::read_dir(snapshot).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let whole = with_bootstrap(&all, "");
    let (status, out, complaints) = check(&whole);
    assert_eq!((status, complaints.as_str()), (0, ""), "{out}");
    assert!(out.contains("bootstrap: can be begun with\n"), "{out}");

    // It says when it was taken, or is told so.
    let pair = ["payment.parquet", "refund.parquet"];
    let untimed = with_bootstrap(&pair, "");
    assert_unfit(
        &untimed,
        &["payment: no manifest.json tells when", "`bootstrap_as_of`"],
    );
    let manifest = "{\"centinel\":\"snapshot/1\"}";
    std::fs::write(untimed.path().join("before/manifest.json"), manifest).unwrap();
    assert_unfit(
        &untimed,
        &[
            "has no `as_of` that tells when refund was taken",
            "`bootstrap_as_of`",
        ],
    );
    let timed = with_bootstrap(&pair, "bootstrap_as_of = \"2026-11-22T09:00:00Z\"\n");
    let (status, out, complaints) = check(&timed);
    assert_eq!(status, 0, "{out}{complaints}");
    assert!(complaints.starts_with("note: "), "{complaints}");
    assert!(complaints.contains("does not hold `"), "{complaints}");
    assert!(complaints.contains("`settlement`"), "{complaints}");
    assert!(!complaints.contains("`payment`"), "{complaints}");

    // What is not there, is no snapshot, or cannot be read.
    std::fs::write(timed.path().join("before/refund.parquet"), "rows").unwrap();
    assert_unfit(&timed, &["refund.parquet: cannot be read: "]);
    for name in pair {
        std::fs::remove_file(timed.path().join("before").join(name)).unwrap();
    }
    assert_unfit(&timed, &["holds no table of the schemas"]);
    std::fs::remove_dir(timed.path().join("before")).unwrap();
    assert_unfit(&timed, &["before: cannot be opened: "]);
}

#[test]
fn what_a_new_state_begins_with_must_fit_the_schemas() {
    let folder = with_bootstrap(&["settlement.parquet", "manifest.json"], "");
    let schemas = folder.path().join("schemas");
    std::fs::create_dir(&schemas).unwrap();
    for entry in std::fs::read_dir(root().join("schemas")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), schemas.join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("centinel.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("schemas"))
        .unwrap();
    std::fs::write(&path, text.replace(line, "schemas = \"schemas\"")).unwrap();
    let with_column = |kind: &str| {
        let text = std::fs::read_to_string(root().join("schemas/settlement.yaml")).unwrap();
        let wider = text.replacen("columns:\n", &format!("columns:\n  weight: {kind}\n"), 1);
        assert_ne!(wider, text);
        std::fs::write(schemas.join("settlement.yaml"), wider).unwrap();
    };
    // The manifest promises rows of files that are not there.
    let manifest = "{\"centinel\":\"snapshot/1\",\"as_of\":\"2026-11-22T09:00:00Z\"}";
    std::fs::write(folder.path().join("before/manifest.json"), manifest).unwrap();
    with_column("integer");
    assert_unfit(&folder, &["settlement.parquet: column weight is missing"]);
    // One that may be null may be missing: its rows tell nothing of it.
    with_column("{ type: integer, nullable: true }");
    let (status, out, complaints) = check(&folder);
    assert_eq!(status, 0, "{out}{complaints}");
}

#[test]
fn a_topic_without_messages_is_a_note() {
    let kafka = Kafka::start();
    kafka.create_topic("entries", 2, &[]);
    let folder = folder(&SOURCES[1..]);
    std::fs::write(folder.path().join("log.jsonl"), "").unwrap();
    let path = folder.path().join("centinel.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(&format!(
        "[sources.accounting-db]\nkind = \"kafka\"\nbrokers = \"{}\"\n\
         progress = {{ heartbeat = \"accounting_entry\" }}\n\
         [[sources.accounting-db.topics]]\ntopic = \"entries\"\nformat = \"canal\"\n",
        kafka.bootstrap()
    ));
    std::fs::write(&path, text).unwrap();
    let (status, out, complaints) = check(&folder);
    assert_eq!(status, 0, "{out}{complaints}");
    assert!(out.contains("accounting-db: can be read"), "{out}");
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
    let note = "note: topic `entries` has no message yet: ";
    assert!(complaints.starts_with(note), "{complaints}");
}

#[test]
fn heartbeats_of_files_name_their_source() {
    let folder = folder(&SOURCES);
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    let done = command.arg("heartbeats").current_dir(folder.path());
    let out = String::from_utf8(done.output().unwrap().stdout).unwrap();
    for source in SOURCES {
        assert!(
            out.contains(&format!("{{\"heartbeat\":\"{source}\",")),
            "{out}"
        );
    }
}

#[test]
fn a_schema_registry_that_does_not_answer_is_3() {
    let folder = folder(&SOURCES[1..]);
    std::fs::write(folder.path().join("log.jsonl"), "").unwrap();
    let path = folder.path().join("centinel.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().count() + 1;
    text.push_str(
        "[sources.accounting-db]\nkind = \"kafka\"\nbrokers = \"127.0.0.1:1\"\n\
         progress = { heartbeat = \"accounting_entry\" }\n",
    );
    for topic in ["a", "b"] {
        text.push_str(&format!(
            "[[sources.accounting-db.topics]]\ntopic = \"{topic}\"\nformat = \"debezium-avro\"\n\
             registry = \"http://127.0.0.1:1\"\n"
        ));
    }
    std::fs::write(&path, text).unwrap();
    let (status, out, complaints) = check(&folder);
    assert_eq!(status, 3, "{complaints}");
    assert!(out.contains("accounting-db: cannot be read"), "{out}");
    // Once for both topics.
    let told =
        format!("centinel.toml:{line}: the schema registry http://127.0.0.1:1 does not answer: ");
    assert_eq!(complaints.matches(&told).count(), 1, "{complaints}");
    assert!(
        complaints.contains("help: see whether `registry` is right"),
        "{complaints}"
    );
}
