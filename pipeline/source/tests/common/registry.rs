//! A schema registry in the test's process: a few paths with their answers, on loopback.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use centinel_source::{Password, Registry, RegistryOptions};

/// Dies with the test.
pub struct TestRegistry {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By path: status and body.
    answers: HashMap<String, (u16, String)>,
    /// By path: answers that are given once, before the others.
    once: HashMap<String, (u16, String)>,
    /// Connections are cut.
    away: bool,
    /// What a request must carry as `Authorization`.
    account: Option<String>,
    asked: Vec<String>,
    stopped: bool,
}

impl TestRegistry {
    pub fn start() -> TestRegistry {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().stopped {
                    return;
                }
                // A client that goes away is no matter.
                let _ = stream.and_then(|stream| answer(stream, &shared));
            }
        });
        let registry = TestRegistry { port, state };
        registry.put("/subjects", 200, "[]");
        registry
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers a path.
    pub fn put(&self, path: &str, status: u16, body: &str) {
        let answer = (status, body.to_owned());
        let mut state = self.state.lock().unwrap();
        state.answers.insert(path.to_owned(), answer);
    }

    /// Answers a path once.
    pub fn put_once(&self, path: &str, status: u16, body: &str) {
        let answer = (status, body.to_owned());
        let mut state = self.state.lock().unwrap();
        state.once.insert(path.to_owned(), answer);
    }

    /// Has a schema under this id.
    pub fn register(&self, id: u32, schema: &str) {
        let body = serde_json::json!({ "schema": schema }).to_string();
        self.put(&format!("/schemas/ids/{id}"), 200, &body);
    }

    /// Whether connections are cut.
    pub fn away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    /// Lets in only who says this `Authorization`; everybody without.
    pub fn wants(&self, authorization: Option<&str>) {
        self.state.lock().unwrap().account = authorization.map(str::to_owned);
    }

    /// Paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    pub fn options(&self, account: Option<(&str, &str)>) -> RegistryOptions {
        let account = account.map(|(user, word)| (user.to_owned(), Password::new(word)));
        RegistryOptions {
            back_off: Duration::from_millis(20),
            ..RegistryOptions::new(self.url(), account)
        }
    }

    pub fn client(&self) -> Registry {
        Registry::new(self.options(None))
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        self.state.lock().unwrap().stopped = true;
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let authorization = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    });
    let (status, body) = {
        let mut state = state.lock().unwrap();
        state.asked.push(path.clone());
        if state.away {
            return Ok(());
        }
        let strange = r#"{"error_code":40403,"message":"not found"}"#.to_owned();
        match (&state.account, authorization) {
            (Some(wanted), said) if Some(wanted.as_str()) != said => (401, String::new()),
            _ => {
                let once = state.once.remove(&path);
                let answer = once.or_else(|| state.answers.get(&path).cloned());
                answer.unwrap_or((404, strange))
            }
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Location: http://elsewhere/\r\nConnection: close\r\n\r\n{body}"
    )
}
