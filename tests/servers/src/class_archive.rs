//! An archive of Kafka's loaded classes, with which its broker and tools start in half the time.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::installed;
use crate::process::run;

/// Options for a JVM of Kafka. The first call on a machine makes the archive by `broker`, which is to start
/// and stop a broker with the options given to it; while another process does so, there is none.
pub(crate) fn options(version: &str, broker: impl FnOnce(&[String])) -> &'static [String] {
    static OPTIONS: OnceLock<Vec<String>> = OnceLock::new();
    OPTIONS.get_or_init(|| {
        let archive = installed::cache().join(format!("kafka-{version}-java-{}.jsa", java_build()));
        if !archive.is_file() {
            make(&archive, broker);
        }
        if !archive.is_file() {
            return Vec::new();
        }
        // An archive that does not fit is ignored, and says so among what a tool prints unless told not to.
        vec![
            format!("-XX:SharedArchiveFile={}", archive.display()),
            "-Xlog:disable".to_owned(),
        ]
    })
}

fn make(archive: &Path, broker: impl FnOnce(&[String])) {
    let lock = File::create(archive.with_extension("lock"));
    let lock = lock.unwrap_or_else(|error| panic!("cannot lock {}: {error}", archive.display()));
    if lock.try_lock().is_err() || archive.is_file() {
        return;
    }
    let new = archive.with_extension("new");
    broker(&[format!("-XX:ArchiveClassesAtExit={}", new.display())]);
    // A JVM that cannot write one starts slower and works all the same.
    if let Err(error) = fs::rename(&new, archive) {
        eprintln!("Kafka starts without {}: {error}", archive.display());
    }
}

/// An archive fits one build of Java.
fn java_build() -> String {
    let mut command = Command::new(installed::program("java"));
    let said = run("java", command.arg("--version"), "");
    let build = said
        .split_once("(build ")
        .and_then(|(_, rest)| rest.split_once([')', ',']));
    let build = build.map_or("unknown", |(build, _)| build);
    build.replace(
        |letter: char| !letter.is_ascii_alphanumeric() && !"+.-".contains(letter),
        "_",
    )
}
