//! The findings that detection told, kept: their life, what people said of them, and questions about all of them.
//!
//! One embedded file. What detection writes is taken in by position, each message once; what people do is an entry
//! that only grows a history. What stands is always the fold of both, in [`life`]. See `README.md` for the form.

mod act;
mod error;
mod export;
mod figures;
mod filter;
mod follow;
mod form;
mod groups;
mod history;
pub mod life;
mod lines;
mod message;
mod money;
mod page;
mod row;
mod scan;
mod store;
mod take_in;
mod traced;
mod words;

pub use act::{Act, LONGEST_NAME, LONGEST_TEXT, MOST_ACTS};
pub use error::FindingsError;
pub use export::{CSV_COLUMNS, EXPORTED_SCHEMA, harmless_cell};
pub use figures::{By, Figure, MOST_FIGURES};
pub use filter::Filter;
pub use follow::{Caught, LONGEST_LINE, Mark, STRETCH_BYTES, follow, follow_while, read_stretch};
pub use history::{Entry, MOST_ENTRIES, What};
pub use life::{Handled, Handling};
pub use lines::{KeptLine, LineKind};
pub use money::{Sum, sortable};
pub use page::{Cursor, MOST_FITTING, MOST_ROWS, Order, Page};
pub use row::Row;
pub use scan::{Scanned, ScannedEntry};
pub use store::Store;
pub use take_in::{Stretch, Taken};
