//! Named places where a test may stop the process, to prove that what is left can
//! be taken up again. Unarmed, reaching one costs a load of one atomic.
//!
//! Nothing here reads the environment: a binary's configuration arms the point.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The points, in the order in which a task passes them.
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

static ARMED: OnceLock<Trap> = OnceLock::new();

/// What cannot be armed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrashPointError {
    #[error("`{name}` is no crash point; known are {}", POINTS.join(", "))]
    Unknown { name: String },
    #[error("`{text}` is not a number of times, counted from 1")]
    BadCount { text: String },
    #[error("a crash point is armed already")]
    ArmedTwice,
}

/// One armed point: its name, at which pass it springs, and what it does then.
#[derive(Debug)]
struct Trap {
    name: &'static str,
    at: u64,
    freezes: bool,
    passed: AtomicU64,
}

/// Arms one point for the rest of the process: `NAME`, `NAME:N` (at the N-th pass),
/// and `stop:NAME[:N]`, which freezes the process instead of killing it.
pub fn arm(text: &str) -> Result<(), CrashPointError> {
    let trap = Trap::parse(text)?;
    ARMED.set(trap).map_err(|_| CrashPointError::ArmedTwice)
}

/// Stops the process here if `name` is armed. Nothing is unwound, flushed or dropped.
#[inline]
pub fn reach(name: &str) {
    if let Some(trap) = ARMED.get()
        && trap.springs_at(name)
    {
        trap.spring();
    }
}

impl Trap {
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
        let name = POINTS.into_iter().find(|point| *point == name);
        Ok(Self {
            name: name.ok_or_else(unknown)?,
            at,
            freezes,
            passed: AtomicU64::new(0),
        })
    }

    fn springs_at(&self, name: &str) -> bool {
        name == self.name && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.at
    }

    #[cfg(unix)]
    fn spring(&self) {
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
    fn spring(&self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn springs(text: &str, passes: &[&str]) -> Vec<bool> {
        let trap = Trap::parse(text).unwrap();
        passes.iter().map(|name| trap.springs_at(name)).collect()
    }

    #[test]
    fn a_point_springs_at_the_pass_that_was_asked_for() {
        assert_eq!(
            springs(
                "after-lease",
                &["before-done", "after-lease", "after-lease"]
            ),
            [false, true, false]
        );
        assert_eq!(
            springs("stop:before-done:2", &["before-done", "before-done"]),
            [false, true]
        );
    }

    #[test]
    fn an_unknown_point_lists_the_known_ones() {
        let error = Trap::parse("after-lunch").unwrap_err();
        assert!(error.to_string().contains("between-completions"));
        assert!(Trap::parse("after-lease:0").is_err());
    }

    #[test]
    fn reaching_an_unarmed_point_does_nothing() {
        POINTS.into_iter().for_each(reach);
    }
}
