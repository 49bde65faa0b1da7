//! The file of entities.

use super::declare::{ENTITIES, header};
use super::form::Form;
use super::mistakes::{check_name, shorten};
use super::yaml::{Node, Placed};
use crate::{Entity, Normalisation};

/// Rows that make an entity undetermined, unless declared.
const MAX_ROWS: u64 = 10_000;

/// The entities, by name.
pub(super) fn entities(form: &mut Form, tree: Placed<Node>) -> Option<Vec<Entity>> {
    let mut fields = form.fields("the file", tree, &["centinel", "entities"])?;
    header(form, &mut fields, ENTITIES);
    let node = fields.require(form, "entities", "{ order: { key: [order_no] } }")?;
    let place = node.place;
    let entries = form.entries("entities", node)?;
    if entries.is_empty() {
        form.refuse(
            place,
            "entities is empty",
            "declare at least one, such as `order: { key: [order_no] }`",
        );
    }
    let mut entities: Vec<_> = entries
        .into_iter()
        .map(|(name, node)| entity(form, name, node))
        .collect();
    entities.sort_by(|left, right| left.name.cmp(&right.name));
    Some(entities)
}

/// An entity; with a mistake in it, it still has its name, so that tables may name it.
fn entity(form: &mut Form, name: Placed<String>, node: Placed<Node>) -> Entity {
    check_name(form.mistakes, form.file, &name);
    let what = format!("entity `{}`", shorten(&name.value));
    let mut entity = Entity {
        name: name.value,
        key: Vec::new(),
        normalise: Vec::new(),
        max_rows: MAX_ROWS,
        begins_with: None,
    };
    let Some(mut fields) = form.fields(&what, node, &["key", "normalise", "max_rows"]) else {
        return entity;
    };
    let key = fields.require(form, "key", "[order_no]");
    for column in key
        .and_then(|node| form.texts(&format!("key of {what}"), node))
        .unwrap_or_default()
    {
        check_name(form.mistakes, form.file, &column);
        entity.key.push(column.value);
    }
    if let Some(node) = fields.take("normalise") {
        entity.normalise = normalise(form, &format!("normalise of {what}"), node);
    }
    entity.max_rows = form.number(
        &format!("max_rows of {what}"),
        fields.take("max_rows"),
        1..=1_000_000,
        MAX_ROWS,
    );
    entity
}

fn normalise(form: &mut Form, what: &str, node: Placed<Node>) -> Vec<Normalisation> {
    let steps = [
        ("trim", Normalisation::Trim),
        ("upper", Normalisation::Upper),
        ("lower", Normalisation::Lower),
        ("strip_zeros", Normalisation::StripZeros),
    ];
    let texts = form.texts(what, node).unwrap_or_default();
    let nodes = texts.into_iter().map(|text| Placed {
        value: Node::Text(text.value),
        place: text.place,
    });
    nodes
        .filter_map(|node| form.choice(what, node, &steps))
        .collect()
}
