//! The notifications of a running load, for progress bars, plain lines and logs.

use std::fmt::Debug;
use std::time::Duration;

use super::outcome::{PeriodOutcome, Volume};

/// A step of a running load. It is cheap to make, and may be dropped.
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
    /// An attempt failed, and another one follows after `pause`.
    Retrying {
        period: String,
        why: String,
        pause: Duration,
    },
    /// A period was done, skipped or failed; the outcome says which.
    PeriodEnded(Box<PeriodOutcome>),
    Warning(String),
}

/// How far an attempt has got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub period: String,
    pub splits_done: usize,
    pub splits: usize,
    pub bytes_done: u64,
    pub bytes: u64,
    pub rows: u64,
}

/// The port that receives the notifications of a load. It must return at once.
pub trait Observer: Send + Sync + Debug {
    fn observe(&self, notification: &Notification);
}

/// Ignores every notification.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&self, _: &Notification) {}
}
