//! A cluster of real processes and a real client. If any process dies, the load still ends,
//! and every row is in the lake once.

use serde_json::Value;
use tests::certificates::Certificates;
use tests::cluster::until;
use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::process::Output;
use tests::{Cluster, Invocation, Running, Workspace, rows};

fn first() -> Day {
    day("2024-01-29")
}

fn last() -> Day {
    day("2024-02-04")
}

/// A cluster with an input of two months to load.
struct Setup {
    workspace: Workspace,
    cluster: Cluster,
}

impl Setup {
    fn new() -> anyhow::Result<Self> {
        let workspace = Workspace::new()?;
        Flows::default().write_days(&workspace.input(), first().plus(-1), last().plus(1), 2000)?;
        let state = format!("sqlite:{}", workspace.folder().join("state.db").display());
        Ok(Self {
            cluster: Cluster::new(workspace.folder(), &state)?,
            workspace,
        })
    }

    fn scheduler(&self) -> anyhow::Result<Running> {
        self.cluster.serve()
    }

    fn executor(&self) -> anyhow::Result<Invocation> {
        self.cluster.executor()
    }

    /// An executor that freezes during a load.
    fn freezing_executor(&self) -> anyhow::Result<Running> {
        let executor = self.executor()?;
        executor.crash_at("stop:before-receipt:2").spawn()
    }

    /// A command for the cluster.
    fn lakebolt(&self, arguments: &[&str]) -> anyhow::Result<Invocation> {
        let client = self.workspace.lakebolt()?.args(arguments);
        Ok(client.args([
            "--format",
            "json",
            "--cluster",
            &self.cluster.listen.to_string(),
        ]))
    }

    fn load(&self) -> anyhow::Result<Invocation> {
        let load = self.workspace.load(first(), last())?;
        Ok(load
            .args(["--cluster", &self.cluster.listen.to_string()])
            .args(&self.cluster.tls))
    }

    /// The newest load of the cluster.
    fn newest(&self) -> anyhow::Result<Value> {
        let answer = self.lakebolt(&["status"])?.run()?.expect_code(0);
        Ok(answer.json()["loads"][0].clone())
    }

    /// The id of the newest load.
    fn newest_id(&self) -> anyhow::Result<String> {
        let load = self.newest()?;
        Ok(load["load_id"].as_str().unwrap_or_default().to_owned())
    }

    /// Fails unless the load is done and its rows are in the lake once.
    #[track_caller]
    fn expect_exact(&self, answer: Output) -> anyhow::Result<Output> {
        let answer = answer.expect_code(0);
        assert_eq!(answer.periods(), ["2024-01 done", "2024-02 done"]);
        assert_eq!(
            answer.rows("written"),
            rows::count_all(&self.workspace.lake())?
        );
        self.workspace.assert_exact(first(), last())?;
        Ok(answer)
    }

    /// Sweeps, and fails if the work area has files of a load afterwards.
    #[track_caller]
    fn expect_swept(&self) -> anyhow::Result<()> {
        let sweep = ["sweep", "lake", "--min-age", "0s", "--state"];
        let state = format!(
            "sqlite:{}",
            self.workspace.folder().join("state.db").display()
        );
        let sweep = self.workspace.lakebolt()?.args(sweep).arg(state);
        sweep.run()?.expect_code(0);
        self.expect_clean();
        Ok(())
    }

    /// Fails if an executor left its scratch folder.
    #[track_caller]
    fn expect_no_scratch(&self) -> anyhow::Result<()> {
        let names = std::fs::read_dir(self.workspace.folder())?.flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left: Vec<String> = names.filter(|name| name.starts_with("lakebolt-")).collect();
        assert!(left.is_empty(), "{left:?}");
        Ok(())
    }

    /// Fails if the work area has files of a load.
    #[track_caller]
    fn expect_clean(&self) {
        let left = rows::files(&self.workspace.lake().join(".lakebolt/attempts"));
        assert!(left.is_empty(), "{left:#?}");
        assert!(
            self.workspace.staged().is_empty(),
            "{:#?}",
            self.workspace.staged()
        );
    }
}

#[test]
fn a_cluster_loads_what_the_embedded_engine_loads() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let _executors = [setup.executor()?.spawn()?, setup.executor()?.spawn()?];
    let answer = setup.expect_exact(setup.load()?.run()?)?;
    assert!(answer.stderr.contains("2024-02: done"), "{}", answer.stderr);

    let again = setup.load()?.run()?.expect_code(0);
    assert_eq!(again.periods(), ["2024-01 skipped", "2024-02 skipped"]);

    let by_cluster = rows::lake_flows(&setup.workspace.lake())?;
    std::fs::rename(
        setup.workspace.lake(),
        setup.workspace.folder().join("by-cluster"),
    )?;
    setup.workspace.load(first(), last())?.run()?.expect_code(0);
    rows::assert_same(&rows::lake_flows(&setup.workspace.lake())?, &by_cluster);

    let metrics = setup.cluster.http("/metrics").unwrap_or_default();
    for line in [
        "lakebolt_executors 2",
        "lakebolt_task_slots 2",
        "lakebolt_loads_ended_total{state=\"done\"} 2",
        "lakebolt_periods_total{state=\"skipped\"} 2",
        "job_completed_total",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let answer = setup.cluster.http("/healthz").unwrap_or_default();
    assert!(answer.contains("200 OK"), "{answer}");
    Ok(())
}

#[test]
fn a_client_of_a_cluster_without_executors_sees_why_nothing_happens() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let client = setup.load()?.spawn()?;
    until("the client says that there is no executor", || {
        let stderr = client.stderr_so_far().unwrap_or_default();
        stderr.contains("the cluster has had no executor for")
    });
    let _executor = setup.executor()?.spawn()?;
    setup.expect_exact(client.wait()?).map(drop)
}

#[test]
fn a_full_load_replaces_what_a_load_has_written_that_it_waited_for() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let executor = setup.executor()?.crash_at("stop:before-receipt").spawn()?;
    let wrong = setup.load()?.args(["--region", "us-west-2"]).spawn()?;
    until("the executor is frozen", || executor.is_frozen());
    let full = ["--full-load", "--wait", "5m", "--region", "eu-west-1"];
    let right = setup.load()?.args(full).spawn()?;
    until("both loads run", || {
        let loads = setup.lakebolt(&["status"]).and_then(Invocation::run);
        loads.is_ok_and(|answer| answer.json()["loads"].as_array().map(Vec::len) == Some(2))
    });
    executor.thaw()?;
    wrong.wait()?.expect_code(0);
    let right = right.wait()?.expect_code(0);
    let written = rows::count_all(&setup.workspace.lake())?;
    assert_eq!(right.rows("written"), written);
    let parts = rows::objects(&setup.workspace.lake());
    let is_right =
        |part: &std::path::PathBuf| part.display().to_string().contains("region=eu-west-1");
    assert!(parts.iter().all(is_right), "{parts:#?}");
    Ok(())
}

#[test]
fn a_source_of_the_user_is_sent_to_the_cluster() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let _executor = setup.executor()?.spawn()?;
    setup.workspace.source("my_flows", 3)?;
    let days = [first().to_string(), last().to_string()];
    let run = setup.lakebolt(&["run", "./my_flows", "--input", "input", "--output", "lake"])?;
    let run = run.args(["--from", &days[0], "--to", &days[1]]);
    setup.expect_exact(run.run()?).map(drop)
}

#[test]
fn a_restarted_scheduler_finishes_the_load() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let scheduler = setup.scheduler()?;
    let frozen = setup.freezing_executor()?;
    let load = setup.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    scheduler.kill()?;
    scheduler.wait()?;
    let _scheduler = setup.scheduler()?;
    frozen.thaw()?;
    let _other = setup.executor()?.spawn()?;
    let answer = setup.expect_exact(load.wait()?)?;
    let notes = answer
        .stderr
        .matches("is unavailable; waiting for it")
        .count();
    assert_eq!(notes, 1, "{}", answer.stderr);
    setup.expect_swept()
}

/// The next scheduler reports the periods that a dead one published, with their rows.
#[test]
fn periods_that_a_dead_scheduler_published_are_reported_as_done() -> anyhow::Result<()> {
    for point in ["after-commit:2", "before-done:1"] {
        let setup = Setup::new()?;
        let scheduler = setup.cluster.scheduler()?.crash_at(point).spawn()?;
        setup.cluster.wait_until_ready();
        let _executor = setup.executor()?.spawn()?;
        let load = setup.load()?.spawn()?;
        assert!(scheduler.wait()?.was_killed(), "{point}");
        let _scheduler = setup.scheduler()?;
        setup.expect_exact(load.wait()?)?;
        setup.expect_swept()?;
    }
    Ok(())
}

#[test]
fn a_stopped_scheduler_leaves_its_loads_to_the_next_one() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let scheduler = setup.scheduler()?;
    let load = setup.load()?.spawn()?;
    until("the load is accepted", || {
        setup.newest().is_ok_and(|load| load["state"] == "running")
    });
    scheduler.interrupt()?;
    scheduler.wait()?.expect_code(0);
    let _scheduler = setup.scheduler()?;
    assert_eq!(setup.newest()?["state"], "running");
    let _executor = setup.executor()?.spawn()?;
    setup.expect_exact(load.wait()?).map(drop)
}

/// Its periods are free at once, before the leases expire.
#[test]
fn a_stopped_scheduler_releases_its_leases() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let scheduler = setup.scheduler()?;
    let frozen = setup.freezing_executor()?;
    let load = setup.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    scheduler.terminate()?;
    scheduler.wait()?.expect_code(0);
    let state = format!(
        "sqlite:{}",
        setup.workspace.folder().join("state.db").display()
    );
    let status = setup
        .workspace
        .lakebolt()?
        .args(["status", "--format", "json"]);
    let status = status.args(["--state", &state]).run()?.expect_code(0);
    let periods = status.json()["periods"].as_array().cloned();
    let periods = periods.unwrap_or_default();
    assert!(!periods.is_empty(), "{}", status.stdout);
    for period in &periods {
        assert!(period["lease_owner"].is_null(), "{period}");
        assert_ne!(period["state"], "running");
    }
    let _scheduler = setup.scheduler()?;
    assert_eq!(setup.newest()?["state"], "running");
    frozen.thaw()?;
    setup.expect_exact(load.wait()?)?;
    setup.expect_swept()
}

#[test]
fn a_load_continues_if_its_client_dies() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let frozen = setup.freezing_executor()?;
    let client = setup.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    client.kill()?;
    assert!(client.wait()?.was_killed());
    assert_eq!(setup.newest()?["state"], "running");
    let id = setup.newest_id()?;
    let watch = setup.lakebolt(&["watch", &id])?.spawn()?;
    frozen.thaw()?;
    setup.expect_exact(watch.wait()?)?;
    let status = setup.lakebolt(&["status", "--load", &id])?.run()?;
    assert_eq!(status.json()["loads"][0]["outcome"]["exit_code"], 0);
    // `watch` also prints the outcome of an ended load, and accepts the start of an id.
    let watch = setup.lakebolt(&["watch", &id[..8]])?.run()?.expect_code(0);
    assert_eq!(watch.periods().len(), 2);
    Ok(())
}

#[test]
fn a_load_continues_if_its_client_is_interrupted() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let client = setup.load()?.spawn()?;
    until("the load is accepted", || {
        setup.newest().is_ok_and(|load| load["state"] == "running")
    });
    client.interrupt()?;
    let answer = client.wait()?.expect_code(130);
    assert!(
        answer.stdout.contains("lakebolt watch"),
        "{}",
        answer.stdout
    );
    let id = setup.newest_id()?;
    let _executor = setup.executor()?.spawn()?;
    let watch = setup.lakebolt(&["watch", &id])?.run()?;
    setup.expect_exact(watch).map(drop)
}

#[test]
fn a_cancelled_load_stops_and_leaves_no_files() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let frozen = setup.freezing_executor()?;
    let load = setup.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    let id = setup.newest_id()?;
    setup.lakebolt(&["cancel", &id])?.run()?.expect_code(0);
    load.wait()?.expect_code(7);
    frozen.thaw()?;
    setup.lakebolt(&["cancel", &id])?.run()?.expect_code(5);
    assert_eq!(setup.newest()?["state"], "cancelled");
    frozen.terminate()?;
    frozen.wait()?.expect_code(0);
    // Its receipt came after the end of the load, so the executor removes its own files.
    setup.expect_clean();
    assert_eq!(rows::objects(&setup.workspace.lake()).len(), 0);

    let _executor = setup.executor()?.spawn()?;
    let retry = setup.lakebolt(&["retry", &id])?.run()?;
    setup.expect_exact(retry).map(drop)
}

#[test]
fn an_executor_that_is_killed_is_replaced() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let load = setup.load()?.spawn()?;
    let killed = setup.executor()?.crash_at("before-receipt:2").spawn()?;
    assert!(killed.wait()?.was_killed());
    let _other = setup.executor()?.spawn()?;
    setup.expect_exact(load.wait()?)?;
    setup.expect_swept()
}

#[test]
fn a_stopped_executor_ends_its_task_and_leaves_no_scratch() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    // The executor waits for the scheduler, which starts later.
    let leaving = setup
        .executor()?
        .crash_at("stop:before-receipt:2")
        .spawn()?;
    let _scheduler = setup.scheduler()?;
    let load = setup.load()?.spawn()?;
    until("the executor freezes", || leaving.is_frozen());
    leaving.terminate()?;
    leaving.thaw()?;
    leaving.wait()?.expect_code(0);
    setup.expect_no_scratch()?;
    let _other = setup.executor()?.spawn()?;
    setup.expect_exact(load.wait()?)?;
    setup.expect_swept()
}

#[test]
fn an_executor_without_time_to_drain_hands_its_tasks_back() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let load = setup.load()?.spawn()?;
    let leaving = setup.executor()?.args(["--drain-seconds", "0"]);
    let leaving = leaving.crash_at("stop:during-first-part:2").spawn()?;
    until("the executor freezes", || leaving.is_frozen());
    leaving.terminate()?;
    leaving.thaw()?;
    leaving.wait()?.expect_code(0);
    let _other = setup.executor()?.spawn()?;
    setup.expect_exact(load.wait()?)?;
    setup.expect_swept()
}

#[test]
fn status_lists_the_loads_of_one_source_and_doctor_checks_the_cluster() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let _executor = setup.executor()?.spawn()?;
    std::fs::create_dir_all(setup.workspace.folder().join("empty"))?;
    for source in ["vpc_flow"].into_iter().chain(["s3_access"; 11]) {
        let load = setup.lakebolt(&["run", source, "--input", "empty", "--output", "lake"])?;
        let load = load.args(["--daily=1", "--allow-empty"]);
        load.run()?.expect_code(0);
    }
    for (source, expected) in [("vpc_flow", 1), ("s3_access", 10)] {
        let answer = setup.lakebolt(&["status", source])?.run()?.expect_code(0);
        let loads = answer.json()["loads"].as_array().map(Vec::len);
        assert_eq!(loads, Some(expected), "{source}: {}", answer.stdout);
    }
    let doctor = setup.lakebolt(&["doctor"])?.run()?.expect_code(0).json();
    assert_eq!(doctor["checks"].as_array().map(Vec::len), Some(1));
    assert_eq!(doctor["checks"][0]["check"], "cluster");
    Ok(())
}

#[test]
fn a_second_signal_makes_an_executor_hand_its_tasks_back() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let _scheduler = setup.scheduler()?;
    let load = setup.load()?.spawn()?;
    let leaving = setup.executor()?.crash_at("stop:during-first-part:2");
    let leaving = leaving.spawn()?;
    until("the executor freezes", || leaving.is_frozen());
    leaving.terminate()?;
    leaving.interrupt()?;
    leaving.thaw()?;
    let answer = leaving.wait()?.expect_code(0);
    assert!(
        answer.stderr.contains("second stop signal"),
        "{}",
        answer.stderr
    );
    setup.expect_no_scratch()?;
    let _other = setup.executor()?.spawn()?;
    setup.expect_exact(load.wait()?)?;
    setup.expect_swept()
}

#[test]
fn errors_of_a_cluster_are_one_line() -> anyhow::Result<()> {
    let setup = Setup::new()?;
    let plan = setup
        .workspace
        .lakebolt()?
        .args(["cancel", "0a", "--cluster", "not an address"]);
    let answer = plan.run()?.expect_code(2);
    assert!(answer.stderr.contains("HOST:PORT"), "{}", answer.stderr);
    let _scheduler = setup.scheduler()?;
    let unknown = "0".repeat(32);
    let answer = setup.lakebolt(&["watch", &unknown])?.run()?.expect_code(2);
    assert!(answer.stderr.contains("no load"), "{}", answer.stderr);
    Ok(())
}

#[test]
fn with_certificates_only_clients_with_one_are_served() -> anyhow::Result<()> {
    let mut setup = Setup::new()?;
    let ours = Certificates::make(&setup.workspace.folder().join("ours"))?.flags();
    let foreign = Certificates::make(&setup.workspace.folder().join("foreign"))?.flags();
    setup.cluster.tls = ours.clone();
    let _scheduler = setup.cluster.scheduler()?.spawn()?;
    // If this executor were accepted, it would lose the tasks of the load.
    setup.cluster.tls.clear();
    let _bare = setup.executor()?.spawn()?;
    setup.cluster.tls = ours.clone();
    let _executor = setup.executor()?.spawn()?;
    setup.expect_exact(setup.load()?.run()?)?;
    let status = setup.lakebolt(&["status"])?.args(&ours).run()?;
    assert_eq!(status.expect_code(0).json()["loads"][0]["state"], "done");

    // The scheduler trusts none of these clients; only some of them trust the scheduler.
    let mut stranger = foreign.clone();
    stranger[1].clone_from(&ours[1]);
    for flags in [Vec::new(), foreign, stranger] {
        setup.cluster.tls = flags;
        let answer = setup.load()?.run()?.expect_code(4);
        assert!(answer.stderr.contains("--tls-ca"), "{}", answer.stderr);
    }
    Ok(())
}
