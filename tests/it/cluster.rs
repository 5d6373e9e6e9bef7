//! A cluster of real processes, driven by the real client: whichever of them dies, the load
//! ends, and every row stands once.

use serde_json::Value;
use tests::certificates::Certificates;
use tests::cluster::until;
use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::process::Answer;
use tests::{Cluster, Invocation, Lab, Running, rows};

fn first() -> Day {
    day("2024-01-29")
}

fn last() -> Day {
    day("2024-02-04")
}

/// A cluster with an input of two months to load.
struct Site {
    lab: Lab,
    cluster: Cluster,
}

impl Site {
    fn new() -> anyhow::Result<Self> {
        let lab = Lab::new()?;
        Flows::default().write_days(&lab.input(), first().plus(-1), last().plus(1), 2000)?;
        let state = format!("sqlite:{}", lab.folder().join("state.db").display());
        Ok(Self {
            cluster: Cluster::new(lab.folder(), &state)?,
            lab,
        })
    }

    fn scheduler(&self) -> anyhow::Result<Running> {
        self.cluster.serve()
    }

    fn executor(&self) -> anyhow::Result<Invocation> {
        self.cluster.executor()
    }

    /// An executor that freezes in the midst of a load.
    fn freezing_executor(&self) -> anyhow::Result<Running> {
        let executor = self.executor()?;
        executor.crash_at("stop:before-receipt:2").spawn()
    }

    /// The client, ready for its command.
    fn lakebolt(&self, arguments: &[&str]) -> anyhow::Result<Invocation> {
        let client = self.lab.lakebolt()?.args(arguments);
        Ok(client.args([
            "--format",
            "json",
            "--cluster",
            &self.cluster.listen.to_string(),
        ]))
    }

    fn load(&self) -> anyhow::Result<Invocation> {
        let load = self.lab.load(first(), last())?;
        Ok(load
            .args(["--cluster", &self.cluster.listen.to_string()])
            .args(&self.cluster.tls))
    }

    /// What the cluster says of its newest load.
    fn newest(&self) -> anyhow::Result<Value> {
        let answer = self.lakebolt(&["status"])?.run()?.expect_code(0);
        Ok(answer.json()["loads"][0].clone())
    }

    /// The id of its newest load.
    fn newest_id(&self) -> anyhow::Result<String> {
        let load = self.newest()?;
        Ok(load["load_id"].as_str().unwrap_or_default().to_owned())
    }

    /// Fails unless the load is done and its rows stand once.
    #[track_caller]
    fn expect_exact(&self, answer: Answer) -> anyhow::Result<Answer> {
        let answer = answer.expect_code(0);
        assert_eq!(answer.periods(), ["2024-01 done", "2024-02 done"]);
        assert_eq!(answer.rows("written"), rows::count_all(&self.lab.lake())?);
        self.lab.assert_exact(first(), last())?;
        Ok(answer)
    }

    /// Sweeps, after which no work of a load is left.
    #[track_caller]
    fn expect_swept(&self) -> anyhow::Result<()> {
        let sweep = ["sweep", "lake", "--min-age", "0s", "--state"];
        let state = format!("sqlite:{}", self.lab.folder().join("state.db").display());
        let sweep = self.lab.lakebolt()?.args(sweep).arg(state);
        sweep.run()?.expect_code(0);
        self.expect_clean();
        Ok(())
    }

    /// Fails where an executor left its scratch.
    #[track_caller]
    fn expect_no_scratch(&self) -> anyhow::Result<()> {
        let names = std::fs::read_dir(self.lab.folder())?.flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let left: Vec<String> = names.filter(|name| name.starts_with("lakebolt-")).collect();
        assert!(left.is_empty(), "{left:?}");
        Ok(())
    }

    /// Fails where work of a load is left.
    #[track_caller]
    fn expect_clean(&self) {
        let left = rows::files(&self.lab.lake().join(".lakebolt/attempts"));
        assert!(left.is_empty(), "{left:#?}");
        assert!(self.lab.staged().is_empty(), "{:#?}", self.lab.staged());
    }
}

#[test]
fn a_cluster_loads_what_the_embedded_engine_loads() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let _executors = [site.executor()?.spawn()?, site.executor()?.spawn()?];
    let answer = site.expect_exact(site.load()?.run()?)?;
    assert!(answer.stderr.contains("2024-02: done"), "{}", answer.stderr);

    let again = site.load()?.run()?.expect_code(0);
    assert_eq!(again.periods(), ["2024-01 skipped", "2024-02 skipped"]);

    let by_cluster = rows::lake_flows(&site.lab.lake())?;
    std::fs::rename(site.lab.lake(), site.lab.folder().join("by-cluster"))?;
    site.lab.load(first(), last())?.run()?.expect_code(0);
    rows::assert_same(&rows::lake_flows(&site.lab.lake())?, &by_cluster);

    let metrics = site.cluster.http("/metrics").unwrap_or_default();
    for line in [
        "lakebolt_executors 2",
        "lakebolt_task_slots 2",
        "lakebolt_loads_ended_total{state=\"done\"} 2",
        "lakebolt_periods_total{state=\"skipped\"} 2",
        "job_completed_total",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    for path in ["/healthz", "/api/executors"] {
        let answer = site.cluster.http(path).unwrap_or_default();
        assert!(answer.contains("200 OK"), "{path}: {answer}");
    }
    Ok(())
}

#[test]
fn a_source_of_the_users_own_travels() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let _executor = site.executor()?.spawn()?;
    site.lab.source("my_flows", 3)?;
    let days = [first().to_string(), last().to_string()];
    let run = site.lakebolt(&["run", "./my_flows", "--input", "input", "--output", "lake"])?;
    let run = run.args(["--from", &days[0], "--to", &days[1]]);
    site.expect_exact(run.run()?).map(drop)
}

#[test]
fn a_scheduler_that_is_killed_and_comes_back_ends_the_load() -> anyhow::Result<()> {
    let site = Site::new()?;
    let scheduler = site.scheduler()?;
    let frozen = site.freezing_executor()?;
    let load = site.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    scheduler.kill()?;
    scheduler.wait()?;
    let _scheduler = site.scheduler()?;
    frozen.thaw()?;
    let _other = site.executor()?.spawn()?;
    let answer = site.expect_exact(load.wait()?)?;
    let said = answer
        .stderr
        .matches("is unavailable; waiting for it")
        .count();
    assert_eq!(said, 1, "{}", answer.stderr);
    site.expect_swept()
}

/// What it published before its death is told as done, with its rows, by the next.
#[test]
fn what_a_dead_scheduler_has_published_is_reported_as_done() -> anyhow::Result<()> {
    for point in ["after-commit:2", "before-done:1"] {
        let site = Site::new()?;
        let scheduler = site.cluster.scheduler()?.crash_at(point).spawn()?;
        site.cluster.wait_until_ready();
        let _executor = site.executor()?.spawn()?;
        let load = site.load()?.spawn()?;
        assert!(scheduler.wait()?.was_killed(), "{point}");
        let _scheduler = site.scheduler()?;
        site.expect_exact(load.wait()?)?;
        site.expect_swept()?;
    }
    Ok(())
}

#[test]
fn a_scheduler_that_is_told_to_stop_leaves_its_loads_to_the_next() -> anyhow::Result<()> {
    let site = Site::new()?;
    let scheduler = site.scheduler()?;
    let load = site.load()?.spawn()?;
    until("the load is taken on", || {
        site.newest().is_ok_and(|load| load["state"] == "running")
    });
    scheduler.interrupt()?;
    scheduler.wait()?.expect_code(0);
    let _scheduler = site.scheduler()?;
    assert_eq!(site.newest()?["state"], "running");
    let _executor = site.executor()?.spawn()?;
    site.expect_exact(load.wait()?).map(drop)
}

/// What it held is free at once, and not when its leases have run out.
#[test]
fn a_scheduler_that_is_told_to_stop_gives_its_leases_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    let scheduler = site.scheduler()?;
    let frozen = site.freezing_executor()?;
    let load = site.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    scheduler.terminate()?;
    scheduler.wait()?.expect_code(0);
    let state = format!("sqlite:{}", site.lab.folder().join("state.db").display());
    let status = site.lab.lakebolt()?.args(["status", "--format", "json"]);
    let status = status.args(["--state", &state]).run()?.expect_code(0);
    let periods = status.json()["periods"].as_array().cloned();
    let periods = periods.unwrap_or_default();
    assert!(!periods.is_empty(), "{}", status.stdout);
    for period in &periods {
        assert!(period["lease_owner"].is_null(), "{period}");
        assert_ne!(period["state"], "running");
    }
    let _scheduler = site.scheduler()?;
    assert_eq!(site.newest()?["state"], "running");
    frozen.thaw()?;
    site.expect_exact(load.wait()?)?;
    site.expect_swept()
}

#[test]
fn a_client_that_dies_stops_nothing() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let frozen = site.freezing_executor()?;
    let client = site.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    client.kill()?;
    assert!(client.wait()?.was_killed());
    assert_eq!(site.newest()?["state"], "running");
    let id = site.newest_id()?;
    let watch = site.lakebolt(&["watch", &id])?.spawn()?;
    frozen.thaw()?;
    site.expect_exact(watch.wait()?)?;
    let status = site.lakebolt(&["status", "--load", &id])?.run()?;
    assert_eq!(status.json()["loads"][0]["outcome"]["exit_code"], 0);
    // One that has ended tells its end again, also by the beginning of its id.
    let watch = site.lakebolt(&["watch", &id[..8]])?.run()?.expect_code(0);
    assert_eq!(watch.periods().len(), 2);
    Ok(())
}

#[test]
fn a_client_that_is_interrupted_leaves_the_load_alone() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let client = site.load()?.spawn()?;
    until("the load is taken on", || {
        site.newest().is_ok_and(|load| load["state"] == "running")
    });
    client.interrupt()?;
    let answer = client.wait()?.expect_code(130);
    assert!(
        answer.stdout.contains("lakebolt watch"),
        "{}",
        answer.stdout
    );
    let id = site.newest_id()?;
    let _executor = site.executor()?.spawn()?;
    let watch = site.lakebolt(&["watch", &id])?.run()?;
    site.expect_exact(watch).map(drop)
}

#[test]
fn a_cancelled_load_stops_and_leaves_nothing() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let frozen = site.freezing_executor()?;
    let load = site.load()?.spawn()?;
    until("the executor freezes", || frozen.is_frozen());
    let id = site.newest_id()?;
    site.lakebolt(&["cancel", &id])?.run()?.expect_code(0);
    load.wait()?.expect_code(7);
    frozen.thaw()?;
    site.lakebolt(&["cancel", &id])?.run()?.expect_code(5);
    assert_eq!(site.newest()?["state"], "cancelled");
    frozen.terminate()?;
    frozen.wait()?.expect_code(0);
    // Its receipt came after the end: whoever is late cleans up after itself.
    site.expect_clean();
    assert_eq!(rows::objects(&site.lab.lake()).len(), 0);

    let _executor = site.executor()?.spawn()?;
    let retry = site.lakebolt(&["retry", &id])?.run()?;
    site.expect_exact(retry).map(drop)
}

#[test]
fn an_executor_that_is_killed_is_replaced() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let load = site.load()?.spawn()?;
    let killed = site.executor()?.crash_at("before-receipt:2").spawn()?;
    assert!(killed.wait()?.was_killed());
    let _other = site.executor()?.spawn()?;
    site.expect_exact(load.wait()?)?;
    site.expect_swept()
}

#[test]
fn an_executor_that_is_told_to_stop_ends_its_task_and_leaves_no_scratch() -> anyhow::Result<()> {
    let site = Site::new()?;
    // It waits for a scheduler that is not there yet.
    let leaving = site.executor()?.crash_at("stop:before-receipt:2").spawn()?;
    let _scheduler = site.scheduler()?;
    let load = site.load()?.spawn()?;
    until("the executor freezes", || leaving.is_frozen());
    leaving.terminate()?;
    leaving.thaw()?;
    leaving.wait()?.expect_code(0);
    site.expect_no_scratch()?;
    let _other = site.executor()?.spawn()?;
    site.expect_exact(load.wait()?)?;
    site.expect_swept()
}

#[test]
fn an_executor_without_time_to_drain_hands_its_tasks_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let load = site.load()?.spawn()?;
    let leaving = site.executor()?.args(["--drain-seconds", "0"]);
    let leaving = leaving.crash_at("stop:during-first-part:2").spawn()?;
    until("the executor freezes", || leaving.is_frozen());
    leaving.terminate()?;
    leaving.thaw()?;
    leaving.wait()?.expect_code(0);
    let _other = site.executor()?.spawn()?;
    site.expect_exact(load.wait()?)?;
    site.expect_swept()
}

#[test]
fn a_cluster_is_asked_for_the_loads_of_one_source_and_whether_it_is_well() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let _executor = site.executor()?.spawn()?;
    std::fs::create_dir_all(site.lab.folder().join("empty"))?;
    for source in ["vpc_flow"].into_iter().chain(["s3_access"; 11]) {
        let load = site.lakebolt(&["run", source, "--input", "empty", "--output", "lake"])?;
        let load = load.args(["--daily=1", "--allow-empty"]);
        load.run()?.expect_code(0);
    }
    for (source, expected) in [("vpc_flow", 1), ("s3_access", 10)] {
        let answer = site.lakebolt(&["status", source])?.run()?.expect_code(0);
        let loads = answer.json()["loads"].as_array().map(Vec::len);
        assert_eq!(loads, Some(expected), "{source}: {}", answer.stdout);
    }
    let doctor = site.lakebolt(&["doctor"])?.run()?.expect_code(0).json();
    assert_eq!(doctor["checks"].as_array().map(Vec::len), Some(1));
    assert_eq!(doctor["checks"][0]["check"], "cluster");
    Ok(())
}

#[test]
fn an_executor_that_is_told_twice_to_stop_hands_its_tasks_back() -> anyhow::Result<()> {
    let site = Site::new()?;
    let _scheduler = site.scheduler()?;
    let load = site.load()?.spawn()?;
    let leaving = site.executor()?.crash_at("stop:during-first-part:2");
    let leaving = leaving.spawn()?;
    until("the executor freezes", || leaving.is_frozen());
    leaving.terminate()?;
    leaving.interrupt()?;
    leaving.thaw()?;
    let answer = leaving.wait()?.expect_code(0);
    assert!(answer.stderr.contains("once more"), "{}", answer.stderr);
    site.expect_no_scratch()?;
    let _other = site.executor()?.spawn()?;
    site.expect_exact(load.wait()?)?;
    site.expect_swept()
}

#[test]
fn what_is_wrong_with_a_cluster_is_said_in_one_line() -> anyhow::Result<()> {
    let site = Site::new()?;
    let plan = site
        .lab
        .lakebolt()?
        .args(["cancel", "0a", "--cluster", "not an address"]);
    let answer = plan.run()?.expect_code(2);
    assert!(answer.stderr.contains("HOST:PORT"), "{}", answer.stderr);
    let _scheduler = site.scheduler()?;
    let unknown = "0".repeat(32);
    let answer = site.lakebolt(&["watch", &unknown])?.run()?.expect_code(2);
    assert!(answer.stderr.contains("no load"), "{}", answer.stderr);
    Ok(())
}

#[test]
fn with_certificates_nobody_without_one_is_served() -> anyhow::Result<()> {
    let mut site = Site::new()?;
    let ours = Certificates::make(&site.lab.folder().join("ours"))?.flags();
    let foreign = Certificates::make(&site.lab.folder().join("foreign"))?.flags();
    site.cluster.tls = ours.clone();
    let _scheduler = site.cluster.scheduler()?.spawn()?;
    // It would take the load's tasks and lose them.
    site.cluster.tls.clear();
    let _bare = site.executor()?.spawn()?;
    site.cluster.tls = ours.clone();
    let _executor = site.executor()?.spawn()?;
    site.expect_exact(site.load()?.run()?)?;
    let status = site.lakebolt(&["status"])?.args(&ours).run()?;
    assert_eq!(status.expect_code(0).json()["loads"][0]["state"], "done");

    // Each trusts the scheduler, or not, and has nothing that the scheduler trusts.
    let mut stranger = foreign.clone();
    stranger[1].clone_from(&ours[1]);
    for flags in [Vec::new(), foreign, stranger] {
        site.cluster.tls = flags;
        let answer = site.load()?.run()?.expect_code(4);
        assert!(answer.stderr.contains("--tls-ca"), "{}", answer.stderr);
    }
    Ok(())
}
