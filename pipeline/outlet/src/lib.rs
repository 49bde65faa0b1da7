//! What was found → the world: tables and pages for people, JSON Lines for programs, JUnit for build servers. What
//! was read → the archive.

pub mod archive;

mod comparison;
mod delivery;
mod html;
mod jsonl;
mod junit;
mod report;
mod table;

pub use comparison::{Comparison, EarlierFinding, read_findings};
pub use delivery::{LineFile, LineWriter, Message, Outlet};
pub use html::{PastRun, Surroundings, write_html};
pub use jsonl::{ACCEPTED_SCHEMA, AUDIT_SUMMARY_SCHEMA, IN_FLIGHT_SCHEMA, write_jsonl};
pub use junit::write_junit;
pub use report::{
    Acceptance, Accepted, AtRisk, CouldNotJudge, InFlight, Report, RuleSummary, TableFigures,
    WithoutEntity, exit_status,
};
pub use table::write_table;
