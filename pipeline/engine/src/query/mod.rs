//! Questions in SQL about what Centinel knows: findings, trips, audits, the current state, the archive. One statement
//! that reads, within limits of time, memory, disk and rows; nothing is ever written.
//!
//! | file | holds |
//! |---|---|
//! | `tables` | which tables there are, and which are not, with the reason |
//! | `feed` | rows that come from elsewhere, as a stream |
//! | `state` | current rows of the platform's tables, each once |
//! | `archive` | every archived change, of the files that may hold what is asked |
//! | `masked` | sensitive columns, as evidence shows them |
//! | `sum` | sums that never wrap around |
//! | `read_only` | the statements that may be asked |
//! | `session` | the SQL engine with its functions and limits |
//! | `ask` | a question, until its answer or a limit |

mod archive;
mod ask;
mod error;
mod feed;
mod masked;
mod read_only;
mod session;
mod state;
mod sum;
mod tables;

pub use ask::{Answer, QueryLimits, ask};
pub use error::QueryError;
pub use feed::{Feed, Room};
pub use tables::{AskedColumn, AskedTable, MONEY, OpenArchive, Tables, sql_type};
