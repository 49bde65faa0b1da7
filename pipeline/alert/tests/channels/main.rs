//! Every channel against a real HTTP server that behaves like it, or a real file, or a broker.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alertmanager;
mod delivery;
mod dingtalk;
mod feishu;
mod guard;
mod lines;
mod samples;
mod server;
mod slack;
mod topic;
mod webhook;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use centinel_alert::{Channels, Message, Outcome, Outlet};
use centinel_model::Timestamp;

/// The time of all signatures.
const NOW: &str = "2026-11-22T08:00:11.250Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

/// The channel `c` of this configuration; secrets are what `secrets` says.
fn outlet(table: &str, secrets: &[(&str, &str)]) -> Arc<dyn Outlet> {
    let channels = Channels::read(&format!("[alerts.c]\n{table}\n"));
    let channels = channels.unwrap_or_else(|problems| panic!("{problems:?}"));
    let variable = |name: &str| {
        let found = secrets.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.into())
    };
    let outlets = channels.outlets(&variable, Path::new("."));
    let outlets = outlets.unwrap_or_else(|problems| panic!("{problems:?}"));
    outlets["c"].clone()
}

async fn send(outlet: &Arc<dyn Outlet>, message: &Message) -> Outcome {
    outlet.send(message, now()).await
}

fn later(outcome: Outcome) -> (String, Option<i64>) {
    match outcome {
        Outcome::Later { why, after } => (why, after.map(|after| after.0 / 1_000_000)),
        other => panic!("{other:?}"),
    }
}

fn refused(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

/// HMAC-SHA256 as OpenSSL computes it.
fn hmac(key: &str, text: &str) -> Vec<u8> {
    use std::io::Write;
    let key: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-binary", "-mac", "HMAC", "-macopt"]);
    command.arg(format!("hexkey:{key}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let done = running.wait_with_output().unwrap();
    assert!(done.status.success() && done.stdout.len() == 32);
    done.stdout
}

/// Base64 by hand.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        let number = number << (8 * (3 - chunk.len()));
        for place in 0..4 {
            match place <= chunk.len() {
                true => out.push(char::from(
                    LETTERS[(number >> (18 - 6 * place)) as usize & 63],
                )),
                false => out.push('='),
            }
        }
    }
    out
}
