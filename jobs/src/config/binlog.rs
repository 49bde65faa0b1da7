//! `kind = "binlog"`.

use std::net::{IpAddr, Ipv6Addr};

use super::form::{Fields, Form, Node};
use super::problem::shorten;
use super::{BinlogConfig, BinlogProgress, Source, SourceConfig, Tls};

const FIELDS: [&str; 10] = [
    "kind",
    "host",
    "port",
    "user",
    "password",
    "server_id",
    "tls",
    "ca",
    "snapshot",
    "progress",
];
const PORT: u16 = 3306;

pub(super) fn read(form: &mut Form, mut fields: Fields) -> Option<BinlogConfig> {
    form.only(&mut fields, &FIELDS);
    let what = fields.what.clone();
    let of = |name: &str| format!("`{name}` of {what}");
    let host = form.require(&mut fields, "host", "\"127.0.0.1\"");
    let host = host.and_then(|node| {
        let remedy = "write it alone, such as \"db.example.com\"; port, user and password have fields of their own";
        form.fitting(&of("host"), node, is_host, "the name or address of a host", remedy)
    });
    let port = fields.take("port");
    let port = port.and_then(|node| form.number(&of("port"), node, 1..=u64::from(u16::MAX)));
    let user = form.require(&mut fields, "user", "\"centinel\"");
    let user = user.and_then(|node| form.text(&of("user"), node));
    let password = form.require(&mut fields, "password", "{ env = \"PAYMENT_DB_PASSWORD\" }");
    let password = password.and_then(|node| form.secret(&of("password"), node));
    let server_id = fields.take("server_id");
    if server_id.is_none() {
        let remedy = "add `server_id = …`, a number that no other replica of the server has";
        form.refuse(fields.at, format!("{what} has no `server_id`"), remedy);
    }
    let server_id =
        server_id.and_then(|node| form.number(&of("server_id"), node, 1..=u64::from(u32::MAX)));
    let tls = fields.take("tls");
    let tls = tls.and_then(|node| {
        let choices = [("required", Tls::Required), ("off", Tls::Off)];
        form.choice(&of("tls"), node, &choices)
    });
    let tls = tls.or_else(|| {
        let local = host.as_ref().is_some_and(|host| is_loopback(&host.value));
        Some(if local { Tls::Off } else { Tls::Required })
    });
    let ca = fields.take_entry("ca").and_then(|(key, node)| {
        if tls == Some(Tls::Off) {
            let problem = format!("{} has no use: the connection is not encrypted", of("ca"));
            form.refuse(
                key.span().start,
                problem,
                "add `tls = \"required\"`, or remove `ca`",
            );
        }
        form.path(&of("ca"), node)
    });
    let snapshot = fields.take("snapshot");
    let snapshot = snapshot.and_then(|node| form.flag(&of("snapshot"), node));
    let progress = fields.take("progress");
    let progress = progress.and_then(|node| progress_of(form, &what, node));
    Some(BinlogConfig {
        host: host?.value,
        port: port
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(PORT),
        user: user?.value,
        password: password?,
        server_id: u32::try_from(server_id?).ok()?,
        tls: tls?,
        ca,
        snapshot: snapshot.unwrap_or(false),
        progress: progress.unwrap_or(BinlogProgress::Server),
    })
}

fn progress_of(form: &mut Form, what: &str, node: Node) -> Option<BinlogProgress> {
    let whole = format!("`progress` of {what}");
    if node.get_ref().is_str() {
        let choices = [("server", ())];
        form.choice(&whole, node, &choices)?;
        return Some(BinlogProgress::Server);
    }
    let example = "\"server\", or { heartbeat_table = \"payment.centinel_heartbeat\" }";
    let mut fields = form.table(&whole, node, example)?;
    form.only(&mut fields, &["heartbeat_table"]);
    let example = "\"payment.centinel_heartbeat\"";
    let table = form.require(&mut fields, "heartbeat_table", example)?;
    let table = form.text(&format!("`heartbeat_table` of {what}"), table)?;
    let parts = table.value.split_once('.');
    let named = |part: &str| !part.is_empty() && !part.contains(['.', '*', '`', ' ']);
    match parts.filter(|(database, table)| named(database) && named(table)) {
        Some((database, table)) => Some(BinlogProgress::HeartbeatTable {
            database: database.to_owned(),
            table: table.to_owned(),
        }),
        None => {
            let shown = shorten(&table.value);
            let problem = format!("`heartbeat_table` of {what}: `{shown}` names no table");
            form.refuse(
                table.at,
                problem,
                format!("write database and table, as in {example}"),
            );
            None
        }
    }
}

/// Two readers with one id cut each other off, over and over.
pub(super) fn refuse_equal_ids(form: &mut Form, sources: &[Source]) {
    let mut seen: Vec<(u32, &Source)> = Vec::new();
    for source in sources {
        let SourceConfig::Binlog(binlog) = &source.config else {
            continue;
        };
        let same = seen.iter().find(|(id, _)| *id == binlog.server_id);
        if let Some((id, first)) = same {
            let (later, first) = match first.line <= source.line {
                true => (source, *first),
                false => (*first, source),
            };
            let problem = format!(
                "source `{}` has the `server_id` {id} of source `{}` (line {})",
                shorten(&later.name),
                shorten(&first.name),
                first.line
            );
            let remedy = "give each source a `server_id` of its own";
            form.refuse_line(later.line, problem, remedy);
        }
        seen.push((binlog.server_id, source));
    }
}

/// Whether this is a host's name or address and nothing else.
pub(super) fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (text.bytes().all(plain) && !text.is_empty()) || text.parse::<Ipv6Addr>().is_ok()
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
