//! Keyed state: everything known of each entity, in one document, changed by one durable commit for
//! each micro-batch.
//!
//! Rows are encoded by [`RowEncoder`], kept as versioned [`Record`]s in a document, and read back by
//! [`RowDecoder`] into the columns that rules see.

mod access;
mod cache;
mod codec;
mod convert;
mod document;
mod error;
mod numbers;
mod record;
mod store;

pub use cache::{DocumentCache, Kept};
pub use codec::{RowDecoder, RowEncoder, key_text, put_varint, take_bytes, take_u64};
pub use convert::{completes, convert_document};
pub use document::{
    Merged, StoredDocument, Wake, current_rows, merge, newest_commit, shape_of, trim_history,
    write_document,
};
pub use error::StateError;
pub use record::{Record, write_lost};
pub use store::{Commit, DocumentWrite, Entry, FileStore, STATE_FORM, Store};
