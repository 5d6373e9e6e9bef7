//! When an engine last made progress, for the deadline that gives up a stalled attempt.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When any attempt on an engine last made progress. Clones share the value.
#[derive(Clone, Debug)]
pub struct Activity(Arc<Mutex<Instant>>);

impl Default for Activity {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Activity {
    pub(super) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn elapsed(&self) -> Duration {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed()
    }
}
