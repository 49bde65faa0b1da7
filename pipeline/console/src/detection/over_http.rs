//! Detection in another process, by its interface.

use std::sync::Arc;
use std::time::Duration;

use centinel_interface::{
    Client, ClientError, Health, Options, Problem, QuarantinedBytes, QuarantinedRecord, RuleStatus,
    Settle, SourceStatus,
};
use centinel_trace::History;

use super::{Asked, Detection};

/// How long an answer may take: less than a page may.
const DEADLINE: Duration = Duration::from_secs(10);

/// Asks detection's interface.
pub struct OverHttp(Client);

impl OverHttp {
    /// At this address, such as `http://127.0.0.1:9464`, by the token of `[interface]`; `ca` is PEM to trust besides the
    /// system's.
    ///
    /// # Errors
    /// An address that is none, a certificate that cannot be read.
    pub fn at(url: &str, token: &str, ca: Option<Vec<u8>>) -> Result<Arc<dyn Detection>, String> {
        let options = Options {
            url: url.to_owned(),
            token: token.to_owned(),
            deadline: DEADLINE,
            ca,
        };
        let client = Client::new(options).map_err(|error| error.to_string())?;
        Ok(Arc::new(OverHttp(client)))
    }
}

fn problem(error: ClientError) -> Problem {
    match error {
        ClientError::Refused { status: 404, text } => Problem::NotFound(text),
        ClientError::Refused { status: 409, text } => Problem::Refused(text),
        ClientError::Refused { text, .. } => Problem::Unavailable(text),
        error => Problem::Unavailable(error.to_string()),
    }
}

impl Detection for OverHttp {
    fn health(&self) -> Asked<'_, Health> {
        Box::pin(async { self.0.health().await.map_err(problem) })
    }

    fn sources(&self) -> Asked<'_, Vec<SourceStatus>> {
        Box::pin(async { self.0.sources().await.map_err(problem) })
    }

    fn rules(&self) -> Asked<'_, Vec<RuleStatus>> {
        Box::pin(async { self.0.rules().await.map_err(problem) })
    }

    fn history<'a>(&'a self, entity: &'a str, key: &'a str) -> Asked<'a, History> {
        Box::pin(async move {
            let known = self.0.history(entity, key).await.map_err(problem)?;
            let nothing = || Problem::NotFound(format!("nothing is known of this {entity}"));
            known.ok_or_else(nothing)
        })
    }

    fn quarantine(&self, below: Option<u64>, most: usize) -> Asked<'_, Vec<QuarantinedRecord>> {
        Box::pin(async move { self.0.quarantine(below, most).await.map_err(problem) })
    }

    fn quarantined(&self, number: u64) -> Asked<'_, QuarantinedBytes> {
        Box::pin(async move { self.0.quarantined(number).await.map_err(problem) })
    }

    fn settle<'a>(&'a self, number: u64, settle: &'a Settle) -> Asked<'a, QuarantinedRecord> {
        Box::pin(async move { self.0.settle(number, settle).await.map_err(problem) })
    }
}
