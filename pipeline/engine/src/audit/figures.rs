//! The sums of a table's money columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type};
use centinel_catalog::{Catalog, Currency};
use centinel_model::Amount;
use centinel_outlet::AtRisk;
use centinel_rules::rule_column;

use super::input::Input;

/// A money column and where its currency is, as places among the columns that are read.
struct Summed {
    name: String,
    place: usize,
    currency: Told,
    sums: BTreeMap<String, Option<Amount>>,
}

enum Told {
    Always(String),
    At(usize),
}

/// By money column the sum over all rows, in major units by currency. Rows without an amount add nothing; amounts
/// without a currency are added up under `?`, never to another.
pub(crate) fn totals(
    catalog: &Arc<Catalog>,
    input: &Input,
    table: &str,
) -> Result<BTreeMap<String, AtRisk>, String> {
    let Some(id) = catalog.table_id(table) else {
        return Ok(BTreeMap::new());
    };
    let table = catalog.table(id);
    let money = || {
        let columns = table.columns.iter().enumerate();
        columns.filter_map(|(index, column)| Some((index, column.money.as_ref()?)))
    };
    let currency_of = |currency: &Currency| match currency {
        Currency::Fixed(_) => None,
        Currency::Column(name) => table.column_index(name),
    };
    let mut read: Vec<usize> = money()
        .flat_map(|(index, money)| [Some(index), currency_of(&money.currency)])
        .flatten()
        .collect();
    read.sort_unstable();
    read.dedup();
    let place = |column: usize| read.binary_search(&column).unwrap_or_default();
    let mut summed: Vec<Summed> = money()
        .map(|(index, money)| Summed {
            name: table.columns[index].name.clone(),
            place: place(index),
            currency: match (&money.currency, currency_of(&money.currency)) {
                (Currency::Fixed(code), _) => Told::Always(code.clone()),
                (_, Some(column)) => Told::At(place(column)),
                (Currency::Column(_), None) => Told::Always("?".into()),
            },
            sums: BTreeMap::new(),
        })
        .collect();
    if summed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let opened = input
        .open(catalog, id, &read)
        .map_err(|problems| problems.join("; "))?;
    for part in 0..opened.parts() {
        opened.read(part, &mut |rows| {
            for column in &mut summed {
                let declared = &table.columns[read[column.place]];
                let said = |error: arrow::error::ArrowError| error.to_string();
                let amounts = rule_column(declared, rows.column(column.place)).map_err(said)?;
                let DataType::Decimal128(_, scale) = *amounts.data_type() else {
                    return Err(format!("{} is no decimal", declared.name));
                };
                let scale = u8::try_from(scale).unwrap_or_default();
                let amounts = amounts.as_primitive::<Decimal128Type>();
                match &column.currency {
                    Told::Always(code) => {
                        let code = code.clone();
                        let mut units = amounts.iter().flatten();
                        let sum = units.try_fold(0i128, |sum, units| sum.checked_add(units));
                        column.add(&code, sum.map(|units| Amount { units, scale }));
                    }
                    Told::At(place) => {
                        let codes = cast(rows.column(*place), &DataType::Utf8).map_err(said)?;
                        let codes = codes.as_string::<i32>();
                        for (row, units) in amounts.iter().enumerate() {
                            let code = match codes.is_valid(row) {
                                true => codes.value(row),
                                false => "?",
                            };
                            if let Some(units) = units {
                                column.add(code, Some(Amount { units, scale }));
                            }
                        }
                    }
                }
            }
            Ok(())
        })?;
    }
    let sums = summed.into_iter();
    Ok(sums
        .map(|column| (column.name, AtRisk::new(column.sums)))
        .collect())
}

impl Summed {
    /// A sum beyond 38 digits stays unknown.
    fn add(&mut self, code: &str, amount: Option<Amount>) {
        let sum = match self.sums.get_mut(code) {
            Some(sum) => sum,
            None => self
                .sums
                .entry(code.to_owned())
                .or_insert(Some(Amount::default())),
        };
        *sum = sum
            .zip(amount)
            .and_then(|(sum, amount)| sum.checked_add(amount));
    }
}
