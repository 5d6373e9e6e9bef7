//! The client's side of the protocol: submits a load and follows it, also over the restart
//! of its scheduler.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use executor::engine::MESSAGE_BYTES;
use executor::transport::{Connection, Transport, TransportError};
use tonic::{Code, Status};

use super::proto::loads_client::LoadsClient;
use super::proto::watch_response::Event;
use super::proto::{
    CancelRequest, GetRequest, ListRequest, LoadInfo, Standing, SubmitRequest, WatchRequest,
};
use super::{notifications, request};
use crate::load::failure::{Failure, Kind, with_causes};
use crate::load::notification::{Notification, Observer};
use crate::load::outcome::Outcome;
use crate::load::recorded::SentSource;
use crate::load::terms::Terms;

const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const MOST_LISTED: u32 = 1000;
/// How long a scheduler that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(300);
/// The same for a scheduler that has not answered at all yet.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);

/// A scheduler's load service.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    loads: LoadsClient<Connection>,
    /// The scheduler has answered: what fails from then on passes.
    has_answered: Arc<AtomicBool>,
}

impl Client {
    /// The service at `address`; it is connected to when it is first asked.
    pub fn new(address: &str, transport: &Transport) -> Result<Self, Failure> {
        let connection = transport
            .connect(address)
            .map_err(|error| bad_address(&error))?;
        let loads = LoadsClient::new(connection)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        Ok(Self {
            address: address.to_owned(),
            loads,
            has_answered: Arc::default(),
        })
    }

    /// Submits a load under an id that the caller chose.
    pub async fn submit(
        &self,
        load_id: &str,
        terms: &Terms,
        source: &SentSource,
    ) -> Result<(), Failure> {
        let load = request::sent(terms)
            .map_err(|error| Failure::of(Kind::Bug, "terms_unsent", &error, "please report it"))?;
        self.ask(SubmitRequest {
            load_id: load_id.to_owned(),
            load: Some(load),
            source: Some(source.sent()),
            retry_of: None,
        })
        .await
    }

    /// Submits the failed periods of `earlier` again, as a new load.
    pub async fn retry(&self, load_id: &str, earlier: &str) -> Result<(), Failure> {
        self.ask(SubmitRequest {
            load_id: load_id.to_owned(),
            retry_of: Some(earlier.to_owned()),
            ..SubmitRequest::default()
        })
        .await
    }

    async fn ask(&self, asked: SubmitRequest) -> Result<(), Failure> {
        // The id makes it harmless to ask twice.
        let submit = || {
            let (mut loads, asked) = (self.loads.clone(), asked.clone());
            async move { loads.submit(asked).await }
        };
        self.persist(submit).await.map(drop)
    }

    /// Whether the load was running; it stops soon.
    pub async fn cancel(&self, load_id: &str) -> Result<bool, Failure> {
        let asked = CancelRequest {
            load_id: load_id.to_owned(),
        };
        let cancel = || {
            let (mut loads, asked) = (self.loads.clone(), asked.clone());
            async move { loads.cancel(asked).await }
        };
        let answer = self.persist(cancel).await?;
        Ok(answer.into_inner().running)
    }

    pub async fn get(&self, load_id: &str) -> Result<LoadInfo, Failure> {
        let asked = GetRequest {
            load_id: load_id.to_owned(),
        };
        let get = || {
            let (mut loads, asked) = (self.loads.clone(), asked.clone());
            async move { loads.get(asked).await }
        };
        let load = self.persist(get).await?.into_inner().load;
        load.ok_or_else(|| unreadable(&self.address))
    }

    /// The id of the load whose id is, or starts with, `id`.
    pub async fn find(&self, id: &str) -> Result<String, Failure> {
        if request::load_id("load_id", id).is_ok() {
            return Ok(id.to_owned());
        }
        let loads = self.list(MOST_LISTED).await?;
        let ids = loads.into_iter().map(|load| load.load_id);
        let mut matching = ids.filter(|known| known.starts_with(id));
        match (matching.next(), matching.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(unknown(format!("no load {id} at {}", self.address))),
            (Some(_), Some(_)) => Err(unknown(format!("several loads start with {id}"))),
        }
    }

    /// The newest loads, without their outcomes.
    pub async fn list(&self, limit: u32) -> Result<Vec<LoadInfo>, Failure> {
        let list = || {
            let mut loads = self.loads.clone();
            async move { loads.list(ListRequest { limit }).await }
        };
        Ok(self.persist(list).await?.into_inner().loads)
    }

    /// Passes the notifications of the load to `observer` until it has ended. Returns its outcome.
    /// `away` is called once each time that the scheduler is lost.
    pub async fn follow(
        &self,
        load_id: &str,
        observer: &dyn Observer,
        away: &(dyn Fn(&str) + Sync),
    ) -> Result<Outcome, Failure> {
        let mut seen = Seen::default();
        let mut tries = Tries::new(self.patience());
        loop {
            let status = match self.watch(load_id, observer, &mut seen, &mut tries).await {
                Ok(ended) => return outcome(&ended).ok_or_else(|| unreadable(&self.address)),
                Err(status) => status,
            };
            if !is_passing(&status) || tries.exhausted() {
                return Err(self.failure(&status));
            }
            if tries.are_fresh() && seen.is_known {
                away(&self.address);
            }
            tries.pause().await;
        }
    }

    async fn watch(
        &self,
        load_id: &str,
        observer: &dyn Observer,
        seen: &mut Seen,
        tries: &mut Tries,
    ) -> Result<LoadInfo, Status> {
        let asked = WatchRequest {
            load_id: load_id.to_owned(),
        };
        let mut events = self.loads.clone().watch(asked).await?.into_inner();
        while let Some(response) = events.message().await? {
            *tries = Tries::new(PATIENCE);
            match response.event {
                Some(Event::Standing(standing)) => seen.catch_up(standing, observer),
                Some(Event::Ended(ended)) => return Ok(ended),
                Some(event) => seen.pass_on(event, observer),
                // Of a newer scheduler.
                None => {}
            }
        }
        Err(Status::unavailable("the scheduler ended its answer"))
    }

    /// Asks until there is an answer that is not about the way to the scheduler.
    async fn persist<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut tries = Tries::new(FIRST_PATIENCE);
        loop {
            match ask().await {
                Ok(answer) => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(status) if is_passing(&status) && !tries.exhausted() => tries.pause().await,
                Err(status) => return Err(self.failure(&status)),
            }
        }
    }

    /// How long to follow a load whose scheduler is unavailable.
    fn patience(&self) -> Duration {
        match self.has_answered.load(Ordering::Relaxed) {
            true => PATIENCE,
            false => FIRST_PATIENCE,
        }
    }

    fn failure(&self, status: &Status) -> Failure {
        let (message, remedy) = match status.message().rsplit_once('\n') {
            Some((message, remedy)) => (message.to_owned(), remedy),
            None => (status.message().to_owned(), ""),
        };
        let (kind, code) = match status.code() {
            Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => {
                (Kind::Usage, "submission_refused")
            }
            Code::PermissionDenied => (Kind::Usage, "outside_policy"),
            Code::Unauthenticated => (Kind::Refused, "not_authorized"),
            Code::NotFound => (Kind::Usage, "no_load"),
            Code::Aborted => (Kind::Dependency, "cancel_not_recorded"),
            Code::ResourceExhausted => (Kind::Refused, "cluster_full"),
            _ => return self.unreachable(status),
        };
        Failure::new(kind, code, message, remedy)
    }

    fn unreachable(&self, status: &Status) -> Failure {
        let why = with_causes(status);
        let message = format!("the scheduler at {} cannot be reached: {why}", self.address);
        let remedy = "check --cluster, --tls-ca, --tls-cert and --tls-key, and that it runs";
        Failure::new(Kind::Dependency, "scheduler_unreachable", message, remedy)
    }
}

/// What the observer has seen already, so that a fresh snapshot repeats nothing.
#[derive(Default)]
struct Seen {
    /// The observer has seen something.
    is_known: bool,
    said: std::collections::BTreeSet<String>,
}

impl Seen {
    fn catch_up(&mut self, standing: Standing, observer: &dyn Observer) {
        self.is_known = true;
        let listed = standing.listed.map(Event::Listed);
        let started = standing.started.into_iter().map(Event::PeriodStarted);
        let warnings = standing.warnings.into_iter().map(Event::Warning);
        let ended = standing.ended.into_iter().map(Event::PeriodEnded);
        let progress = standing.progress.into_iter().map(Event::Progress);
        let all = listed.into_iter().chain(warnings).chain(ended);
        for event in all.chain(started).chain(progress) {
            self.pass_on(event, observer);
        }
    }

    fn pass_on(&mut self, event: Event, observer: &dyn Observer) {
        let Some(notification) = notifications::notification(event) else {
            return;
        };
        let key = match &notification {
            Notification::Listed { .. } => Some("listed".to_owned()),
            Notification::PeriodStarted {
                period, attempt, ..
            } => Some(format!("{period} {attempt}")),
            Notification::PeriodEnded(outcome) => Some(format!("{} ended", outcome.period)),
            Notification::Warning(text) => Some(format!("warning {text}")),
            Notification::Progress(_) | Notification::Retrying { .. } => None,
        };
        if key.is_none_or(|key| self.said.insert(key)) {
            observer.observe(&notification);
        }
    }
}

/// Pauses that grow, within a patience that ends.
struct Tries {
    pause: Duration,
    left: Duration,
}

impl Tries {
    fn new(patience: Duration) -> Self {
        Self {
            pause: PAUSE,
            left: patience,
        }
    }

    fn are_fresh(&self) -> bool {
        self.pause == PAUSE
    }

    fn exhausted(&self) -> bool {
        self.left.is_zero()
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.left = self.left.saturating_sub(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether the same call may succeed later: the scheduler is unavailable or starts.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Internal
    )
}

/// The outcome of a load that has ended.
pub fn outcome(info: &LoadInfo) -> Option<Outcome> {
    serde_json::from_str(info.outcome_json.as_deref()?).ok()
}

fn unknown(message: String) -> Failure {
    let remedy = "write the whole id, as `lakebolt status --cluster` prints it";
    Failure::new(Kind::Usage, "no_load", message, remedy)
}

fn bad_address(error: &TransportError) -> Failure {
    let remedy = "write HOST:PORT, and with TLS --tls-ca, --tls-cert and --tls-key";
    Failure::of(Kind::Usage, "bad_cluster", error, remedy)
}

fn unreadable(address: &str) -> Failure {
    let message = format!("the answer of the scheduler at {address} cannot be read");
    let remedy = "use the same version of lakebolt on both sides";
    Failure::new(Kind::Usage, "answer_unreadable", message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scheduler_that_took_the_load_on_is_waited_for_longer() {
        let transport = Transport {
            token_file: Some("token".into()),
            ..Transport::default()
        };
        let client = Client::new("127.0.0.1:1", &transport).expect("an address");
        assert_eq!(client.patience(), FIRST_PATIENCE);
        let refused = client.persist(async || Err::<(), _>(Status::not_found("no load")));
        refused.await.expect_err("it is refused");
        let accepted = client.persist(async || Ok(()));
        accepted.await.expect("it is answered");
        assert_eq!(client.patience(), PATIENCE);
    }
}
