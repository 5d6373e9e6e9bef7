//! Executors that die or freeze while a load runs on them. Another one takes over, and every
//! row is in the lake once.
//!
//! Scheduler and executors are separate processes; the driver runs in the test. An executor
//! has one task slot, so that it ends its old task before it takes another.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use plans::{mapping, ocsf, sources};
use scheduler::drive::activity::Activity;
use scheduler::drive::context::{Driver, Planner, Timing};
use scheduler::load::notification::NoObserver;
use scheduler::load::outcome::{LoadState, Outcome};
use scheduler::load::terms::{CompiledSource, LoadRequest, Range, Terms};
use scheduler::service::Transport;
use scheduler::status;
use scheduler::submit::ballista::Remote;
use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::process::binary;
use tests::{Invocation, Running, Workspace, rows};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The minimum that a scheduler accepts.
const EXECUTOR_TIMEOUT: Duration = Duration::from_secs(6);
const TIMEOUT: Duration = Duration::from_secs(120);

fn first() -> Day {
    day("2024-02-08")
}

fn last() -> Day {
    day("2024-02-15")
}

/// A scheduler without executors, and an input of ten splits; two are of the days around.
struct Cluster {
    workspace: Workspace,
    runtime: Runtime,
    address: String,
    _scheduler: Running,
}

impl Cluster {
    fn start() -> anyhow::Result<Self> {
        Self::with(2000)
    }

    /// A cluster whose input has `rows` rows a day.
    fn with(rows: u64) -> anyhow::Result<Self> {
        let workspace = Workspace::new()?;
        Flows::default().write_days(&workspace.input(), first().plus(-1), last().plus(1), rows)?;
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let timeout = EXECUTOR_TIMEOUT.as_secs().to_string();
        let scheduler = Invocation::new(&binary("lakebolt-scheduler")?, workspace.folder())
            .args(["--listen", &listen.to_string()])
            .args(["--executor-timeout", &timeout])
            .spawn()?;
        until("the scheduler listens", || {
            TcpStream::connect(listen).is_ok()
        });
        Ok(Self {
            workspace,
            runtime: Runtime::new()?,
            address: format!("http://{listen}"),
            _scheduler: scheduler,
        })
    }

    fn transport(&self) -> Transport {
        let token = self.workspace.folder().join(".config/lakebolt/token");
        Transport {
            token_file: Some(token),
            ..Transport::default()
        }
    }

    fn executor(&self) -> anyhow::Result<Invocation> {
        let executor = Invocation::new(&binary("lakebolt-executor")?, self.workspace.folder());
        let scratch = self.workspace.folder().as_os_str();
        Ok(executor
            .args(["--scheduler", &self.address, "--concurrent-tasks", "1"])
            .arg("--scratch")
            .arg(scratch))
    }

    /// Starts a load of all days.
    fn load(&self, full_load: bool) -> anyhow::Result<JoinHandle<Outcome>> {
        let request = self.request(full_load)?;
        let driver = self.runtime.block_on(self.driver())?;
        Ok(self
            .runtime
            .spawn(async move { driver.run(&request).await }))
    }

    async fn driver(&self) -> anyhow::Result<Driver> {
        let planner: Arc<Planner> = Arc::new(|program, format, task| {
            plans::pipeline::attempt_plan(program, format, task.clone()).map_err(Into::into)
        });
        let state = self.workspace.lake().join(".lakebolt/state.db");
        std::fs::create_dir_all(self.workspace.lake().join(".lakebolt"))?;
        Ok(Driver {
            status: status::open(&format!("sqlite:{}", state.display()))?,
            submit: Arc::new(Remote::connect(&self.address, &self.transport())?),
            planner,
            clock: now,
            observer: Arc::new(NoObserver),
            cancel: watch::channel(false).1,
            timing: Timing::default(),
            activity: Activity::default(),
            input_check: None,
        })
    }

    fn request(&self, full_load: bool) -> anyhow::Result<LoadRequest> {
        let source = sources::find("vpc_flow")?
            .load(ocsf::DEFAULT_VERSION)?
            .source;
        let schema = ocsf::schema(ocsf::DEFAULT_VERSION)?;
        let program = mapping::compile(&source, schema, false).program?;
        let uri = |name: &str| format!("file://{}/{name}", self.workspace.folder().display());
        Ok(LoadRequest {
            source: CompiledSource {
                name: source.name,
                program,
                format: source.format,
            },
            terms: Terms {
                inputs: vec![uri("input")],
                output: uri("lake"),
                name: "default".to_owned(),
                range: Range::Between {
                    from: first().to_string().parse()?,
                    to: last().to_string().parse()?,
                },
                full_load,
                margin: 1,
                lateness: Duration::from_secs(48 * 60 * 60),
                quarantine: uri("lake.quarantine/"),
                work: uri("lake/.lakebolt/"),
                max_quarantine: 5.0,
                max_attempts: 3,
                parallel: 2,
                memory_bytes: 64 << 20,
                ..Terms::default()
            },
        })
    }

    /// Waits for the load, and fails unless it has written exactly the rows of the input.
    #[track_caller]
    fn expect_exact(&self, load: JoinHandle<Outcome>) -> anyhow::Result<()> {
        let outcome = self.runtime.block_on(async {
            let ended = tokio::time::timeout(TIMEOUT, load).await;
            ended
                .expect("the load ends in time")
                .expect("it does not panic")
        });
        assert_eq!(outcome.state, LoadState::Done, "{outcome:#?}");
        assert!(outcome.rows.adds_up(), "{:?}", outcome.rows);
        let published = rows::objects(&self.workspace.lake()).len();
        assert_eq!(outcome.output.objects, u64::try_from(published)?);
        assert_eq!(
            outcome.rows.written,
            rows::count_all(&self.workspace.lake())?
        );
        self.workspace.assert_exact(first(), last())
    }

    /// The number of receipts in the work area.
    fn receipts(&self) -> usize {
        let files = rows::files(&self.workspace.lake().join(".lakebolt/attempts"));
        let is_receipt =
            |path: &&std::path::PathBuf| path.parent().is_some_and(|at| at.ends_with("receipts"));
        files.iter().filter(is_receipt).count()
    }

    /// Sweeps, and fails unless only the lake is left.
    #[track_caller]
    fn expect_swept(&self) -> anyhow::Result<()> {
        self.workspace.sweep()?.expect_code(0);
        let left = rows::files(&self.workspace.lake().join(".lakebolt/attempts"));
        assert!(left.is_empty(), "{left:#?}");
        assert!(
            self.workspace.staged().is_empty(),
            "{:#?}",
            self.workspace.staged()
        );
        self.workspace.assert_exact(first(), last())
    }
}

#[track_caller]
fn until(condition: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(
            since.elapsed() < TIMEOUT,
            "timed out waiting until {condition}"
        );
        sleep(Duration::from_millis(10));
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver's clock")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[test]
fn an_executor_frozen_past_the_timeout_is_replaced_and_does_no_harm_when_thawed()
-> anyhow::Result<()> {
    for point in ["stop:before-receipt:2", "stop:during-first-part:2"] {
        let cluster = Cluster::start()?;
        let load = cluster.load(false)?;
        let frozen = cluster.executor()?.crash_at(point).spawn()?;
        until("the executor freezes", || frozen.is_frozen());
        assert!(cluster.receipts() > 0, "it had finished a split");
        let other = cluster.executor()?.spawn()?;
        cluster.expect_exact(load)?;

        // The thawed executor ends its old task before it takes one of the next load.
        other.kill()?;
        frozen.thaw()?;
        cluster.expect_exact(cluster.load(true)?)?;
        cluster.expect_swept()?;
    }
    Ok(())
}

#[test]
fn executors_thawed_while_their_job_runs_write_every_row_once() -> anyhow::Result<()> {
    let cluster = Cluster::start()?;
    let load = cluster.load(false)?;
    let one = cluster
        .executor()?
        .crash_at("stop:before-receipt:3")
        .spawn()?;
    let other = cluster
        .executor()?
        .crash_at("stop:before-receipt:2")
        .spawn()?;
    until("both freeze", || one.is_frozen() && other.is_frozen());
    // Longer than the timeout, so that their finished splits run again too.
    sleep(EXECUTOR_TIMEOUT + Duration::from_secs(3));
    one.thaw()?;
    other.thaw()?;
    cluster.expect_exact(load)?;
    cluster.expect_swept()
}

#[test]
fn an_executor_killed_after_it_finished_a_split_is_replaced() -> anyhow::Result<()> {
    let cluster = Cluster::start()?;
    let load = cluster.load(false)?;
    let killed = cluster.executor()?.crash_at("before-receipt:2").spawn()?;
    assert!(killed.wait()?.was_killed());
    assert_eq!(cluster.receipts(), 1);
    let _other = cluster.executor()?.spawn()?;
    cluster.expect_exact(load)?;
    cluster.expect_swept()
}

#[test]
fn a_load_continues_on_a_new_executor_after_all_others_died() -> anyhow::Result<()> {
    let cluster = Cluster::start()?;
    let load = cluster.load(false)?;
    let doomed = || cluster.executor()?.crash_at("before-receipt:2").spawn();
    let (one, other) = (doomed()?, doomed()?);
    assert!(one.wait()?.was_killed());
    assert!(other.wait()?.was_killed());
    let _next = cluster.executor()?.spawn()?;
    cluster.expect_exact(load)?;
    cluster.expect_swept()
}

#[test]
fn one_of_two_executors_may_freeze_or_die_at_any_moment() -> anyhow::Result<()> {
    for harm in [Running::freeze, Running::kill] {
        let cluster = Cluster::with(8000)?;
        let load = cluster.load(false)?;
        let harmed = cluster.executor()?.spawn()?;
        let _other = cluster.executor()?.spawn()?;
        until("a split is finished", || cluster.receipts() > 0);
        harm(&harmed)?;
        assert!(!load.is_finished(), "the input is too small for this test");
        cluster.expect_exact(load)?;
        let _ = harmed.thaw();
        cluster.expect_exact(cluster.load(true)?)?;
    }
    Ok(())
}
