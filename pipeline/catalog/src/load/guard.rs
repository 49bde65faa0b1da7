//! Guarded tables: which changes are expected.

use centinel_model::{Duration, Operation, TableId};

use super::declare::{TableDeclaration, refuse_for_events};
use super::form::{Fields, Form};
use super::mistakes::{Mistakes, shorten, suggest};
use super::resolve::All;
use super::yaml::{Node, Place, Placed};
use crate::guard::{HISTORY_COLUMNS, PLANNED_COLUMNS, history_name, planned_name};
use crate::{ExplainingEvent, Explanation, Guard, Table, TableKind};

/// How far an event may lie from its change, unless declared.
const WINDOW: Duration = Duration::seconds(300);
const KEY_EXAMPLE: &str =
    "write `key: { payment_no: payment_no }`: column of the row, column of the event";
const OPERATIONS: [(&str, Operation); 3] = [
    ("insert", Operation::Insert),
    ("update", Operation::Update),
    ("delete", Operation::Delete),
];

/// A guard as its file has it.
#[derive(Debug)]
pub(super) struct GuardDeclaration {
    place: Place,
    window: Duration,
    checkpoint: Option<String>,
    pub plans: Option<Placed<String>>,
    amount: Option<Placed<String>>,
    explained_by: Vec<ExplanationDeclaration>,
}

#[derive(Debug)]
struct ExplanationDeclaration {
    event: Option<Placed<String>>,
    key: Vec<(Placed<String>, Placed<String>)>,
    operations: Vec<Operation>,
    columns: Option<Vec<Placed<String>>>,
    when: Option<String>,
}

pub(super) fn guard(
    form: &mut Form,
    fields: &mut Fields,
    kind: TableKind,
) -> Option<GuardDeclaration> {
    if kind == TableKind::Events {
        refuse_for_events(form, fields, "guard", "remove it: a message never changes");
        return None;
    }
    let node = fields.take("guard")?;
    let place = node.place;
    let known = ["window", "checkpoint", "amount", "plans", "explained_by"];
    let mut fields = form.fields("guard", node, &known)?;
    let window = form.span("window of guard", fields.take("window"), WINDOW);
    let checkpoint = fields.take("checkpoint");
    let checkpoint = checkpoint.and_then(|node| form.text("checkpoint of guard", node));
    let plans = fields.take("plans");
    let plans = plans.and_then(|node| form.text("plans of guard", node));
    let amount = fields.take("amount");
    let amount = amount.and_then(|node| form.text("amount of guard", node));
    let example = "[{ event: payment_completed, key: { payment_no: payment_no } }]";
    let node = fields.require(form, "explained_by", example)?;
    let Node::List(items) = node.value else {
        let remedy = format!("write a list, such as `{example}`");
        form.refuse(node.place, "explained_by is not a list", remedy);
        return None;
    };
    Some(GuardDeclaration {
        place,
        window,
        checkpoint: checkpoint.map(|checkpoint| checkpoint.value),
        plans,
        amount,
        explained_by: items
            .into_iter()
            .filter_map(|item| explanation(form, item))
            .collect(),
    })
}

fn explanation(form: &mut Form, node: Placed<Node>) -> Option<ExplanationDeclaration> {
    let (what, place) = ("an item of explained_by", node.place);
    let known = ["event", "key", "operations", "columns", "when"];
    let mut fields = form.fields(what, node, &known)?;
    let event = fields.take("event");
    let event = event.and_then(|node| form.text("event of explained_by", node));
    let key_place = fields.key_place("key");
    let key = match (&event, fields.take("key")) {
        (Some(_), Some(node)) => key(form, node),
        (Some(event), None) => {
            let remedy =
                "add `key: { payment_no: payment_no }`: column of the row, column of the event";
            form.refuse(event.place, "the event has no `key`", remedy);
            Vec::new()
        }
        (None, Some(_)) => {
            let remedy = "add `event: …`, or remove the key";
            form.refuse(
                key_place.unwrap_or(place),
                "a `key` without an `event`",
                remedy,
            );
            Vec::new()
        }
        (None, None) => Vec::new(),
    };
    let operations = fields.take("operations");
    let operations = operations.and_then(|node| form.texts("operations of explained_by", node));
    let columns = fields.take("columns");
    let columns = columns.and_then(|node| form.texts("columns of explained_by", node));
    let when = fields.take("when");
    let when = when.and_then(|node| form.text("when of explained_by", node));
    Some(ExplanationDeclaration {
        event,
        key,
        operations: match operations {
            None => OPERATIONS.iter().map(|(_, operation)| *operation).collect(),
            Some(texts) => texts
                .into_iter()
                .filter_map(|text| operation(form, text))
                .collect(),
        },
        columns,
        when: when.map(|when| when.value),
    })
}

fn operation(form: &mut Form, text: Placed<String>) -> Option<Operation> {
    let found = OPERATIONS.iter().find(|(name, _)| *name == text.value);
    if found.is_none() {
        let remedy = suggest(&text.value, OPERATIONS.iter().map(|(name, _)| *name));
        let problem = format!("`{}` is no operation", shorten(&text.value));
        form.refuse(text.place, problem, remedy);
    }
    found.map(|(_, operation)| *operation)
}

fn key(form: &mut Form, node: Placed<Node>) -> Vec<(Placed<String>, Placed<String>)> {
    let place = node.place;
    let entries = form.entries("key of explained_by", node);
    let entries = entries.unwrap_or_default();
    if entries.is_empty() {
        form.refuse(place, "an empty `key`", KEY_EXAMPLE);
    }
    entries
        .into_iter()
        .filter_map(|(column, node)| {
            let other = form.text("a column of the event", node)?;
            Some((column, other))
        })
        .collect()
}

impl All<'_> {
    /// The guard of a table, whose columns and entities are known.
    pub fn guard(
        &self,
        declaration: &TableDeclaration,
        table: &Table,
        mistakes: &mut Mistakes,
    ) -> Option<Guard> {
        let guard = declaration.guard.as_ref()?;
        let file = self.file(declaration);
        if table.entities.is_empty() {
            let remedy = "declare under `entities` what its rows belong to: changes are judged with the rest of that";
            mistakes.at(
                file,
                guard.place,
                "a guarded table without an entity",
                remedy,
            );
        }
        for index in table.named_in_history() {
            let name = &table.columns[index].name;
            let mut own = HISTORY_COLUMNS.iter().chain(&PLANNED_COLUMNS);
            if own.any(|(own, _)| own == name) {
                let problem = format!(
                    "the history of `{}` has a column `{name}` of its own",
                    table.name
                );
                let remedy = "a guarded table cannot have that name in its keys; give the column another one";
                mistakes.at(file, guard.place, problem, remedy);
            }
        }
        for own in [history_name(&table.name), planned_name(&table.name)] {
            if self.tables.iter().any(|other| other.name.value == own) {
                let problem =
                    format!("`{own}` is declared, and is a name that this guarded table brings");
                mistakes.at(
                    file,
                    guard.place,
                    problem,
                    "give the other one another name",
                );
            }
        }
        if let Some(plans) = &guard.plans {
            let mut sources = self.tables.iter().filter_map(|other| other.source.as_ref());
            if sources.any(|source| source.value == plans.value) {
                let problem = format!("`{}` is the source of a table or an event", plans.value);
                let remedy = "give plans a source of their own, such as repair-plans";
                mistakes.at(file, plans.place, problem, remedy);
            }
        }
        let explained_by = guard.explained_by.iter();
        Some(Guard {
            explained_by: explained_by
                .filter_map(|explanation| self.explanation(declaration, explanation, mistakes))
                .collect(),
            window: guard.window,
            checkpoint: guard.checkpoint.clone(),
            plans: guard.plans.as_ref().map(|plans| plans.value.clone()),
            amount: self.moved(declaration, guard, table, mistakes),
            place: format!("{}:{}", file.path, guard.place.line),
        })
    }

    /// The column whose change is the money moved: the one that is named, or the only one.
    fn moved(
        &self,
        declaration: &TableDeclaration,
        guard: &GuardDeclaration,
        table: &Table,
        mistakes: &mut Mistakes,
    ) -> Option<usize> {
        let money = |index: &usize| table.columns[*index].money.is_some();
        let Some(name) = &guard.amount else {
            let mut all = (0..table.columns.len()).filter(money);
            return all.next().filter(|_| all.next().is_none());
        };
        let index = self.column(declaration, name, mistakes)?;
        if !money(&index) {
            let problem = format!("`{}` is not money", name.value);
            let remedy = "name a money column, or declare its `money`";
            mistakes.at(self.file(declaration), name.place, problem, remedy);
        }
        Some(index)
    }

    fn explanation(
        &self,
        table: &TableDeclaration,
        declared: &ExplanationDeclaration,
        mistakes: &mut Mistakes,
    ) -> Option<Explanation> {
        let columns = declared.columns.as_ref();
        let columns = columns.and_then(|names| self.columns(table, names, mistakes));
        let event = match &declared.event {
            None => None,
            Some(name) => Some(self.explaining(table, name, declared, mistakes)?),
        };
        Some(Explanation {
            event,
            operations: declared.operations.clone(),
            columns,
            when: declared.when.clone(),
        })
    }

    fn explaining(
        &self,
        table: &TableDeclaration,
        name: &Placed<String>,
        declared: &ExplanationDeclaration,
        mistakes: &mut Mistakes,
    ) -> Option<ExplainingEvent> {
        let events = || {
            let kind = |event: &&TableDeclaration| event.kind == TableKind::Events;
            let named = |event: &TableDeclaration| event.name.value.clone();
            self.tables.iter().copied().filter(kind).map(named)
        };
        let index = self
            .tables
            .iter()
            .position(|event| event.name.value == name.value && event.kind == TableKind::Events);
        let Some(index) = index else {
            if !self.nameless {
                let known: Vec<String> = events().collect();
                let remedy = suggest(&name.value, known.iter().map(String::as_str));
                let problem = format!("unknown event `{}`", shorten(&name.value));
                mistakes.at(self.file(table), name.place, problem, remedy);
            }
            return None;
        };
        let event = self.tables[index];
        if event.changed_at.is_none() {
            let problem = format!("`{}` does not say when it was published", name.value);
            let remedy = "declare its `changed_at`: an event explains changes of its own time";
            mistakes.at(self.file(table), name.place, problem, remedy);
        }
        let key = declared.key.iter().filter_map(|(column, other)| {
            let own = self.column(table, column, mistakes);
            let of_event = event
                .columns
                .iter()
                .position(|column| column.name.value == other.value);
            if of_event.is_none() && !event.columns.is_empty() {
                let known = event
                    .columns
                    .iter()
                    .map(|column| column.name.value.as_str());
                let remedy = suggest(&other.value, known);
                let problem = format!("`{}` has no column `{}`", name.value, shorten(&other.value));
                mistakes.at(self.file(table), other.place, problem, remedy);
            }
            own.zip(of_event)
        });
        let key: Vec<(usize, usize)> = key.collect();
        Some(ExplainingEvent {
            event: TableId(index as u16),
            key,
        })
    }
}
