//! `[breaker]`: the fund circuit breaker's own part, and `[breaker_report]`: where detection tells what it finds.
//!
//! What stands in `[breaker]` is the breaker's own to read; here it is read with it, so that a mistake is told like any other.

use std::ops::RangeInclusive;

use centinel_breaker::{Decision, Point};
use centinel_breaker_service::Config as Service;
use centinel_model::Duration;
use serde::Deserialize;

use super::archive::is_http;
use super::form::{Form, Node, is_variable};
use super::problem::shorten;
use super::{BreakerConfig, BreakerReportConfig};

const REPORT_FIELDS: [&str; 5] = ["url", "key", "ca", "deadline", "suspicions"];
const DEADLINE: Duration = Duration::seconds(2);
const DEADLINES: RangeInclusive<Duration> = Duration(100_000)..=Duration::seconds(60);
const SERVICE: &str = "write it as pipeline/breaker-service/README.md shows; what a point does in doubt has no default";

/// `[breaker]`, with its paths seen from the working folder.
pub(super) fn read(form: &mut Form, at: usize) -> Option<BreakerConfig> {
    #[derive(Deserialize)]
    struct File {
        breaker: Service,
    }
    let mut service = match toml::from_str::<File>(form.document()) {
        Ok(file) => file.breaker,
        Err(error) => {
            let at = error.span().map_or(at, |span| span.start);
            form.refuse(
                at,
                format!("[breaker]: {}", without_value(error.message())),
                SERVICE,
            );
            return None;
        }
    };
    let secret_env = service.webhook.as_ref().map(|webhook| &webhook.secret_env);
    if secret_env.is_some_and(|name| !is_variable(name)) {
        let problem =
            "`secret_env` of [breaker.webhook] is not the name of an environment variable";
        let remedy = "write a name such as BREAKER_WEBHOOK_SECRET: capital letters, digits and `_`";
        form.refuse(at, problem, remedy);
        return None;
    }
    if let Err(error) = service.check() {
        form.refuse(at, error.to_string(), SERVICE);
        return None;
    }
    let beside = |path: &mut std::path::PathBuf| {
        if let Some(text) = path.to_str() {
            *path = form.beside(text);
        }
    };
    beside(&mut service.store);
    if let Some(tls) = &mut service.tls {
        beside(&mut tls.certificate);
        beside(&mut tls.key);
    }
    let line = form.line(at);
    Some(BreakerConfig { line, service })
}

/// Of what a reader of TOML says, what shows no value: one may be a secret in the wrong place.
fn without_value(message: &str) -> String {
    let shows = message.starts_with("invalid type") || message.starts_with("invalid value");
    match message.split_once(", expected ") {
        Some((_, expected)) if shows => format!("a value is wrong, expected {}", shorten(expected)),
        _ => message.lines().next().unwrap_or_default().to_owned(),
    }
}

impl BreakerConfig {
    /// Points that hold while a finding is only suspected.
    pub fn holds_suspected(&self) -> Vec<&'static str> {
        let holds = |point: &&Point| self.service.point(**point).on_suspected == Decision::Hold;
        Point::ALL
            .iter()
            .filter(holds)
            .map(|point| point.as_str())
            .collect()
    }
}

/// `[breaker_report]`.
pub(super) fn read_report(form: &mut Form, node: Node) -> Option<BreakerReportConfig> {
    let mut fields = form.table("[breaker_report]", node, "[breaker_report]")?;
    form.only(&mut fields, &REPORT_FIELDS);
    let of = |name: &str| format!("`{name}` of [breaker_report]");
    let url = form.require(&mut fields, "url", "\"https://breaker.example.com:7070\"");
    let url = url.and_then(|node| {
        let remedy = "write \"https://host:port\"; http:// only for a breaker on this machine, since the key goes along";
        form.fitting(&of("url"), node, is_safe, "an address that is safe to send a key to", remedy)
    });
    let key = form.require(&mut fields, "key", "{ env = \"NAME\" }");
    let key = key.and_then(|node| form.secret(&of("key"), node));
    let ca = fields
        .take("ca")
        .and_then(|node| form.path(&of("ca"), node));
    let deadline = fields
        .take("deadline")
        .and_then(|node| form.span(&of("deadline"), node, DEADLINES));
    let suspicions = fields
        .take("suspicions")
        .and_then(|node| form.flag(&of("suspicions"), node));
    Some(BreakerReportConfig {
        line: form.line(fields.at),
        url: url?.value.trim_end_matches('/').to_owned(),
        key: key?,
        ca,
        deadline: deadline.unwrap_or(DEADLINE),
        suspicions: suspicions.unwrap_or_default(),
    })
}

/// Whether a key may be sent there: encrypted, or not beyond this machine.
pub(super) fn is_safe(url: &str) -> bool {
    let local = ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
        let rest = url
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_prefix(host));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    is_http(url) && (url.starts_with("https://") || local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_nobody_listens() {
        for (url, safe) in [
            ("https://breaker.example.com:7070", true),
            ("http://127.0.0.1:7070", true),
            ("http://localhost", true),
            ("http://[::1]:7070/", true),
            ("http://breaker.example.com:7070", false),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost@example.com", false),
            ("https://key@breaker.example.com", false),
            ("breaker.example.com", false),
        ] {
            assert_eq!(is_safe(url), safe, "{url}");
        }
    }

    #[test]
    fn values_are_not_shown() {
        let shown = without_value("invalid type: string \"hunter2\", expected u32");
        assert_eq!(shown, "a value is wrong, expected u32");
        let shown = without_value("missing field `points`");
        assert_eq!(shown, "missing field `points`");
    }
}
