//! The engine of `lakebolt-scheduler`: this process schedules, executors elsewhere run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{Mutex, Semaphore};

use super::ballista::Jobs;
use super::{Admission, Submit, SubmitError};
use crate::cluster::{Scheduler, Service};

/// Between two looks at how many executors there are.
const LOOK: Duration = Duration::from_millis(500);

/// Submits to the scheduler in this process.
pub struct Cluster {
    scheduler: Scheduler,
    jobs: Jobs<Service>,
    rooms: Arc<Semaphore>,
    /// How many rooms there are, taken ones included.
    most: Mutex<usize>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    pub fn new(scheduler: Scheduler) -> Self {
        Self {
            jobs: Jobs::new(scheduler.client(), None),
            scheduler,
            rooms: Arc::new(Semaphore::new(0)),
            most: Mutex::new(0),
        }
    }

    /// Makes as many rooms as the executors have tasks at once: a month may be one split, and
    /// a period more than that would only take memory here.
    async fn fit(&self) {
        let wanted = self.scheduler.concurrent_tasks().await;
        let mut most = self.most.lock().await;
        if wanted > *most {
            self.rooms.add_permits(wanted - *most);
            *most = wanted;
        } else {
            *most -= self.rooms.forget_permits(*most - wanted);
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
            let room = self.rooms.clone().acquire_owned();
            if let Ok(Ok(room)) = tokio::time::timeout(LOOK, room).await {
                return Admission::of(room);
            }
        }
    }

    async fn close(&self) {}
}
