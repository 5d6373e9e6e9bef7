//! How loads end that are cancelled, or that another scheduler runs too.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::load::days::Month;
use crate::status::{Expected, PeriodRecord, Prepared, State, StatusError};
use crate::submit::Admission;

/// An engine that never has room: a load on it runs until it is cancelled.
#[derive(Debug)]
struct Full;

#[async_trait]
impl Submit for Full {
    async fn run(&self, _: &str, _: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        Err(SubmitError::Cancelled)
    }

    async fn admit(&self) -> Admission {
        std::future::pending().await
    }

    async fn close(&self) {}
}

/// A status store that knows which states loads went through, and may be away.
#[derive(Debug, Default)]
struct Journal {
    inner: Memory,
    states: Mutex<Vec<String>>,
    is_unavailable: AtomicBool,
}

impl Journal {
    fn states(&self) -> Vec<String> {
        self.states.lock().expect("no panic").clone()
    }

    fn note(&self, state: &str) {
        let mut states = self.states.lock().expect("no panic");
        states.push(state.to_owned());
    }

    fn set_unavailable(&self, is_unavailable: bool) {
        self.is_unavailable.store(is_unavailable, Ordering::Relaxed);
    }

    fn here(&self) -> Result<&Memory, StatusError> {
        match self.is_unavailable.load(Ordering::Relaxed) {
            false => Ok(&self.inner),
            true => Err(StatusError::Unreachable {
                uri: "journal:".to_owned(),
                source: "it is unavailable".into(),
            }),
        }
    }
}

#[async_trait]
impl StatusStore for Journal {
    async fn prepare(&self) -> Result<Vec<Prepared>, StatusError> {
        self.here()?.prepare().await
    }

    async fn id(&self) -> Result<String, StatusError> {
        self.here()?.id().await
    }

    async fn get(&self, dataset: &str, period: Month) -> Result<Option<PeriodRecord>, StatusError> {
        self.here()?.get(dataset, period).await
    }

    async fn periods(&self, dataset: &str) -> Result<Vec<PeriodRecord>, StatusError> {
        self.here()?.periods(dataset).await
    }

    async fn datasets(&self) -> Result<Vec<String>, StatusError> {
        self.here()?.datasets().await
    }

    async fn put(&self, record: &PeriodRecord, expected: &Expected) -> Result<(), StatusError> {
        self.here()?.put(record, expected).await
    }

    async fn put_load(&self, load: &LoadRecord) -> Result<(), StatusError> {
        let store = self.here()?;
        self.note(load.state.as_str());
        store.put_load(load).await
    }

    async fn load(&self, load_id: &str) -> Result<Option<LoadRecord>, StatusError> {
        self.here()?.load(load_id).await
    }

    async fn loads(&self, limit: usize) -> Result<Vec<LoadRecord>, StatusError> {
        self.here()?.loads(limit).await
    }

    async fn load_ids(&self) -> Result<BTreeSet<String>, StatusError> {
        self.here()?.load_ids().await
    }
}

/// An object of the first day that is asked for.
fn input(folder: &str) {
    let day = format!("{folder}/input/AWSLogs/123456789012/vpcflowlogs/us-east-1/2024/01/01");
    std::fs::create_dir_all(&day).expect("a folder");
    std::fs::write(format!("{day}/one.log"), "version\n").expect("an object");
}

async fn cancel(loads: &Loads) -> Result<bool, tonic::Status> {
    let load_id = id();
    let answer = loads.cancel(Request::new(CancelRequest { load_id })).await;
    Ok(answer?.into_inner().running)
}

/// A scheduler with a load that runs until it is cancelled.
async fn running(status: &Arc<Journal>, folder: &str) -> Loads {
    input(folder);
    let loads = with_engine(status, Arc::new(Full));
    loads.resume().await.expect("it is there");
    submit(&loads, asked(folder)).await.expect("it is right");
    let started = || status.states().contains(&"running".to_owned());
    while !started() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    loads
}

/// January, in the hands of another process.
fn held(dataset: &str) -> PeriodRecord {
    let january = "2024-01".parse().expect("a month");
    PeriodRecord {
        state: State::Running,
        lease_owner: Some("another".to_owned()),
        lease_until: Some("2024-03-02T00:00:00Z".parse().expect("a time")),
        ..PeriodRecord::new(dataset, january, "vpc_flow")
    }
}

fn expect_cancelled(events: &[Event]) {
    let Some(Event::Ended(ended)) = events.last() else {
        panic!("no end in {events:?}");
    };
    assert_eq!(ended.state, "cancelled");
}

#[tokio::test]
async fn that_a_load_is_cancelled_is_recorded_before_it_stops() {
    let (_folder, path) = folder();
    let status = Arc::new(Journal::default());
    let loads = running(&status, &path).await;
    assert!(cancel(&loads).await.expect("an answer"));
    expect_cancelled(&watch(&loads).await);
    let states = ["queued", "running", "cancelling", "cancelled"];
    assert_eq!(status.states(), states);
    assert!(!cancel(&loads).await.expect("it is over"));
}

#[tokio::test]
async fn a_cancelled_load_ends_so_though_its_scheduler_stops() {
    let (_folder, path) = folder();
    let status = Arc::new(Journal::default());
    let loads = running(&status, &path).await;
    assert!(cancel(&loads).await.expect("an answer"));
    loads.drain().await;
    let record = status.load(&id()).await.expect("it is there");
    assert_eq!(record.expect("known").state, LoadState::Cancelled);
}

#[tokio::test]
async fn a_cancelled_load_whose_scheduler_died_is_not_run_by_the_next() {
    let (_folder, path) = folder();
    let memory = Arc::new(Memory::default());
    let cancelling = LoadRecord {
        state: LoadState::Cancelling,
        ..unfinished(&memory, &path).await
    };
    let status = Arc::new(Journal::default());
    status.put_load(&cancelling).await.expect("it is there");
    let loads = serving(&status).await;
    expect_cancelled(&watch(&loads).await);
    assert_eq!(status.states(), ["cancelling", "cancelled"]);
}

#[tokio::test]
async fn a_load_that_is_recorded_and_not_started_is_cancelled_at_once() {
    let (_folder, path) = folder();
    let memory = Arc::new(Memory::default());
    let record = unfinished(&memory, &path).await;
    let status = Arc::new(Journal::default());
    let loads = serving(&status).await;
    let embedded = LoadRecord {
        request: of_process(&path),
        ..record.clone()
    };
    status.put_load(&embedded).await.expect("it is there");
    assert!(!cancel(&loads).await.expect("it is not ours"));
    status.put_load(&record).await.expect("it is there");
    assert!(cancel(&loads).await.expect("an answer"));
    submit(&loads, asked(&path)).await.expect("it is known");
    expect_cancelled(&watch(&loads).await);
    assert_eq!(status.states(), ["running", "running", "cancelled"]);
}

#[tokio::test]
async fn a_cancel_that_cannot_be_recorded_says_so_and_stops_the_load_here() {
    let (_folder, path) = folder();
    let status = Arc::new(Journal::default());
    let loads = running(&status, &path).await;
    status.set_unavailable(true);
    let answer = cancel(&loads).await.expect_err("it cannot be recorded");
    assert_eq!(answer.code(), Code::Aborted);
    assert!(answer.message().contains("takes it up again"), "{answer}");
    status.set_unavailable(false);
    expect_cancelled(&watch(&loads).await);
    assert_eq!(status.states(), ["queued", "running", "cancelled"]);
}

#[tokio::test]
async fn a_load_that_another_scheduler_runs_too_is_left_to_it() {
    let (_folder, path) = folder();
    let status = Arc::new(Memory::default());
    let record = unfinished(&status, &path).await;
    input(&path);
    let held = held(&record.dataset);
    status.put(&held, &Expected::Absent).await.expect("memory");
    let loads = serving(&status).await;
    tokio::time::sleep(LEASE * 10).await;
    let stored = status.load(&id()).await.expect("memory");
    assert_eq!(stored, Some(record.clone()), "it is not ended");
    assert_eq!(loads.runner().registry.len(), 1, "it is waited for");
    let ended = LoadRecord {
        state: LoadState::Done,
        ..record
    };
    status.put_load(&ended).await.expect("memory");
    let events = watch(&loads).await;
    let Some(Event::Ended(answer)) = events.last() else {
        panic!("no end in {events:?}");
    };
    assert_eq!(answer.state, "done");
    assert_eq!(status.load(&id()).await.expect("memory"), Some(ended));
}
