//! The shapes under which the state's documents were written: a catalog of another shape takes the state over,
//! where its rows can be read so; documents are read as of now when they are asked for.

use std::sync::Arc;

use centinel_catalog::{Catalog, ColumnType, Conversion, Shape, TableKind};
use centinel_model::TableId;
use centinel_state::{Record, Store, completes, convert_document, shape_of};

use super::detector::read_fact;
use super::numbers::Renumbered;
use crate::EngineError;

/// The name of the fact that holds every [`Shape`] of the state in JSON, in order of number.
const SHAPES_FACT: &str = "shapes";
/// In states of forms 1 and 2: the fingerprint of their only shape.
const FINGERPRINT_FACT: &str = "schemas";
/// How often the schemas of one state may change their shape.
const MOST_SHAPES: usize = 1_000;

/// The shapes of a state; the last one is the catalog's.
#[derive(Clone)]
pub(super) struct Shapes {
    known: Vec<Shape>,
    /// Whether the store does not have the last one yet.
    unsaved: bool,
    /// By the shape's number: how its documents are read now.
    conversions: Vec<Conversion>,
    /// By table: its columns.
    columns: Vec<Vec<ColumnType>>,
    /// By table and column: whether rows may be in state that were written before the column came.
    came: Vec<Vec<bool>>,
    /// Tables that the catalog has and the state did not have until now, of sources that it had.
    pub joined: Vec<TableId>,
    /// Whether tables are gone that the state had until now.
    pub lost_tables: bool,
}

impl Shapes {
    /// Lets the catalog take over the state, which keeps rows by the entities `kept`. What is to be remembered of
    /// it must be committed with the first document that is written.
    pub fn take_up(
        store: &dyn Store,
        catalog: &Catalog,
        kept: &[String],
    ) -> Result<Shapes, EngineError> {
        let shape = catalog.shape();
        let (mut known, mut unsaved) = known_shapes(store, catalog, &shape)?;
        let (mut joined, mut lost_tables) = (Vec::new(), false);
        if known.last() != Some(&shape) {
            refuse(&shape, &known, kept)?;
            if let Some(before) = known.last() {
                let is_late = |table: &TableId| {
                    let table = catalog.table(*table);
                    let source = catalog.source(table.source);
                    // Of a history nothing is missing that a rule could miss: it begins when it is guarded.
                    let is_history = matches!(table.kind, TableKind::History(_));
                    !is_history
                        && before.table(&table.name).is_none()
                        && before.sources.iter().any(|known| known == source)
                };
                joined = catalog.table_ids().filter(is_late).collect();
                lost_tables = before
                    .tables
                    .iter()
                    .any(|table| shape.table(&table.name).is_none());
            }
            known.push(shape);
            unsaved = true;
        }
        let conversions = conversions(&known);
        let columns = catalog
            .tables
            .iter()
            .map(|table| table.columns.iter().map(|column| column.kind));
        Ok(Shapes {
            came: came(catalog, &conversions),
            columns: columns.map(Iterator::collect).collect(),
            known,
            unsaved,
            conversions,
            joined,
            lost_tables,
        })
    }

    /// The name of a fact and its value, for the first commit.
    pub fn unsaved(&mut self) -> Result<Option<(String, Vec<u8>)>, EngineError> {
        if !std::mem::take(&mut self.unsaved) {
            return Ok(None);
        }
        let value = serde_json::to_vec(&self.known);
        let value = value.map_err(|error| EngineError::Damaged(error.to_string()))?;
        Ok(Some((SHAPES_FACT.into(), value)))
    }

    /// The shape of the last commit, while the catalog has not taken over by a commit of its own.
    pub fn replaced(&self) -> Option<&Shape> {
        let before = self.known.len().checked_sub(2).filter(|_| self.unsaved)?;
        self.known.get(before)
    }

    /// The number of the catalog's shape.
    pub fn number(&self) -> u32 {
        self.known.len() as u32 - 1
    }

    /// The store, under the catalog's numbers.
    pub fn numbered(&self, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, EngineError> {
        Renumbered::over(store, &self.known)
    }

    /// How what was written under the shape of this number is read now; none when as it stands.
    pub fn conversion(&self, shape: u32) -> Result<Option<&Conversion>, EngineError> {
        let conversion = self
            .conversions
            .get(shape as usize)
            .ok_or_else(|| EngineError::Damaged(format!("it has no shape of number {shape}")))?;
        Ok(Some(conversion).filter(|conversion| !conversion.is_identity()))
    }

    /// A stored document as of now.
    pub fn as_of_now<B: AsRef<[u8]> + From<Vec<u8>>>(&self, document: B) -> Result<B, EngineError> {
        let shape = shape_of(document.as_ref())?;
        if shape == self.number() {
            return Ok(document);
        }
        Ok(match self.conversion(shape)? {
            None => document,
            Some(conversion) => {
                convert_document(document.as_ref(), conversion, self.number())?.into()
            }
        })
    }

    /// Whether a record that arrived says of a known version what was known, and fills in columns that came since.
    pub fn completes(&self, known: &Record<'_>, arrived: &Record<'_>) -> bool {
        let table = usize::from(known.table.0);
        let (columns, came) = (&self.columns[table], &self.came[table]);
        // What cannot be read is told as a contradiction.
        completes(columns, came, known.image, arrived.image).unwrap_or(false)
    }
}

/// The shapes that the store knows, and whether it does not have them in the fact yet.
fn known_shapes(
    store: &dyn Store,
    catalog: &Catalog,
    shape: &Shape,
) -> Result<(Vec<Shape>, bool), EngineError> {
    if let Some(known) = read_fact::<Vec<Shape>>(store, SHAPES_FACT)? {
        return Ok((known, false));
    }
    match store.fact(FINGERPRINT_FACT)? {
        Some(print) if print != catalog.fingerprint().as_bytes() => Err(EngineError::Unsupported(
            "this state is of an earlier form and was written under other schemas: start once with those, then these can \
             take over; or use another state folder and read the sources again"
                .into(),
        )),
        Some(_) => Ok((vec![shape.clone()], true)),
        None => Ok((Vec::new(), true)),
    }
}

fn refuse(shape: &Shape, known: &[Shape], kept: &[String]) -> Result<(), EngineError> {
    let mut why = known
        .last()
        .map_or(Vec::new(), |before| shape.refuses(before, kept));
    if known.len() >= MOST_SHAPES {
        why.push(format!("its schemas have changed {MOST_SHAPES} times"));
    }
    // Documents of links are kept by the number of the table that they lead through.
    for earlier in known.iter().rev().skip(1) {
        for gone in earlier.refuses_without(shape, kept) {
            if !why.contains(&gone) {
                why.push(gone);
            }
        }
    }
    match why.is_empty() {
        true => Ok(()),
        false => Err(EngineError::Unsupported(format!(
            "these schemas cannot take over the state: {}; restore the schemas, or use another state folder and read \
             the sources again",
            why.join("; ")
        ))),
    }
}

/// By number: each shape, through all after it, to the last.
fn conversions(known: &[Shape]) -> Vec<Conversion> {
    let mut conversions: Vec<Conversion> = Vec::with_capacity(known.len());
    for (place, shape) in known.iter().enumerate().rev() {
        let next = known.get(place + 1).unwrap_or(shape);
        let one = Conversion::between(shape, next);
        conversions.push(match conversions.last() {
            Some(rest) => one.then(rest),
            None => one,
        });
    }
    conversions.reverse();
    conversions
}

fn came(catalog: &Catalog, conversions: &[Conversion]) -> Vec<Vec<bool>> {
    let tables = catalog.tables.iter();
    let mut came: Vec<Vec<bool>> = tables
        .map(|table| vec![false; table.columns.len()])
        .collect();
    for table in conversions
        .iter()
        .flat_map(|conversion| conversion.tables.iter().flatten())
    {
        for (column, place) in table.columns.iter().enumerate() {
            came[usize::from(table.to.0)][column] |= place.is_none();
        }
    }
    came
}
