//! The server of the protocol: accepts loads, reports their state and cancels them.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, stream};
use tokio::sync::{Mutex, broadcast, watch};
use tonic::{Code, Request, Response, Status};
use tracing::info;

use super::proto::watch_response::Event;
use super::proto::{
    CancelRequest, CancelResponse, GetRequest, GetResponse, ListRequest, ListResponse, Load,
    LoadInfo, Source, Standing, SubmitRequest, SubmitResponse, WatchRequest, WatchResponse,
    loads_server,
};
use super::registry::Live;
use super::run::Runner;
use super::{notifications, request};
use crate::load::check::Invalid;
use crate::load::dataset;
use crate::load::days::Moment;
use crate::load::failure::{Failure, with_causes};
use crate::load::outcome::LoadState;
use crate::load::recorded::{Origin, RecordedRequest, SentSource};
use crate::load::terms::{LoadRequest, Shape, Terms};
use crate::status::{LoadRecord, StatusError};

/// Loads that have not ended, at most.
const MOST: usize = 1000;
const LISTED: usize = 20;
const MOST_LISTED: u32 = 1000;
/// Larger than any request that is well formed.
pub const REQUEST_BYTES: usize = 4 << 20;

/// Where a scheduler is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It takes up what an earlier one had not finished.
    Resuming,
    Serving,
    /// It accepts no load and drains those that run.
    Draining,
}

/// The load service. Clones are the same one.
#[derive(Clone)]
pub struct Loads {
    runner: Arc<Runner>,
    stage: Arc<watch::Sender<Stage>>,
    /// One at a time, so that a load is not accepted twice.
    submitting: Arc<Mutex<()>>,
}

impl Loads {
    pub fn new(runner: Arc<Runner>) -> Self {
        Self {
            runner,
            stage: Arc::new(watch::channel(Stage::Resuming).0),
            submitting: Arc::default(),
        }
    }

    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Takes up what is unfinished, and serves.
    pub async fn resume(&self) -> Result<(), StatusError> {
        self.runner.resume().await?;
        self.stage.send_if_modified(|stage| {
            let resuming = *stage == Stage::Resuming;
            if resuming {
                *stage = Stage::Serving;
            }
            resuming
        });
        Ok(())
    }

    /// Drains every load. Watchers are disconnected, and ask the next scheduler.
    pub async fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
        let _last = self.submitting.lock().await;
        self.runner.drain().await;
    }

    fn serving(&self) -> Result<(), Status> {
        match self.stage() {
            Stage::Serving => Ok(()),
            Stage::Resuming => Err(Status::unavailable("the scheduler starts")),
            Stage::Draining => Err(leaving()),
        }
    }

    async fn record(&self, load_id: &str) -> Result<LoadRecord, Status> {
        request::load_id("load_id", load_id).map_err(|error| invalid(&error))?;
        let found = self.runner.status.load(load_id).await;
        found.map_err(|error| unreachable(&error))?.ok_or_else(|| {
            said(
                Code::NotFound,
                format!("no load {load_id}"),
                "see `lakebolt status`",
            )
        })
    }

    /// Records a load and begins it; one that is known already is let be.
    async fn begin(&self, record: LoadRecord) -> Result<(), Status> {
        let _alone = self.submitting.lock().await;
        self.serving()?;
        let status = &self.runner.status;
        let known = status.load(&record.load_id).await;
        if let Some(known) = known.map_err(|error| unreachable(&error))? {
            if known.request != record.request {
                let message = format!("load {} was asked for differently", record.load_id);
                return Err(said(Code::AlreadyExists, message, "choose another id"));
            }
            // It may have been recorded by a call whose answer the status store lost.
            if !known.state.is_final() {
                self.runner.start(known, true).await;
            }
            return Ok(());
        }
        if self.runner.registry.len() >= MOST {
            let message = format!("{MOST} loads have not ended yet");
            return Err(said(
                Code::ResourceExhausted,
                message,
                "wait for some of them",
            ));
        }
        let put = status.put_load(&record).await;
        put.map_err(|error| unreachable(&error))?;
        let (id, source) = (&record.load_id, &record.source);
        info!(load.id = %id, "load {id} of {source} is accepted");
        self.runner.start(record, false).await;
        Ok(())
    }

    /// Has a load stop, whether it runs here or is only recorded; false if it has ended.
    async fn cancel_load(&self, load_id: &str) -> Result<bool, Status> {
        let _alone = self.submitting.lock().await;
        self.serving()?;
        if let Some(live) = self.runner.registry.find(load_id) {
            let cancelled = self.runner.cancel(&live, load_id).await;
            info!(load.id = %load_id, "load {load_id} is cancelled");
            return cancelled.map_err(|error| unrecorded(load_id, &error));
        }
        let record = self.record(load_id).await?;
        if record.state.is_final() || !record.request.is_of_cluster() {
            return Ok(false);
        }
        info!(load.id = %load_id, "load {load_id} is cancelled before it was started");
        let struck = self.runner.cancel_queued(record).await;
        struck.map_err(|error| unreachable(&error))?;
        Ok(true)
    }

    /// The record of a load that is asked for, after every check.
    async fn accepted(&self, asked: SubmitRequest) -> Result<LoadRecord, Status> {
        request::load_id("load_id", &asked.load_id).map_err(|error| invalid(&error))?;
        let earlier = match &asked.retry_of {
            Some(id) => Some(self.record(id).await?),
            None => None,
        };
        let (source, terms) = match (asked.load, asked.source, earlier) {
            (None, None, Some(earlier)) => recorded(earlier)?,
            (load, source, _) => sent(load, source)?,
        };
        let compiled = source.compile(terms.shape == Shape::Raw);
        let compiled = compiled.map_err(|failure| refused(Code::FailedPrecondition, &failure))?;
        let request = LoadRequest {
            source: compiled.into(),
            terms,
        };
        let allowed = self.runner.policy.check(&request);
        allowed.map_err(|failure| refused(Code::PermissionDenied, &failure))?;
        let origin = Origin::Cluster {
            source,
            retry_of: asked.retry_of,
        };
        Ok(LoadRecord {
            load_id: asked.load_id,
            dataset: dataset::id(&request),
            request: RecordedRequest::new(&request, origin),
            source: request.source.name,
            state: LoadState::Queued,
            outcome: None,
            started_at: Moment((self.runner.clock)()),
            ended_at: None,
        })
    }
}

/// The source and the terms that a request holds.
fn sent(load: Option<Load>, source: Option<Source>) -> Result<(SentSource, Terms), Status> {
    let missing = |field| {
        said(
            Code::InvalidArgument,
            format!("`{field}` is missing"),
            "send it",
        )
    };
    let load = load.ok_or_else(|| missing("load"))?;
    let source = SentSource::received(source.ok_or_else(|| missing("source"))?);
    let source = source.map_err(|failure| refused(Code::InvalidArgument, &failure))?;
    let terms = request::received(&load).map_err(|error| invalid(&error))?;
    Ok((source, terms))
}

/// The source and the terms of an earlier load.
fn recorded(earlier: LoadRecord) -> Result<(SentSource, Terms), Status> {
    let refused = |message, remedy| Err(said(Code::FailedPrecondition, message, remedy));
    let id = &earlier.load_id;
    let Origin::Cluster { source, .. } = earlier.request.origin else {
        let message = format!("load {id} did not run on a cluster");
        return refused(message, "retry it with --state where it ran");
    };
    match earlier.request.terms {
        Ok(terms) => Ok((source, terms)),
        Err(why) => refused(
            format!("the request of load {id} cannot be read: {why}"),
            "run it anew",
        ),
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl loads_server::Loads for Loads {
    type WatchStream = Events;

    async fn submit(
        &self,
        asked: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let record = self.accepted(asked.into_inner()).await?;
        let loads = self.clone();
        // In its own task: a client that disconnects would leave a load that is recorded and not
        // started.
        let started = tokio::spawn(async move { loads.begin(record).await });
        let started = started.await;
        started.unwrap_or_else(|error| Err(Status::internal(error.to_string())))?;
        Ok(Response::new(SubmitResponse {}))
    }

    async fn watch(&self, asked: Request<WatchRequest>) -> Result<Response<Events>, Status> {
        let id = asked.into_inner().load_id;
        request::load_id("load_id", &id).map_err(|error| invalid(&error))?;
        if let Some(live) = self.runner.registry.find(&id) {
            let watcher = Watcher {
                live,
                events: None,
                stage: self.stage.subscribe(),
            };
            return Ok(Response::new(Box::pin(watcher.events())));
        }
        let record = self.record(&id).await?;
        if !record.state.is_final() {
            self.serving()?;
            // It may have been accepted between the two lookups.
            if record.request.is_of_cluster() {
                return Err(Status::unavailable("the load is being taken up"));
            }
            let message = format!("load {id} runs embedded in another process");
            return Err(said(Code::FailedPrecondition, message, "watch it there"));
        }
        let info = notifications::info(&record);
        let standing = Standing {
            load: Some(info.clone()),
            ..Standing::default()
        };
        let events = [Event::Standing(standing), Event::Ended(info)];
        let events = events.map(|event| Ok(response(event)));
        Ok(Response::new(Box::pin(stream::iter(events))))
    }

    async fn get(&self, asked: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let record = self.record(&asked.into_inner().load_id).await?;
        let load = Some(notifications::info(&record));
        Ok(Response::new(GetResponse { load }))
    }

    async fn list(&self, asked: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let limit = match asked.into_inner().limit {
            0 => LISTED,
            limit => limit.min(MOST_LISTED) as usize,
        };
        let loads = self.runner.status.loads(limit).await;
        let loads = loads.map_err(|error| unreachable(&error))?;
        // Outcomes may be large; Get has them.
        let brief = |record: &LoadRecord| LoadInfo {
            outcome_json: None,
            ..notifications::info(record)
        };
        let loads = loads.iter().map(brief).collect();
        Ok(Response::new(ListResponse { loads }))
    }

    async fn cancel(
        &self,
        asked: Request<CancelRequest>,
    ) -> Result<Response<CancelResponse>, Status> {
        let loads = self.clone();
        // In its own task: a client that disconnects would leave it half done.
        let cancelled =
            tokio::spawn(async move { loads.cancel_load(&asked.into_inner().load_id).await });
        let cancelled = cancelled.await;
        let running = cancelled.unwrap_or_else(|error| Err(Status::internal(error.to_string())))?;
        Ok(Response::new(CancelResponse { running }))
    }
}

/// Follows one load for one watcher.
struct Watcher {
    live: Arc<Live>,
    events: Option<broadcast::Receiver<Event>>,
    stage: watch::Receiver<Stage>,
}

impl Watcher {
    fn events(self) -> impl Stream<Item = Result<WatchResponse, Status>> + Send {
        stream::unfold(Some(self), |watcher| async move {
            let mut watcher = watcher?;
            let event = watcher.next().await;
            let is_last = matches!(event, Ok(Event::Ended(_)) | Err(_));
            Some((event.map(response), (!is_last).then_some(watcher)))
        })
    }

    /// The next event. A watcher that fell behind gets a new snapshot.
    async fn next(&mut self) -> Result<Event, Status> {
        let Some(events) = &mut self.events else {
            let (standing, events) = self.live.watch();
            self.events = Some(events);
            return Ok(Event::Standing(standing));
        };
        if let (true, Some(ended)) = (events.is_empty(), self.live.ended()) {
            return Ok(Event::Ended(ended));
        }
        let received = tokio::select! {
            biased;
            // A load that is cancelled from then on is only drained.
            _ = self.stage.wait_for(|stage| *stage == Stage::Draining) => return Err(leaving()),
            received = events.recv() => received,
        };
        match received {
            Ok(event) => Ok(event),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                let (standing, events) = self.live.watch();
                self.events = Some(events);
                Ok(Event::Standing(standing))
            }
            Err(broadcast::error::RecvError::Closed) => Err(leaving()),
        }
    }
}

fn response(event: Event) -> WatchResponse {
    WatchResponse { event: Some(event) }
}

fn leaving() -> Status {
    Status::unavailable("the scheduler stops")
}

/// A refusal: the message, and on the last line the remedy.
fn said(code: Code, message: impl Into<String>, remedy: &str) -> Status {
    Status::new(code, format!("{}\n{remedy}", message.into()))
}

fn invalid(error: &Invalid) -> Status {
    said(Code::InvalidArgument, error.to_string(), error.remedy)
}

fn refused(code: Code, failure: &Failure) -> Status {
    said(code, failure.message.clone(), &failure.remedy)
}

/// A load that is stopped here, and that its record does not know of.
fn unrecorded(load_id: &str, error: &StatusError) -> Status {
    let why = with_causes(error);
    let message = format!(
        "load {load_id} stops, but this cannot be recorded: a scheduler that starts \
         before it has ended takes it up again: {why}"
    );
    said(
        Code::Aborted,
        message,
        "see that the status store can be reached, and cancel it again",
    )
}

fn unreachable(error: &StatusError) -> Status {
    let code = match error.retryable() {
        true => Code::Unavailable,
        false => Code::FailedPrecondition,
    };
    refused(code, &Failure::from(error))
}
