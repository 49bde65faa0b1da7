//! One file's values → what it declares, checked as far as the file alone can tell.

use std::collections::BTreeMap;

use centinel_model::Duration;

use super::columns::{columns, message_id};
use super::entities::entities;
use super::flow::{FlowDeclaration, flow};
use super::form::{Fields, Form};
use super::guard::{GuardDeclaration, guard};
use super::mistakes::{Mistakes, SourceFile, check_name, shorten, suggest};
use super::origin::{OriginDeclaration, origin};
use super::yaml::{Node, Place, Placed};
use crate::{ColumnType, Entity, Money, TableKind};

/// The header of a file that describes a table or an event.
const SCHEMA: &str = "schema/1";
/// The header of the file that describes the entities.
pub(super) const ENTITIES: &str = "entities/1";
/// How long a row stays in state after it came to rest, unless declared.
const LOOKBACK: Duration = Duration::seconds(90 * 86_400);
/// How long a row waits for its link's target, unless declared.
const LINK_PATIENCE: Duration = Duration::seconds(600);

/// What all files declare.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub files: Vec<SourceFile>,
    pub tables: Vec<TableDeclaration>,
    pub entities: Vec<Entity>,
    /// Index of the file that declares the entities.
    pub entities_file: Option<usize>,
    /// Some file does not say what it declares, so a name that nothing declares may stand there.
    pub nameless: bool,
}

/// A table or event as its file has it.
#[derive(Debug)]
pub(super) struct TableDeclaration {
    /// Index of the file.
    pub file: usize,
    /// Empty when the file does not say.
    pub name: Placed<String>,
    pub kind: TableKind,
    pub system: String,
    pub source: Option<Placed<String>>,
    pub columns: Vec<ColumnDeclaration>,
    pub primary_key: Vec<Placed<String>>,
    pub paths: Vec<PathDeclaration>,
    pub state: Option<StateDeclaration>,
    pub flow: Option<FlowDeclaration>,
    pub changed_at: Option<Placed<String>>,
    pub lookback: Duration,
    pub link_patience: Duration,
    pub origin: OriginDeclaration,
    /// Entities that begin with a row of this table.
    pub begins: Vec<Placed<String>>,
    pub guard: Option<GuardDeclaration>,
}

#[derive(Debug)]
pub(super) struct ColumnDeclaration {
    pub name: Placed<String>,
    /// `None` when the file has a mistake here.
    pub kind: Option<ColumnType>,
    pub nullable: bool,
    pub sensitive: bool,
    pub money: Option<Money>,
    /// Where `money` stands.
    pub money_place: Place,
}

#[derive(Debug)]
pub(super) struct PathDeclaration {
    pub entity: Placed<String>,
    pub through: Option<Placed<String>>,
    pub columns: Vec<Placed<String>>,
    /// Where the columns stand.
    pub place: Place,
}

#[derive(Debug)]
pub(super) struct StateDeclaration {
    pub column: Placed<String>,
    pub values: Vec<Placed<String>>,
    pub final_values: Vec<Placed<String>>,
    pub transitions: Option<BTreeMap<String, Vec<String>>>,
}

/// Reads one file into `declared`.
pub(super) fn file(
    file: SourceFile,
    tree: Placed<Node>,
    declared: &mut Declared,
    mistakes: &mut Mistakes,
) {
    let index = declared.files.len();
    let mut form = Form {
        file: &file,
        mistakes,
    };
    if declares_entities(&tree.value) {
        match declared.entities_file {
            None => {
                declared.entities_file = Some(index);
                let entities = entities(&mut form, tree);
                declared.nameless |= entities.is_none();
                declared.entities = entities.unwrap_or_default();
            }
            Some(first) => {
                let remedy = format!("declare all entities in {}", declared.files[first].path);
                form.refuse(tree.place, "a second file of entities", remedy);
            }
        }
    } else {
        let table = table(&mut form, tree, index);
        declared.nameless |= table
            .as_ref()
            .is_none_or(|table| table.name.value.is_empty());
        declared.tables.extend(table);
    }
    declared.files.push(file);
}

/// Reads a file that lies in no folder into `declared`; its entities stand beside those of the folder.
pub(super) fn built_in(
    source: SourceFile,
    tree: Placed<Node>,
    declared: &mut Declared,
    mistakes: &mut Mistakes,
) {
    if !declares_entities(&tree.value) {
        return file(source, tree, declared, mistakes);
    }
    let mut form = Form {
        file: &source,
        mistakes,
    };
    let place = tree.place;
    let own = entities(&mut form, tree).unwrap_or_default();
    for entity in own {
        match declared
            .entities
            .iter()
            .any(|known| known.name == entity.name)
        {
            true => form.refuse(
                place,
                format!(
                    "the entity `{}` is declared by the folder, too",
                    entity.name
                ),
                "give that one another name",
            ),
            false => declared.entities.push(entity),
        }
    }
    declared
        .entities
        .sort_by(|left, right| left.name.cmp(&right.name));
    declared.files.push(source);
}

/// By its header, or by its fields where the header is wrong.
fn declares_entities(node: &Node) -> bool {
    let Node::Map(entries) = node else {
        return false;
    };
    let has = |name: &str| entries.iter().any(|(key, _)| key.value == name);
    let header = entries
        .iter()
        .find(|(key, _)| key.value == "centinel")
        .map(|(_, value)| &value.value);
    match header {
        Some(Node::Text(text)) if text == ENTITIES => true,
        Some(Node::Text(text)) if text == SCHEMA => false,
        _ => has("entities") && !has("table") && !has("event") && !has("columns"),
    }
}

/// Checks the header.
pub(super) fn header(form: &mut Form, fields: &mut Fields, expected: &str) {
    let Some(node) = fields.require(form, "centinel", expected) else {
        return;
    };
    let Some(text) = form.text("centinel", node) else {
        return;
    };
    if text.value != expected {
        let problem = format!(
            "`{}` is not a form that this program reads",
            shorten(&text.value)
        );
        form.refuse(text.place, problem, format!("write `centinel: {expected}`"));
    }
}

const TABLE_FIELDS: [&str; 19] = [
    "centinel",
    "table",
    "event",
    "system",
    "source",
    "primary_key",
    "entities",
    "columns",
    "state",
    "flow",
    "changed_at",
    "lookback",
    "link_patience",
    "from",
    "shard",
    "times",
    "json",
    "begins",
    "guard",
];

fn table(form: &mut Form, tree: Placed<Node>, file: usize) -> Option<TableDeclaration> {
    if matches!(tree.value, Node::Empty) {
        form.refuse(
            tree.place,
            "the file is empty",
            "describe one table or event; see schemas/README.md",
        );
        return None;
    }
    let mut fields = form.fields("the file", tree, &TABLE_FIELDS)?;
    header(form, &mut fields, SCHEMA);
    let (name, kind) = name_and_kind(form, &mut fields);
    let system = label(form, &mut fields, "system", "settlement");
    let source = label(form, &mut fields, "source", "settlement-db");
    let mut columns = columns(form, &mut fields, kind);
    if kind == TableKind::Events && !columns.is_empty() {
        columns.insert(0, message_id(name.place));
    }
    let primary_key = primary_key(form, &mut fields, kind, name.place);
    let paths = fields
        .take("entities")
        .and_then(|node| paths(form, node))
        .unwrap_or_default();
    let state = state(form, &mut fields, kind);
    let flow = flow(form, &mut fields, kind, state.as_ref());
    let changed_at = fields
        .take("changed_at")
        .and_then(|node| form.text("changed_at", node));
    let origin = origin(form, &mut fields, kind);
    let guard = guard(form, &mut fields, kind);
    let begins = fields
        .take("begins")
        .and_then(|node| form.texts("begins", node))
        .unwrap_or_default();
    Some(TableDeclaration {
        file,
        name,
        kind,
        system: system.map(|system| system.value).unwrap_or_default(),
        source,
        columns,
        primary_key,
        paths,
        state,
        flow,
        changed_at,
        lookback: form.span("lookback", fields.take("lookback"), LOOKBACK),
        link_patience: form.span("link_patience", fields.take("link_patience"), LINK_PATIENCE),
        origin,
        begins,
        guard,
    })
}

fn name_and_kind(form: &mut Form, fields: &mut Fields) -> (Placed<String>, TableKind) {
    let event_place = fields.key_place("event");
    let (table, event) = (fields.take("table"), fields.take("event"));
    let (node, kind, what) = match (table, event) {
        (Some(table), None) => (table, TableKind::Rows, "table"),
        (None, Some(event)) => (event, TableKind::Events, "event"),
        (Some(table), Some(_)) => {
            let remedy =
                "keep `table` for rows that change, or `event` for messages that are only added";
            form.refuse(
                event_place.unwrap_or(fields.place),
                "both `table` and `event`",
                remedy,
            );
            (table, TableKind::Rows, "table")
        }
        (None, None) => {
            let remedy = "add `table: settlement` or `event: settlement_completed`";
            form.refuse(fields.place, "the file names no table and no event", remedy);
            let keyed = fields.key_place("primary_key").is_some();
            let kind = if keyed {
                TableKind::Rows
            } else {
                TableKind::Events
            };
            let name = Placed {
                value: String::new(),
                place: fields.place,
            };
            return (name, kind);
        }
    };
    let place = node.place;
    let Some(name) = form.text(what, node) else {
        return (
            Placed {
                value: String::new(),
                place,
            },
            kind,
        );
    };
    check_name(form.mistakes, form.file, &name);
    (name, kind)
}

/// The name of a system or a source: as a name of a table, and `-` and `.` too.
fn label(
    form: &mut Form,
    fields: &mut Fields,
    field: &str,
    example: &str,
) -> Option<Placed<String>> {
    const LONGEST: usize = 64;
    let node = fields.require(form, field, example)?;
    let text = form.text(field, node)?;
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if !text.value.bytes().all(fits) || text.value.len() > LONGEST {
        let remedy = "small letters a-z, digits, `_`, `-` and `.`, at most 64 in all";
        form.refuse(
            text.place,
            format!("`{}` is not a name of a {field}", shorten(&text.value)),
            remedy,
        );
    }
    Some(text)
}

fn primary_key(
    form: &mut Form,
    fields: &mut Fields,
    kind: TableKind,
    place: Place,
) -> Vec<Placed<String>> {
    match kind {
        TableKind::Events => {
            refuse_for_events(
                form,
                fields,
                "primary_key",
                "remove it: `message_id` is an event's primary key",
            );
            vec![Placed {
                value: "message_id".to_owned(),
                place,
            }]
        }
        TableKind::Rows | TableKind::History(_) => fields
            .require(form, "primary_key", "[settlement_no]")
            .and_then(|node| form.texts("primary_key", node))
            .unwrap_or_default(),
    }
}

pub(super) fn refuse_for_events(form: &mut Form, fields: &mut Fields, field: &str, remedy: &str) {
    if let Some(place) = fields.key_place(field) {
        form.refuse(place, format!("an event declares no `{field}`"), remedy);
        fields.take(field);
    }
}

fn paths(form: &mut Form, node: Placed<Node>) -> Option<Vec<PathDeclaration>> {
    let entries = form.entries("entities", node)?;
    Some(
        entries
            .into_iter()
            .filter_map(|(entity, node)| path(form, entity, node))
            .collect(),
    )
}

fn path(form: &mut Form, entity: Placed<String>, node: Placed<Node>) -> Option<PathDeclaration> {
    let place = node.place;
    let what = format!("entity `{}`", shorten(&entity.value));
    if !matches!(node.value, Node::Map(_)) {
        let columns = form.texts(&what, node)?;
        return Some(PathDeclaration {
            entity,
            through: None,
            columns,
            place,
        });
    }
    let mut fields = form.fields(&what, node, &["through", "by"])?;
    let through = fields.require(form, "through", "settlement");
    let by = fields.require(form, "by", "[settlement_no]");
    let through = through.and_then(|node| form.text(&format!("through of {what}"), node));
    let columns = by.and_then(|node| form.texts(&format!("by of {what}"), node))?;
    Some(PathDeclaration {
        entity,
        through: Some(through?),
        columns,
        place,
    })
}

fn state(form: &mut Form, fields: &mut Fields, kind: TableKind) -> Option<StateDeclaration> {
    if kind == TableKind::Events {
        refuse_for_events(form, fields, "state", "remove it: a message never changes");
        return None;
    }
    let node = fields.take("state")?;
    let mut fields = form.fields("state", node, &["column", "values", "final", "transitions"])?;
    let column = fields.require(form, "column", "status");
    let values = fields.require(form, "values", "[CREATED, SETTLED]");
    let final_values = fields.require(form, "final", "[SETTLED]");
    let column = column.and_then(|node| form.text("column of state", node));
    let values = values.and_then(|node| form.texts("values of state", node));
    let final_values = final_values.and_then(|node| form.texts("final of state", node));
    let transitions = fields.take("transitions");
    let (column, values, final_values) = (column?, values?, final_values?);
    let transitions = transitions.and_then(|node| transitions_of(form, node, &values));
    for value in &final_values {
        if !values.iter().any(|known| known.value == value.value) {
            let remedy = suggest(
                &value.value,
                values.iter().map(|known| known.value.as_str()),
            );
            form.refuse(
                value.place,
                format!(
                    "`{}` is final but not among the values",
                    shorten(&value.value)
                ),
                remedy,
            );
        }
    }
    Some(StateDeclaration {
        column,
        values,
        final_values,
        transitions,
    })
}

/// Which states may follow which; all of them are among the values.
fn transitions_of(
    form: &mut Form,
    node: Placed<Node>,
    values: &[Placed<String>],
) -> Option<BTreeMap<String, Vec<String>>> {
    let entries = form.entries("transitions of state", node)?;
    let mut transitions = BTreeMap::new();
    for (from, node) in entries {
        let what = format!("transitions of `{}`", shorten(&from.value));
        let Some(next) = form.texts(&what, node) else {
            continue;
        };
        for state in std::iter::once(&from).chain(&next) {
            if values.iter().all(|known| known.value != state.value) {
                let remedy = suggest(
                    &state.value,
                    values.iter().map(|known| known.value.as_str()),
                );
                form.refuse(
                    state.place,
                    format!(
                        "`{}` stands in transitions but not among the values",
                        shorten(&state.value)
                    ),
                    remedy,
                );
            }
        }
        let next = next.into_iter().map(|state| state.value).collect();
        transitions.insert(from.value, next);
    }
    Some(transitions)
}
