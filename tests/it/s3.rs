//! Loads from S3 to S3 with their state in DynamoDB. They write the same rows as a local load,
//! and no other objects.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::days::{Day, day};
use tests::inputs::Flows;
use tests::proxy::{Fault, ScriptedFault};
use tests::{CloudWorkspace, FaultProxy, Invocation, Output, Running, Workspace, inputs, rows};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

#[test]
fn a_load_on_s3_writes_the_rows_of_a_local_one_and_no_other_objects() -> anyhow::Result<()> {
    let test = "a_load_on_s3_writes_the_rows_of_a_local_one";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 2000)? else {
        return Ok(());
    };
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(answer.periods(), ["2024-02 done"]);
    assert!(workspace.bucket.uploads()?.is_empty(), "an upload is left");
    workspace.assert_exact(first(), last())?;

    let local = Workspace::with_flows(first(), last(), 2000)?;
    local.load(first(), last())?.run()?.expect_code(0);
    rows::assert_same(
        &rows::lake_flows(&workspace.local.lake())?,
        &rows::lake_flows(&local.lake())?,
    );
    assert_eq!(
        rows::objects(&workspace.local.lake()).len(),
        rows::objects(&local.lake()).len()
    );

    workspace
        .lakebolt()?
        .args(["verify", &workspace.bucket.uri("lake")])
        .run()?
        .expect_code(0);
    workspace.assert_swept()
}

#[test]
fn a_second_run_on_s3_skips_and_a_full_load_replaces_every_object() -> anyhow::Result<()> {
    let test = "a_second_run_on_s3_skips";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 100)? else {
        return Ok(());
    };
    workspace.load(first(), last())?.run()?.expect_code(0);
    let before = workspace.objects()?;
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(answer.periods(), ["2024-02 skipped"]);
    assert_eq!(workspace.objects()?, before);

    let again = workspace.load(first(), last())?.arg("--full-load");
    assert_eq!(again.run()?.expect_code(0).periods(), ["2024-02 done"]);
    let after = workspace.objects()?;
    assert!(before.iter().all(|object| !after.contains(object)));
    workspace.assert_exact(first(), last())?;
    workspace.assert_swept()
}

#[test]
fn readers_see_no_object_before_the_commit_and_exactly_the_period_after_it() -> anyhow::Result<()> {
    let test = "readers_see_no_object_before_the_commit";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 5000)? else {
        return Ok(());
    };
    let seen = polled(&workspace, &[], &[])?;
    let done = workspace.objects()?;
    assert!(seen.iter().flatten().all(|object| done.contains(object)));
    workspace.assert_exact(first(), last())?;

    // A full load: readers see the old objects until the commit, and the new ones after Done.
    polled(&workspace, &["--full-load"], &done)?;
    let replaced = workspace.objects()?;
    assert!(done.iter().all(|object| !replaced.contains(object)));
    workspace.assert_exact(first(), last())?;
    workspace.assert_swept()
}

/// Loads with `flags` and polls the keys meanwhile. Fails unless the keys are `before` until
/// the commit; returns the keys of each later poll.
fn polled(
    workspace: &CloudWorkspace,
    flags: &[&str],
    before: &[String],
) -> anyhow::Result<Vec<Vec<String>>> {
    let mut load = workspace
        .load(first(), last())?
        .args(flags)
        .crash_at("stop:before-commit")
        .spawn()?;
    let mut polls = 0;
    let since = Instant::now();
    while !load.is_frozen() {
        assert_eq!(workspace.objects()?, before);
        assert!(
            load.is_running()?,
            "the load ended: {}",
            load.wait()?.stderr
        );
        assert!(
            since.elapsed() < Duration::from_secs(120),
            "the commit was not reached"
        );
        polls += 1;
    }
    assert_eq!(workspace.objects()?, before);
    load.thaw()?;
    let mut seen = Vec::new();
    while load.is_running()? {
        seen.push(workspace.objects()?);
    }
    load.wait()?.expect_code(0);
    assert!(polls > 3, "the load ended before it could be polled");
    Ok(seen)
}

#[test]
fn keys_with_spaces_signs_and_other_alphabets_are_read() -> anyhow::Result<()> {
    let test = "keys_with_spaces_signs_and_other_alphabets";
    let odd = "in/a b+c %20 ü日本 (1) & 'x' = ,;@$!~";
    rows_from_keys(test, &|name| format!("{odd}/{name}"))
}

#[test]
fn hive_and_hour_layouts_are_read() -> anyhow::Result<()> {
    let hive = |name: &str| {
        // AWSLogs/ACCOUNT/vpcflowlogs/REGION/YYYY/MM/DD/NAME
        let parts: Vec<&str> = name.split('/').collect();
        let &[_, account, service, region, year, month, day, file] = parts.as_slice() else {
            panic!("{name} has an unexpected layout");
        };
        format!(
            "in/AWSLogs/aws-account-id={account}/aws-service={service}/aws-region={region}\
             /year={year}/month={month}/day={day}/hour=07/{file}"
        )
    };
    rows_from_keys("hive_layouts_are_read", &hive)?;
    let hours = |name: &str| {
        let (folder, file) = name.rsplit_once('/').expect("a file has a folder");
        format!("in/{folder}/07/{file}")
    };
    rows_from_keys("hour_layouts_are_read", &hours)
}

/// Uploads flows with keys that `key` makes from the usual ones, and loads them.
fn rows_from_keys(test: &str, key: &dyn Fn(&str) -> String) -> anyhow::Result<()> {
    let Some(workspace) = CloudWorkspace::new(test)? else {
        return Ok(());
    };
    let input = workspace.local.input();
    Flows::default().write_days(&input, first().plus(-1), last().plus(1), 60)?;
    for path in rows::files(&input) {
        let name = path.strip_prefix(&input)?.to_str().expect("UTF-8");
        workspace.bucket.put(&key(name), std::fs::read(&path)?)?;
    }
    workspace.load(first(), last())?.run()?.expect_code(0);
    workspace.assert_exact(first(), last())
}

#[test]
fn rejected_rows_are_quarantined_in_the_bucket() -> anyhow::Result<()> {
    let test = "rejected_rows_are_quarantined_in_the_bucket";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 100)? else {
        return Ok(());
    };
    let input = workspace.local.input();
    let odd = Flows::default().path(&input, first(), 7);
    let line = "2 111122223333 eni-1 nowhere 10.0.0.1 1 2 6 1 1 1707523200 1707523260 ACCEPT OK";
    inputs::write_gzip(&odd, &format!("{}\n{line}\n", inputs::FLOW_HEADER))?;
    workspace.upload()?;
    let answer = workspace.load(first(), last())?.run()?.expect_code(0);
    assert_eq!(answer.rows("quarantined"), 1, "{}", answer.stdout);
    let rejected = workspace.bucket.keys("lakebolt-quarantine/")?;
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    // A full load also replaces the quarantined rows.
    let again = workspace.load(first(), last())?.arg("--full-load");
    again.run()?.expect_code(0);
    let after = workspace.bucket.keys("lakebolt-quarantine/")?;
    assert!(after.len() == 1 && after != rejected, "{after:?}");
    workspace.assert_swept()
}

#[test]
fn a_load_warns_of_a_bucket_that_aborts_uploads_within_a_day() -> anyhow::Result<()> {
    let test = "a_bucket_that_aborts_uploads_within_a_day";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 40)? else {
        return Ok(());
    };
    let warnings = |load: Invocation| -> anyhow::Result<String> {
        let outcome = load.run()?.expect_code(0).json();
        Ok(outcome["warnings"].to_string())
    };
    let before = warnings(workspace.load(first(), last())?)?;
    assert!(!before.contains("lifecycle"), "{before}");
    workspace.bucket.abort_uploads_after(1)?;
    let after = warnings(workspace.load(first(), last())?.arg("--full-load"))?;
    assert!(after.contains("lifecycle"), "{after}");
    // A load also works without permission to read the lifecycle rules.
    let proxy = FaultProxy::start(&workspace.s3)?;
    let denied = Fault::Refused(403, "AccessDenied", "Access Denied");
    proxy.add_script(ScriptedFault::always(
        "GetBucketLifecycleConfiguration",
        denied,
    ));
    let load = workspace.load(first(), last())?.arg("--full-load");
    warnings(load.env("AWS_ENDPOINT_URL_S3", proxy.url()))?;
    workspace.assert_exact(first(), last())
}

#[test]
fn a_plan_shows_objects_and_bytes_without_reading_an_object() -> anyhow::Result<()> {
    let test = "a_plan_shows_objects_and_bytes";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 100)? else {
        return Ok(());
    };
    let proxy = FaultProxy::start(&workspace.s3)?;
    let plan = workspace.command(workspace.lakebolt()?, "plan", "vpc_flow");
    let plan = plan.args(["--from", &first().to_string(), "--to", &last().to_string()]);
    let answer = plan.env("AWS_ENDPOINT_URL_S3", proxy.url()).run()?;
    let json = answer.expect_code(0).json();
    assert!(
        json["input"]["objects"].as_u64() >= Some(3) && json["input"]["bytes"].as_u64() > Some(0),
        "{json:#}"
    );
    assert!(proxy.requests("ListObjectsV2") > 0);
    // The file that would name the target's owner, and no input.
    assert_eq!(proxy.requests("GetObject"), 1);
    assert!(workspace.bucket.keys("lake")?.is_empty() && workspace.bucket.uploads()?.is_empty());
    Ok(())
}

#[test]
fn doctor_checks_buckets_and_tables_and_leaves_no_files() -> anyhow::Result<()> {
    let test = "doctor_checks_buckets_and_tables";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 40)? else {
        return Ok(());
    };
    let before = workspace.bucket.keys("")?;
    let states = |checked: &Value| -> Vec<String> {
        let checks = checked["checks"].as_array().into_iter().flatten();
        let lines = checks.map(|check| format!("{} {}", check["check"], check["state"]));
        lines.map(|line| line.replace('"', "")).collect()
    };
    let all_present = workspace
        .command(workspace.lakebolt()?, "doctor", "vpc_flow")
        .run()?;
    let states_found = states(&all_present.expect_code(0).json());
    for what in ["bucket", "input", "work_area", "state"] {
        assert!(
            states_found.contains(&format!("{what} ok")),
            "{states_found:?}"
        );
    }
    let missing_bucket = workspace
        .lakebolt()?
        .args(["doctor", "vpc_flow", "--format", "json"]);
    let missing_bucket = missing_bucket
        .args(["--input", &workspace.bucket.uri("in/")])
        .args(["--output", "s3://no-such-bucket-here/lake"])
        .args(["--state", &workspace.state()])
        .run()?;
    let states_found = states(&missing_bucket.expect_code(4).json());
    assert!(
        states_found.contains(&"input ok".to_owned()),
        "{states_found:?}"
    );
    assert!(
        states_found.contains(&"work_area fail".to_owned()),
        "{states_found:?}"
    );
    assert_eq!(workspace.bucket.keys("")?, before);
    assert!(workspace.bucket.uploads()?.is_empty(), "an upload is left");
    Ok(())
}

#[test]
fn show_prints_objects_of_a_bucket_and_names_a_damaged_one() -> anyhow::Result<()> {
    let test = "show_prints_objects_of_a_bucket";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 40)? else {
        return Ok(());
    };
    workspace.load(first(), last())?.run()?.expect_code(0);
    let key = workspace.objects()?.remove(0);
    let show = |uri: &str| -> anyhow::Result<Output> {
        let lakebolt = workspace.lakebolt()?.args(["show", "--limit", "3", uri]);
        lakebolt.run()
    };
    for uri in [workspace.bucket.uri(&key), workspace.bucket.uri("lake")] {
        let shown = show(&uri)?.expect_code(0);
        let events = shown.stdout.lines().map(serde_json::from_str);
        let events: Vec<Value> = events.collect::<Result<_, _>>()?;
        assert_eq!(events.len(), 3, "{uri}: {}", shown.stdout);
        assert!(events.iter().all(|event| event["class_uid"] == 4001));
    }
    show(&workspace.bucket.uri("lake/nothing"))?.expect_code(4);

    let whole = workspace.bucket.get(&key)?;
    workspace.bucket.put(&key, whole.slice(..whole.len() / 2))?;
    let lake = workspace.bucket.uri("lake");
    let verified = workspace.lakebolt()?.args(["verify", &lake]).run()?;
    let verified = verified.expect_code(6);
    assert!(verified.stdout.contains(&key), "{}", verified.stdout);
    let refused = show(&workspace.bucket.uri(&key))?.expect_code(4);
    assert!(refused.stderr.contains(&key), "{}", refused.stderr);
    Ok(())
}

#[test]
fn a_hundred_thousand_small_objects_are_planned_in_bounded_memory() -> anyhow::Result<()> {
    let mut costs = Vec::new();
    for objects in [50_000, 100_000] {
        let test = "a_hundred_thousand_small_objects";
        let Some(workspace) = CloudWorkspace::new(test)? else {
            return Ok(());
        };
        workspace.bucket.prefill(&small_objects(objects))?;
        let since = Instant::now();
        let plan = workspace
            .command(workspace.lakebolt()?, "plan", "vpc_flow")
            .spawn()?;
        let (peak, answer) = peak_memory(plan)?;
        let found = answer.expect_code(0).json()["input"]["objects"].as_u64();
        assert_eq!(found, Some(objects as u64));
        assert!(peak < 300 << 10, "{objects} objects: {peak} KiB");
        costs.push(format!(
            "{objects} objects: {peak} KiB, {:?}",
            since.elapsed()
        ));
    }
    eprintln!("planned {}", costs.join("; "));
    Ok(())
}

/// Keys of flow logs, a thousand for each day.
fn small_objects(count: usize) -> Vec<String> {
    const PER_DAY: usize = 1000;
    let flows = Flows::default();
    let key = |number: usize| {
        let day = first().plus(i64::try_from(number / PER_DAY).unwrap_or_default());
        let path = flows.path("in".as_ref(), day, (number % PER_DAY) as u64);
        path.display().to_string()
    };
    (0..count).map(key).collect()
}

/// Waits for the end, and measures the largest resident size in KiB.
fn peak_memory(mut running: Running) -> anyhow::Result<(u64, Output)> {
    let mut peak = 0;
    while running.is_running()? {
        peak = peak.max(running.peak_memory_kib());
        sleep(Duration::from_millis(2));
    }
    Ok((peak, running.wait()?))
}
