//! `centinel check` as a person or a script meets it.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

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
