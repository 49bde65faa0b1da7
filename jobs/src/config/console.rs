//! `[console]`: the pages for people, and whom they ask.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::breaker::is_safe;
use super::form::{Fields, Form, Node};
use super::{BreakerConfig, ConsoleConfig, InterfaceConfig};

const FIELDS: [&str; 8] = [
    "listen",
    "origin",
    "breaker",
    "ca",
    "interface",
    "token",
    "reports",
    "tls",
];
const LISTEN: &str = "127.0.0.1:8080";
/// Folders of reports.
const MOST_FOLDERS: usize = 20;

/// `[console]`. What it does not say itself, whom to ask, `[breaker]` and `[interface]` of the same file say.
pub(super) fn read(
    form: &mut Form,
    node: Node,
    breaker: Option<&BreakerConfig>,
    interface: Option<&InterfaceConfig>,
) -> Option<ConsoleConfig> {
    let mut fields = form.table("[console]", node, "[console]")?;
    form.only(&mut fields, &FIELDS);
    let listen = match fields.take("listen") {
        None => LISTEN.parse().ok(),
        Some(node) => {
            let right = |text: &str| text.parse::<SocketAddr>().is_ok();
            let remedy = "write \"127.0.0.1:8080\": an address of this machine, and a port";
            let listen = form.fitting(&of("listen"), node, right, "an address with a port", remedy);
            listen.and_then(|text| text.value.parse().ok())
        }
    };
    let origin = fields.take("origin").map(|node| {
        let remedy =
            "write \"https://console.example.com\": scheme and host alone, as browsers show it";
        form.fitting(
            &of("origin"),
            node,
            is_origin,
            "where browsers reach the console",
            remedy,
        )
    });
    let own_breaker = breaker.map(|breaker| {
        let scheme = if breaker.service.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", breaker.service.listen)
    });
    let breaker = match (fields.take("breaker"), own_breaker) {
        (Some(node), _) => address(form, "breaker", node),
        (None, Some(own)) => Some(own),
        (None, None) => {
            let problem =
                "[console] does not say where the breaker is, whose accounts people sign in with";
            form.refuse(
                fields.at,
                problem,
                "add `breaker = \"http://127.0.0.1:7070\"`",
            );
            None
        }
    };
    let ca = path(form, &mut fields, "ca");
    let told = fields
        .take("interface")
        .map(|node| address(form, "interface", node));
    let token = fields
        .take("token")
        .map(|node| form.secret(&of("token"), node));
    let interface = match (told, token, interface) {
        (Some(url), Some(token), _) => Some((url?, token?, ca.clone())),
        (None, None, Some(own)) => {
            let scheme = if own.tls.is_some() { "https" } else { "http" };
            let ca = own.tls.as_ref().and_then(|tls| tls.ca.clone());
            Some((format!("{scheme}://{}", own.listen), own.token.clone(), ca))
        }
        (None, None, None) => None,
        _ => {
            let problem = "[console] has one of `interface` and `token`";
            form.refuse(
                fields.at,
                problem,
                "write both, or neither where [interface] says them",
            );
            return None;
        }
    };
    let reports = fields.take("reports").map(|node| folders(form, node));
    let had_tls = fields.has("tls");
    let tls = fields.take("tls").and_then(|node| tls(form, node));
    let (listen, breaker) = (listen?, breaker?);
    if !had_tls && !listen.ip().is_loopback() {
        form.refuse(
            fields.at,
            "[console] listens beyond this machine, and passwords would go in the clear",
            "add [console.tls]; or listen on 127.0.0.1, and let what stands before it say `origin`",
        );
        return None;
    }
    Some(ConsoleConfig {
        line: form.line(fields.at),
        listen,
        origin: match origin {
            Some(origin) => Some(origin?.value),
            None => None,
        },
        breaker,
        ca,
        interface,
        reports: reports.unwrap_or_default(),
        tls,
    })
}

fn of(name: &str) -> String {
    format!("`{name}` of [console]")
}

/// An address to which a password or a token may be sent.
fn address(form: &mut Form, name: &str, node: Node) -> Option<String> {
    let remedy = "write \"https://host:port\"; http:// only for what is on this machine, since secrets go along";
    let text = form.fitting(
        &of(name),
        node,
        is_safe,
        "an address that is safe to send secrets to",
        remedy,
    )?;
    Some(text.value.trim_end_matches('/').to_owned())
}

fn path(form: &mut Form, fields: &mut Fields, name: &str) -> Option<PathBuf> {
    let node = fields.take(name)?;
    form.path(&of(name), node)
}

fn folders(form: &mut Form, node: Node) -> Vec<PathBuf> {
    let at = node.span().start;
    let items = form
        .list(&of("reports"), node, "[\"reports\"]")
        .unwrap_or_default();
    if items.len() > MOST_FOLDERS {
        let problem = format!("`reports` of [console] names {} folders", items.len());
        form.refuse(at, problem, format!("name at most {MOST_FOLDERS}"));
        return Vec::new();
    }
    let items = items.into_iter();
    items
        .filter_map(|item| form.path("a folder of `reports` of [console]", item))
        .collect()
}

fn tls(form: &mut Form, node: Node) -> Option<(PathBuf, PathBuf)> {
    let mut fields = form.table("[console.tls]", node, "[console.tls]")?;
    form.only(&mut fields, &["certificate", "key"]);
    let mut path = |form: &mut Form, name: &str, example: &str| {
        let node = form.require(&mut fields, name, example)?;
        form.path(&format!("`{name}` of [console.tls]"), node)
    };
    let certificate = path(form, "certificate", "\"chain.pem\"");
    let key = path(form, "key", "\"key.pem\"");
    Some((certificate?, key?))
}

/// Scheme, host and port, as browsers write them in `Origin`.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (text, right) in [
            ("https://console.example.com", true),
            ("https://console.example.com:8443", true),
            ("http://localhost:8080", true),
            ("https://console.example.com/", false),
            ("https://Console.example.com", false),
            ("https://a@b.example", false),
            ("console.example.com", false),
            ("https://", false),
        ] {
            assert_eq!(is_origin(text), right, "{text}");
        }
    }
}
