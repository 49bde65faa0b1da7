//! What was found → the world: tables for people, JSON Lines for programs, JUnit for build servers. What
//! was read → the archive.

pub mod archive;

mod delivery;
mod jsonl;
mod junit;
mod report;
mod table;

pub use delivery::{LineFile, LineWriter, Message, Outlet};
pub use jsonl::{AUDIT_SUMMARY_SCHEMA, IN_FLIGHT_SCHEMA, write_jsonl};
pub use junit::write_junit;
pub use report::{
    AtRisk, CouldNotJudge, InFlight, Report, RuleSummary, WithoutEntity, exit_status,
};
pub use table::write_table;
