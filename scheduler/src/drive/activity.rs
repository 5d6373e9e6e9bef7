//! Records when an engine last made progress, and when it warns that nothing happens.
//! Stalled attempts are detected with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest pause between two notices about the same state.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The time of the last progress of any attempt on an engine. Clones share it.
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

/// The times at which a lasting state is reported: after a pause, which doubles every time.
#[derive(Debug)]
pub(super) struct Notices {
    first: Duration,
    since: Instant,
    next: Duration,
}

impl Notices {
    pub(super) fn new(first: Duration, now: Instant) -> Self {
        Self {
            first,
            since: now,
            next: first,
        }
    }

    /// Whether a state is to be reported now, if it `lasts`. Returns how long it has lasted.
    pub(super) fn due(&mut self, lasts: bool, now: Instant) -> Option<Duration> {
        if !lasts {
            *self = Self::new(self.first, now);
            return None;
        }
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < self.next {
            return None;
        }
        self.next = elapsed + elapsed.min(LONGEST_PAUSE);
        Some(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_state_is_reported_ever_more_rarely() {
        let begin = Instant::now();
        let mut notices = Notices::new(Duration::from_secs(10), begin);
        let now = |second: &u64| begin + Duration::from_secs(*second);
        let reported =
            (0..4000).filter(|second| notices.due(*second != 100, now(second)).is_some());
        let reported: Vec<u64> = reported.collect();
        assert_eq!(
            reported,
            [
                10, 20, 40, 80, 110, 120, 140, 180, 260, 420, 740, 1340, 1940, 2540, 3140, 3740
            ]
        );
    }
}
