//! Small loads on a cluster of real processes, while processes are killed or frozen, and
//! connections, storage or tables fail for a while. Every row must be in the lake once.
//!
//! The seed of a round determines its failures: the crash points of its processes, and the
//! failures that are injected after some number of requests to storage and tables.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::cloud::in_parallel;
use tests::days::{Day, day};
use tests::points::{AFTER_COMMIT, BEFORE_COMMIT, OF_EXECUTORS};
use tests::proxy::{Fault, RandomFaults};
use tests::random::Random;
use tests::{
    CloudWorkspace, Cluster, FaultProxy, Invocation, Output, Relay, Running, cloud, config, rows,
};

/// The number of rounds that run in parallel. Each has three processes and a client.
const PARALLEL: usize = 3;
/// The difference between the seeds of two rounds. A few rounds have failures of every sort,
/// and as many rounds as there are kinds of failures have each.
const STEP: u64 = 3;
/// The time limit of a round.
const TIMEOUT: Duration = Duration::from_secs(280);
/// All failures are injected within this number of requests. A load without failures makes
/// about twice as many.
const LAST_REQUEST: u64 = 160;
/// The next failure is also injected if there was no request for this time.
const IDLE: Duration = Duration::from_secs(4);

fn first() -> Day {
    day("2024-01-30")
}

fn last() -> Day {
    day("2024-03-02")
}

/// A failure in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    ExecutorKilled,
    /// Both executors are killed, and only one is restarted.
    ExecutorsKilled,
    ExecutorFrozen,
    SchedulerKilled,
    SchedulerFrozen,
    ClientKilled,
    /// Every connection of executors to the scheduler is closed.
    ConnectionsCut,
    /// No traffic passes between executors and scheduler for a while.
    TrafficHeld,
    TablesUnavailable,
    StorageUnavailable,
    /// Storage answers 500, 503 and slowly for a while.
    StorageBusy,
}

const FAILURES: [Failure; 11] = [
    Failure::ExecutorKilled,
    Failure::ExecutorsKilled,
    Failure::ExecutorFrozen,
    Failure::SchedulerKilled,
    Failure::SchedulerFrozen,
    Failure::ClientKilled,
    Failure::ConnectionsCut,
    Failure::TrafficHeld,
    Failure::TablesUnavailable,
    Failure::StorageUnavailable,
    Failure::StorageBusy,
];

/// The properties of a round, which its seed determines.
#[derive(Debug)]
struct Plan {
    replaces: bool,
    /// The crash points of the scheduler and of the first executor.
    scheduler: Option<String>,
    executor: Option<String>,
    /// Failures, each with the number of requests after which it is injected, in descending
    /// order.
    failures: Vec<(u64, Failure)>,
    /// The length of each outage.
    outage: Duration,
    /// The time after which a dead process is restarted.
    restart_delay: Duration,
}

impl Plan {
    /// Makes a plan. Consecutive seeds go through every kind of failure.
    fn of(seed: u64, seconds: u64) -> Self {
        let mut random = Random::new(seed);
        let mut points: Vec<String> = BEFORE_COMMIT
            .iter()
            .chain(&AFTER_COMMIT)
            .filter(|point| !OF_EXECUTORS.contains(point))
            .map(|point| (*point).to_owned())
            .collect();
        let of_scheduler = points.len();
        for point in OF_EXECUTORS {
            points.extend([point.to_owned(), format!("stop:{point}")]);
        }
        let kinds = points.len() + FAILURES.len();
        let kind = usize::try_from(seed).unwrap_or_default() % kinds;
        let nth = 1 + random.below(3);
        let point = points.get(kind).map(|point| format!("{point}:{nth}"));
        let mut failures: Vec<Failure> = kind
            .checked_sub(points.len())
            .map(|at| FAILURES[at])
            .into_iter()
            .collect();
        for _ in 0..random.below(3) {
            let at = random.below(FAILURES.len() as u64);
            failures.extend(usize::try_from(at).ok().map(|at| FAILURES[at]));
        }
        let mut failures: Vec<(u64, Failure)> = failures
            .into_iter()
            .map(|failure| (random.below(LAST_REQUEST), failure))
            .collect();
        failures.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
        Self {
            replaces: random.below(2) == 1,
            scheduler: point.clone().filter(|_| kind < of_scheduler),
            executor: point.filter(|_| kind >= of_scheduler),
            failures,
            outage: Duration::from_secs(1 + random.below(seconds.max(1))),
            restart_delay: Duration::from_millis(100 + random.below(3000)),
        }
    }
}

/// A cluster on S3 and DynamoDB, with a proxy or relay on each connection.
struct Setup {
    workspace: CloudWorkspace,
    s3: FaultProxy,
    dynamo: FaultProxy,
    relay: Relay,
    cluster: Cluster,
}

impl Setup {
    fn new(test: &str, rows: u64) -> anyhow::Result<Option<Self>> {
        let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), rows)? else {
            return Ok(None);
        };
        let (s3, dynamo) = (
            FaultProxy::start(&workspace.s3)?,
            FaultProxy::start(&workspace.dynamo)?,
        );
        let mut cluster = Cluster::new(workspace.local.folder(), &workspace.state())?;
        cluster.allow(&workspace.bucket.uri(""));
        let relay = Relay::start(cluster.listen)?;
        cluster.scheduler_address = relay.address();
        let own = cloud::environment(s3.url(), dynamo.url());
        cluster.environment = own
            .into_iter()
            .chain(cloud::credentials())
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Ok(Some(Self {
            workspace,
            s3,
            dynamo,
            relay,
            cluster,
        }))
    }

    fn requests(&self) -> u64 {
        self.s3.all_requests() + self.dynamo.all_requests()
    }

    fn load(&self, replaces: bool) -> anyhow::Result<Invocation> {
        let flags: &[&str] = if replaces { &["--full-load"] } else { &[] };
        let load = self.workspace.load(first(), last())?.args(flags);
        Ok(load.args(["--cluster", &self.cluster.listen.to_string()]))
    }

    /// A command for the cluster.
    fn lakebolt(&self, arguments: &[&str]) -> anyhow::Result<Invocation> {
        let client = self.workspace.lakebolt()?.args(arguments);
        let address = self.cluster.listen.to_string();
        Ok(client.args(["--format", "json", "--cluster", &address]))
    }

    /// The id of the newest load of the scheduler; none if the scheduler does not answer.
    fn newest(&self) -> anyhow::Result<Option<String>> {
        let listed = self.lakebolt(&["status"])?.run()?;
        if listed.code() != Some(0) {
            return Ok(None);
        }
        let id = listed.json()["loads"][0]["load_id"].clone();
        Ok(id.as_str().map(str::to_owned))
    }
}

/// A process that is restarted some time after its death, and thawed some time after a freeze.
struct Process {
    start: fn(&Cluster) -> anyhow::Result<Invocation>,
    process: Option<Running>,
    /// When to restart or thaw it.
    due: Option<Instant>,
    stays_dead: bool,
}

impl Process {
    fn new(
        start: fn(&Cluster) -> anyhow::Result<Invocation>,
        cluster: &Cluster,
        crash_at: Option<&str>,
    ) -> anyhow::Result<Self> {
        let first = start(cluster)?;
        let first = crash_at
            .into_iter()
            .fold(first, |first, point| first.crash_at(point));
        Ok(Self {
            start,
            process: Some(first.spawn()?),
            due: None,
            stays_dead: false,
        })
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.kill()?;
            process.wait()?;
            self.due = None;
        }
        Ok(())
    }

    fn freeze(&self) -> anyhow::Result<()> {
        self.process.as_ref().map_or(Ok(()), Running::freeze)
    }

    /// Restarts or thaws it if it is time.
    fn restore(&mut self, setup: &Setup, plan: &Plan) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process
            && !process.is_running()?
        {
            self.process = None;
        }
        let pause = match &self.process {
            None if self.stays_dead => return Ok(()),
            None => plan.restart_delay,
            Some(process) if process.is_frozen() => plan.outage,
            Some(_) => {
                self.due = None;
                return Ok(());
            }
        };
        if Instant::now() < *self.due.get_or_insert_with(|| Instant::now() + pause) {
            return Ok(());
        }
        self.due = None;
        match &self.process {
            Some(process) => process.thaw()?,
            None => self.process = Some((self.start)(&setup.cluster)?.spawn()?),
        }
        Ok(())
    }

    /// Stops it with SIGTERM, as an operator would.
    fn stop(self) -> anyhow::Result<()> {
        let Some(process) = self.process else {
            return Ok(());
        };
        process.thaw()?;
        process.terminate()?;
        process.wait()?.expect_code(0);
        Ok(())
    }
}

/// A running round.
struct Round<'a> {
    setup: &'a Setup,
    plan: Plan,
    scheduler: Process,
    executors: [Process; 2],
    client: Option<Running>,
    /// The newest load before this round.
    earlier: Option<String>,
    outages: Vec<(Instant, Failure)>,
    /// The number of requests so far, and the time of the last one.
    seen: (u64, Instant),
    injected: Vec<String>,
}

impl<'a> Round<'a> {
    fn begin(setup: &'a Setup, plan: Plan) -> anyhow::Result<Self> {
        if plan.replaces {
            setup.workspace.load(first(), last())?.run()?.expect_code(0);
        }
        let cluster = &setup.cluster;
        let scheduler = Process::new(Cluster::scheduler, cluster, plan.scheduler.as_deref())?;
        cluster.wait_until_ready();
        let executors = [
            Process::new(Cluster::executor, cluster, plan.executor.as_deref())?,
            Process::new(Cluster::executor, cluster, None)?,
        ];
        let earlier = setup.newest()?;
        Ok(Self {
            client: Some(setup.load(plan.replaces)?.spawn()?),
            seen: (setup.requests(), Instant::now()),
            setup,
            plan,
            scheduler,
            executors,
            earlier,
            outages: Vec::new(),
            injected: Vec::new(),
        })
    }

    /// Follows the load to its end, and returns the client's output.
    fn run_to_end(&mut self) -> anyhow::Result<Output> {
        let (since, before) = (Instant::now(), self.seen.0);
        loop {
            anyhow::ensure!(
                since.elapsed() < TIMEOUT,
                "the round hangs after {:#?}",
                self.injected
            );
            self.inject(before)?;
            self.end_outages(false);
            self.scheduler.restore(self.setup, &self.plan)?;
            for executor in &mut self.executors {
                executor.restore(self.setup, &self.plan)?;
            }
            if self.client.is_none() {
                self.client = self.follow()?;
            }
            if let Some(client) = &mut self.client
                && !client.is_running()?
                && let Some(ended) = self.client.take()
            {
                return ended.wait();
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Injects the next failure if it is due.
    fn inject(&mut self, before: u64) -> anyhow::Result<()> {
        let requests = self.setup.requests();
        if requests != self.seen.0 {
            self.seen = (requests, Instant::now());
        }
        let is_due = |when: u64| requests - before >= when || self.seen.1.elapsed() > IDLE;
        let Some((_, failure)) = self.plan.failures.pop_if(|(when, _)| is_due(*when)) else {
            return Ok(());
        };
        self.seen.1 = Instant::now();
        self.injected
            .push(format!("{failure:?} at {requests} requests"));
        let [one, other] = &mut self.executors;
        match failure {
            Failure::ExecutorKilled => one.kill()?,
            Failure::ExecutorsKilled => {
                one.kill()?;
                other.kill()?;
                other.stays_dead = true;
            }
            Failure::ExecutorFrozen => one.freeze()?,
            Failure::SchedulerKilled => self.scheduler.kill()?,
            Failure::SchedulerFrozen => self.scheduler.freeze()?,
            Failure::ClientKilled => {
                if let Some(client) = self.client.take() {
                    client.kill()?;
                    client.wait()?;
                }
            }
            Failure::ConnectionsCut => self.setup.relay.cut(),
            Failure::TrafficHeld => self.setup.relay.hold(true),
            Failure::TablesUnavailable => self.setup.dynamo.set_down(true),
            Failure::StorageUnavailable => self.setup.s3.set_down(true),
            Failure::StorageBusy => self.setup.s3.set_random_faults(requests, vec![busy()]),
        }
        self.outages
            .push((Instant::now() + self.plan.outage, failure));
        Ok(())
    }

    /// Ends the outages that are due, or all of them.
    fn end_outages(&mut self, all: bool) {
        for (until, failure) in std::mem::take(&mut self.outages) {
            if !all && Instant::now() < until {
                self.outages.push((until, failure));
                continue;
            }
            match failure {
                Failure::TrafficHeld => self.setup.relay.hold(false),
                Failure::TablesUnavailable => self.setup.dynamo.set_down(false),
                Failure::StorageUnavailable => self.setup.s3.set_down(false),
                Failure::StorageBusy => self.setup.s3.clear_faults(),
                _ => {}
            }
        }
    }

    /// Starts a new client after one was killed. It watches the load, or submits it if the
    /// first client did not. None while no scheduler answers.
    fn follow(&self) -> anyhow::Result<Option<Running>> {
        if !self.setup.cluster.is_ready() {
            return Ok(None);
        }
        let newest = self.setup.newest()?;
        match newest.filter(|id| Some(id) != self.earlier.as_ref()) {
            Some(id) => self.setup.lakebolt(&["watch", &id])?.spawn().map(Some),
            None => self.setup.load(self.plan.replaces)?.spawn().map(Some),
        }
    }

    /// Ends all failures, retries the load if it failed, and checks the lake.
    fn end(mut self, ended: Output) -> anyhow::Result<()> {
        self.end_outages(true);
        self.setup.relay.hold(false);
        let mut ended = ended;
        let again = ended.code() != Some(0);
        if again {
            self.plan.restart_delay = Duration::ZERO;
            self.plan.outage = Duration::ZERO;
            self.scheduler.restore(self.setup, &self.plan)?;
            self.setup.cluster.wait_until_ready();
            for executor in &mut self.executors {
                executor.stays_dead = false;
                executor.restore(self.setup, &self.plan)?;
            }
            let said = format!("{}\n{}", ended.stdout, ended.stderr);
            assert!(matches!(ended.code(), Some(1 | 3 | 4)), "{said}");
            let last = ended.stderr.lines().last().unwrap_or_default();
            eprintln!(
                "again, after {:?}: {:?}: {last}",
                ended.code(),
                self.injected
            );
            let id = self.setup.newest()?;
            let again = match id.filter(|id| Some(id) != self.earlier.as_ref()) {
                Some(id) => self.setup.lakebolt(&["retry", &id])?,
                None => self.setup.load(self.plan.replaces)?,
            };
            ended = again.run()?;
            anyhow::ensure!(ended.code() == Some(0), "{said}\nthen {}", ended.stderr);
        }
        adds_up(&ended.json());
        for executor in self.executors {
            executor.stop()?;
        }
        self.scheduler.stop()?;
        let workspace = &self.setup.workspace;
        workspace.assert_exact(first(), last())?;
        // The outcome of a retry has only the periods that it ran itself.
        if !again {
            let periods = ["2024-01 done", "2024-02 done", "2024-03 done"];
            assert_eq!(ended.periods(), periods, "{}", ended.stderr);
            let written = rows::count_all(&workspace.local.lake())?;
            assert_eq!(ended.rows("written"), written, "{}", ended.stdout);
        }
        workspace.assert_swept()?;
        workspace.assert_exact(first(), last())
    }
}

/// The faults of an overloaded storage.
fn busy() -> RandomFaults {
    RandomFaults {
        operations: Vec::new(),
        per_mille: 800,
        faults: vec![
            Fault::InternalError,
            Fault::SlowDown,
            Fault::Slow(Duration::from_secs(1)),
        ],
    }
}

/// Fails unless every row of every period is accounted for.
fn adds_up(outcome: &Value) {
    let periods = outcome["periods"].as_array().cloned().unwrap_or_default();
    let ledgers = periods.iter().map(|period| &period["rows"]);
    for rows in ledgers.chain([&outcome["rows"]]) {
        let count = |name: &str| rows[name].as_u64().unwrap_or_default();
        let inputs = count("read") + count("duplicated");
        let outputs: u64 = ["written", "quarantined", "filtered", "other_period"]
            .map(count)
            .iter()
            .sum();
        assert_eq!(inputs, outputs, "{rows}");
    }
}

fn round(seed: u64, seconds: u64) -> anyhow::Result<()> {
    let Some(setup) = Setup::new("rounds_of_chaos", 40)? else {
        return Ok(());
    };
    let plan = Plan::of(seed, seconds);
    let what = format!("LAKEBOLT_FAULT_SEED={seed} LAKEBOLT_FAULT_SECONDS={seconds}: {plan:?}");
    let since = Instant::now();
    let mut round = Round::begin(&setup, plan)?;
    let ended = round.run_to_end();
    let injected = round.injected.clone();
    let ended = ended.and_then(|ended| round.end(ended));
    eprintln!("{:.1} s: {what}", since.elapsed().as_secs_f64());
    ended.map_err(|error| error.context(format!("{what}\n{injected:?}")))
}

#[test]
fn a_load_on_a_failing_cluster_ends_with_exact_rows() {
    let rounds = config::fault_rounds(8);
    let seconds = config::fault_seconds(4);
    let seed = config::fault_seed();
    eprintln!("rounds of chaos: LAKEBOLT_FAULT_SEED={seed} LAKEBOLT_FAULT_ROUNDS={rounds}");
    let seeds: Vec<u64> = (0..rounds).map(|round| seed + round * STEP).collect();
    for chunk in seeds.chunks(PARALLEL) {
        in_parallel(chunk, |seed| round(*seed, seconds));
    }
}
