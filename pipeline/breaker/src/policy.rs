use centinel_model::Duration;
use serde::{Deserialize, Serialize};

use crate::{Money, Point};

/// What a check answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may go.
    Allow,
    /// It must wait.
    Hold,
}

/// What is decided at a point where there is no certainty. Nothing here has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointPolicy {
    /// When a finding on the request's scope is suspected.
    pub on_suspected: Decision,
    /// When one could not be judged.
    pub on_undetermined: Decision,
    /// How old the knowledge of findings may be.
    pub max_staleness: Duration,
    /// When it is older than that.
    pub beyond_max_staleness: Decision,
}

/// The policy of each point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// Of refunds.
    pub refund: PointPolicy,
    /// Of settlements.
    pub settlement: PointPolicy,
    /// Of cash-outs.
    pub cash_out: PointPolicy,
}

impl Policies {
    /// That of one point.
    pub fn of(&self, point: Point) -> &PointPolicy {
        match point {
            Point::Refund => &self.refund,
            Point::Settlement => &self.settlement,
            Point::CashOut => &self.cash_out,
        }
    }
}

/// Up to where a confirmed finding trips without a person. Beyond any of these it proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutomaticLimits {
    /// The money at risk in the finding must be this much at least, by currency; no limit for a currency without one.
    pub least_at_risk: Money,
    /// The money that the trip would have held of the recent traffic may be this much at most; a currency that is not
    /// named has a limit of zero.
    pub most_held: Money,
    /// So many automatic trips in any one hour.
    pub most_in_an_hour: u32,
    /// How long an automatic trip lasts.
    pub lasts: Duration,
}

/// All limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Those of automatic trips.
    pub automatic: AutomaticLimits,
    /// No trip lasts longer.
    pub longest_trip: Duration,
    /// A proposal that nobody confirms lapses after this.
    pub proposals_last: Duration,
    /// What one person may release alone within any 24 hours; a currency that is not named has a limit of zero.
    pub second_person_above: Money,
    /// Ended trips and decided holds are forgotten after this.
    pub keep_ended: Duration,
    /// Most trips that are kept, proposed and ended ones included.
    pub most_trips: usize,
    /// Most holds that are kept, decided ones included.
    pub most_holds: usize,
    /// Most open findings that are kept.
    pub most_findings: usize,
}

impl PointPolicy {
    /// Whether it ever holds a request without a trip.
    pub fn holds_on_doubt(&self) -> bool {
        [
            self.on_suspected,
            self.on_undetermined,
            self.beyond_max_staleness,
        ]
        .contains(&Decision::Hold)
    }
}
