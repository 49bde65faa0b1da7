//! Targets inside the own network, by address, by name, and by redirect (in `webhook`).

use centinel_alert::Outcome;

use crate::samples::{ALERT, message};
use crate::server::{Server, answer};
use crate::{later, outlet, send};

const SECRET: (&str, &str) = ("HOOK_SECRET", "0123456789abcdef0123456789abcdef");

async fn sent(url: &str, allow: &str) -> Outcome {
    let table = format!(
        "kind = \"webhook\"\nurl = \"{url}\"\nsecret = {{ env = \"HOOK_SECRET\" }}\nallow = [{allow}]\ntimeout = \"5s\""
    );
    send(&outlet(&table, &[SECRET]), &message(ALERT)).await
}

#[tokio::test]
async fn an_inner_address_is_refused_however_it_is_written() {
    let server = Server::start(|_, _| answer(200, "")).await;
    let port = server.port;
    for (host, kind) in [
        ("127.0.0.1", "a loopback address"),
        ("2130706433", "a loopback address"),
        ("0x7f.1", "a loopback address"),
        ("[::1]", "a loopback address"),
        ("[::ffff:127.0.0.1]", "a loopback address"),
        // Names are resolved first.
        ("localhost", "a loopback address"),
        ("10.0.0.1", "a private address"),
        ("169.254.169.254", "a link-local address"),
        ("[fd00::1]", "a private address"),
        ("0.0.0.0", "an address of this host"),
    ] {
        for scheme in ["https", "http"] {
            // Something else is allowed, so that http may be written.
            let outcome = sent(&format!("{scheme}://{host}:{port}/"), "\"192.168.7.0/24\"").await;
            let (why, _) = later(outcome);
            assert!(
                why.contains(kind) && why.contains("`allow`"),
                "{scheme}://{host}: {why}"
            );
        }
    }
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn what_is_allowed_is_reached_by_address_and_by_name() {
    let server = Server::start(|_, _| answer(200, "")).await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/", server.port);
        assert_eq!(
            sent(&url, "\"127.0.0.0/8\"").await,
            Outcome::Delivered,
            "{host}"
        );
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn without_encryption_nothing_leaves_the_own_networks() {
    let (why, _) = later(sent("http://1.1.1.1/", "\"127.0.0.1\"").await);
    assert!(why.contains("without encryption"), "{why}");
}
