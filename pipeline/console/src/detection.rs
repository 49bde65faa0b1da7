//! A running detection, as the console asks it.

mod over_http;

use centinel_interface::{
    Health, Problem, QuarantinedBytes, QuarantinedRecord, RuleStatus, Settle, SourceStatus,
};
use centinel_trace::History;
use futures::future::BoxFuture;

pub use over_http::OverHttp;

/// What comes of a question.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, Problem>>;

/// What a running detection tells and lets people do.
pub trait Detection: Send + Sync + 'static {
    /// Whether it does what it is there for.
    fn health(&self) -> Asked<'_, Health>;
    /// All sources, by name.
    fn sources(&self) -> Asked<'_, Vec<SourceStatus>>;
    /// All rules in force, by id.
    fn rules(&self) -> Asked<'_, Vec<RuleStatus>>;
    /// What state has of one entity; [`Problem::NotFound`] where it has nothing.
    fn history<'a>(&'a self, entity: &'a str, key: &'a str) -> Asked<'a, History>;
    /// Records that could not be read, the newest first, below a number.
    fn quarantine(&self, below: Option<u64>, most: usize) -> Asked<'_, Vec<QuarantinedRecord>>;
    /// The bytes of one.
    fn quarantined(&self, number: u64) -> Asked<'_, QuarantinedBytes>;
    /// Settles one.
    fn settle<'a>(&'a self, number: u64, settle: &'a Settle) -> Asked<'a, QuarantinedRecord>;
}

/// No detection: the configuration names none.
pub struct NoDetection;

fn nothing<'a, T: Send + 'a>() -> Asked<'a, T> {
    let why = "no detection is asked: set `interface` of [console]";
    Box::pin(async move { Err(Problem::Unavailable(why.into())) })
}

impl Detection for NoDetection {
    fn health(&self) -> Asked<'_, Health> {
        nothing()
    }
    fn sources(&self) -> Asked<'_, Vec<SourceStatus>> {
        nothing()
    }
    fn rules(&self) -> Asked<'_, Vec<RuleStatus>> {
        nothing()
    }
    fn history<'a>(&'a self, _: &'a str, _: &'a str) -> Asked<'a, History> {
        nothing()
    }
    fn quarantine(&self, _: Option<u64>, _: usize) -> Asked<'_, Vec<QuarantinedRecord>> {
        nothing()
    }
    fn quarantined(&self, _: u64) -> Asked<'_, QuarantinedBytes> {
        nothing()
    }
    fn settle<'a>(&'a self, _: u64, _: &'a Settle) -> Asked<'a, QuarantinedRecord> {
        nothing()
    }
}
