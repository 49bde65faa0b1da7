//! What the tests of this crate share.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, missing_docs)]

pub mod abc;

use std::path::Path;

use centinel_catalog::{Catalog, Diagnostic};
use centinel_rules::{Rule, load_text};

/// The reference platform's schemas.
pub fn catalog() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    centinel_catalog::load(&root.join("schemas")).unwrap()
}

/// A rule of the entity `order` around a SELECT, which starts on line 9.
pub fn try_rule(sql: &str, more: &str, catalog: &Catalog) -> Result<Rule, Vec<Diagnostic>> {
    let head =
        "id: probe\ntitle: A probe\nentity: order\nseverity: error\nkey: [order_no]\nowner: tests";
    load_text(
        "probe.sql",
        &format!("/* ---\n{head}\n--- */\n{sql}\n/* {more} */"),
        catalog,
    )
}

pub fn rule(sql: &str, catalog: &Catalog) -> Rule {
    try_rule(sql, "", catalog).unwrap_or_else(|mistakes| panic!("{sql}\n{}", shown(&mistakes)))
}

pub fn shown(mistakes: &[Diagnostic]) -> String {
    let rendered: Vec<&str> = mistakes
        .iter()
        .map(|mistake| mistake.rendered.as_str())
        .collect();
    rendered.join("\n")
}
