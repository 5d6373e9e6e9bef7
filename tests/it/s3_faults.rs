//! Faults of storage and tables: lost answers, truncated bodies, throttling, resets. A load
//! succeeds, or it reports a failure and succeeds when it is run again. Its rows are exact.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::cloud::in_parallel;
use tests::days::{Day, day};
use tests::proxy::{Fault, RandomFaults, ScriptedFault};
use tests::{CloudWorkspace, FaultProxy, Invocation, config};

/// The number of rounds that run in parallel.
const PARALLEL: usize = 4;

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

/// A workspace with a proxy in front of each service.
struct FaultyCloud {
    workspace: CloudWorkspace,
    s3: FaultProxy,
    dynamo: FaultProxy,
}

impl FaultyCloud {
    fn new(test: &str) -> anyhow::Result<Option<Self>> {
        let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 60)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            s3: FaultProxy::start(&workspace.s3)?,
            dynamo: FaultProxy::start(&workspace.dynamo)?,
            workspace,
        }))
    }

    fn load(&self) -> anyhow::Result<Invocation> {
        let load = self.workspace.load_again(first(), last())?;
        Ok(load
            .env("AWS_ENDPOINT_URL_S3", self.s3.url())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.dynamo.url()))
    }

    fn assert_recovered(&self) -> anyhow::Result<()> {
        self.workspace.assert_exact(first(), last())?;
        self.workspace.assert_swept()
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_recognised() -> anyhow::Result<()> {
    let test = "a_commit_whose_answer_was_lost_is_recognised";
    let Some(cloud) = FaultyCloud::new(test)? else {
        return Ok(());
    };
    for operation in ["UpdateItem", "PutItem", "TransactWriteItems"] {
        let lost = ScriptedFault::first(operation, Fault::Lost);
        cloud.dynamo.add_script(lost.with("publishing"));
    }
    cloud.load()?.run()?.expect_code(0);
    assert!(!cloud.dynamo.injected().is_empty(), "no commit was seen");
    cloud.assert_recovered()?;

    // Again as a full load, with one lost answer of every write operation of the table.
    cloud.dynamo.clear_faults();
    for operation in ["UpdateItem", "PutItem", "TransactWriteItems"] {
        cloud
            .dynamo
            .add_script(ScriptedFault::first(operation, Fault::Lost));
        let lost = ScriptedFault::first(operation, Fault::Lost);
        cloud.dynamo.add_script(lost.with("publishing"));
    }
    cloud.load()?.arg("--full-load").run()?.expect_code(0);
    cloud.assert_recovered()
}

#[test]
fn a_completion_whose_answer_was_lost_is_recognised() -> anyhow::Result<()> {
    let test = "a_completion_whose_answer_was_lost_is_recognised";
    let Some(cloud) = FaultyCloud::new(test)? else {
        return Ok(());
    };
    for fault in [Fault::Lost, Fault::Truncated] {
        cloud.s3.clear_faults();
        let script = ScriptedFault::first("CompleteMultipartUpload", fault);
        cloud.s3.add_script(ScriptedFault { times: 2, ..script });
        cloud.load()?.arg("--full-load").run()?.expect_code(0);
        cloud.assert_recovered()?;
    }
    let done = cloud.s3.injected();
    assert_eq!(done["CompleteMultipartUpload lost"], 2, "{done:?}");
    Ok(())
}

#[test]
fn an_upload_whose_creation_was_not_answered_is_swept() -> anyhow::Result<()> {
    let test = "an_upload_whose_creation_was_not_answered";
    let Some(cloud) = FaultyCloud::new(test)? else {
        return Ok(());
    };
    let lost = ScriptedFault::first("CreateMultipartUpload", Fault::Lost);
    cloud.s3.add_script(lost);
    cloud.load()?.run()?.expect_code(0);
    assert_eq!(cloud.s3.injected()["CreateMultipartUpload lost"], 1);
    cloud.assert_recovered()
}

#[test]
fn inputs_with_truncated_bodies_are_read_again_and_no_row_is_lost() -> anyhow::Result<()> {
    let test = "inputs_with_truncated_bodies";
    let Some(cloud) = FaultyCloud::new(test)? else {
        return Ok(());
    };
    let broken = RandomFaults {
        operations: vec!["GetObject", "ListObjectsV2"],
        per_mille: 350,
        faults: vec![Fault::Truncated],
    };
    cloud.s3.set_random_faults(11, vec![broken]);
    cloud.load()?.run()?.expect_code(0);
    let done = cloud.s3.injected();
    assert!(
        done.keys().any(|key| key.starts_with("GetObject")),
        "{done:?}"
    );
    cloud.assert_recovered()
}

#[test]
fn a_load_survives_some_seconds_without_storage() -> anyhow::Result<()> {
    let test = "a_load_survives_some_seconds_without_storage";
    let Some(cloud) = FaultyCloud::new(test)? else {
        return Ok(());
    };
    let load = cloud.load()?.spawn()?;
    let since = Instant::now();
    while cloud.s3.requests("UploadPart") == 0 && since.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(1));
    }
    cloud.s3.set_down(true);
    sleep(Duration::from_secs(3));
    cloud.s3.set_down(false);
    load.wait()?.expect_code(0);
    cloud.assert_recovered()
}

#[test]
fn loads_with_random_faults_succeed_at_once_or_when_run_again() -> anyhow::Result<()> {
    let rounds = config::fault_rounds(20);
    let seed = config::fault_seed();
    eprintln!("rounds of faults: LAKEBOLT_FAULT_SEED={seed} LAKEBOLT_FAULT_ROUNDS={rounds}");
    let seeds: Vec<u64> = (seed..seed + rounds).collect();
    for chunk in seeds.chunks(PARALLEL) {
        in_parallel(chunk, |seed| round(*seed));
    }
    Ok(())
}

/// A first load (even seeds) or a full load (odd seeds) with random faults.
fn round(seed: u64) -> anyhow::Result<()> {
    let Some(cloud) = FaultyCloud::new("rounds_of_faults")? else {
        return Ok(());
    };
    let replaces = seed % 2 == 1;
    let flags: &[&str] = if replaces { &["--full-load"] } else { &[] };
    if replaces {
        cloud.load()?.run()?.expect_code(0);
    }
    cloud.s3.set_random_faults(seed, vec![all_faults(60)]);
    cloud.dynamo.set_random_faults(seed, vec![all_faults(40)]);
    let answer = cloud.load()?.args(flags).run()?;
    let output = format!("seed {seed}: {}\n{}", answer.stdout, answer.stderr);
    assert!(matches!(answer.code(), Some(0 | 3 | 4)), "{output}");
    cloud.s3.clear_faults();
    cloud.dynamo.clear_faults();
    if answer.code() != Some(0) {
        let again = cloud.load()?.args(flags).run()?;
        assert_eq!(again.code(), Some(0), "{output}\nthen: {}", again.stderr);
    }
    let done = (cloud.s3.injected(), cloud.dynamo.injected());
    cloud
        .assert_recovered()
        .map_err(|error| error.context(format!("seed {seed}: {done:?}")))
}

fn all_faults(per_mille: u64) -> RandomFaults {
    RandomFaults {
        operations: Vec::new(),
        per_mille,
        faults: Fault::EVERY.to_vec(),
    }
}
