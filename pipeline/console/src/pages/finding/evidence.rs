//! The rows that show a finding, with the columns marked in which they differ.

use std::collections::{BTreeMap, BTreeSet};

use centinel_model::{Amount, Finding};
use maud::{Markup, html};

use crate::language::text;
use crate::mask::is_of_money;
use crate::visit::Person;

type EvidenceRow = BTreeMap<String, Option<String>>;

/// Why a column is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Differs {
    /// Its rows have different values.
    InItself,
    /// It is an amount, and not the same as the other amounts of its row.
    FromOthers,
}

/// Columns that differ: where there are several rows those whose values are not all the same, in a single row amounts
/// that are not all the same.
fn differing(rows: &[EvidenceRow]) -> BTreeMap<&str, Differs> {
    let columns: BTreeSet<&str> = rows
        .iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect();
    let value = |row: &EvidenceRow, column: &str| row.get(column).cloned().flatten();
    match rows {
        [] => BTreeMap::new(),
        [row] => {
            let amount = |column: &&str| {
                let text = row.get(*column).cloned().flatten()?;
                is_of_money(column)
                    .then(|| Amount::exact(&text).ok())
                    .flatten()
            };
            let amounts: Vec<(&str, Amount)> = columns
                .iter()
                .filter_map(|column| Some((*column, amount(column)?)))
                .collect();
            let same = amounts
                .windows(2)
                .all(|pair| pair[0].1.partial_cmp(&pair[1].1) == Some(std::cmp::Ordering::Equal));
            match same {
                true => BTreeMap::new(),
                false => amounts
                    .into_iter()
                    .map(|(column, _)| (column, Differs::FromOthers))
                    .collect(),
            }
        }
        [first, others @ ..] => columns
            .into_iter()
            .filter(|column| {
                others
                    .iter()
                    .any(|row| value(row, column) != value(first, column))
            })
            .map(|column| (column, Differs::InItself))
            .collect(),
    }
}

pub fn table(person: &Person, finding: &Finding, before: Option<&Finding>) -> Markup {
    let rows = &finding.evidence.rows;
    let columns: BTreeSet<&str> = rows
        .iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect();
    let marked = differing(rows);
    // Told before, of as many rows: what changed since.
    let before = before
        .map(|before| &before.evidence.rows)
        .filter(|before| before.len() == rows.len());
    let was = |at: usize, column: &str| -> Option<Option<&str>> {
        let was = before?.get(at)?.get(column)?.as_deref();
        let is = rows[at].get(column).and_then(Option::as_deref);
        (was != is).then_some(was)
    };
    let differs = person.say(text("differs", "不一致"));
    html! {
        @if rows.is_empty() { p.empty { (person.say(text("No rows were told.", "没有证据记录。"))) } }
        @else {
            div.scroll role="region" tabindex="0" aria-label=(person.say(text("Evidence", "证据"))) {
                table.evidence {
                    caption {
                        (person.say(text("Rows that show it", "证据记录"))) ": " (rows.len())
                        @if finding.evidence.total > rows.len() as u64 { " " (person.say(text("of", "/ 共"))) " " (finding.evidence.total) }
                        @if !marked.is_empty() { ". " span.differs { "≠" } " " (person.say(text("marks columns that differ.", "标记不一致的列。"))) }
                    }
                    thead { tr {
                        @for column in &columns {
                            th scope="col" .differs[marked.contains_key(column)] {
                                (column)
                                @if marked.contains_key(column) { " " span aria-label=(differs) role="img" { "≠" } }
                            }
                        }
                    } }
                    tbody {
                        @for (at, row) in rows.iter().enumerate() {
                            tr {
                                @for column in &columns {
                                    td .differs[marked.contains_key(column)] .number[is_of_money(column)] {
                                        (cell(person, column, row.get(*column).and_then(Option::as_deref)))
                                        @if let Some(was) = was(at, column) {
                                            div.was { (person.say(text("before", "此前"))) ": " del { (cell(person, column, was)) } }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(person: &Person, column: &str, value: Option<&str>) -> Markup {
    html! {
        @match value {
            Some(value) => (person.masked_column(column, value)),
            None => span.hint { "null" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(&str, &str)]) -> EvidenceRow {
        let pair =
            |(column, value): &(&str, &str)| ((*column).to_owned(), Some((*value).to_owned()));
        values.iter().map(pair).collect()
    }

    #[test]
    fn columns_are_marked_by_what_differs_in_them() {
        let one = [row(&[
            ("order_no", "7"),
            ("paid_amount", "10.00"),
            ("settled_amount", "9.5"),
            ("status", "PAID"),
        ])];
        let marked: Vec<_> = differing(&one).into_iter().collect();
        assert_eq!(
            marked,
            [
                ("paid_amount", Differs::FromOthers),
                ("settled_amount", Differs::FromOthers)
            ]
        );
        assert!(
            differing(&[row(&[("paid_amount", "10.00"), ("settled_amount", "10")])]).is_empty()
        );
        let two = [
            row(&[("order_no", "7"), ("entry", "a")]),
            row(&[("order_no", "7"), ("entry", "b"), ("more", "x")]),
        ];
        let marked: Vec<_> = differing(&two).into_keys().collect();
        assert_eq!(marked, ["entry", "more"]);
        assert!(differing(&[]).is_empty());
    }
}
