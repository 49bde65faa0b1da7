//! What a new state begins with: `bootstrap` and `bootstrap_as_of` of `[detection]`.

use centinel_model::Timestamp;

use super::BootstrapConfig;
use super::form::{Fields, Form, Node, Placed};
use super::problem::shorten;

const SCHEMES: [&str; 6] = ["s3", "gs", "az", "file", "http", "https"];

pub(super) fn read(form: &mut Form, fields: &mut Fields) -> Option<BootstrapConfig> {
    let as_of_at = fields.place_of("bootstrap_as_of");
    let as_of = fields
        .take("bootstrap_as_of")
        .and_then(|node| as_of(form, node));
    let Some(node) = fields.take("bootstrap") else {
        if let Some(at) = as_of_at {
            let problem = "[detection] has `bootstrap_as_of` and no `bootstrap`";
            form.refuse(at, problem, "say where the snapshot lies, or remove it");
        }
        return None;
    };
    let (location, at) = location(form, node)?;
    let line = form.line(at);
    Some(BootstrapConfig {
        line,
        location,
        as_of,
    })
}

fn as_of(form: &mut Form, node: Node) -> Option<Timestamp> {
    let Placed { value, at } = form.text("`bootstrap_as_of` of [detection]", node)?;
    let time = Timestamp::parse(&value);
    if let Err(error) = &time {
        let problem = format!("`bootstrap_as_of` of [detection]: {error}");
        form.refuse(at, problem, "write it as \"2026-11-22T08:00:00Z\"");
    }
    time.ok()
}

fn location(form: &mut Form, node: Node) -> Option<(String, usize)> {
    let Placed { value, at } = form.text("`bootstrap` of [detection]", node)?;
    let Some((scheme, rest)) = value.split_once("://") else {
        return Some((form.beside(&value).display().to_string(), at));
    };
    if !SCHEMES.contains(&scheme) {
        let problem = format!(
            "`bootstrap` of [detection] cannot begin with `{}://`",
            shorten(scheme)
        );
        let remedy = format!("use {}:// or the path of a folder", SCHEMES.join("://, "));
        form.refuse(at, problem, remedy);
        return None;
    }
    if rest.contains(['@', '?', '#']) {
        let problem = "`bootstrap` of [detection] holds an account, a query or a fragment";
        let remedy = "write the bare URL; credentials are given by environment variables";
        form.refuse(at, problem, remedy);
        return None;
    }
    Some((value, at))
}
