//! What rows lack of their schemas, and the shapes of tables that were seen in one chunk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use centinel_model::{ColumnDrift, LostColumns, Position, TableShape, Timestamp};

use crate::rows::Layout;

/// More shapes than this are not told of one chunk: a column that was lost stays lost for the rest of it.
const MAX_SHAPES: usize = 1_000;

/// Why a row comes without a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is none of this name.
    Missing,
    /// It cannot take the values, with what these are.
    OtherType(Cow<'static, str>),
}

impl Why {
    /// What is wrong, in a sentence.
    pub(crate) fn sentence(&self, layout: &Layout, column: usize) -> String {
        let (table, column) = (&layout.name, &layout.columns[column]);
        match self {
            Why::Missing => format!("`{table}` has no column `{}`", column.name),
            Why::OtherType(what) => format!(
                "column `{}` of `{table}`, {} in its schema, {what}",
                column.name, column.kind
            ),
        }
    }
}

/// The columns that rows come without, rising; none where they are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost(Vec<(usize, Why)>);

impl Lost {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, column: usize) -> bool {
        self.0.iter().any(|(lost, _)| *lost == column)
    }

    /// Adds a column; what was said of it first stays.
    pub(crate) fn add(&mut self, column: usize, why: Why) {
        if let Err(place) = self.0.binary_search_by_key(&column, |(lost, _)| *lost) {
            self.0.insert(place, (column, why));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Why)> {
        self.0.iter().map(|(column, why)| (*column, why))
    }

    pub(crate) fn columns(&self) -> LostColumns {
        self.0.iter().map(|(column, _)| *column).collect()
    }

    fn are(&self, drifts: &[ColumnDrift]) -> bool {
        let columns = self.0.iter().map(|(column, _)| column);
        columns.eq(drifts.iter().map(|drift| &drift.column))
    }
}

/// The shapes of physical tables, each as often as it is another than before.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    list: Vec<TableShape>,
    /// By table and physical table: the last of them in the list.
    last: HashMap<(usize, Arc<str>), usize>,
    /// The one that was seen last.
    at: Option<usize>,
}

impl Shapes {
    /// A row of this physical table was committed at `since` and comes without these columns; `place` says in which
    /// input and where.
    pub(crate) fn see(
        &mut self,
        layout: &Layout,
        physical: &Arc<str>,
        since: Timestamp,
        lost: &Lost,
        place: impl FnOnce() -> (String, Position),
    ) {
        let same = |shape: &TableShape| {
            shape.table == layout.table && Arc::ptr_eq(&shape.physical, physical)
        };
        let at = self.at.filter(|at| same(&self.list[*at]));
        let key = || (usize::from(layout.table.0), Arc::clone(physical));
        let known = at.or_else(|| self.last.get(&key()).copied());
        self.at = known;
        if let Some(known) = known
            && lost.are(&self.list[known].drifts)
        {
            return;
        }
        let drifts = lost.iter().map(|(column, why)| ColumnDrift {
            column,
            what: why.sentence(layout, column),
            remedy: "give the platform's table its earlier form, take the column out of the rules, or correct the schema; a state does \
                 not take over another type of a column, and needs a new folder for it"
                .into(),
        });
        if let Some(known) = known
            && self.list.len() >= MAX_SHAPES
        {
            let all = &mut self.list[known].drifts;
            all.extend(drifts);
            all.sort_by_key(|drift| drift.column);
            all.dedup_by_key(|drift| drift.column);
            return;
        }
        let (input, position) = place();
        self.list.push(TableShape {
            table: layout.table,
            physical: Arc::clone(physical),
            input,
            position,
            since,
            drifts: drifts.collect(),
        });
        let newest = self.list.len() - 1;
        self.last.insert(key(), newest);
        self.at = Some(newest);
    }

    pub(crate) fn finish(self) -> Vec<TableShape> {
        self.list
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A table that seems to change with each row is not told without end, and a lost column stays lost.
    #[test]
    fn shapes_have_a_limit() {
        let schemas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let catalog = centinel_catalog::load(&schemas).unwrap();
        let layout = Layout::new(&catalog, catalog.table_id("payment").unwrap());
        let place = || {
            let known = None;
            ("topic/0".to_owned(), Position::Partition { next: 1, known })
        };
        let physical: Arc<str> = "shop.payment".into();
        let mut lost = Lost::default();
        lost.add(5, Why::Missing);
        let mut shapes = Shapes::default();
        for row in 0..3 * MAX_SHAPES as i64 {
            let lost = if row % 2 == 0 {
                &Lost::default()
            } else {
                &lost
            };
            shapes.see(&layout, &physical, Timestamp(row), lost, place);
        }
        shapes.see(&layout, &physical, Timestamp(0), &Lost::default(), place);
        let told = shapes.finish();
        assert_eq!(told.len(), MAX_SHAPES);
        assert_eq!(told[MAX_SHAPES - 1].drifts.len(), 1);
    }
}
