//! `flow`: what money a row stands for, and whose it is.

use super::declare::{StateDeclaration, TableDeclaration, refuse_for_events};
use super::form::{Fields, Form};
use super::mistakes::{Mistakes, shorten, suggest};
use super::resolve::{All, said};
use super::yaml::{Node, Place, Placed};
use crate::{ColumnType, Direction, Flow, TableKind};

/// The flow as its file has it.
#[derive(Debug)]
pub(super) struct FlowDeclaration {
    pub amount: Placed<String>,
    pub account: Option<Placed<String>>,
    pub merchant: Option<Placed<String>>,
    pub direction: Option<DirectionDeclaration>,
    pub states: Vec<String>,
}

#[derive(Debug)]
pub(super) struct DirectionDeclaration {
    pub column: Placed<String>,
    pub plus: Vec<String>,
    pub minus: Vec<String>,
}

/// Reads the field.
pub(super) fn flow(
    form: &mut Form,
    fields: &mut Fields,
    kind: TableKind,
    state: Option<&StateDeclaration>,
) -> Option<FlowDeclaration> {
    if kind == TableKind::Events {
        refuse_for_events(form, fields, "flow", "remove it: a message moves nothing");
        return None;
    }
    let node = fields.take("flow")?;
    let known = ["amount", "account", "merchant", "direction", "states"];
    let mut fields = form.fields("flow", node, &known)?;
    let amount = fields.require(form, "amount", "amount");
    let amount = amount.and_then(|node| form.text("amount of flow", node));
    let mut column = |form: &mut Form, name: &str| {
        let node = fields.take(name)?;
        form.text(&format!("{name} of flow"), node)
    };
    let (account, merchant) = (column(form, "account"), column(form, "merchant"));
    let direction = fields
        .take("direction")
        .and_then(|node| direction(form, node));
    let states = match (fields.key_place("states"), fields.take("states")) {
        (Some(place), Some(node)) => states(form, node, place, state),
        _ => Vec::new(),
    };
    Some(FlowDeclaration {
        amount: amount?,
        account,
        merchant,
        direction,
        states,
    })
}

fn direction(form: &mut Form, node: Placed<Node>) -> Option<DirectionDeclaration> {
    let known = ["column", "plus", "minus"];
    let mut fields = form.fields("direction of flow", node, &known)?;
    let column = fields.require(form, "column", "direction");
    let plus = fields.require(form, "plus", "[CREDIT]");
    let minus = fields.require(form, "minus", "[DEBIT]");
    let column = column.and_then(|node| form.text("column of direction", node));
    let plus = plus.and_then(|node| form.texts("plus of direction", node));
    let minus = minus.and_then(|node| form.texts("minus of direction", node));
    let (column, plus, minus) = (column?, plus?, minus?);
    for value in &minus {
        if plus.iter().any(|other| other.value == value.value) {
            let problem = format!("`{}` is both plus and minus", shorten(&value.value));
            form.refuse(value.place, problem, "keep it in one of them");
        }
    }
    let texts = |values: Vec<Placed<String>>| values.into_iter().map(|value| value.value).collect();
    Some(DirectionDeclaration {
        column,
        plus: texts(plus),
        minus: texts(minus),
    })
}

fn states(
    form: &mut Form,
    node: Placed<Node>,
    place: Place,
    state: Option<&StateDeclaration>,
) -> Vec<String> {
    let Some(state) = state else {
        form.refuse(
            place,
            "flow names states, and the table declares no `state`",
            "declare `state`, or remove `states`",
        );
        return Vec::new();
    };
    let known = || state.values.iter().map(|value| value.value.as_str());
    let named = form.texts("states of flow", node).unwrap_or_default();
    for value in &named {
        if known().all(|known| known != value.value) {
            form.refuse(
                value.place,
                format!(
                    "`{}` is not among the values of state",
                    shorten(&value.value)
                ),
                suggest(&value.value, known()),
            );
        }
    }
    named.into_iter().map(|value| value.value).collect()
}

impl All<'_> {
    /// The flow with its columns found.
    pub fn flow(&self, table: &TableDeclaration, mistakes: &mut Mistakes) -> Option<Flow> {
        let flow = table.flow.as_ref()?;
        let amount = self.column(table, &flow.amount, mistakes)?;
        if table.columns[amount].money.is_none() {
            let problem = format!("amount `{}` of flow is not money", flow.amount.value);
            let remedy = "name a column that declares `money`";
            mistakes.at(self.file(table), flow.amount.place, problem, remedy);
        }
        let mut named = |name: &Option<Placed<String>>| {
            let name = name.as_ref()?;
            let column = self.column(table, name, mistakes)?;
            let kind = table.columns[column].kind?;
            if !matches!(kind, ColumnType::Text | ColumnType::Integer) {
                let problem = format!(
                    "column `{}` of flow is {}",
                    name.value,
                    said(&table.columns[column])
                );
                let remedy = "name a text or integer column";
                mistakes.at(self.file(table), name.place, problem, remedy);
            }
            Some(column)
        };
        let (account, merchant) = (named(&flow.account), named(&flow.merchant));
        let direction = flow.direction.as_ref().and_then(|direction| {
            Some(Direction {
                column: named(&Some(Placed {
                    value: direction.column.value.clone(),
                    place: direction.column.place,
                }))?,
                plus: direction.plus.clone(),
                minus: direction.minus.clone(),
            })
        });
        Some(Flow {
            amount,
            account,
            merchant,
            direction,
            states: flow.states.clone(),
        })
    }
}
