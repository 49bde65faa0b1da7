//! Figures for Prometheus.

use centinel_engine::detect::Detector;

use super::facts::Facts;
use crate::detection::Detection;

/// What is counted.
pub struct Known;

impl Known {
    pub fn new(_detection: &Detection) -> Known {
        Known
    }

    /// To be called after each commit.
    pub fn observe(&self, _detector: &Detector) {}

    /// In OpenMetrics' text form.
    pub fn text(&self, _facts: &Facts) -> String {
        "# EOF\n".into()
    }
}
