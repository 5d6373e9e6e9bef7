//! Loads of many months on a cluster. They are spread over its executors, and their status is
//! correct, even after the scheduler died. Also: the traffic of a cluster contains no secrets.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::cluster::until;
use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::{CloudWorkspace, Cluster, Invocation, Output, Relay, Running, Workspace, cloud, rows};

/// A workspace with flows of `number` months from January 2023, a file every fifth day.
fn months(number: u8) -> anyhow::Result<(Workspace, Cluster, Day, Day)> {
    let workspace = Workspace::new()?;
    let (first, last) = (day("2023-01-01"), day(&format!("2023-{number:02}-28")));
    for day in first.plus(-1).to(last.plus(1)).step_by(5) {
        Flows::default().write(&workspace.input(), day, 0, 400)?;
    }
    let state = format!("sqlite:{}", workspace.folder().join("state.db").display());
    let cluster = Cluster::new(workspace.folder(), &state)?;
    Ok((workspace, cluster, first, last))
}

fn load(
    workspace: &Workspace,
    cluster: &Cluster,
    first: Day,
    last: Day,
) -> anyhow::Result<Running> {
    let load = workspace.load(first, last)?;
    load.args(["--cluster", &cluster.listen.to_string()])
        .spawn()
}

/// Fails unless `number` periods are done and their counts add up to those of the load.
#[track_caller]
fn expect_whole(answer: &Output, number: usize) {
    let periods = answer.periods();
    assert_eq!(periods.len(), number, "{periods:?}");
    let undone = periods.iter().find(|period| !period.ends_with(" done"));
    assert_eq!(undone, None, "{}", answer.stderr);
    let outcome = answer.json();
    let periods = outcome["periods"].as_array().cloned().unwrap_or_default();
    for count in ["read", "written", "quarantined", "filtered", "other_period"] {
        let rows = |of: &Value| of["rows"][count].as_u64().unwrap_or_default();
        let sum: u64 = periods.iter().map(rows).sum();
        assert_eq!(sum, rows(&outcome), "{count}");
    }
}

#[test]
fn twelve_months_are_spread_over_two_executors() -> anyhow::Result<()> {
    let (workspace, cluster, first, last) = months(12)?;
    let scheduler = cluster.serve()?;
    let executor = || {
        cluster
            .executor()?
            .args(["--log", "info,plans=debug"])
            .spawn()
    };
    let executors = [executor()?, executor()?];
    until("both executors are registered", || {
        let metrics = cluster.http("/metrics").unwrap_or_default();
        metrics.contains("lakebolt_executors 2")
    });
    let answer = load(&workspace, &cluster, first, last)?
        .wait()?
        .expect_code(0);
    expect_whole(&answer, 12);
    assert_eq!(answer.rows("written"), rows::count_all(&workspace.lake())?);
    workspace.assert_exact(first, last)?;
    eprintln!("scheduler: {} KiB at most", scheduler.peak_memory_kib());
    for executor in executors {
        eprintln!("executor: {} KiB at most", executor.peak_memory_kib());
        executor.terminate()?;
        let log = executor.wait()?.expect_code(0).stderr;
        let tasks = log.matches("split done").count();
        eprintln!("executor: {tasks} splits");
        assert!(tasks > 0, "the executor had no work:\n{log}");
    }
    Ok(())
}

#[test]
fn status_is_correct_after_a_scheduler_died_while_three_months_ran_and_five_waited()
-> anyhow::Result<()> {
    let (workspace, cluster, first, last) = months(8)?;
    let scheduler = cluster.serve()?;
    let executor = || {
        let executor = cluster.executor()?;
        executor.crash_at("stop:before-receipt:1").spawn()
    };
    let executors = [executor()?, executor()?, executor()?];
    let client = load(&workspace, &cluster, first, last)?;
    until("three months run", || {
        executors.iter().all(Running::is_frozen)
    });
    scheduler.kill()?;
    scheduler.wait()?;
    let _scheduler = cluster.serve()?;
    let status = || -> anyhow::Result<Value> {
        let address = cluster.listen.to_string();
        let status = workspace.lakebolt()?.args(["status", "--format", "json"]);
        let status = status.args(["--cluster", &address]).run()?.expect_code(0);
        Ok(status.json()["loads"][0].clone())
    };
    assert_eq!(status()?["state"], "running");
    for executor in &executors {
        executor.thaw()?;
    }
    let answer = client.wait()?.expect_code(0);
    assert!(
        answer.stderr.contains("is unavailable"),
        "{}",
        answer.stderr
    );
    expect_whole(&answer, 8);
    workspace.assert_exact(first, last)?;
    assert_eq!(status()?["state"], "done");
    assert_eq!(status()?["load_id"], answer.json()["load_id"]);
    Ok(())
}

/// Secrets that may only be in the environment of the processes.
const SECRETS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAKEYOFTHISTESTALONE"),
    ("AWS_SECRET_ACCESS_KEY", "secret-of-this-test-alone"),
    ("AWS_SESSION_TOKEN", "token-of-this-test-alone"),
];

#[test]
fn no_secret_is_in_the_traffic_a_log_or_the_work_area() -> anyhow::Result<()> {
    let (first, last) = (day("2024-01-30"), day("2024-02-02"));
    let Some(workspace) =
        CloudWorkspace::with_flows("no_secret_is_in_the_traffic", first, last, 50)?
    else {
        return Ok(());
    };
    let mut cluster = Cluster::new(workspace.local.folder(), &workspace.state())?;
    cluster.allow(&workspace.bucket.uri(""));
    cluster.settings.push("--rest".to_owned());
    let (of_executors, of_client) = (Relay::start(cluster.listen)?, Relay::start(cluster.listen)?);
    cluster.scheduler_address = of_executors.address();
    let secrets = SECRETS.map(|(name, value)| (name, value.to_owned()));
    let own = cloud::environment(&workspace.s3, &workspace.dynamo)
        .into_iter()
        .chain(secrets);
    cluster.environment = own.map(|(name, value)| (name.to_owned(), value)).collect();
    let verbose = ["--log", "debug"];
    let scheduler = cluster.scheduler()?.args(verbose).spawn()?;
    cluster.wait_until_ready();
    let executor = cluster.executor()?.args(verbose).spawn()?;
    let client = workspace.load(first, last)?.args(["-vv", "--cluster"]);
    let client = SECRETS
        .iter()
        .fold(client.arg(of_client.address().to_string()), with_secret);
    let client = client.run()?.expect_code(0);
    workspace.assert_exact(first, last)?;
    let jobs = cluster.http("/api/jobs").unwrap_or_default();
    for process in [&executor, &scheduler] {
        process.terminate()?;
    }
    let (executor, scheduler) = (executor.wait()?, scheduler.wait()?);

    let mut places = vec![
        ("traffic of the executor", of_executors.recorded()),
        ("traffic of the client", of_client.recorded()),
        ("REST", jobs.into_bytes()),
        ("log of the client", client.stderr.into_bytes()),
        ("result", client.stdout.into_bytes()),
        ("log of the executor", executor.stderr.into_bytes()),
        ("log of the scheduler", scheduler.stderr.into_bytes()),
    ];
    for key in workspace.bucket.keys("lakebolt-work/")? {
        places.push(("work area", workspace.bucket.get(&key)?.to_vec()));
    }
    for (place, bytes) in places {
        assert!(!bytes.is_empty(), "nothing was recorded: {place}");
        for (name, secret) in SECRETS {
            let holds = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!holds, "{name} is in the {place}");
        }
    }
    Ok(())
}

fn with_secret(client: Invocation, (name, value): &(&str, &str)) -> Invocation {
    client.env(name, value)
}

/// An executor's disk has no files of a load after its end.
#[test]
fn executors_leave_no_files_on_disk() -> anyhow::Result<()> {
    let (workspace, cluster, first, last) = months(2)?;
    let _scheduler = cluster.serve()?;
    let executor = cluster.executor()?.spawn()?;
    load(&workspace, &cluster, first, last)?
        .wait()?
        .expect_code(0);
    let scratch = |path: &Path| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("lakebolt-"))
    };
    let files = || -> anyhow::Result<Vec<_>> {
        let entries = fs::read_dir(workspace.folder())?.flatten();
        let own = entries
            .map(|entry| entry.path())
            .filter(|path| scratch(path));
        Ok(own.flat_map(|folder| rows::files(&folder)).collect())
    };
    until("the load's files are gone", || {
        files().is_ok_and(|files| files.is_empty())
    });
    executor.terminate()?;
    executor.wait()?.expect_code(0);
    assert_eq!(
        fs::read_dir(workspace.folder())?
            .flatten()
            .filter(|entry| scratch(&entry.path()))
            .count(),
        0
    );
    Ok(())
}
