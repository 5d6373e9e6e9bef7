//! Named places where a test can stop the process. Tests prove with them that a load
//! recovers. Reaching a point that is not armed costs one atomic load.
//!
//! This module does not read the environment: a binary's configuration arms the point.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The points, in the order in which a load passes them.
pub const POINTS: [&str; 10] = [
    "after-lease",
    "after-listing",
    "during-first-part",
    "before-receipt",
    "before-manifest",
    "before-commit",
    "after-commit",
    "between-completions",
    "before-deletion",
    "before-done",
];

static ARMED: OnceLock<ArmedPoint> = OnceLock::new();

/// The reason why a crash point cannot be armed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrashPointError {
    #[error("`{name}` is not a crash point; known: {}", POINTS.join(", "))]
    Unknown { name: String },
    #[error("`{text}` is not a count of at least 1")]
    BadCount { text: String },
    #[error("a crash point is already armed")]
    ArmedTwice,
}

/// One armed point. It fires when it is passed for the `at`-th time.
#[derive(Debug)]
struct ArmedPoint {
    name: &'static str,
    at: u64,
    /// Stops the process with SIGSTOP instead of SIGKILL.
    freezes: bool,
    passed: AtomicU64,
}

/// Arms one point for the rest of the process. `NAME:N` fires at the N-th pass.
/// `stop:NAME[:N]` freezes the process instead of killing it.
pub fn arm(text: &str) -> Result<(), CrashPointError> {
    let point = ArmedPoint::parse(text)?;
    ARMED.set(point).map_err(|_| CrashPointError::ArmedTwice)
}

/// Stops the process if `name` is armed. Nothing is unwound, flushed or dropped.
#[inline]
pub fn reach(name: &str) {
    if let Some(point) = ARMED.get()
        && point.fires_at(name)
    {
        point.fire();
    }
}

impl ArmedPoint {
    fn parse(text: &str) -> Result<Self, CrashPointError> {
        let (freezes, rest) = match text.strip_prefix("stop:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (name, count) = rest.split_once(':').unwrap_or((rest, "1"));
        let unknown = || CrashPointError::Unknown {
            name: name.to_owned(),
        };
        let at: u64 = count.parse().unwrap_or(0);
        if at == 0 {
            return Err(CrashPointError::BadCount {
                text: count.to_owned(),
            });
        }
        let name = POINTS.into_iter().find(|known| *known == name);
        Ok(Self {
            name: name.ok_or_else(unknown)?,
            at,
            freezes,
            passed: AtomicU64::new(0),
        })
    }

    fn fires_at(&self, name: &str) -> bool {
        name == self.name && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.at
    }

    #[cfg(unix)]
    fn fire(&self) {
        use rustix::process::{Signal, getpid, kill_process};
        let signal = if self.freezes {
            Signal::STOP
        } else {
            Signal::KILL
        };
        let sent = kill_process(getpid(), signal);
        if !self.freezes || sent.is_err() {
            // The signal may arrive a moment after the call returns.
            std::process::abort();
        }
    }

    #[cfg(not(unix))]
    fn fire(&self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(text: &str, passes: &[&str]) -> Vec<bool> {
        let point = ArmedPoint::parse(text).unwrap();
        passes.iter().map(|name| point.fires_at(name)).collect()
    }

    #[test]
    fn a_point_fires_at_the_requested_pass() {
        assert_eq!(
            fires(
                "after-lease",
                &["before-done", "after-lease", "after-lease"]
            ),
            [false, true, false]
        );
        assert_eq!(
            fires("stop:before-done:2", &["before-done", "before-done"]),
            [false, true]
        );
    }

    #[test]
    fn an_unknown_point_lists_the_known_ones() {
        let error = ArmedPoint::parse("after-lunch").unwrap_err();
        assert!(error.to_string().contains("between-completions"));
        assert!(ArmedPoint::parse("after-lease:0").is_err());
    }

    #[test]
    fn reaching_an_unarmed_point_does_nothing() {
        POINTS.into_iter().for_each(reach);
    }
}
