//! Rates by caller.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use centinel_breaker::Instant;

/// Most callers whose rates are kept.
const MOST: usize = 100_000;

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// One bucket for each caller: it fills at the caller's rate, up to one second's worth.
#[derive(Default)]
pub struct Buckets(Mutex<HashMap<String, Bucket>>);

impl Buckets {
    /// Whether the caller may go on now.
    pub fn take(&self, caller: &str, per_second: u32, now: Instant) -> bool {
        let full = f64::from(per_second.max(1));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(caller) {
            if buckets.len() >= MOST {
                buckets.retain(|_, bucket| now.since(bucket.at).0 < 1_000_000);
            }
            let bucket = Bucket {
                left: full,
                at: now,
            };
            buckets.insert(caller.to_owned(), bucket);
        }
        let Some(bucket) = buckets.get_mut(caller) else {
            return false;
        };
        #[allow(clippy::cast_precision_loss)]
        let seconds = now.since(bucket.at).0 as f64 / 1e6;
        bucket.left = (bucket.left + seconds * full).min(full);
        bucket.at = now.max(bucket.at);
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_at_its_rate_and_no_further() {
        let buckets = Buckets::default();
        let taken = |at| {
            (0..100)
                .filter(|_| buckets.take("a", 10, Instant(at)))
                .count()
        };
        assert_eq!(taken(0), 10);
        assert_eq!(taken(500_000), 5);
        assert_eq!(taken(90_000_000), 10);
        assert!(buckets.take("b", 1, Instant(90_000_000)));
    }
}
