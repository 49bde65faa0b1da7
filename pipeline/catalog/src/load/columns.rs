//! The columns of a table or event.

use super::declare::ColumnDeclaration;
use super::form::{Fields, Form};
use super::mistakes::{check_name, shorten};
use super::types;
use super::yaml::{Node, Place, Placed};
use crate::{ColumnType, TableKind};

/// The most columns of one table, as in MySQL.
const MAX_COLUMNS: usize = 4096;

pub(super) fn columns(
    form: &mut Form,
    fields: &mut Fields,
    kind: TableKind,
) -> Vec<ColumnDeclaration> {
    let Some(node) = fields.require(form, "columns", "{ settlement_no: text }") else {
        return Vec::new();
    };
    let place = node.place;
    let Some(mut entries) = form.entries("columns", node) else {
        return Vec::new();
    };
    if entries.is_empty() {
        form.refuse(
            place,
            "columns is empty",
            "declare every column, such as `settlement_no: text`",
        );
    }
    if entries.len() > MAX_COLUMNS {
        form.refuse(
            place,
            format!("{} columns", entries.len()),
            format!("declare at most {MAX_COLUMNS}"),
        );
        entries.truncate(MAX_COLUMNS);
    }
    let mut columns = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        if kind == TableKind::Events && name.value == "message_id" {
            form.refuse(
                name.place,
                "an event does not declare `message_id`",
                "remove it: every event has it as its first column",
            );
            continue;
        }
        check_name(form.mistakes, form.file, &name);
        columns.push(column(form, name, node));
    }
    columns
}

fn column(form: &mut Form, name: Placed<String>, node: Placed<Node>) -> ColumnDeclaration {
    let mut column = ColumnDeclaration {
        money_place: node.place,
        name,
        kind: None,
        nullable: false,
        sensitive: false,
        money: None,
    };
    let what = format!("column `{}`", shorten(&column.name.value));
    if !matches!(node.value, Node::Map(_)) {
        column.kind = form
            .text(&what, node)
            .and_then(|text| types::column_type(form, &text));
        return column;
    }
    let Some(mut fields) = form.fields(&what, node, &["type", "nullable", "sensitive", "money"])
    else {
        return column;
    };
    column.kind = fields
        .require(form, "type", "text")
        .and_then(|node| form.text(&format!("type of {what}"), node))
        .and_then(|text| types::column_type(form, &text));
    column.nullable = form.flag(&format!("nullable of {what}"), fields.take("nullable"));
    column.sensitive = form.flag(&format!("sensitive of {what}"), fields.take("sensitive"));
    if let Some(node) = fields.take("money") {
        column.money_place = node.place;
        column.money = types::money(form, &what, node, column.kind);
    }
    column
}
/// The first column of every event.
pub(super) fn message_id(place: Place) -> ColumnDeclaration {
    let name = Placed {
        value: "message_id".to_owned(),
        place,
    };
    let kind = Some(ColumnType::Text);
    ColumnDeclaration {
        name,
        kind,
        nullable: false,
        sensitive: false,
        money: None,
        money_place: place,
    }
}
