//! Free ports that nobody else takes, not even while their server is down.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::installed;

/// Below the ports that Linux gives to outgoing connections (from 32768): one of those could hold the
/// port of a server that is to start again.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A loopback port, locked on this machine until dropped.
pub(crate) struct Port {
    pub(crate) number: u16,
    _lock: File,
}

impl Port {
    pub(crate) fn free() -> Port {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let locks = installed::cache().join("ports");
        std::fs::create_dir_all(&locks)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", locks.display()));
        for _ in 0..COUNT {
            // Other test programs begin elsewhere.
            let tried = process::id()
                .wrapping_mul(97)
                .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let number = u16::try_from(FIRST + tried % COUNT).expect("FIRST + COUNT fits");
            let Ok(lock) = File::create(locks.join(number.to_string())) else {
                continue;
            };
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Port {
                    number,
                    _lock: lock,
                };
            }
        }
        panic!(
            "no free port between {FIRST} and {} (locks lie in {})",
            FIRST + COUNT,
            locks.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stays_its_holders_without_a_server() {
        let ports: Vec<Port> = (0..50).map(|_| Port::free()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(|port| port.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        for port in &ports {
            let path = installed::cache()
                .join("ports")
                .join(port.number.to_string());
            assert!(
                File::open(path).unwrap().try_lock().is_err(),
                "others could take it"
            );
        }
    }
}
