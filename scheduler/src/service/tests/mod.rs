//! The load service as its clients see it, without an engine behind it.

mod ends;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use plans::compiled;
use tonic::{Code, Request};

use super::loads::{Loads, Stage};
use super::policy::Policy;
use super::proto;
use super::proto::loads_server::Loads as _;
use super::proto::watch_response::Event;
use super::proto::{CancelRequest, GetRequest, SubmitRequest, WatchRequest};
use super::request;
use super::run::{Drivers, Runner};
use crate::drive::activity::Activity;
use crate::drive::context::{Driver, Planner, Timing};
use crate::load::outcome::LoadState;
use crate::load::recorded::{Origin, RecordedRequest};
use crate::load::terms;
use crate::load::terms::{Range, Terms};
use crate::status::memory::Memory;
use crate::status::{LoadRecord, StatusStore};
use crate::submit::{Submit, SubmitError};

#[derive(Debug)]
struct NoEngine;

#[async_trait]
impl Submit for NoEngine {
    async fn run(&self, _: &str, _: Arc<dyn ExecutionPlan>) -> Result<(), SubmitError> {
        Err(SubmitError::Cancelled)
    }

    async fn close(&self) {}
}

/// Short, since it is waited for.
const LEASE: Duration = Duration::from_millis(100);

fn now() -> DateTime<Utc> {
    "2024-03-01T00:00:00Z".parse().expect("a time")
}

fn drivers(status: Arc<dyn StatusStore>, engine: Arc<dyn Submit>) -> Box<Drivers> {
    let planner: Arc<Planner> = Arc::new(|_, _, _| Err("nothing is planned".into()));
    Box::new(move |observer, cancel| Driver {
        status: status.clone(),
        submit: engine.clone(),
        planner: planner.clone(),
        clock: now,
        observer,
        cancel,
        timing: Timing {
            lease: LEASE,
            ..Timing::default()
        },
        activity: Activity::default(),
        input_check: None,
    })
}

fn starting(status: &Arc<impl StatusStore + 'static>) -> Loads {
    with_engine(status, Arc::new(NoEngine))
}

fn with_engine(status: &Arc<impl StatusStore + 'static>, engine: Arc<dyn Submit>) -> Loads {
    let status: Arc<dyn StatusStore> = status.clone();
    let drivers = drivers(status.clone(), engine);
    let buckets = ["s3://lake".to_owned()];
    let policy = Policy::new(None, "/", &buckets).expect("a policy");
    Loads::new(Arc::new(Runner::new(status, drivers, now, policy)))
}

async fn serving(status: &Arc<impl StatusStore + 'static>) -> Loads {
    let loads = starting(status);
    loads.resume().await.expect("memory answers");
    loads
}

fn id() -> String {
    "0a".repeat(16)
}

/// Two days of an input that does not exist: the load is over soon.
fn terms(folder: &str) -> Terms {
    Terms {
        inputs: vec![format!("file://{folder}/input")],
        output: format!("file://{folder}/lake"),
        range: Range::Between {
            from: "2024-01-01".parse().expect("a day"),
            to: "2024-01-02".parse().expect("a day"),
        },
        margin: 0,
        lateness: Duration::ZERO,
        quarantine: format!("file://{folder}/lake.quarantine/"),
        work: format!("file://{folder}/lake/.lakebolt/"),
        max_attempts: 1,
        ..terms::example()
    }
}

/// The request of a load that a process runs, not a scheduler.
fn of_process(folder: &str) -> RecordedRequest {
    RecordedRequest {
        origin: Origin::Process,
        config_digest: String::new(),
        terms: Ok(terms(folder)),
    }
}

fn asked_with(terms: &Terms) -> SubmitRequest {
    SubmitRequest {
        load: request::sent(terms).ok(),
        ..asked("/nowhere")
    }
}

/// A client's request for the load.
fn asked(folder: &str) -> SubmitRequest {
    let version = plans::ocsf::DEFAULT_VERSION;
    let loaded = plans::sources::find("vpc_flow").expect("it ships");
    let loaded = loaded.load(version).expect("it is right");
    let compiled = compiled::compile(loaded, version, false).expect("it compiles");
    SubmitRequest {
        load_id: id(),
        load: request::sent(&terms(folder)).ok(),
        source: Some(proto::Source {
            name: "vpc_flow".to_owned(),
            ocsf_version: version.to_owned(),
            config_digest: compiled.program.digest,
            ..proto::Source::default()
        }),
        retry_of: None,
    }
}

async fn submit(loads: &Loads, asked: SubmitRequest) -> Result<(), tonic::Status> {
    loads.submit(Request::new(asked)).await.map(drop)
}

/// Every event of the load to its end.
async fn watch(loads: &Loads) -> Vec<Event> {
    let load_id = id();
    let events = loads.watch(Request::new(WatchRequest { load_id })).await;
    let events = events.expect("it is known").into_inner();
    let events = events.map(|event| event.expect("an event").event.expect("known"));
    let all = tokio::time::timeout(Duration::from_secs(60), events.collect());
    all.await.expect("it ends")
}

/// The record of a load that a scheduler before left unfinished.
async fn unfinished(status: &Arc<Memory>, folder: &str) -> LoadRecord {
    let first = serving(status).await;
    submit(&first, asked(folder)).await.expect("it is right");
    watch(&first).await;
    let ended = status.load(&id()).await.expect("memory").expect("known");
    let unfinished = LoadRecord {
        state: LoadState::Running,
        outcome: None,
        ended_at: None,
        ..ended
    };
    status.put_load(&unfinished).await.expect("memory");
    unfinished
}

fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    (folder, path)
}

#[tokio::test]
async fn a_load_is_recorded_before_the_answer_and_reported_to_its_end() {
    let (_folder, path) = folder();
    let status = Arc::new(Memory::default());
    let loads = serving(&status).await;
    submit(&loads, asked(&path)).await.expect("it is right");
    assert!(status.load(&id()).await.expect("memory").is_some());
    let events = watch(&loads).await;
    assert!(matches!(events.first(), Some(Event::Standing(_))));
    let Some(Event::Ended(ended)) = events.last() else {
        panic!("no end in {events:?}");
    };
    assert_eq!(ended.state, "failed", "{ended:?}");
    let load_id = id();
    let get = loads.get(Request::new(GetRequest { load_id })).await;
    assert_eq!(get.expect("known").into_inner().load.as_ref(), Some(ended));
    let load_id = id();
    let cancel = loads.cancel(Request::new(CancelRequest { load_id })).await;
    assert!(!cancel.expect("known").into_inner().running);
}

#[tokio::test]
async fn the_same_load_may_be_submitted_again_and_another_of_its_id_not() {
    let (_folder, path) = folder();
    let loads = serving(&Arc::new(Memory::default())).await;
    for _ in 0..2 {
        submit(&loads, asked(&path)).await.expect("it is the same");
    }
    let other = asked_with(&Terms {
        full_load: true,
        ..terms(&path)
    });
    let refused = submit(&loads, other).await.expect_err("it is another");
    assert_eq!(refused.code(), Code::AlreadyExists);
}

/// The call that recorded it may have ended there: its client went away, or the store's answer
/// was lost.
#[tokio::test]
async fn a_load_that_is_recorded_and_not_started_starts_when_it_is_submitted_again() {
    let (_folder, path) = folder();
    let status = Arc::new(Memory::default());
    let first = serving(&status).await;
    submit(&first, asked(&path)).await.expect("it is right");
    watch(&first).await;
    let ended = status.load(&id()).await.expect("memory").expect("known");
    let second = serving(&status).await;
    let queued = LoadRecord {
        state: LoadState::Queued,
        outcome: None,
        ended_at: None,
        ..ended
    };
    status.put_load(&queued).await.expect("memory");
    submit(&second, asked(&path)).await.expect("it is the same");
    let events = watch(&second).await;
    assert!(matches!(events.last(), Some(Event::Ended(_))));
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_remedy_and_recorded_nowhere() {
    let status = Arc::new(Memory::default());
    let loads = serving(&status).await;
    let refused = async |code, spoil: &dyn Fn(&mut SubmitRequest)| {
        let mut asked = asked("/nowhere");
        spoil(&mut asked);
        let refused = submit(&loads, asked).await.expect_err("it is wrong");
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains('\n'), "no remedy: {refused}");
    };
    let source = |asked: &mut SubmitRequest| asked.source.take().unwrap_or_default();
    refused(Code::InvalidArgument, &|asked| {
        asked.load_id = "x".to_owned()
    })
    .await;
    refused(Code::InvalidArgument, &|asked| asked.load = None).await;
    let unreadable = proto::Load {
        terms_json: "{}".to_owned(),
    };
    let unreadable = Some(unreadable);
    refused(Code::InvalidArgument, &|asked| {
        asked.load = unreadable.clone()
    })
    .await;
    let wrong = asked_with(&Terms::default()).load;
    refused(Code::InvalidArgument, &|asked| asked.load = wrong.clone()).await;
    refused(Code::InvalidArgument, &|asked| asked.source = None).await;
    refused(Code::NotFound, &|asked| {
        asked.retry_of = Some("1".repeat(32))
    })
    .await;
    refused(Code::FailedPrecondition, &|asked| {
        let config_digest = "other".to_owned();
        asked.source = Some(proto::Source {
            config_digest,
            ..source(asked)
        });
    })
    .await;
    assert!(status.load_ids().await.expect("memory").is_empty());
}

#[tokio::test]
async fn a_scheduler_that_starts_or_stops_takes_on_nothing() {
    let status = Arc::new(Memory::default());
    let loads = starting(&status);
    let early = submit(&loads, asked("/nowhere")).await;
    assert_eq!(early.expect_err("it starts").code(), Code::Unavailable);
    loads.drain().await;
    loads.resume().await.expect("memory answers");
    assert_eq!(loads.stage(), Stage::Draining);
    let late = submit(&loads, asked("/nowhere")).await;
    assert_eq!(late.expect_err("it stops").code(), Code::Unavailable);
}

/// A scheduler may be stopped while it still resumes the loads that another left.
#[tokio::test]
async fn a_scheduler_that_stops_takes_up_nothing() {
    let (_folder, path) = folder();
    let status = Arc::new(Memory::default());
    let running = unfinished(&status, &path).await;
    let second = starting(&status);
    second.drain().await;
    second.resume().await.expect("memory answers");
    assert!(second.runner().registry.is_empty());
    assert_eq!(status.load(&id()).await.expect("memory"), Some(running));
}

#[tokio::test]
async fn unfinished_loads_of_a_cluster_are_taken_up_and_those_of_others_left_alone() {
    let (_folder, path) = folder();
    let status = Arc::new(Memory::default());
    let unfinished = unfinished(&status, &path).await;
    let embedded = LoadRecord {
        load_id: "1".repeat(32),
        request: of_process(&path),
        ..unfinished.clone()
    };
    status.put_load(&embedded).await.expect("memory");
    let second = serving(&status).await;
    let events = watch(&second).await;
    assert!(matches!(events.last(), Some(Event::Ended(_))));
    let left = status.load(&embedded.load_id).await.expect("memory");
    assert_eq!(left, Some(embedded.clone()));
    let load_id = embedded.load_id;
    let watched = second.watch(Request::new(WatchRequest { load_id })).await;
    let refused = watched.err().expect("it is not ours");
    assert_eq!(refused.code(), Code::FailedPrecondition);
}
