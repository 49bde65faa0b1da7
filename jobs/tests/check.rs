//! `centinel check` as a person or a script meets it.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use test_servers::S3;

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
