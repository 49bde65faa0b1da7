//! Near-real-time detection: micro-batches → entity documents → rules → verdicts → messages.
//!
//! | file | holds |
//! |---|---|
//! | `routing` | changes → records, each with its document |
//! | `links` | rows that reach their entity through another row |
//! | `gather` | stored, arrived and moved records → one set for each document |
//! | `detector` | one micro-batch from beginning to commit |
//! | `entities` | documents → slices → rules |
//! | `judging` | what the rules say → verdicts, messages, documents |
//! | `facts` | what is said of sources and rules to those who look on |
//! | `history_of` | what state knows of one entity, for people |
//! | `holes` | records that could not be read |
//! | `doubts` | what they put in doubt |
//! | `stretches` | the numbers of such records |
//! | `settle` | doubts end |
//! | `quarantine` | how people settle such records |
//! | `alike` | which of many such records are told |
//! | `bootstrap` | the snapshot that a state begins with |
//! | `overlap` | its rows, and a stream that began before it |
//! | `shapes` | schemas that take over a state written under others |
//! | `numbers` | numbers in keys of documents, where they are not the catalog's |
//! | `reader` | the inputs as one stream of micro-batches |
//! | `drift` | columns that tables do not have as their schemas say, and the rules that are suspended |
//! | `horizon` | what came before detection began |
//! | `forget` | entities at rest leave state |
//! | `backlog` | what is left to read, for those who look on |
//! | `run` | the job: threads, commits, delivery |
//! | `deliver` | its thread that commits and tells |
//! | `quiet` | when a platform that is followed is done |
//! | `pace` | how quickly what is in state is looked at again |
//! | `archive` | what the archive is told of each commit |
//! | `plans` | announced plans whose time is over |
//! | `stall` | sources that fall silent |
//! | `unreached` | rows that wait in vain for the row that leads to their entity |
//! | `open` | the findings that are open |
//! | `look` | a state that is only looked at |
//! | `suspicions` | what is not sure yet, told to those who hold in doubt |
//! | `messages` | what is told beside findings |

mod alike;
mod archive;
mod backlog;
mod bootstrap;
mod checkpoint;
mod deliver;
mod detector;
mod doubts;
mod drift;
mod entities;
mod facts;
mod forget;
mod gather;
mod history;
mod history_of;
mod holes;
mod horizon;
mod judging;
mod keys;
mod limits;
mod links;
mod look;
mod memory;
mod messages;
mod numbers;
mod open;
mod overlap;
mod pace;
mod plans;
mod quarantine;
mod quiet;
mod reader;
mod routing;
mod run;
mod settle;
mod shapes;
mod stages;
mod stall;
mod stretches;
mod suspicions;
mod unreached;

pub use backlog::{SharedBacklog, Standing};
pub use bootstrap::{BootstrapChecked, BootstrapOptions, check_bootstrap};
pub use centinel_source::{Backlog, InputFile, InputOptions, Unit, Until};
pub use detector::{Counters, Detector, Prepared};
pub use facts::SourceFacts;
pub use history_of::HistoryReader;
pub(crate) use history_of::{bare, put_after, put_before};
pub use horizon::{Horizons, TableHorizon};
pub use limits::DetectorLimits;
pub use messages::{
    HOLE_SCHEMA, HoleMessage, NOTE_SCHEMA, NoteMessage, PLAN_SCHEMA, PlanMessage, SETTLED_SCHEMA,
    SOURCE_SCHEMA, SettledMessage, SettledTo, Settlement, SourceMessage, SourceState, read_hole,
};
pub use open::{Open, OpenFinding};
pub use quarantine::{
    MOST_AT_ONCE, Quarantine, QuarantineError, Settle, quarantine, quarantined, settle_at_rest,
};
pub use run::{Inputs, RunOptions, RunReport, Step, Surroundings, run, run_on};
pub use stages::Stages;

pub(crate) use look::Look;

pub use crate::rule_facts::Sweep;
