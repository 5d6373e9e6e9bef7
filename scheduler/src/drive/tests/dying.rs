//! A status store that fails during a load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::load::days::Month;
use crate::status::memory::Memory;
use crate::status::{Expected, LoadRecord, PeriodRecord, Prepared, StatusError, StatusStore};

/// A status store that fails at one of its writes. With `at` the process dies: no call returns
/// from then on. With `unavailable` a number of calls fail.
#[derive(Debug)]
pub(crate) struct Dying {
    pub(crate) inner: Arc<Memory>,
    writes: AtomicU64,
    /// The failing write, counted from 1.
    at: u64,
    /// Whether the failing write is still stored.
    after: bool,
    pub(crate) died: watch::Sender<bool>,
    dead: AtomicBool,
    /// The number of calls that fail. `None` if the process dies.
    failing: Option<u64>,
    /// The number of calls that still have to fail.
    left: AtomicU64,
}

impl Dying {
    pub(crate) fn at(inner: Arc<Memory>, at: u64, after: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            writes: AtomicU64::new(0),
            at,
            after,
            died: watch::Sender::new(false),
            dead: AtomicBool::new(false),
            failing: None,
            left: AtomicU64::new(0),
        })
    }

    /// Creates a store for which this many calls fail from that write on.
    pub(crate) fn unavailable(inner: Arc<Memory>, at: u64, after: bool, calls: u64) -> Arc<Self> {
        let dying = Arc::into_inner(Self::at(inner, at, after)).expect("nobody else has it");
        Arc::new(Self {
            failing: Some(calls),
            ..dying
        })
    }

    async fn die(&self) -> Result<(), StatusError> {
        if let Some(calls) = self.failing {
            self.left.store(calls, Ordering::Relaxed);
            return Err(Self::unreachable());
        }
        self.dead.store(true, Ordering::Relaxed);
        self.died.send_replace(true);
        std::future::pending().await
    }

    async fn live(&self) -> Result<(), StatusError> {
        if self.dead.load(Ordering::Relaxed) {
            return self.die().await;
        }
        let order = Ordering::Relaxed;
        let left = self
            .left
            .fetch_update(order, order, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(Self::unreachable()))
    }

    fn unreachable() -> StatusError {
        StatusError::Unreachable {
            uri: "dying:".to_owned(),
            source: "it is unavailable".into(),
        }
    }
}

#[async_trait]
impl StatusStore for Dying {
    async fn prepare(&self) -> Result<Vec<Prepared>, StatusError> {
        self.inner.prepare().await
    }

    async fn id(&self) -> Result<String, StatusError> {
        self.inner.id().await
    }

    async fn get(&self, dataset: &str, period: Month) -> Result<Option<PeriodRecord>, StatusError> {
        self.live().await?;
        self.inner.get(dataset, period).await
    }

    async fn periods(&self, dataset: &str) -> Result<Vec<PeriodRecord>, StatusError> {
        self.inner.periods(dataset).await
    }

    async fn datasets(&self) -> Result<Vec<String>, StatusError> {
        self.inner.datasets().await
    }

    async fn put(&self, record: &PeriodRecord, expected: &Expected) -> Result<(), StatusError> {
        self.live().await?;
        let dies = self.writes.fetch_add(1, Ordering::Relaxed) + 1 == self.at;
        if dies && !self.after {
            return self.die().await;
        }
        self.inner.put(record, expected).await?;
        match dies {
            true => self.die().await,
            false => Ok(()),
        }
    }

    async fn put_load(&self, load: &LoadRecord) -> Result<(), StatusError> {
        self.inner.put_load(load).await
    }

    async fn load(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError> {
        self.inner.load(load_id).await
    }

    async fn loads(&self, limit: usize) -> Result<Vec<LoadRecord>, StatusError> {
        self.inner.loads(limit).await
    }

    async fn load_ids(&self) -> Result<BTreeSet<String>, StatusError> {
        self.inner.load_ids().await
    }
}
