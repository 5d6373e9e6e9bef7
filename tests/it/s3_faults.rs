//! Storage and tables that fail: lost answers, broken bodies, throttling, resets. A load
//! ends done, or says that it did not and is done when run again; rows are exact.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::cloud::at_once;
use tests::days::{Day, day};
use tests::proxy::{Chance, Fault, Script};
use tests::{CloudLab, Invocation, Proxy, config};

/// Rounds that run at once.
const ABREAST: usize = 4;

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

/// A lab with a proxy before each of its services.
struct Stormy {
    lab: CloudLab,
    s3: Proxy,
    dynamo: Proxy,
}

impl Stormy {
    fn new(test: &str) -> anyhow::Result<Option<Self>> {
        let Some(lab) = CloudLab::with_flows(test, first(), last(), 60)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            s3: Proxy::start(&lab.s3)?,
            dynamo: Proxy::start(&lab.dynamo)?,
            lab,
        }))
    }

    fn load(&self) -> anyhow::Result<Invocation> {
        let load = self.lab.load_again(first(), last())?;
        Ok(load
            .env("AWS_ENDPOINT_URL_S3", self.s3.url())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.dynamo.url()))
    }

    fn assert_mended(&self) -> anyhow::Result<()> {
        self.lab.assert_exact(first(), last())?;
        self.lab.assert_swept()
    }
}

#[test]
fn a_commit_that_was_applied_while_its_answer_was_lost_is_known_to_be_one() -> anyhow::Result<()> {
    let test = "a_commit_that_was_applied_while_its_answer_was_lost";
    let Some(stormy) = Stormy::new(test)? else {
        return Ok(());
    };
    for operation in ["UpdateItem", "PutItem", "TransactWriteItems"] {
        let lost = Script::first(operation, Fault::Lost);
        stormy.dynamo.script(lost.with("publishing"));
    }
    stormy.load()?.run()?.expect_code(0);
    assert!(!stormy.dynamo.done().is_empty(), "no commit was seen");
    stormy.assert_mended()?;

    // As a replacement too, and with every write of the table answered by silence once.
    stormy.dynamo.calm();
    for operation in ["UpdateItem", "PutItem", "TransactWriteItems"] {
        stormy.dynamo.script(Script::first(operation, Fault::Lost));
        let lost = Script::first(operation, Fault::Lost);
        stormy.dynamo.script(lost.with("publishing"));
    }
    stormy.load()?.arg("--full-load").run()?.expect_code(0);
    stormy.assert_mended()
}

#[test]
fn a_completion_that_was_applied_while_its_answer_was_lost_is_known_to_be_one() -> anyhow::Result<()>
{
    let test = "a_completion_that_was_applied_while_its_answer_was_lost";
    let Some(stormy) = Stormy::new(test)? else {
        return Ok(());
    };
    for fault in [Fault::Lost, Fault::Truncated] {
        stormy.s3.calm();
        let script = Script::first("CompleteMultipartUpload", fault);
        stormy.s3.script(Script { times: 2, ..script });
        stormy.load()?.arg("--full-load").run()?.expect_code(0);
        stormy.assert_mended()?;
    }
    let done = stormy.s3.done();
    assert_eq!(done["CompleteMultipartUpload lost"], 2, "{done:?}");
    Ok(())
}

#[test]
fn an_upload_whose_creation_was_answered_by_silence_is_swept() -> anyhow::Result<()> {
    let test = "an_upload_whose_creation_was_answered_by_silence";
    let Some(stormy) = Stormy::new(test)? else {
        return Ok(());
    };
    let lost = Script::first("CreateMultipartUpload", Fault::Lost);
    stormy.s3.script(lost);
    stormy.load()?.run()?.expect_code(0);
    assert_eq!(stormy.s3.done()["CreateMultipartUpload lost"], 1);
    stormy.assert_mended()
}

#[test]
fn inputs_whose_bodies_break_off_are_read_again_and_no_row_is_lost() -> anyhow::Result<()> {
    let test = "inputs_whose_bodies_break_off";
    let Some(stormy) = Stormy::new(test)? else {
        return Ok(());
    };
    let broken = Chance {
        operations: vec!["GetObject", "ListObjectsV2"],
        per_mille: 350,
        faults: vec![Fault::Truncated],
    };
    stormy.s3.chances(11, vec![broken]);
    stormy.load()?.run()?.expect_code(0);
    let done = stormy.s3.done();
    assert!(
        done.keys().any(|key| key.starts_with("GetObject")),
        "{done:?}"
    );
    stormy.assert_mended()
}

#[test]
fn a_storage_that_is_away_for_some_seconds_costs_time_only() -> anyhow::Result<()> {
    let test = "a_storage_that_is_away_for_some_seconds";
    let Some(stormy) = Stormy::new(test)? else {
        return Ok(());
    };
    let load = stormy.load()?.spawn()?;
    let since = Instant::now();
    while stormy.s3.requests("UploadPart") == 0 && since.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(1));
    }
    stormy.s3.set_down(true);
    sleep(Duration::from_secs(3));
    stormy.s3.set_down(false);
    load.wait()?.expect_code(0);
    stormy.assert_mended()
}

#[test]
fn rounds_of_faults_end_done_or_are_done_when_run_again() -> anyhow::Result<()> {
    let rounds = config::fault_rounds(20);
    let seed = config::fault_seed();
    eprintln!("rounds of faults: LAKEBOLT_FAULT_SEED={seed} LAKEBOLT_FAULT_ROUNDS={rounds}");
    let seeds: Vec<u64> = (seed..seed + rounds).collect();
    for abreast in seeds.chunks(ABREAST) {
        at_once(abreast, |seed| round(*seed));
    }
    Ok(())
}

/// A first load (even seeds) or a replacement (odd ones) in bad weather.
fn round(seed: u64) -> anyhow::Result<()> {
    let Some(stormy) = Stormy::new("rounds_of_faults")? else {
        return Ok(());
    };
    let replaces = seed % 2 == 1;
    let flags: &[&str] = if replaces { &["--full-load"] } else { &[] };
    if replaces {
        stormy.load()?.run()?.expect_code(0);
    }
    stormy.s3.chances(seed, vec![weather(60)]);
    stormy.dynamo.chances(seed, vec![weather(40)]);
    let code = stormy.load()?.args(flags).run()?;
    let said = format!("seed {seed}: {}\n{}", code.stdout, code.stderr);
    assert!(matches!(code.code(), Some(0 | 3 | 4)), "{said}");
    stormy.s3.calm();
    stormy.dynamo.calm();
    if code.code() != Some(0) {
        let again = stormy.load()?.args(flags).run()?;
        assert_eq!(again.code(), Some(0), "{said}\nthen: {}", again.stderr);
    }
    let done = (stormy.s3.done(), stormy.dynamo.done());
    stormy
        .assert_mended()
        .map_err(|error| error.context(format!("seed {seed}: {done:?}")))
}

fn weather(per_mille: u64) -> Chance {
    Chance {
        operations: Vec::new(),
        per_mille,
        faults: Fault::EVERY.to_vec(),
    }
}
