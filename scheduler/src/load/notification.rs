//! What a running load tells whoever watches: bars, plain lines, logs.

use std::fmt::Debug;
use std::time::Duration;

use super::outcome::{PeriodOutcome, Volume};

/// Something that happened to a load. Cheap to make, safe to drop.
#[derive(Clone, Debug, PartialEq)]
pub enum Notification {
    /// The input was listed.
    Listed {
        input: Volume,
        periods: usize,
    },
    PeriodStarted {
        period: String,
        attempt: u64,
        days: usize,
        splits: usize,
        input: Volume,
    },
    Progress(Progress),
    /// A period's attempt failed and another one follows.
    Retrying {
        period: String,
        why: String,
        pause: Duration,
    },
    /// Done, skipped or failed, as the outcome says.
    PeriodEnded(Box<PeriodOutcome>),
    Warning(String),
}

/// How far an attempt of a period is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub period: String,
    pub splits_done: usize,
    pub splits: usize,
    pub bytes_done: u64,
    pub bytes: u64,
    pub rows: u64,
}

/// The port: told about a load while it runs. Must return at once.
pub trait Observer: Send + Sync + Debug {
    fn observe(&self, notification: &Notification);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: &Notification) {}
}
