use std::path::Path;

use centinel_model::{Duration, Severity};

use super::*;
use crate::dispatch::Limit;

fn problems(text: &str) -> Vec<String> {
    let problems = Channels::read(text).expect_err("it is wrong");
    problems.iter().map(ToString::to_string).collect()
}

/// What is wrong with the channel `c` of this table.
fn wrong(table: &str) -> String {
    problems(&format!("[alerts.c]\n{table}\n")).join("\n")
}

const WHOLE: &str = r#"
[sources.payment]
kind = "binlog"

[alerts.hook]
kind = "webhook"
url = "https://alerts.example/hook"
secret = { env = "HOOK_SECRET" }
severity = "error"
owners = ["settlement"]
tags = ["loss-1"]
fallback = true
resolved = false
undetermined = false
wait = "0s"
again = "1m"
limit = { messages = 30, per = "1m" }
attempts = 5
timeout = "3s"
trace = "https://centinel.example/trace/{entity}/{key}"

[alerts.on-call]
kind = "dingtalk"
url = { file = "dingtalk.url" }
secret = { env = "DINGTALK_SECRET" }

[alerts.am]
kind = "alertmanager"
url = "http://10.0.0.7:9093"
allow = ["10.0.0.0/24"]

[alerts.lines]
kind = "file"
path = "alerts.jsonl"

[alerts.topic]
kind = "kafka"
brokers = "127.0.0.1:1"
topic = "alerts"
settings = { "sasl.password" = { env = "KAFKA_PASSWORD" }, "client.id" = "centinel" }
"#;

#[test]
fn a_whole_configuration_is_read() {
    let channels = Channels::read(WHOLE).expect("it is right");
    let hook = &channels.rules.channels["hook"];
    assert_eq!(
        (hook.severity, hook.fallback, hook.resolved),
        (Severity::Error, true, false)
    );
    assert_eq!(
        (hook.wait, hook.again, hook.attempts),
        (Duration::ZERO, Duration::seconds(60), 5)
    );
    let limit = |messages, seconds| Limit {
        messages,
        per: Duration::seconds(seconds),
    };
    assert_eq!(hook.limits, [limit(30, 60)]);
    let robot = &channels.rules.channels["on-call"];
    assert_eq!(robot.limits, [limit(20, 60), limit(10, 60)]);
    assert_eq!((robot.severity, robot.resolved), (Severity::Warn, true));
    assert_eq!(
        channels.rules.channels["am"].refresh,
        Some(Duration::seconds(120))
    );
    assert_eq!(channels.rules.channels["lines"].limits, []);
    assert_eq!(channels.rules.causes, ["release", "merchant_no"]);
}

#[test]
fn secrets_are_read_from_the_environment_and_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = folder.path().join("dingtalk.url");
    std::fs::write(
        &url,
        "https://oapi.dingtalk.com/robot/send?access_token=t\r\n",
    )
    .expect("written");
    let channels = Channels::read(WHOLE).expect("it is right");
    let missing = channels
        .outlets(&|_| None, folder.path())
        .map(|_| ())
        .expect_err("no secrets");
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(missing.len(), 3, "{missing:?}");
    assert!(
        missing[0].starts_with(
            "[alerts.hook]: `secret`: the environment variable `HOOK_SECRET` is not set"
        )
    );
    let all = |_: &str| Some("0123456789abcdef0123456789abcdef".into());
    assert_eq!(
        channels
            .outlets(&all, folder.path())
            .map(|outlets| outlets.len())
            .expect("all"),
        5
    );
    let short = |_: &str| Some("short".into());
    let refused = channels
        .outlets(&short, folder.path())
        .map(|_| ())
        .expect_err("too short");
    assert!(
        refused[0].what.contains("less than 32 letters"),
        "{refused:?}"
    );
    std::fs::remove_file(&url).expect("removed");
    let refused = channels
        .outlets(&all, Path::new("/nowhere"))
        .map(|_| ())
        .expect_err("no file");
    assert!(
        refused[0]
            .what
            .contains("/nowhere/dingtalk.url cannot be read"),
        "{refused:?}"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_a_remedy() {
    let said = problems(
        "[alerts.a]\nkind = \"webhook\"\n[alerts.B]\nkind = \"file\"\npath = \"p\"\nurl = \"https://x.example\"\nagain = \"1s\"\n",
    );
    assert_eq!(
        said,
        [
            "[alerts.B]: a channel's name has small letters, digits, - and _, at most 60",
            "[alerts.B]: `url` is no field of kind `file`: take it out",
            "[alerts.B]: `again` is between 1m and 24h",
            "[alerts.a]: `url` is missing, which kind `webhook` needs",
            "[alerts.a]: `secret` is missing, which kind `webhook` needs",
        ]
    );
}

#[test]
fn a_secret_never_stands_in_the_file_nor_in_what_is_said() {
    for table in [
        "kind = \"slack\"\nurl = \"https://hooks.slack.com/services/T0/B0/hunter2\"",
        "kind = \"webhook\"\nurl = \"https://x.example\"\nsecret = \"hunter2\"",
        "kind = \"webhook\"\nurl = \"https://x.example\"\nsecret = { env = \"hunter2\" }",
        "kind = \"webhook\"\nurl = \"https://x.example\"\nsecret = { enw = \"hunter2\" }",
        "kind = \"webhook\"\nurl = \"https://me:hunter2@x.example\"\nsecret = { env = \"S\" }",
        "kind = \"kafka\"\nbrokers = \"b:1\"\ntopic = \"t\"\nsettings = { \"sasl.password\" = \"hunter2\" }",
        "kind = \"webhook\"\nsecret = hunter2",
    ] {
        let said = wrong(table);
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(wrong("kind = \"slack\"\nurl = \"https://x.example\"").contains("`url` holds a token"));
}

#[test]
fn mistakes_have_their_line() {
    assert!(wrong("kind = \"webhook\"\nseverity = \"bad\"").starts_with("line 3: [alerts]: "));
    assert!(wrong("kind = \"webhook\"\nurll = \"x\"").contains("unknown field `urll`"));
}

#[test]
fn addresses_and_spans_are_what_they_must_be() {
    let hook = |more: &str| {
        wrong(&format!(
            "kind = \"webhook\"\nsecret = {{ env = \"S\" }}\n{more}"
        ))
    };
    assert!(hook("url = \"http://x.example/\"").contains("encrypts nothing"));
    assert!(hook("url = \"ftp://x.example/\"").contains("neither https:// nor http://"));
    assert!(hook("url = \"x.example\"").contains("no address"));
    let url = "url = \"https://x.example\"\n";
    assert!(hook(&format!("{url}wait = \"2h\"")).contains("`wait`"));
    assert!(hook(&format!("{url}timeout = \"5m\"")).contains("`timeout`"));
    assert!(hook(&format!("{url}attempts = 0")).contains("`attempts`"));
    assert!(hook(&format!("{url}limit = {{ messages = 0, per = \"1m\" }}")).contains("`limit`"));
    assert!(hook(&format!("{url}limit = {{ messages = 5, per = \"1s\" }}")).contains("`limit`"));
    assert!(hook(&format!("{url}allow = [\"10.0.0.0/40\"]")).contains("is no network"));
    for trace in [
        "javascript:alert({key})",
        "https://{key}.example/",
        "https://x.example/{order}",
        "https://x.example/{key",
        "/trace/{key}",
        "https://x.example/(x)",
    ] {
        assert!(
            hook(&format!("{url}trace = \"{trace}\"")).contains("`trace`"),
            "{trace}"
        );
    }
    let am = "kind = \"alertmanager\"\nurl = \"https://am.example\"\n";
    assert!(wrong(&format!("{am}resolved = false")).contains("send_resolved"));
    assert!(wrong(&format!("{am}refresh = \"1s\"")).contains("`refresh`"));
    let kafka = "kind = \"kafka\"\nbrokers = \"b:1\"\ntopic = \"t\"\n";
    assert!(wrong(&format!("{kafka}settings = {{ acks = \"0\" }}")).contains("sets itself"));
}
