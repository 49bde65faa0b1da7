//! Rule files: loaded, checked, planned, proved entity-local, and evaluated over slices. The one crate that
//! knows DataFusion's SQL.
//!
//! [`load`] reads `<id>.sql` files into [`Rule`]s or lists every mistake. [`Evaluator`] answers many rules
//! of one entity over a [`Slice`], with plans made once. [`Session`] answers one rule over whole tables.

mod as_of;
mod checkpoint;
mod dense;
mod evaluate;
mod exact;
mod explain;
mod forms;
mod groups;
mod guards;
mod head;
mod leaf;
mod lineage;
mod lint;
mod load;
mod locality;
mod mistakes;
mod numbers;
mod plan;
mod rule;
mod rule_test;
mod seen;
mod session;
mod share;
mod slice;
mod slot;
mod violations;
mod wake;

pub use as_of::AsOf;
pub use centinel_catalog::Diagnostic;
pub use checkpoint::{CHECKPOINTS, Checkpoint};
pub use evaluate::{Evaluator, Limits, RuleOutcome, Spent};
pub use explain::explain;
pub use guards::{GUARD_PREFIX, PLANNED_PREFIX, guard_rule_id, planned_rule_id};
pub use load::{RuleSet, load, load_text};
pub use locality::Locality;
pub use rule::{Guarded, Point, Rule, RuleCurrency, Status, TableUse, Trip};
pub use rule_test::{RuleTest, compare, load_tests, run_test, slice_of_rows};
pub use session::{Session, register_json_functions};
pub use slice::{EntityNames, LayoutTable, Slice, SliceLayout, rule_column};
pub use violations::{Unjudged, Violations, text as value_text};
pub use wake::TimeBound;

/// Why a rule could not be planned or a slice not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The SQL engine refused.
    #[error("{0}")]
    Engine(#[from] datafusion::error::DataFusionError),
    /// A batch does not have the form that was asked for.
    #[error("{0}")]
    Form(#[from] arrow::error::ArrowError),
    /// The runtime for evaluation could not be started.
    #[error("the runtime for evaluation could not be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// Anything else, said in a sentence.
    #[error("{0}")]
    Other(String),
}
