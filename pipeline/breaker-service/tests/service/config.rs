use std::path::Path;

use centinel_breaker_service::Config;

use crate::support::config_text;

#[test]
fn nothing_is_implied_of_what_a_point_does_in_doubt() {
    let whole = config_text(Path::new("breaker.db"));
    Config::read(&whole).unwrap();
    let needed = [
        "on_error",
        "deadline",
        "on_suspected",
        "on_undetermined",
        "max_staleness",
        "beyond_max_staleness",
        "second_person_above",
        "least_at_risk",
        "most_held",
        "most_in_an_hour",
        "lasts",
        "listen",
        "store",
    ];
    for field in needed {
        let mut seen = 0;
        let lines = whole.lines().filter(|line| {
            let this = line.split(' ').next() == Some(field);
            seen += usize::from(this);
            // The first of them: that of refunds, where all points have it.
            !(this && seen == 1)
        });
        let without = lines.collect::<Vec<_>>().join("\n");
        let error = Config::read(&without).unwrap_err().to_string();
        assert!(
            error.contains(field) && error.contains("README"),
            "{field}: {error}"
        );
    }
    for point in ["refund", "settlement", "cash_out"] {
        let without = whole.replace(
            &format!("[breaker.points.{point}]"),
            "[breaker.points.elsewhere]",
        );
        assert!(Config::read(&without).is_err(), "{point}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_remedy() {
    let whole = config_text(Path::new("breaker.db"));
    let cases = [
        ("127.0.0.1:0", "0.0.0.0:7070", "add [breaker.tls]"),
        ("on_error = \"allow\"", "on_error = \"maybe\"", "allow"),
        ("deadline = \"2s\"", "deadline = \"60s\"", "more than 10s"),
        ("lasts = \"4h\"", "lasts = \"40d\"", "longest_trip"),
        ("lasts = \"4h\"", "lasts = \"4 hours\"", "30s or 24h"),
        (
            "[breaker.automatic]",
            "surplus = 1\n[breaker.automatic]",
            "surplus",
        ),
        (
            "[breaker.automatic]",
            "[breaker.limits]\nkeep_ended = \"1d\"\n[breaker.automatic]",
            "keep_ended",
        ),
        (
            "[breaker.automatic]",
            "[breaker.webhook]\nurl = \"http://example.com/\"\nsecret_env = \"S\"\n[breaker.automatic]",
            "https",
        ),
        (
            "[breaker.automatic]",
            "[breaker.kafka]\nbrokers = \"kafka\"\ntopic = \"t\"\n[breaker.automatic]",
            "write host:port",
        ),
        (
            "[breaker.automatic]",
            "[breaker.kafka]\nbrokers = \"k:9092\"\ntopic = \"a topic\"\n[breaker.automatic]",
            "no topic's name",
        ),
        (
            "[breaker.automatic]",
            "[breaker.kafka]\nbrokers = \"k:9092\"\ntopic = \"t\"\nsettings = { acks = \"1\" }\n[breaker.automatic]",
            "not for you to set",
        ),
    ];
    for (from, to, remedy) in cases {
        let text = whole.replacen(from, to, 1);
        assert_ne!(text, whole);
        let error = Config::read(&text).unwrap_err().to_string();
        assert!(error.contains(remedy), "{to}: {error}");
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_said() {
    let whole = config_text(Path::new("breaker.db"));
    for value in [
        "\"hunter2\"",
        "[\"hunter2\"]",
        "{ env = \"A\", file = \"hunter2\" }",
        "{ env = \"hunter2\" }",
    ] {
        let table = format!(
            "[breaker.kafka]\nbrokers = \"k:9092\"\ntopic = \"t\"\nsettings = {{ \"sasl.password\" = {value} }}\n"
        );
        let error = Config::read(&format!("{whole}\n{table}")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let named = "settings = { \"sasl.password\" = { env = \"KAFKA_PASSWORD\" } }";
    let table = format!("[breaker.kafka]\nbrokers = \"k:9092\"\ntopic = \"t\"\n{named}\n");
    Config::read(&format!("{whole}\n{table}")).unwrap();
}

#[test]
fn the_configuration_of_the_readme_can_be_used_as_it_stands() {
    let readme = include_str!("../../README.md");
    let text = readme
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let text = text.unwrap();
    Config::read(text).unwrap();
    // What is commented out there, too.
    let tables = text.replace("\n# [", "\n[").replace("\n# ", "\n");
    let config = Config::read(&tables).unwrap();
    assert!(config.tls.is_some() && config.webhook.is_some() && config.kafka.is_some());
}
