//! What a run of detection shows of itself to those who watch it: metrics in the text form of Prometheus, and whether it
//! does what it is there for. [`Metrics`] is told, after each commit, and asked, at any time. It knows no clock, no
//! network and no engine.
//!
//! Every metric is in `jobs/monitoring/README.md`.

mod at_risk;
mod exposition;
mod health;
mod labels;
mod metrics;
mod seen;

pub use health::{Bounds, Phase, Truth};
pub use labels::{OTHER, Values};
pub use metrics::Metrics;
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub use seen::{ArchiveSeen, Channel, Live, Quarantined, RuleSeen, Seen, SelfCheck, SourceSeen};
