//! Whose money a plan changes, by what schemas declare as `flow`.

use std::collections::BTreeMap;

use centinel_catalog::{Catalog, Currency, Flow, MoneyUnit, Table, mask};
use centinel_model::Amount;

use super::report::{Money, MoneyTotal, Moved};
use super::rows::{Effects, Row};
use super::value::Value;

/// Table, money column, account, merchant, currency.
type Whose = (String, String, Option<String>, Option<String>, String);

/// Sums of changed rows, before and after; none beyond 38 digits.
#[derive(Clone, Copy)]
struct Sums([Option<Amount>; 2]);

/// Adds up what changes. Remarks go to `notes`.
pub(super) fn money(catalog: &Catalog, effects: &Effects, notes: &mut Vec<String>) -> Money {
    let mut sums: BTreeMap<Whose, Sums> = BTreeMap::new();
    let mut strange: BTreeMap<String, u64> = BTreeMap::new();
    for effect in &effects.rows {
        let table = catalog.table(effect.change.table);
        for flow in flows(table) {
            for (is_after, row) in [&effect.before, &effect.after].into_iter().enumerate() {
                let Some(row) = row else { continue };
                let Some(amount) = counted(table, &flow, row) else {
                    *strange.entry(table.name.clone()).or_default() += 1;
                    continue;
                };
                let whose = whose(table, &flow, row);
                let sums = sums
                    .entry(whose)
                    .or_insert(Sums([Some(Amount::default()); 2]));
                let sum = &mut sums.0[is_after];
                *sum = sum.and_then(|sum| sum.checked_add(amount));
            }
        }
    }
    for (table, rows) in strange {
        notes.push(format!(
            "{table}: the direction of {rows} row versions is neither plus nor minus; their money is not in the sums"
        ));
    }
    let mut totals: BTreeMap<(String, String, String), Sums> = BTreeMap::new();
    let mut money = Money::default();
    for ((table, column, account, merchant, currency), own) in sums {
        let total = totals
            .entry((table.clone(), column.clone(), currency.clone()))
            .or_insert(Sums([Some(Amount::default()); 2]));
        for side in 0..2 {
            total.0[side] = total.0[side]
                .zip(own.0[side])
                .and_then(|(sum, more)| sum.checked_add(more));
        }
        let moved = own.0[1].zip(own.0[0]).and_then(|(after, before)| {
            after.checked_add(Amount {
                units: before.units.checked_neg()?,
                scale: before.scale,
            })
        });
        if moved.is_none_or(|moved| moved.units != 0) {
            let hidden = |name: Option<String>, column: fn(&Flow) -> Option<usize>| {
                let name = name?;
                let declared = catalog.table(catalog.table_id(&table)?);
                let sensitive = declared
                    .flow
                    .as_ref()
                    .and_then(column)
                    .is_some_and(|column| declared.columns[column].sensitive);
                Some(if sensitive { mask(&name) } else { name })
            };
            let account = hidden(account, |flow| flow.account);
            let merchant = hidden(merchant, |flow| flow.merchant);
            money.moved.push(Moved {
                table,
                column,
                account,
                merchant,
                currency,
                amount: shown(moved),
            });
        }
    }
    money.totals = totals
        .into_iter()
        .map(
            |((table, column, currency), Sums([before, after]))| MoneyTotal {
                table,
                column,
                currency,
                before: shown(before),
                after: shown(after),
                conserved: before.is_some() && before == after,
            },
        )
        .collect();
    money
}

fn shown(amount: Option<Amount>) -> String {
    match amount {
        Some(amount) => amount.to_string(),
        None => "more than 38 digits".into(),
    }
}

/// The declared flow; without one, every money column by itself.
fn flows(table: &Table) -> Vec<Flow> {
    if let Some(flow) = &table.flow {
        return vec![flow.clone()];
    }
    let money = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.money.is_some());
    money
        .map(|(amount, _)| Flow {
            amount,
            account: None,
            merchant: None,
            direction: None,
            states: Vec::new(),
        })
        .collect()
}

/// What a row counts in major units; none where its direction is not known.
fn counted(table: &Table, flow: &Flow, row: &Row) -> Option<Amount> {
    let state = table
        .state
        .as_ref()
        .and_then(|state| row[state.column].text());
    let counts = flow.states.is_empty()
        || state.is_some_and(|state| flow.states.iter().any(|known| known == state));
    let Some(amount) = row[flow.amount].number().filter(|_| counts) else {
        return Some(Amount::default());
    };
    let money = table.columns[flow.amount].money.as_ref();
    let minor = money
        .filter(|money| money.unit == MoneyUnit::Minor)
        .map_or(0, |money| money.minor_digits);
    let amount = Amount {
        units: amount.units,
        scale: amount.scale + minor,
    };
    let Some(direction) = &flow.direction else {
        return Some(amount);
    };
    let value = row[direction.column].to_string();
    if direction.plus.contains(&value) {
        return Some(amount);
    }
    direction.minus.contains(&value).then_some(Amount {
        units: -amount.units,
        scale: amount.scale,
    })
}

fn whose(table: &Table, flow: &Flow, row: &Row) -> Whose {
    let named = |column: Option<usize>| match &row[column?] {
        Value::Null => None,
        value => Some(value.to_string()),
    };
    let column = &table.columns[flow.amount];
    let currency = match column.money.as_ref().map(|money| &money.currency) {
        Some(Currency::Fixed(code)) => code.clone(),
        Some(Currency::Column(name)) => table
            .column_index(name)
            .and_then(|column| row[column].text())
            .unwrap_or("unknown")
            .to_owned(),
        None => "unknown".into(),
    };
    (
        table.name.clone(),
        column.name.clone(),
        named(flow.account),
        named(flow.merchant),
        currency,
    )
}
