//! Records that could not be read.

use centinel_engine::detect::{Quarantine, SettledTo};
use centinel_interface::{Problem, QuarantinedBytes, QuarantinedRecord, Settle, Standing};

use crate::detect::wall_clock;
use crate::detection::Detection;
use crate::quarantine::{bytes, problem, record};

/// The way to them.
pub struct Known(Quarantine);

impl Known {
    pub fn new(detection: &Detection) -> Known {
        Known(detection.quarantine.clone())
    }

    pub fn list(&self, below: Option<u64>, most: usize) -> Result<Vec<QuarantinedRecord>, Problem> {
        let holes = self.0.list(below, most).map_err(problem)?;
        Ok(holes.into_iter().map(record).collect())
    }

    pub fn bytes(&self, number: u64) -> Result<QuarantinedBytes, Problem> {
        let (hole, kept) = self.0.one(number).map_err(problem)?;
        Ok(bytes(&hole, &kept))
    }

    pub fn settle(&self, number: u64, settle: &Settle) -> Result<QuarantinedRecord, Problem> {
        let to = match settle.to {
            Standing::Redriven => SettledTo::Redriven,
            Standing::Accepted => SettledTo::Accepted,
            Standing::Waiting => {
                let what = "a record that is settled stays settled";
                return Err(Problem::Refused(what.into()));
            }
        };
        let asked = centinel_engine::detect::Settle {
            numbers: vec![number],
            to,
            by: settle.by.clone(),
            reason: settle.reason.clone(),
        };
        let settled = self.0.settle(&asked, wall_clock()).map_err(problem)?;
        let settled = settled.into_iter().next().map(record);
        settled.ok_or_else(|| Problem::NotFound(format!("no record {number}")))
    }
}
