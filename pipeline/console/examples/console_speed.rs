//! How long pages take over a large store: `cargo run --release -p centinel-console --example console_speed -- FILE`.
//!
//! FILE is a store of findings, such as the one that `centinel-findings`'s example `million` makes. Each page is asked 20
//! times over HTTP, whole; the median and the slowest are printed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use centinel_console::{Console, NoDetection, Settings, Surroundings, serve};
use centinel_model::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A breaker that lets anybody in, and holds nothing: what is measured is the console.
async fn breaker() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = vec![0; 16 << 10];
                while let Ok(read) = socket.read(&mut asked).await
                    && read > 0
                {
                    let path = String::from_utf8_lossy(&asked[..read]).into_owned();
                    let path = path.split(' ').nth(1).unwrap_or_default();
                    let body = match path.split('?').next().unwrap_or_default() {
                        "/v1/sessions" => {
                            r#"{"token":"t","role":"operator","name":"ann","expires_in_ms":1}"#
                        }
                        "/v1/status" => {
                            r#"{"trips":0,"holds":0,"held":0,"open_findings":0,"staleness_ms":1,"store":"working"}"#
                        }
                        "/v1/holds" => r#"{"causes":[]}"#,
                        "/v1/releases" => r#"{"releases":[],"next":null}"#,
                        _ => r#"{"entries":[],"next":0}"#,
                    };
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::main]
async fn main() {
    let file = PathBuf::from(std::env::args().nth(1).expect("name a store of findings"));
    let settings = Settings {
        findings: file,
        breaker: breaker().await,
        ca: None,
        origin: None,
        tls: None,
        reports: vec![],
    };
    let now = || Timestamp::parse("2026-11-23T09:00:00Z").unwrap();
    let console = Console::new(
        settings,
        Surroundings::of_the_machine(now),
        Arc::new(NoDetection),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (_end, ending) = watch::channel(false);
    tokio::spawn(serve(listener, console, ending));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let signed_in = client
        .post(format!("{url}/sign-in"))
        .header("origin", &url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("name=ann&password=x")
        .send()
        .await
        .unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let ask = async |path: &str| -> (Duration, String) {
        let began = Instant::now();
        let answer = client
            .get(format!("{url}{path}"))
            .header("cookie", &cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let text = answer.text().await.unwrap();
        (began.elapsed(), text)
    };
    let next = |text: &str| -> Option<String> {
        let (before, _) = text.split_once("\" rel=\"next\"")?;
        Some(before.rsplit_once("href=\"")?.1.replace("&amp;", "&"))
    };
    // A place far into the list.
    let mut far = "/findings?open=all".to_owned();
    for _ in 0..100 {
        match next(&ask(&far).await.1) {
            Some(next) => far = next,
            None => break,
        }
    }
    let one = ask("/findings?open=all").await.1;
    let (_, one) = one.split_once("<tbody>").unwrap();
    let one = one
        .split_once("href=\"")
        .unwrap()
        .1
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let pages = [
        ("overview", "/"),
        ("overview by system", "/?by=system&days=90"),
        ("findings, open", "/findings"),
        ("findings, all", "/findings?open=all"),
        ("findings, 5,000 further", &far),
        ("findings, by money", "/findings?open=all&order=money"),
        (
            "findings, critical and confirmed",
            "/findings?severity=critical&verdict=confirmed",
        ),
        (
            "findings, two weeks",
            "/findings?open=all&from=2026-11-01&until=2026-11-15",
        ),
        ("findings, by words", "/findings?open=all&words=M10001"),
        ("one finding", &one),
        ("who did what", "/log"),
    ];
    println!("{:<36}{:>10}{:>10}", "page", "median", "slowest");
    for (name, path) in pages {
        let mut times = vec![];
        for _ in 0..20 {
            times.push(ask(path).await.0);
        }
        times.sort();
        let shown = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1_000.0);
        println!("{name:<36}{:>10}{:>10}", shown(times[10]), shown(times[19]));
    }
}
