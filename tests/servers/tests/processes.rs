//! Servers live as long as their tests, and no longer.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use test_servers::MariaDb;

const ROLE: &str = "CENTINEL_TEST_ABORTS";

fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Within some seconds; a killed process closes its sockets a moment later.
fn falls_silent(port: u16) -> bool {
    (0..250).any(|_| {
        thread::sleep(Duration::from_millis(20));
        !answers(port)
    })
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let mariadb = thread::spawn(|| MariaDb::start(&[])).join().unwrap();
    thread::sleep(Duration::from_millis(500));
    assert!(answers(mariadb.port()));
}

#[test]
fn a_dropped_server_is_gone() {
    let mariadb = MariaDb::start(&[]);
    let (port, folder) = (mariadb.port(), mariadb.data());
    assert!(answers(port) && folder.is_dir());
    drop(mariadb);
    assert!(!answers(port) && !folder.exists());
}

/// This test runs itself in a process of its own, which dies without dropping anything.
#[test]
fn a_server_dies_with_its_test() {
    if std::env::var_os(ROLE).is_some() {
        let mariadb = MariaDb::start(&[]);
        assert!(answers(mariadb.port()));
        println!(
            "port {} folder {}",
            mariadb.port(),
            mariadb.data().parent().unwrap().display()
        );
        std::process::abort();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "a_server_dies_with_its_test", "--nocapture"])
        .env(ROLE, "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let mut words = said
        .split_whitespace()
        .skip_while(|&word| word != "port")
        .skip(1);
    let port = words
        .next()
        .unwrap_or_else(|| panic!("no server started: {output:?}"));
    let folder = words.nth(1).unwrap();
    assert!(!output.status.success(), "it was to abort");
    assert!(falls_silent(port.parse().unwrap()), "the server lives on");
    std::fs::remove_dir_all(folder).unwrap();
}
