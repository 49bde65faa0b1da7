//! A folder with a configuration, and the programs over it, started as people start them: the breaker, with which people
//! sign in, the console, and detection.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_servers::call;

use crate::PATIENCE;

pub const OPERATOR: &str = "Li Wei";
pub const PASSWORD: &str = "correct horse battery staple";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Behind what a test says of sources and audits.
const SERVED: &str = r#"
[findings]
file = "findings.jsonl"
store = "findings.db"

[breaker]
listen = "127.0.0.1:BREAKER"
store = "breaker.db"
second_person_above = { CNY = "50000" }

[breaker.points.refund]
on_error = "allow"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"

[breaker.points.settlement]
on_error = "hold"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "allow"
max_staleness = "10m"
beyond_max_staleness = "allow"

[breaker.points.cash_out]
on_error = "hold"
deadline = "2s"
on_suspected = "allow"
on_undetermined = "hold"
max_staleness = "5m"
beyond_max_staleness = "allow"

[breaker.automatic]
least_at_risk = { CNY = "100" }
most_held = { CNY = "1000000" }
most_in_an_hour = 1000
lasts = "4h"

[console]
listen = "127.0.0.1:CONSOLE"
"#;
const INTERFACE: &str = r#"
[interface]
listen = "127.0.0.1:INTERFACE"
token = { file = "token" }
"#;

pub fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join("..").canonicalize().unwrap()
}

pub struct Place {
    folder: tempfile::TempDir,
    breaker: String,
    pub console: String,
}

impl Place {
    /// Without detection.
    pub fn new(configuration: &str) -> Place {
        Place::with(&format!("{configuration}{SERVED}"))
    }

    /// With a detection that can be asked.
    pub fn followed(configuration: &str) -> Place {
        Place::with(&format!("{configuration}{INTERFACE}{SERVED}"))
    }

    fn with(configuration: &str) -> Place {
        // Held until all are chosen, so that they differ; the programs take them soon.
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [breaker, console, interface] = free
            .each_ref()
            .map(|free| free.local_addr().unwrap().port().to_string());
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
            breaker: format!("http://127.0.0.1:{breaker}"),
            console: format!("http://127.0.0.1:{console}"),
        };
        let text = configuration
            .replace("BREAKER", &breaker)
            .replace("CONSOLE", &console)
            .replace("INTERFACE", &interface);
        place.write("centinel.toml", &text);
        place.write("token", TOKEN);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file there, whole at once.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &path).unwrap();
    }

    fn centinel(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_centinel"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("BREAKER_PASSWORD", PASSWORD)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end: exit status, standard output, standard error.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let done = self.centinel(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            done.status.code().unwrap(),
            text(done.stdout),
            text(done.stderr),
        )
    }

    /// Starts a program that goes on until it is dropped.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let said = self.path(&format!("{}.said", arguments.join("-")));
        let child = self
            .centinel(arguments)
            .stdout(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        Running { child, said }
    }

    /// The breaker and the console, in which the operator may sign in.
    pub fn serve(&self) -> [Running; 2] {
        let (status, _, complaint) = self.run(&["breaker", "first-admin", "root"]);
        assert_eq!(status, 0, "{complaint}");
        let mut breaker = self.start(&["breaker", "serve"]);
        breaker.wait_said("the breaker listens on http://127.0.0.1:");
        let root = json!({"name": "root", "password": PASSWORD});
        let root = self.ask_breaker("/v1/sessions", "", &root)["token"].clone();
        let operator = json!({"name": OPERATOR, "role": "operator", "password": PASSWORD});
        self.ask_breaker("/v1/accounts", root.as_str().unwrap(), &operator);
        let mut console = self.start(&["console"]);
        console.wait_said("the console listens on http://127.0.0.1:");
        [breaker, console]
    }

    fn ask_breaker(&self, path: &str, token: &str, body: &Value) -> Value {
        let (status, answer) = call(&self.breaker, "POST", path, token, body).unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The lines of a file, of which the last may still be written.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        let whole = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A program that is ended with the test.
pub struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    /// Waits until it has said this on standard error.
    #[track_caller]
    pub fn wait_said(&mut self, words: &str) {
        let begun = Instant::now();
        loop {
            let said = std::fs::read_to_string(&self.said).unwrap();
            if said.contains(words) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "`{words}` was not said, {ended:?}: {said}"
            );
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

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(100));
    }
}
