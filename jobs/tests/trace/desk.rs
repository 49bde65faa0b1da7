//! A small platform in a folder, `centinel detect` over it, and who asks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub const LIMIT: Duration = Duration::from_secs(120);

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
    command
        .current_dir(root())
        .env("INTERFACE_TOKEN", TOKEN)
        .env_remove("COLUMNS");
    command
}

pub fn centinel(arguments: &[&str]) -> (i32, String, String) {
    let done = program().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        done.status.code().unwrap(),
        text(done.stdout),
        text(done.stderr),
    )
}

/// A small platform's log, and detection over it by a configuration file.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// With what stands behind the sources in the file.
    pub fn new(more: &str) -> Desk {
        let desk = Desk {
            folder: tempfile::tempdir().unwrap(),
        };
        let small = root().join("data-fixtures/small/faulty/jsonl/log.jsonl");
        std::fs::copy(small, desk.path("log.jsonl")).unwrap();
        let repository = root().canonicalize().unwrap();
        let repository = repository.display();
        let mut text = format!(
            "centinel = \"config/1\"\nschemas = \"{repository}/schemas\"\nrules = \"{repository}/sql-rules\"\nstate = \"state\"\n\
             [findings]\nfile = \"findings.jsonl\"\nstore = \"findings.db\"\n{more}"
        );
        let catalog = std::fs::read_dir(root().join("schemas")).unwrap();
        let mut sources: Vec<String> = catalog
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|line| Some(line.strip_prefix("source: ")?.to_owned()))
            .collect();
        sources.sort();
        sources.dedup();
        for source in sources {
            text.push_str(&format!(
                "[sources.{source}]\nkind = \"file\"\npath = \"log.jsonl\"\n"
            ));
        }
        std::fs::write(desk.path("centinel.toml"), text).unwrap();
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Adds lines to the log.
    pub fn write(&self, lines: &[Value]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let log = std::fs::OpenOptions::new()
            .append(true)
            .open(self.path("log.jsonl"));
        log.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Detection of everything there is.
    pub fn detected(&self) {
        let config = self.at("centinel.toml");
        let (status, _, told) = centinel(&["detect", "--config", &config, "--until-now"]);
        assert!([0, 2, 3].contains(&status), "{status} {told}");
    }

    pub fn trace(&self, key: &str, more: &[&str]) -> (i32, String, String) {
        let config = self.at("centinel.toml");
        centinel(&[&["trace", "--config", &config], more, &["--", key]].concat())
    }

    pub fn json(&self, key: &str) -> Value {
        let (status, out, told) = self.trace(key, &["--json"]);
        assert_eq!(status, 0, "{told}");
        assert_eq!(out.lines().count(), 1);
        serde_json::from_str(&out).unwrap()
    }

    /// Any order that was refunded.
    pub fn refunded(&self) -> String {
        let log = std::fs::read_to_string(self.path("log.jsonl")).unwrap();
        let mut lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let refund = lines.find(|line| line["table"] == "refund").unwrap();
        refund["after"]["order_no"]
            .as_str()
            .unwrap()
            .trim()
            .to_uppercase()
    }
}

/// A detection that runs until it is dropped.
pub struct Running {
    child: Child,
    pub address: String,
    said: Receiver<String>,
}

impl Running {
    pub fn begin(desk: &Desk) -> Running {
        let mut child = program()
            .args(["detect", "--config", &desk.at("centinel.toml")])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (say, said) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut running = Running {
            child,
            address: String::new(),
            said,
        };
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let begun = Instant::now();
        while running.address.is_empty() {
            assert!(begun.elapsed() < LIMIT, "nobody listens");
            let line = running.said.recv_timeout(LIMIT).expect("detection runs");
            if let Some((_, address)) = line.split_once("listens on http://") {
                running.address = address.trim_end_matches('"').trim().to_owned();
            }
        }
        running
    }

    /// Status and body of a question with this token.
    pub fn get(&self, path: &str, token: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let host = &self.address;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Waits until an answer says this.
    pub fn wait(&self, path: &str, says: impl Fn(u16, &str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let (status, body) = self.get(path, TOKEN);
            if says(status, &body) {
                return body;
            }
            let said: Vec<String> = self.said.try_iter().collect();
            assert!(begun.elapsed() < LIMIT, "{path}: {status} {body} {said:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `[interface]` on a free port, for the program that asks to find again.
pub fn interface() -> (String, u16) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    let text = format!(
        "[interface]\nlisten = \"127.0.0.1:{port}\"\ntoken = {{ env = \"INTERFACE_TOKEN\" }}\n"
    );
    (text, port)
}
