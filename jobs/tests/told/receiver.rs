//! A real HTTP server on this machine that takes messages, or does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// Keeps what it took; ends with the test's process.
#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    taken: Arc<Mutex<Vec<Value>>>,
    /// 0 takes everything; another status is answered to each third request; 1 never answers these.
    trouble: Arc<AtomicU16>,
}

impl Receiver {
    pub fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            taken: Arc::default(),
            trouble: Arc::default(),
        };
        let serving = receiver.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (serving, stream) = (serving.clone(), stream.unwrap());
                std::thread::spawn(move || serving.answer(number, stream));
            }
        });
        receiver
    }

    pub fn trouble(&self, status: u16) {
        self.trouble.store(status, Ordering::Relaxed);
    }

    /// The bodies of the requests that were answered with 200, oldest first.
    pub fn taken(&self) -> Vec<Value> {
        self.taken.lock().unwrap().clone()
    }

    /// A client that is killed leaves a connection that ends: nothing was asked then.
    fn answer(&self, number: usize, mut stream: TcpStream) {
        while let Some((signed, body)) = request(&mut stream) {
            let trouble = self.trouble.load(Ordering::Relaxed);
            let status = match (trouble, number % 3) {
                (0, _) | (_, 1..) => 200,
                (1, _) => return std::thread::sleep(Duration::from_secs(5)),
                (status, _) => status,
            };
            assert!(signed, "no signature");
            if status == 200 {
                self.taken
                    .lock()
                    .unwrap()
                    .push(serde_json::from_slice(&body).unwrap());
            }
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
            return;
        }
    }
}

/// Whether the request was signed, and its body.
fn request(stream: &mut TcpStream) -> Option<(bool, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut signed) = (0, false);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        signed |= lower.starts_with("centinel-signature: t=");
        if lower == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((signed, body))
}
