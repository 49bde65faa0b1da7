//! Rows by slice: in memory as long as there is room, then in temporary files.

use std::fs::File;
use std::io::BufReader;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arrow::array::{Array, ArrayRef, Decimal128Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use tempfile::TempDir;

use super::concat::{concat_plain, dictionary};
use super::key::slice_of;

/// All rows that are held, by place of the table among what is held.
pub(crate) struct Store {
    slices: u32,
    limit: usize,
    used: AtomicUsize,
    places: Vec<RwLock<Place>>,
    folder: Mutex<Option<TempDir>>,
}

#[derive(Default)]
struct Place {
    pieces: Vec<Piece>,
    files: Vec<std::path::PathBuf>,
}

/// Rows in order of slice; slice `s` is rows `bounds[s]..bounds[s + 1]`. The last column is the hash.
struct Piece {
    rows: RecordBatch,
    bounds: Vec<u32>,
}

/// Files that one thread has open, by place and number.
#[derive(Default)]
pub(crate) struct OpenFiles(Vec<Vec<FileReader<BufReader<File>>>>);

impl Store {
    /// For so many tables, with at most `limit` bytes of rows in memory.
    pub fn new(places: usize, slices: u32, limit: usize) -> Store {
        Store {
            slices,
            limit,
            used: AtomicUsize::new(0),
            places: (0..places).map(|_| RwLock::default()).collect(),
            folder: Mutex::default(),
        }
    }

    /// How many slices there are.
    pub fn slices(&self) -> u32 {
        self.slices
    }

    /// Whether rows wait in files.
    pub fn spilled(&self) -> bool {
        self.folder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Takes in rows of a table with the hashes of their entities; rows of hash 0 are left out.
    pub fn push(&self, place: usize, columns: &[ArrayRef], hashes: &[u128]) -> Result<(), String> {
        let piece = split(columns, hashes, self.slices).map_err(|error| error.to_string())?;
        let bytes = piece.rows.get_array_memory_size() + piece.bounds.len() * 4;
        self.lock(place).pieces.push(piece);
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes > self.limit {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes all rows in memory to files.
    fn spill(&self) -> Result<(), String> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if self.used.load(Ordering::Relaxed) <= self.limit {
            // Another thread was faster.
            return Ok(());
        }
        self.used.store(0, Ordering::Relaxed);
        let said = |error: std::io::Error| format!("a temporary file cannot be written: {error}");
        let folder = match &mut *folder {
            Some(folder) => folder,
            none => none.insert(
                tempfile::Builder::new()
                    .prefix("centinel-audit-")
                    .tempdir()
                    .map_err(said)?,
            ),
        };
        for (number, place) in self.places.iter().enumerate() {
            let mut place = place.write().unwrap_or_else(PoisonError::into_inner);
            let pieces = std::mem::take(&mut place.pieces);
            if pieces.is_empty() {
                continue;
            }
            let path = folder
                .path()
                .join(format!("{number}-{}.arrow", place.files.len()));
            write_file(&path, &pieces, self.slices)
                .map_err(|error| format!("a temporary file cannot be written: {error}"))?;
            place.files.push(path);
        }
        Ok(())
    }

    /// The rows of a slice of a table, in parts.
    pub fn slice(
        &self,
        place: usize,
        slice: u32,
        files: &mut OpenFiles,
    ) -> Result<Vec<RecordBatch>, String> {
        let held = self.places[place]
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut parts: Vec<RecordBatch> = held
            .pieces
            .iter()
            .map(|piece| piece.slice(slice))
            .filter(|part| part.num_rows() > 0)
            .collect();
        let said = |error: ArrowError| format!("a temporary file cannot be read: {error}");
        for file in files.of(place, &held.files)? {
            file.set_index(slice as usize).map_err(said)?;
            if let Some(part) = file.next() {
                parts.push(part.map_err(said)?);
            }
        }
        parts.retain(|part| part.num_rows() > 0);
        Ok(parts)
    }

    fn lock(&self, place: usize) -> std::sync::RwLockWriteGuard<'_, Place> {
        self.places[place]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenFiles {
    fn of(
        &mut self,
        place: usize,
        paths: &[std::path::PathBuf],
    ) -> Result<&mut Vec<FileReader<BufReader<File>>>, String> {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, Vec::new);
        }
        let open = &mut self.0[place];
        for path in &paths[open.len()..] {
            let said = |error: String| format!("a temporary file cannot be read: {error}");
            let file = File::open(path).map_err(|error| said(error.to_string()))?;
            let reader = FileReader::try_new(BufReader::new(file), None);
            open.push(reader.map_err(|error| said(error.to_string()))?);
        }
        Ok(open)
    }
}

impl Piece {
    fn slice(&self, slice: u32) -> RecordBatch {
        let (start, end) = (self.bounds[slice as usize], self.bounds[slice as usize + 1]);
        self.rows.slice(start as usize, (end - start) as usize)
    }
}

/// One batch for each slice, in order, so that a slice is read by its number.
fn write_file(path: &std::path::Path, pieces: &[Piece], slices: u32) -> Result<(), ArrowError> {
    let fields = pieces[0].rows.schema();
    let plain = fields
        .fields()
        .iter()
        .map(|field| match *field.data_type() == dictionary() {
            true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
            false => Arc::clone(field),
        });
    let schema = Arc::new(Schema::new(plain.collect::<Vec<_>>()));
    let mut writer = FileWriter::try_new_buffered(File::create(path)?, &schema)?;
    for slice in 0..slices {
        let parts: Vec<RecordBatch> = pieces.iter().map(|piece| piece.slice(slice)).collect();
        let column = |index| {
            let parts: Vec<&dyn Array> = parts
                .iter()
                .map(|part| part.column(index).as_ref())
                .collect();
            concat_plain(&parts)
        };
        let columns: Result<Vec<ArrayRef>, _> = (0..schema.fields().len()).map(column).collect();
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns?)?)?;
    }
    writer.finish()
}

/// Rows in order of slice.
fn split(columns: &[ArrayRef], hashes: &[u128], slices: u32) -> Result<Piece, ArrowError> {
    // Rows without an entity go behind the last slice, and are cut off.
    let slice_of_row = |hash: u128| {
        if hash == 0 {
            slices
        } else {
            slice_of(hash, slices)
        }
    };
    let mut bounds = vec![0u32; slices as usize + 2];
    let of_rows: Vec<u32> = hashes.iter().map(|hash| slice_of_row(*hash)).collect();
    for slice in &of_rows {
        bounds[*slice as usize + 1] += 1;
    }
    for slice in 1..bounds.len() {
        bounds[slice] += bounds[slice - 1];
    }
    let mut next = bounds.clone();
    let mut order = vec![0u32; hashes.len()];
    for (row, slice) in of_rows.iter().enumerate() {
        let place = &mut next[*slice as usize];
        order[*place as usize] = row as u32;
        *place += 1;
    }
    let rows = bounds[slices as usize] as usize;
    order.truncate(rows);
    bounds.truncate(slices as usize + 1);
    let hashes: Decimal128Array = order
        .iter()
        .map(|row| hashes[*row as usize] as i128)
        .collect::<Vec<_>>()
        .into();
    let order = UInt32Array::from(order);
    let mut split: Vec<ArrayRef> = Vec::with_capacity(columns.len() + 1);
    for column in columns {
        split.push(take(column, &order, None)?);
    }
    // A decimal is the one array of 128 bits that there is.
    split.push(Arc::new(hashes));
    let rows = RecordBatch::try_new(schema_of(&split), split)?;
    Ok(Piece { rows, bounds })
}

fn schema_of(columns: &[ArrayRef]) -> SchemaRef {
    let field = |(index, column): (usize, &ArrayRef)| {
        Field::new(index.to_string(), column.data_type().clone(), true)
    };
    Arc::new(Schema::new(
        columns.iter().enumerate().map(field).collect::<Vec<_>>(),
    ))
}
