//! Server processes: started, waited for, stopped, killed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::installed;

/// Many times what a server needs: machines that build and test at once are slow.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How to start a server, and its process while it runs.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// What the server prints.
    pub(crate) log: PathBuf,
    /// What it prints when it serves.
    pub(crate) ready: &'static str,
    pub(crate) child: Option<Child>,
}

/// Why a server did not start.
pub(crate) enum NotStarted {
    /// Somebody was quicker: try another port.
    PortTaken,
    /// The reason and the end of the log.
    Other(String),
}

impl Server {
    /// Starts the process and waits until it serves.
    pub(crate) fn start(&mut self) -> Result<(), NotStarted> {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log);
        let mut log =
            log.unwrap_or_else(|error| panic!("cannot write {}: {error}", self.log.display()));
        let logged_before = log.seek(SeekFrom::End(0)).unwrap();
        // The kernel kills the server when this process dies, however that happens.
        let mut command = Command::new(installed::program("setpriv"));
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&self.program)
            .args(&self.arguments);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.child = Some(spawn(command));

        let began = Instant::now();
        loop {
            let said = self.log_from(logged_before);
            if said.contains(self.ready) {
                return Ok(());
            }
            let exited = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().unwrap());
            if exited.is_none() && began.elapsed() < START_LIMIT {
                thread::sleep(LOOK_EVERY);
                continue;
            }
            self.kill();
            // What it said between the last look and its end.
            let said = self.log_from(logged_before);
            if said.contains("Address already in use") {
                return Err(NotStarted::PortTaken);
            }
            let why = match exited {
                Some(status) => format!("ended with {status}"),
                None => format!("did not serve within {} s", START_LIMIT.as_secs()),
            };
            let lines: Vec<_> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            return Err(NotStarted::Other(format!(
                "{} {why}. It said last:\n{last}",
                self.name
            )));
        }
    }

    /// As `start`, on ports that stay the same.
    pub(crate) fn start_again(&mut self) {
        match self.start() {
            Ok(()) => {}
            Err(NotStarted::PortTaken) => {
                panic!("{}: its port was taken while it was down", self.name)
            }
            Err(NotStarted::Other(why)) => panic!("{why}"),
        }
    }

    /// Asks the server to stop (SIGTERM) and waits for it.
    pub(crate) fn stop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let pid = Pid::from_child(child);
        kill_process(pid, Signal::TERM).expect("a child that nobody waited for takes signals");
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(
                began.elapsed() < STOP_LIMIT,
                "{} did not stop when asked",
                self.name
            );
            thread::sleep(LOOK_EVERY);
        }
        self.child = None;
    }

    /// Kills the server (SIGKILL) and waits for its end.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error says that it had ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub(crate) fn log_from(&self, offset: u64) -> String {
        let mut bytes = Vec::new();
        let mut log = File::open(&self.log).unwrap();
        log.seek(SeekFrom::Start(offset)).unwrap();
        log.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end and gives what it printed; panics when it fails, with what it said.
pub(crate) fn run(what: &str, command: &mut Command, input: &str) -> String {
    // A file, not a pipe: nobody would write and read at once.
    let stdin = tempfile::tempfile().and_then(|mut file| {
        std::io::Write::write_all(&mut file, input.as_bytes())?;
        file.rewind()?;
        Ok(file)
    });
    let output = command.stdin(stdin.unwrap()).output();
    let output = output.unwrap_or_else(|error| panic!("{what}: cannot start {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        panic!(
            "{what} failed ({}):\n{}\n{said}",
            output.status,
            complaint.trim()
        );
    }
    said
}

/// Starts processes in a thread that never ends: "when the parent dies" means the parent thread, and a test
/// may start its server in a short one.
fn spawn(command: Command) -> Child {
    type Request = (Command, mpsc::Sender<std::io::Result<Child>>);
    static STARTER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                // The asker waits; it cannot be gone.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let program = format!("{command:?}");
    let (sender, answer) = mpsc::channel();
    starter
        .send((command, sender))
        .expect("the starting thread never ends");
    let child = answer.recv().expect("the starting thread never ends");
    child.unwrap_or_else(|error| panic!("cannot start {program}: {error}. {}", installed::REMEDY))
}

/// Removes a server's data to begin anew.
pub(crate) fn remove(path: &std::path::Path) {
    if path.exists() {
        fs::remove_dir_all(path)
            .unwrap_or_else(|error| panic!("cannot remove {}: {error}", path.display()));
    }
}
