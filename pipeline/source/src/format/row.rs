//! What all formats of row changes do alike.

use centinel_model::HoleReason;

use super::Tables;
use super::output::{Output, Refused};
use crate::chunk::Known;
use crate::hole::{self, KeyValues};
use crate::json::Value;
use crate::physical::Physical;
use crate::rows::{ImageBuffer, Layout};
use crate::shape::{Lost, Why};
use crate::value::{Refusal, type_name};

impl Tables {
    /// Loses the columns that an image lacks; refuses it without those that place its row. Of a tool that leaves out
    /// what is null, `nulls_stand` is false: a column that may be null is then only noted.
    pub(super) fn check_whole(
        &mut self,
        index: usize,
        layout: &Layout,
        image: &ImageBuffer,
        nulls_stand: bool,
    ) -> Result<(), Refusal> {
        for (position, column) in layout.columns.iter().enumerate() {
            if image.has(position) || layout.shard == Some(position) {
                continue;
            }
            if column.nullable && !nulls_stand {
                self.notes.missing_column(index, layout, &column.name);
                continue;
            }
            if layout.places[position] {
                let message = format!(
                    "`{}` ({}) is missing in a row of `{}`: its table has another shape than its schema says; mend \
                     the schema, or capture whole rows",
                    column.name,
                    type_name(column.kind),
                    layout.name
                );
                return Err(Refusal::new(HoleReason::Drift, message));
            }
            self.lost.add(position, Why::Missing);
        }
        Ok(())
    }
}

/// Loses a column whose value is of another kind than it can take: then it is another column, not another value.
/// Without those that place its row nothing can be done, so they are read, and refused.
pub(super) fn lose_other_kind(
    lost: &mut Lost,
    column: usize,
    value: Value<'_>,
    layout: &Layout,
) -> bool {
    if layout.places[column] {
        return false;
    }
    let what = match value {
        Value::Boolean(_) => "comes as true or false",
        Value::Number(_) => "comes as a number",
        Value::Text(_) => "comes as text",
        Value::Nested(_) => "comes as an object or a list",
        Value::Null => return false,
    };
    lost.add(column, Why::OtherType(what.into()));
    true
}

/// What a statement about a table that is read did to its rows.
pub(super) fn emptied(
    physical: &Physical,
    output: &Output<'_, '_, '_>,
    statement: &str,
) -> Refused {
    let layout = output.layout(physical.layout);
    let message = format!(
        "{statement} took rows of `{}` away without telling which; compare its table with an audit",
        layout.name
    );
    let known = Known {
        layout: Some(physical.layout),
        ..Known::default()
    };
    Refused {
        refusal: Refusal::new(HoleReason::Unobservable, message),
        known: Box::new(known),
    }
}

/// Says of a value that does not fit which table it is of, and what to do.
pub(super) fn of_table(refusal: Refusal, layout: &Layout) -> Refusal {
    match refusal.reason {
        HoleReason::WrongType | HoleReason::MissingColumn => {
            let message = format!(
                "{}, in a row of `{}`; if the platform changed its table, mend the schema",
                refusal.message, layout.name
            );
            Refusal::new(refusal.reason, message)
        }
        _ => refusal,
    }
}

/// A refused row, with the entities of its images: for each image the objects that make it up.
pub(super) fn refused(
    refusal: Refusal,
    index: usize,
    layout: &Layout,
    images: &[Vec<&str>],
) -> Refused {
    let mut known = Known {
        layout: Some(index),
        ..Known::default()
    };
    if !hole::torn(refusal.reason) {
        let images: Vec<KeyValues> = images
            .iter()
            .map(|objects| KeyValues::read(objects, layout))
            .collect();
        known.entities = hole::entities(&images, layout);
    }
    Refused {
        refusal,
        known: Box::new(known),
    }
}
