//! One slice put together: its rows in the form that rules are asked over, and its entities numbered.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Decimal128Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use centinel_catalog::Catalog;
use centinel_rules::{EntityNames, Slice, rule_column};

use super::concat::concat_plain;
use super::key::ByHash;
use super::plan::{EntityPlan, Held};
use super::store::{OpenFiles, Store};

/// A slice, and what is known of its entities beyond what rules see.
pub(crate) struct Gathered {
    pub slice: Slice,
    /// By place of the table among what is held: the entity of each row.
    pub ids: Vec<Vec<u32>>,
    /// By place: the times of rows' changes, in parts; empty where the table has none.
    changed: Vec<Vec<ArrayRef>>,
    /// By place, once asked for: the newest change of each entity.
    newest: Vec<Option<Vec<Newest>>>,
}

/// The newest change among some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Microseconds since 1970; the least number where there is no row.
    pub micros: i64,
    /// Whether a row does not tell.
    pub unknown: bool,
}

impl Newest {
    pub const NONE: Newest = Newest {
        micros: i64::MIN,
        unknown: false,
    };

    pub fn and(self, other: Newest) -> Newest {
        Newest {
            micros: self.micros.max(other.micros),
            unknown: self.unknown || other.unknown,
        }
    }
}

/// Keys of entities, where they first stand.
struct Names {
    texts: Vec<StringArray>,
    /// By dense id: which text array and row.
    places: Vec<(u32, u32)>,
}

impl EntityNames for Names {
    fn name(&self, id: u32) -> &str {
        let (texts, row) = self.places[id as usize];
        self.texts[texts as usize].value(row as usize)
    }
}

/// Names of some of the entities of another slice.
struct SomeNames {
    all: Arc<dyn EntityNames>,
    kept: Vec<u32>,
}

impl EntityNames for SomeNames {
    fn name(&self, id: u32) -> &str {
        self.all.name(self.kept[id as usize])
    }
}

/// Numbers entities as they appear.
struct Numbering {
    ids: ByHash<u32>,
    names: Names,
}

impl Numbering {
    fn number(&mut self, parts: &[RecordBatch], held: &Held) -> Result<Vec<u32>, String> {
        let mut numbered = Vec::with_capacity(parts.iter().map(RecordBatch::num_rows).sum());
        for part in parts {
            let hashes = part
                .column(part.num_columns() - 1)
                .as_primitive::<Decimal128Type>();
            let named = held
                .has_text()
                .then(|| part.column(held.columns.len()).as_string::<i32>());
            let texts = self.names.texts.len() as u32;
            for (row, hash) in hashes.values().iter().enumerate() {
                let next = self.names.places.len() as u32;
                let id = *self.ids.entry(*hash as u128).or_insert(next);
                if id == next {
                    if named.is_none() {
                        return Err("a link leads to an entity that no row names".into());
                    }
                    self.names.places.push((texts, row as u32));
                }
                numbered.push(id);
            }
            self.names.texts.extend(named.cloned());
        }
        Ok(numbered)
    }
}

impl Gathered {
    /// Puts a slice together. `first_place` is the plan's first place in the store.
    pub fn of(
        catalog: &Catalog,
        plan: &EntityPlan,
        store: &Store,
        first_place: usize,
        number: u32,
        files: &mut OpenFiles,
    ) -> Result<Gathered, String> {
        let mut parts = Vec::with_capacity(plan.held.len());
        for place in 0..plan.held.len() {
            parts.push(store.slice(first_place + place, number, files)?);
        }
        let rows: usize = parts.iter().flatten().map(RecordBatch::num_rows).sum();
        let names = Names {
            texts: Vec::new(),
            places: Vec::new(),
        };
        let ids = ByHash::with_capacity_and_hasher(rows / 2, Default::default());
        let mut numbering = Numbering { ids, names };
        let mut ids = vec![Vec::new(); plan.held.len()];
        // Tables that hold the key come first: they name the entities.
        for direct in [true, false] {
            for (place, held) in plan.held.iter().enumerate() {
                if held.has_text() == direct {
                    ids[place] = numbering.number(&parts[place], held)?;
                }
            }
        }
        let mut tables = Vec::with_capacity(plan.layout.tables.len());
        for (place, held) in plan.held.iter().enumerate().take(plan.layout.tables.len()) {
            let batch = match ids[place].is_empty() {
                true => None,
                false => Some(
                    batch_of(catalog, plan, place, held, &parts[place], &ids[place])
                        .map_err(|error| error.to_string())?,
                ),
            };
            tables.push(batch);
        }
        let changed = plan
            .held
            .iter()
            .zip(&parts)
            .map(|(held, parts)| match held.changed_at {
                Some(at) => parts
                    .iter()
                    .map(|part| Arc::clone(part.column(at)))
                    .collect(),
                None => Vec::new(),
            });
        Ok(Gathered {
            slice: Slice {
                entity_count: numbering.names.places.len() as u32,
                tables,
                keys: Arc::new(numbering.names),
            },
            ids,
            changed: changed.collect(),
            newest: vec![None; plan.held.len()],
        })
    }

    /// How many rows are held at a place.
    pub fn rows(&self, place: usize) -> u64 {
        self.ids[place].len() as u64
    }

    /// The newest change of an entity in the table at a place.
    pub fn newest(&mut self, place: usize, id: u32) -> Newest {
        let newest = self.newest[place].get_or_insert_with(|| {
            newest_by_entity(
                &self.ids[place],
                &self.changed[place],
                self.slice.entity_count,
            )
        });
        newest[id as usize]
    }

    /// The entities with a row at this place that does not tell when it changed, by rising id.
    pub fn timeless(&mut self, place: usize) -> Vec<u32> {
        if self.changed[place]
            .iter()
            .all(|times| times.null_count() == 0)
        {
            return Vec::new();
        }
        (0..self.slice.entity_count)
            .filter(|id| self.newest(place, *id).unknown)
            .collect()
    }

    /// The entities with more rows than that.
    pub fn larger_than(&self, most_rows: u64) -> Vec<u32> {
        let all: u64 = self.ids.iter().map(|ids| ids.len() as u64).sum();
        if all <= most_rows {
            return Vec::new();
        }
        let mut rows = vec![0u64; self.slice.entity_count as usize];
        for id in self.ids.iter().flatten() {
            rows[*id as usize] += 1;
        }
        (0..self.slice.entity_count)
            .filter(|id| rows[*id as usize] > most_rows)
            .collect()
    }

    /// The slice of some entities only, by rising id.
    pub fn only(&self, kept: &[u32]) -> Result<Slice, ArrowError> {
        const GONE: u32 = u32::MAX;
        let mut renumbered = vec![GONE; self.slice.entity_count as usize];
        for (new, old) in kept.iter().enumerate() {
            renumbered[*old as usize] = new as u32;
        }
        let mut tables = Vec::with_capacity(self.slice.tables.len());
        for (batch, ids) in self.slice.tables.iter().zip(&self.ids) {
            let stays = |(_, id): &(usize, &u32)| renumbered[**id as usize] != GONE;
            let rows: UInt32Array = ids
                .iter()
                .enumerate()
                .filter(stays)
                .map(|(row, _)| row as u32)
                .collect::<Vec<_>>()
                .into();
            let batch = match batch {
                Some(batch) if !rows.is_empty() => {
                    Some(renumber(&take_record_batch(batch, &rows)?, &renumbered)?)
                }
                _ => None,
            };
            tables.push(batch);
        }
        let keys = SomeNames {
            all: Arc::clone(&self.slice.keys),
            kept: kept.to_vec(),
        };
        Ok(Slice {
            entity_count: kept.len() as u32,
            tables,
            keys: Arc::new(keys),
        })
    }
}

/// Dense ids are the only columns of their type.
fn renumber(batch: &RecordBatch, renumbered: &[u32]) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| -> ArrayRef {
        match column.as_primitive_opt::<arrow::datatypes::UInt32Type>() {
            Some(ids) => Arc::new(UInt32Array::from_iter_values(
                ids.values().iter().map(|id| renumbered[*id as usize]),
            )),
            None => Arc::clone(column),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options)
}

fn batch_of(
    catalog: &Catalog,
    plan: &EntityPlan,
    place: usize,
    held: &Held,
    parts: &[RecordBatch],
    ids: &[u32],
) -> Result<RecordBatch, ArrowError> {
    let layout = &plan.layout.tables[place];
    let table = catalog.table(held.table);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(layout.columns.len());
    for (position, column) in layout.columns.iter().enumerate() {
        if layout.key == Some(position) {
            columns.push(Arc::new(UInt32Array::from(ids.to_vec())));
            continue;
        }
        let at = held.columns.iter().position(|known| known == column);
        let at = at.expect("what is held of a table are the columns of its layout");
        let values: Vec<&dyn Array> = parts.iter().map(|part| part.column(at).as_ref()).collect();
        let declared = &table.columns[*column];
        let values = rule_column(declared, &concat_plain(&values)?)?;
        columns.push(if declared.nullable {
            values
        } else {
            without_nulls(values)
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
    RecordBatch::try_new_with_options(Arc::clone(&layout.schema), columns, &options)
}

/// Only the time of a row's change can be null against the schema; no rule is asked of such an entity that
/// reads the table, so any time will do.
fn without_nulls(values: ArrayRef) -> ArrayRef {
    match values.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) if times.null_count() > 0 => {
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                times.iter().map(Option::unwrap_or_default),
            ))
        }
        _ => values,
    }
}

fn newest_by_entity(ids: &[u32], changed: &[ArrayRef], entities: u32) -> Vec<Newest> {
    let mut newest = vec![Newest::NONE; entities as usize];
    let mut ids = ids.iter();
    for part in changed {
        let Some(times) = part.as_primitive_opt::<TimestampMicrosecondType>() else {
            continue;
        };
        for (time, id) in times.iter().zip(&mut ids) {
            let known = &mut newest[*id as usize];
            match time {
                Some(time) => known.micros = known.micros.max(time),
                None => known.unknown = true,
            }
        }
    }
    newest
}
