//! A TCP proxy that cuts, stalls and spoils connections.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// More connections than any test opens at once; further ones are refused.
const MOST_CONNECTIONS: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;

/// A proxy on loopback before a server. Closes with all its connections when dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Both ends of each open connection, by number.
    open: BTreeMap<u64, [TcpStream; 2]>,
    accepted: u64,
    closed: bool,
    refusing: bool,
    stalled: bool,
    /// Bytes from the server until all connections are cut.
    cut_after: Option<u64>,
    /// Bytes from the server until one is changed.
    flip_after: Option<u64>,
}

impl Proxy {
    /// A proxy on a free port before the server at 127.0.0.1:`port`.
    pub fn to(port: u16) -> Proxy {
        Proxy::between(0, port)
    }

    pub(crate) fn between(own: u16, to: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, own));
        let listener = listener.unwrap_or_else(|error| panic!("no proxy on port {own}: {error}"));
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || of_thread.accept(&listener, to));
        Proxy { port, shared }
    }

    /// The port clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Connections accepted until now, cut ones included, refused ones not.
    pub fn accepted(&self) -> u64 {
        self.shared.state().accepted
    }

    /// Cuts all open connections; new ones are accepted.
    pub fn cut_all(&self) {
        self.shared.state().cut_all();
        self.shared.changed.notify_all();
    }

    /// While true, new connections are closed at once. Open ones stay.
    pub fn refuse(&self, refusing: bool) {
        self.shared.state().refusing = refusing;
    }

    /// While true, nothing passes in either direction, and connections stay open. At most 64 KiB that was
    /// read before the stall, for each direction, waits here; the rest waits with the sender.
    pub fn stall(&self, stalled: bool) {
        self.shared.state().stalled = stalled;
        self.shared.changed.notify_all();
    }

    /// Lets `bytes` more pass from the server, over all connections, then cuts all once.
    pub fn cut_after(&self, bytes: u64) {
        if bytes == 0 {
            return self.cut_all();
        }
        self.shared.state().cut_after = Some(bytes);
    }

    /// Changes one bit of the byte that comes `bytes` after this from the server, over all connections, once.
    pub fn flip_after(&self, bytes: u64) {
        self.shared.state().flip_after = Some(bytes);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        state.cut_all();
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl State {
    fn cut_all(&mut self) {
        for [client, server] in std::mem::take(&mut self.open).into_values() {
            // An error says that it was closed already.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Spoils what the server sent as ordered; how much of it may pass.
    fn pass(&mut self, bytes: &mut [u8]) -> usize {
        if let Some(left) = self.flip_after.take() {
            match usize::try_from(left).ok().and_then(|at| bytes.get_mut(at)) {
                Some(byte) => *byte ^= 1,
                None => self.flip_after = Some(left - bytes.len() as u64),
            }
        }
        match self.cut_after.take() {
            Some(left) if left <= bytes.len() as u64 => left as usize,
            Some(left) => {
                self.cut_after = Some(left - bytes.len() as u64);
                bytes.len()
            }
            None => bytes.len(),
        }
    }
}

enum From {
    Client,
    Server,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, to: u16) {
        for client in listener.incoming() {
            let mut state = self.state();
            if state.closed {
                return;
            }
            let Ok(client) = client else { continue };
            if state.refusing || state.open.len() >= MOST_CONNECTIONS {
                continue;
            }
            // No server: the client sees its connection closed.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else {
                continue;
            };
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let clone = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
            state.accepted += 1;
            let number = state.accepted;
            state.open.insert(number, [clone(&client), clone(&server)]);
            let (up, down) = (Arc::clone(self), Arc::clone(self));
            let ends = (clone(&client), clone(&server));
            thread::spawn(move || up.pump(number, &From::Client, ends.0, ends.1));
            thread::spawn(move || down.pump(number, &From::Server, server, client));
        }
    }

    /// Carries bytes in one direction until the connection ends or is cut.
    fn pump(&self, number: u64, from: &From, mut source: TcpStream, mut target: TcpStream) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(length @ 1..) = source.read(&mut buffer) {
            let mut state = self.state();
            while state.stalled && state.open.contains_key(&number) {
                state = self
                    .changed
                    .wait(state)
                    .expect("no holder of this lock panics");
            }
            if !state.open.contains_key(&number) {
                return;
            }
            let bytes = &mut buffer[..length];
            let (passes, cut) = match from {
                From::Client => (length, false),
                From::Server => {
                    let cutting = state.cut_after.is_some();
                    let passes = state.pass(bytes);
                    (passes, cutting && state.cut_after.is_none())
                }
            };
            drop(state);
            let written = target.write_all(&bytes[..passes]);
            if cut {
                self.state().cut_all();
                self.changed.notify_all();
            }
            if cut || written.is_err() {
                break;
            }
        }
        // The other direction may still have something to carry.
        let _ = target.shutdown(Shutdown::Write);
        if matches!(from, From::Server)
            && let Some([client, server]) = self.state().open.remove(&number)
        {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}
