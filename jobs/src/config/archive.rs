//! `[archive]`.

use std::ops::RangeInclusive;

use centinel_model::Duration;

use super::form::{Fields, Form, Node, Placed};
use super::problem::shorten;
use super::{AccessKey, ArchiveConfig, ArchiveLocation};

const FIELDS: [&str; 8] = [
    "url",
    "endpoint",
    "region",
    "access_key_id",
    "secret_access_key",
    "segment_bytes",
    "segment_age",
    "spool_bytes",
];
/// Fields that only an object store has.
const OF_STORES: [&str; 4] = ["endpoint", "region", "access_key_id", "secret_access_key"];
const SEGMENT_BYTES: u64 = 64 << 20;
const SPOOL_BYTES: u64 = 20 << 30;
const SEGMENT_AGE: Duration = Duration::seconds(300);
const SEGMENT_AGES: RangeInclusive<Duration> = Duration::seconds(1)..=Duration::seconds(86_400);

pub(super) fn read(form: &mut Form, node: Node) -> Option<ArchiveConfig> {
    let mut fields = form.table("[archive]", node, "[archive]")?;
    form.only(&mut fields, &FIELDS);
    let of = |name: &str| format!("`{name}` of [archive]");
    let url = form.require(&mut fields, "url", "\"s3://bucket/prefix\"");
    let location = url.and_then(|node| location(form, node));
    if let Some(ArchiveLocation::Folder(_)) = &location {
        refuse_of_stores(form, &mut fields);
    }
    let endpoint = fields.take("endpoint").and_then(|node| {
        let remedy = "write \"https://host:port\", without account and password";
        form.fitting(
            &of("endpoint"),
            node,
            is_http,
            "an address of a server",
            remedy,
        )
    });
    let region = fields
        .take("region")
        .and_then(|node| form.text(&of("region"), node));
    let id_at = fields.place_of("access_key_id");
    let secret_at = fields.place_of("secret_access_key");
    let mut secret = |form: &mut Form, name: &str| {
        fields
            .take(name)
            .and_then(|node| form.secret(&of(name), node))
    };
    let id = secret(form, "access_key_id");
    let key = secret(form, "secret_access_key");
    let (one, other) = ("access_key_id", "secret_access_key");
    let alone = match (id_at, secret_at) {
        (Some(at), None) => Some((at, one, other)),
        (None, Some(at)) => Some((at, other, one)),
        _ => None,
    };
    if let Some((at, there, missing)) = alone {
        let remedy = format!("add `{missing} = {{ env = \"NAME\" }}`");
        form.refuse(
            at,
            format!("[archive] has `{there}` and no `{missing}`"),
            remedy,
        );
    }
    let mut bytes = |form: &mut Form, name: &str, range, usual| {
        let number = fields
            .take(name)
            .and_then(|node| form.number(&of(name), node, range));
        number.unwrap_or(usual)
    };
    let segment_bytes = bytes(form, "segment_bytes", 1 << 20..=1 << 30, SEGMENT_BYTES);
    let spool_bytes = bytes(form, "spool_bytes", 1 << 20..=1 << 50, SPOOL_BYTES);
    if spool_bytes < segment_bytes {
        let problem = "`spool_bytes` of [archive] is less than `segment_bytes`";
        form.refuse(
            fields.at,
            problem,
            "let the spool hold one segment at least, better many",
        );
    }
    let age = fields.take("segment_age");
    let age = age.and_then(|node| form.span(&of("segment_age"), node, SEGMENT_AGES));
    Some(ArchiveConfig {
        line: form.line(fields.at),
        location: location?,
        endpoint: endpoint.map(|endpoint| endpoint.value),
        region: region.map(|region| region.value),
        access_key: id.zip(key).map(|(id, secret)| AccessKey { id, secret }),
        segment_bytes,
        segment_age: age.unwrap_or(SEGMENT_AGE),
        spool_bytes,
    })
}

fn refuse_of_stores(form: &mut Form, fields: &mut Fields) {
    for name in OF_STORES {
        if let Some((key, _)) = fields.take_entry(name) {
            let problem = format!("`{name}` of [archive] has no use for a folder");
            form.refuse(
                key.span().start,
                problem,
                "remove it, or write `url = \"s3://…\"`",
            );
        }
    }
}

fn location(form: &mut Form, node: Node) -> Option<ArchiveLocation> {
    const REMEDY: &str = "write \"s3://bucket/prefix\", \"file:///folder\" or the path of a folder";
    let Placed { value, at } = form.text("`url` of [archive]", node)?;
    let Some((scheme, rest)) = value.split_once("://") else {
        return Some(ArchiveLocation::Folder(form.beside(&value)));
    };
    if rest.contains(['@', '?', '#']) {
        let problem = "`url` of [archive] holds an account, a query or a fragment";
        let remedy = "write the bare URL; credentials are `access_key_id` and `secret_access_key`";
        form.refuse(at, problem, remedy);
        return None;
    }
    match scheme {
        "s3" => {
            let bucket = rest.split('/').next().unwrap_or_default();
            let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
            if bucket.len() < 3 || bucket.len() > 63 || !bucket.bytes().all(fits) {
                let remedy = "a bucket has 3 to 63 small letters, digits, `-` and `.`: \"s3://bucket/prefix\"";
                form.refuse(at, "`url` of [archive] names no bucket", remedy);
                return None;
            }
            Some(ArchiveLocation::S3(value))
        }
        "file" if rest.starts_with('/') && !rest.contains('%') => {
            Some(ArchiveLocation::Folder(rest.into()))
        }
        "file" => {
            let problem = "`url` of [archive] is not the URL of a folder";
            form.refuse(
                at,
                problem,
                "write \"file:///folder\" with three slashes, or the path alone",
            );
            None
        }
        other => {
            let problem = format!(
                "`url` of [archive] cannot begin with `{}://`",
                shorten(other)
            );
            form.refuse(at, problem, REMEDY);
            None
        }
    }
}

/// Whether this is the address of a server, without an account or a query.
pub(super) fn is_http(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        let bracketed = rest.starts_with('[');
        let plain =
            |c: char| !c.is_whitespace() && !c.is_control() && !['@', '?', '#'].contains(&c);
        (!host.is_empty() || bracketed) && rest.chars().all(plain)
    })
}
