//! The engine of `lakebolt-scheduler`: the scheduler runs in this process, executors in
//! others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{Mutex, Semaphore};

use super::ballista::Jobs;
use super::{Admission, Submit, SubmitError};
use crate::cluster::{Scheduler, Service};

/// Interval at which the number of task slots is refreshed.
const REFRESH: Duration = Duration::from_millis(500);

/// Submits plans to the scheduler in this process.
pub struct Cluster {
    scheduler: Scheduler,
    jobs: Jobs<Service>,
    slots: Arc<Semaphore>,
    /// The current number of slots, including those in use.
    total: Mutex<usize>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// Creates an engine without slots. They follow the number of executors.
    pub fn new(scheduler: Scheduler) -> Self {
        Self {
            jobs: Jobs::new(scheduler.client(), None),
            scheduler,
            slots: Arc::new(Semaphore::new(0)),
            total: Mutex::new(0),
        }
    }

    /// Makes as many slots for periods as the executors run tasks at once. A period may be a
    /// single split, so this many are needed to keep all executors busy. More would only use
    /// memory in this process.
    async fn fit(&self) {
        let wanted = self.scheduler.concurrent_tasks().await;
        let mut total = self.total.lock().await;
        if wanted > *total {
            self.slots.add_permits(wanted - *total);
            *total = wanted;
        } else {
            *total -= self.slots.forget_permits(*total - wanted);
        }
    }
}

#[async_trait]
impl Submit for Cluster {
    async fn run(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        self.jobs.run(name, plan).await
    }

    async fn admit(&self) -> Admission {
        loop {
            self.fit().await;
            let slot = self.slots.clone().acquire_owned();
            if let Ok(Ok(slot)) = tokio::time::timeout(REFRESH, slot).await {
                return Admission::of(slot);
            }
        }
    }

    async fn has_executors(&self) -> bool {
        self.scheduler.concurrent_tasks().await > 0
    }

    async fn close(&self) {}
}
