use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use centinel_model::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

/// Clocks and randomness: the only way by which the console comes to any.
#[derive(Clone)]
pub struct Surroundings {
    /// The wall clock: what people read.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Time since some moment, which never goes back: when sessions end, and how often somebody may try.
    pub steady: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Fills bytes that nobody can guess; false where it cannot.
    pub random: Arc<dyn Fn(&mut [u8]) -> bool + Send + Sync>,
}

impl Surroundings {
    /// Those of the machine; `now` is its wall clock.
    pub fn of_the_machine(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Surroundings {
        let (begun, random) = (Instant::now(), SystemRandom::new());
        Surroundings {
            now: Arc::new(now),
            steady: Arc::new(move || begun.elapsed()),
            random: Arc::new(move |bytes| random.fill(bytes).is_ok()),
        }
    }

    /// 256 bits that nobody can guess, as text that fits into a cookie; nothing where there are none to be had.
    pub(crate) fn secret(&self) -> Option<String> {
        let mut bytes = [0; 32];
        (self.random)(&mut bytes).then(|| URL_SAFE_NO_PAD.encode(bytes))
    }
}
