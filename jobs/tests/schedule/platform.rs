//! A folder with a configuration that declares an audit, and what runs left there.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

pub fn small(kind: &str) -> PathBuf {
    root().join("data-fixtures/small").join(kind)
}

/// A folder with a configuration that declares the audit `nightly`.
pub struct Platform {
    pub folder: tempfile::TempDir,
}

impl Platform {
    pub fn new(audit: &str) -> Platform {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform { folder };
        platform.configure(audit);
        platform
    }

    pub fn configure(&self, audit: &str) {
        let (schemas, rules) = (root().join("schemas"), root().join("sql-rules"));
        let text = format!(
            "centinel = \"config/1\"\nschemas = {schemas:?}\nrules = {rules:?}\n[audits.nightly]\n{audit}\n"
        );
        std::fs::write(self.path("centinel.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts one of the small snapshots in this place.
    pub fn lay(&self, kind: &str, place: &str) {
        let place = self.path(place);
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).unwrap();
        for entry in std::fs::read_dir(small(kind).join("snapshot")).unwrap() {
            let file = entry.unwrap().path();
            std::fs::copy(&file, place.join(file.file_name().unwrap())).unwrap();
        }
    }

    pub fn command(&self, command: &str, more: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_centinel"));
        program
            .args([command, "--config", "centinel.toml"])
            .args(more);
        program.current_dir(self.folder.path());
        program
    }

    pub fn schedule(&self, more: &[&str]) -> (i32, String, String) {
        shown(self.command("schedule", more).output().unwrap())
    }

    pub fn once(&self) -> (i32, String, String) {
        self.schedule(&["--once", "nightly"])
    }

    pub fn history(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(self.path("reports/nightly/history.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub fn ended(&self) -> Vec<Value> {
        let lines = self.history().into_iter();
        lines.filter(|line| line["event"] == "ended").collect()
    }

    /// What the last run left, by the name of a file.
    pub fn left(&self, name: &str) -> String {
        let ended = self.ended();
        let run = ended.last().unwrap()["run"].as_str().unwrap().to_owned();
        std::fs::read_to_string(self.path("reports/nightly").join(run).join(name)).unwrap()
    }

    /// As if the audit had been declared then.
    pub fn declared(&self, at: &str) {
        std::fs::create_dir_all(self.path("reports/nightly")).unwrap();
        let line = format!(
            "{{\"schema\":\"centinel/audit-run/1\",\"at\":\"{at}\",\"event\":\"declared\"}}\n"
        );
        std::fs::write(self.path("reports/nightly/history.jsonl"), line).unwrap();
    }

    /// Waits until the history holds so many events of a kind.
    pub fn wait_for(&self, event: &str, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self
            .history()
            .iter()
            .filter(|line| line["event"] == event)
            .count()
            < count
        {
            assert!(
                Instant::now() < deadline,
                "no {count} × {event} in {:#?}",
                self.history()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn start(&self, more: &[&str]) -> Running {
        let mut command = self.command("schedule", more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(command.spawn().unwrap()))
    }
}

/// A program that runs until it is told to stop, or the test ends.
pub struct Running(Option<Child>);

impl Running {
    pub fn tell(&self, signal: Signal) {
        let id = self.0.as_ref().unwrap().id();
        kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), signal).unwrap();
    }

    pub fn stop(mut self, signal: Signal) -> (Option<i32>, String) {
        self.tell(signal);
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub fn shown(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A server that takes connections and never answers: an audit of it takes as long as one waits.
pub fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (
        listener,
        format!("snapshot = \"http://{address}/snapshot\"\ncron = \"0 0 1 1 *\""),
    )
}
