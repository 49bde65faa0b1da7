//! The rules and schemas that are in force, for those who stand beside detection: they may be taken over by others at
//! any time.

use std::sync::{Arc, PoisonError, RwLock};

use centinel_catalog::Catalog;
use centinel_rules::Rule;

use crate::reload::Loaded;

/// A handle; all copies show the same.
#[derive(Clone, Debug, Default)]
pub struct InForce(Arc<RwLock<Loaded>>);

impl InForce {
    /// Others are in force from now on.
    pub fn set(&self, catalog: &Arc<Catalog>, rules: &[Arc<Rule>]) {
        let mut loaded = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *loaded = (Arc::clone(catalog), rules.to_vec());
    }

    /// What is in force.
    pub fn loaded(&self) -> Loaded {
        let loaded = self.0.read().unwrap_or_else(PoisonError::into_inner);
        loaded.clone()
    }
}
