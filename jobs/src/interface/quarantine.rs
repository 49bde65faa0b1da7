//! Records that could not be read.

use centinel_interface::{Problem, QuarantinedBytes, QuarantinedRecord, Settle};

use super::facts::Facts;
use crate::detection::Detection;

/// What is needed to settle them.
pub struct Known;

impl Known {
    pub fn new(_detection: &Detection) -> Known {
        Known
    }

    pub fn list(
        &self,
        facts: &Facts,
        _below: Option<u64>,
        _most: usize,
    ) -> Result<Vec<QuarantinedRecord>, Problem> {
        facts.state()?;
        Ok(Vec::new())
    }

    pub fn bytes(&self, facts: &Facts, number: u64) -> Result<QuarantinedBytes, Problem> {
        facts.state()?;
        Err(Problem::NotFound(format!("no record {number}")))
    }

    pub fn settle(
        &self,
        facts: &Facts,
        number: u64,
        _settle: &Settle,
    ) -> Result<QuarantinedRecord, Problem> {
        facts.state()?;
        Err(Problem::NotFound(format!("no record {number}")))
    }
}
