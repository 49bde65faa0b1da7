//! Whether detection does what it is there for.

use std::sync::atomic::{AtomicBool, Ordering};

use centinel_engine::detect::Detector;
use centinel_interface::Health;

use super::facts::Facts;
use crate::detection::Detection;

/// What is known of it.
pub struct Known {
    /// Whether it has committed anything since its start.
    begun: AtomicBool,
}

impl Known {
    pub fn new(_detection: &Detection) -> Known {
        Known {
            begun: AtomicBool::new(false),
        }
    }

    /// To be called after each commit.
    pub fn observe(&self, _detector: &Detector) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// What is to be said now.
    pub fn told(&self, facts: &Facts) -> Health {
        let mut reasons = Vec::new();
        if !self.begun.load(Ordering::Relaxed) {
            reasons.push("nothing was committed since the start".to_owned());
        }
        let behind = facts.sources().into_iter().filter(|source| source.behind);
        reasons.extend(behind.map(|source| format!("source `{}` is behind", source.name)));
        Health {
            alive: true,
            ready: reasons.is_empty(),
            reasons,
        }
    }
}
