//! The proxy breaks connections as told, and only then.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use test_servers::Proxy;

/// Sends back what it gets.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut copy = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut copy, &mut stream);
                let _ = stream.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    port
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes)?;
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Everything until the end or the cut.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("neither bytes nor an end: {error}"),
        }
    }
}

#[test]
fn carries_all_bytes_and_the_end() {
    let proxy = Proxy::to(echo());
    let sent: Vec<u8> = (0..1_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let mut stream = connect(&proxy);
    let mut writer = stream.try_clone().unwrap();
    let bytes = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&bytes).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    assert!(rest(&mut stream) == sent, "the bytes came back otherwise");
    writing.join().unwrap();
    assert_eq!(proxy.accepted(), 1);
}

#[test]
fn cuts_all_and_accepts_again() {
    let proxy = Proxy::to(echo());
    let mut streams = [connect(&proxy), connect(&proxy)];
    for stream in &mut streams {
        assert_eq!(exchange(stream, b"before").unwrap(), b"before");
    }
    proxy.cut_all();
    for stream in &mut streams {
        assert_eq!(rest(stream), b"");
    }
    assert_eq!(exchange(&mut connect(&proxy), b"after").unwrap(), b"after");
    assert_eq!(proxy.accepted(), 3);
}

#[test]
fn refuses_while_told() {
    let proxy = Proxy::to(echo());
    let mut open = connect(&proxy);
    assert_eq!(exchange(&mut open, b"open").unwrap(), b"open");
    proxy.refuse(true);
    assert!(exchange(&mut connect(&proxy), b"new").is_err());
    assert_eq!(exchange(&mut open, b"still").unwrap(), b"still");
    proxy.refuse(false);
    assert_eq!(exchange(&mut connect(&proxy), b"again").unwrap(), b"again");
}

#[test]
fn stalls_and_moves_again() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, b"moving").unwrap(), b"moving");
    proxy.stall(true);
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let stalled = exchange(&mut stream, b"late").unwrap_err();
    assert!(
        matches!(stalled.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{stalled}"
    );
    proxy.stall(false);
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"late", "nothing is lost by a stall");

    proxy.stall(true);
    stream.write_all(b"lost").unwrap();
    proxy.cut_all();
    assert_eq!(rest(&mut stream), b"", "a stalled connection can be cut");
}

#[test]
fn cuts_after_bytes_of_the_server_once() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, b"before").unwrap(), b"before");
    proxy.cut_after(10);
    assert_eq!(exchange(&mut stream, b"1234").unwrap(), b"1234");
    stream.write_all(b"56789abcdef").unwrap();
    assert_eq!(rest(&mut stream), b"56789a");
    assert_eq!(
        exchange(&mut connect(&proxy), b"0123456789abcdef").unwrap(),
        b"0123456789abcdef"
    );
}

#[test]
fn cuts_at_once_after_no_bytes() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, b"before").unwrap(), b"before");
    proxy.cut_after(0);
    assert_eq!(rest(&mut stream), b"");
    assert_eq!(exchange(&mut connect(&proxy), b"after").unwrap(), b"after");
}

#[test]
fn flips_one_bit_of_one_byte_once() {
    let proxy = Proxy::to(echo());
    let mut stream = connect(&proxy);
    proxy.flip_after(5);
    assert_eq!(exchange(&mut stream, b"aaa").unwrap(), b"aaa");
    assert_eq!(exchange(&mut stream, b"aaaaa").unwrap(), b"aa`aa");
    assert_eq!(exchange(&mut stream, b"aaaaaaaaaa").unwrap(), b"aaaaaaaaaa");
}

#[test]
fn ends_with_its_connections() {
    let proxy = Proxy::to(echo());
    let port = proxy.port();
    let mut stream = connect(&proxy);
    assert_eq!(exchange(&mut stream, b"before").unwrap(), b"before");
    drop(proxy);
    assert_eq!(rest(&mut stream), b"");
    // The accepting thread ends a moment later.
    let gone = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(20));
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
    });
    assert!(gone, "the port still accepts");
}
