//! Objects that change between listing and reading, and damaged objects. A load never writes
//! rows of an object that is not the one that was listed, and never takes the rest of a
//! damaged object for the end of its rows.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::cluster::until;
use tests::days::{Day, day};
use tests::inputs::{self, Flows};
use tests::proxy::{Fault, ScriptedFault};
use tests::{CloudWorkspace, Cluster, FaultProxy, Invocation, Output, Running, Workspace, rows};

fn first() -> Day {
    day("2024-02-10")
}

fn last() -> Day {
    day("2024-02-12")
}

/// Starts a load and stops it after it has listed its input.
fn stopped_after_listing(load: Invocation) -> anyhow::Result<Running> {
    let load = load.crash_at("stop:after-listing").spawn()?;
    until("the load has listed its input", || load.is_frozen());
    Ok(load)
}

/// The object whose fate the tests change: the first of the middle day.
fn changed(input: &Path) -> PathBuf {
    Flows::default().path(input, first().plus(1), 0)
}

fn attempts(answer: &Output) -> Value {
    answer.json()["periods"][0]["attempts"].clone()
}

/// Changes the input of a load after its listing. It must list again and write what is there.
fn assert_listed_again(change: impl Fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 200)?;
    let load = stopped_after_listing(workspace.load(first(), last())?)?;
    change(&workspace.input())?;
    load.thaw()?;
    let answer = load.wait()?.expect_code(0);
    assert_eq!(attempts(&answer), 2, "{}", answer.stderr);
    workspace.assert_exact(first(), last())
}

#[test]
fn a_file_that_was_rewritten_in_place_after_listing_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| {
        Flows::default().write(input, first().plus(1), 0, 50)?;
        Ok(())
    })
}

#[test]
fn a_file_that_grows_after_listing_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| {
        let more = Flows::default().write(&input.join("more"), first().plus(1), 7, 90)?;
        let mut file = fs::OpenOptions::new().append(true).open(changed(input))?;
        // The header of the second member is no row of `raw_flows`.
        let text = inputs::read_gzip(&more)?;
        let (_, flows) = text.split_once('\n').unwrap_or_default();
        inputs::write_gzip(&more, flows)?;
        file.write_all(&fs::read(&more)?)?;
        Ok(fs::remove_dir_all(input.join("more"))?)
    })
}

#[test]
fn a_file_of_the_same_length_under_the_listed_name_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| {
        let path = changed(input);
        let modified = fs::metadata(&path)?.modified()?;
        let bytes = fs::read(&path)?;
        let other = input.join("other");
        fs::write(&other, bytes)?;
        fs::File::open(&other)?.set_modified(modified)?;
        Ok(fs::rename(other, path)?)
    })
}

#[test]
fn a_file_that_is_gone_after_listing_is_listed_again() -> anyhow::Result<()> {
    assert_listed_again(|input| Ok(fs::remove_file(changed(input))?))
}

#[test]
fn an_object_that_changes_again_and_again_fails_the_period_and_is_named() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 200)?;
    let load = workspace
        .load(first(), last())?
        .args(["--max-attempts", "1"]);
    let load = stopped_after_listing(load)?;
    Flows::default().write(&workspace.input(), first().plus(1), 0, 50)?;
    load.thaw()?;
    let answer = load.wait()?.expect_code(3).json();
    let error = &answer["periods"][0]["error"];
    assert_eq!(error["code"], "input_changed", "{error}");
    let name = changed(&workspace.input());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    assert!(error["message"].to_string().contains(&*name), "{error}");
    assert!(rows::objects(&workspace.lake()).is_empty());
    Ok(())
}

#[test]
fn an_object_that_was_replaced_or_deleted_after_listing_is_listed_again() -> anyhow::Result<()> {
    let test = "an_object_that_was_replaced_after_listing";
    for deleted in [false, true] {
        let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 200)? else {
            return Ok(());
        };
        let load = stopped_after_listing(workspace.load(first(), last())?)?;
        let path = changed(&workspace.local.input());
        let key = path.strip_prefix(workspace.local.input())?;
        let key = format!("in/{}", key.display());
        if deleted {
            fs::remove_file(&path)?;
            workspace.bucket.delete(&key)?;
        } else {
            Flows::default().write(&workspace.local.input(), first().plus(1), 0, 50)?;
            workspace.bucket.put(&key, fs::read(&path)?)?;
        }
        load.thaw()?;
        let answer = load.wait()?.expect_code(0);
        assert_eq!(attempts(&answer), 2, "{}", answer.stderr);
        workspace.assert_exact(first(), last())?;
        workspace.assert_swept()?;
    }
    Ok(())
}

#[test]
fn a_small_object_costs_one_request() -> anyhow::Result<()> {
    let test = "a_small_object_costs_one_request";
    let Some(workspace) = CloudWorkspace::with_flows(test, first(), last(), 200)? else {
        return Ok(());
    };
    let objects = workspace.bucket.keys("in/")?.len() as u64;
    let proxy = FaultProxy::start(&workspace.s3)?;
    // A delay of nothing, which counts the requests for input.
    let counted = ScriptedFault::always("GetObject", Fault::Slow(Duration::ZERO));
    proxy.add_script(counted.with("/in/"));
    let load = workspace.load(first(), last())?;
    load.env("AWS_ENDPOINT_URL_S3", proxy.url())
        .run()?
        .expect_code(0);
    assert_eq!(proxy.injected()["GetObject slow"], objects);
    Ok(())
}

#[test]
fn a_cluster_lists_again_when_an_executor_finds_another_object() -> anyhow::Result<()> {
    let workspace = Workspace::with_flows(first(), last(), 200)?;
    let state = format!("sqlite:{}", workspace.folder().join("state.db").display());
    let cluster = Cluster::new(workspace.folder(), &state)?;
    let scheduler = cluster
        .scheduler()?
        .crash_at("stop:after-listing")
        .spawn()?;
    cluster.wait_until_ready();
    let _executor = cluster.executor()?.spawn()?;
    let load = workspace.load(first(), last())?;
    let load = load
        .args(["--cluster", &cluster.listen.to_string()])
        .spawn()?;
    until("the load has listed its input", || scheduler.is_frozen());
    Flows::default().write(&workspace.input(), first().plus(1), 0, 50)?;
    scheduler.thaw()?;
    let answer = load.wait()?.expect_code(0);
    assert_eq!(attempts(&answer), 2, "{}", answer.stderr);
    workspace.assert_exact(first(), last())
}

/// A load of one day with a damaged object beside a good one.
struct Damaged {
    workspace: Workspace,
}

impl Damaged {
    /// `bytes` are the object's. The good one has 100 flows.
    fn new(bytes: &[u8]) -> anyhow::Result<Self> {
        let workspace = Workspace::new()?;
        let flows = Flows::default();
        flows.write(&workspace.input(), first(), 0, 100)?;
        let path = flows.path(&workspace.input(), first(), 1);
        fs::write(path, bytes)?;
        Ok(Self { workspace })
    }

    /// Loads, and returns the counts of rejected rows by reason.
    fn reasons(&self) -> anyhow::Result<Value> {
        let load = self.workspace.load(first(), first())?;
        let answer = load.args(["--max-quarantine", "100"]).run()?;
        Ok(answer.json()["periods"][0]["reasons"].clone())
    }

    /// The rejected rows: reason, detail and raw bytes.
    fn quarantined(&self) -> anyhow::Result<Vec<Vec<String>>> {
        let mut found = Vec::new();
        for path in rows::objects(&self.workspace.folder().join("lake.quarantine")) {
            found.extend(rows::read(&path, &["reason", "detail", "raw"])?);
        }
        Ok(found)
    }

    fn written(&self) -> anyhow::Result<u64> {
        rows::count_all(&self.workspace.lake())
    }
}

#[test]
fn half_a_gzip_publishes_its_rows_and_names_the_damage() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let whole = Flows::default().write(scratch.path(), first(), 1, 10_001)?;
    let bytes = fs::read(whole)?;
    let damaged = Damaged::new(&bytes[..bytes.len() / 2])?;
    let reasons = damaged.reasons()?;
    assert_eq!(reasons["truncated_gzip"], 1, "{reasons}");
    let written = damaged.written()?;
    assert!((1000..10_000).contains(&written), "{written}");
    let quarantined = damaged.quarantined()?;
    assert_eq!(quarantined.len(), 1, "{quarantined:?}");
    assert_eq!(quarantined[0][0], "truncated_gzip");
    Ok(())
}

/// A line of text in other compressions and encodings.
const FOREIGN: [(&str, &[u8]); 4] = [
    (
        "bzip2",
        b"BZh91AY&SYc>\xd6\xe2\0\0\0\xc1\0\0\x10 \x02\0\x02\x10\x08+\x17rE8P\x90c>\xd6\xe2",
    ),
    (
        "xz",
        b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0!\x01\x16\0\0\0t/\xe5\xa3\x01\0\x01a\n\0\0\0",
    ),
    ("zip", b"PK\x03\x04\x14\0\0\0\x08\0\0\0!X\0\0"),
    ("UTF-16", b"\xff\xfe2\x00 \x00001\x00001\x00001\x00\n\x00"),
];

#[test]
fn an_object_of_another_compression_is_one_rejected_row_that_says_which() -> anyhow::Result<()> {
    for (name, bytes) in FOREIGN {
        let damaged = Damaged::new(bytes)?;
        let reasons = damaged.reasons()?;
        assert_eq!(
            reasons,
            serde_json::json!({"unsupported_compression": 1}),
            "{name}"
        );
        let quarantined = damaged.quarantined()?;
        assert!(quarantined[0][1].contains(name), "{quarantined:?}");
        // The first of them belongs to the day before.
        assert_eq!(damaged.written()?, 99, "{name}");
    }
    Ok(())
}

#[test]
fn a_text_that_ends_within_a_line_names_the_damage() -> anyhow::Result<()> {
    let line = "2 111122223333 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 1 1707523200 1707523260 ACCEPT OK";
    let damaged = Damaged::new(format!("{line}\n{line}\n2 111122223333 eni-1 10.0").as_bytes())?;
    let reasons = damaged.reasons()?;
    assert_eq!(reasons, serde_json::json!({"cut_at_end": 1}));
    assert_eq!(
        damaged.quarantined()?[0][2],
        hex("2 111122223333 eni-1 10.0")
    );
    assert_eq!(damaged.written()?, 101);
    Ok(())
}

/// A source of logins, without its format.
const LOGINS: &str = r#"events = ["login"]

[columns]
at = "epoch_s"
user = "text"

[base.set]
metadata.product.name = "Door"
metadata.product.vendor_name = "Example"
"#;

const LOGIN: &str = r#"class = "authentication"

[set]
severity_id = 1
activity_id = 1
service.name = "door"

[map]
time = "at"
user.name = "user"
"#;

/// A load of one day of logins in a format.
struct Logins {
    workspace: Workspace,
    source: PathBuf,
}

impl Logins {
    fn new(format: &str, text: &str) -> anyhow::Result<Self> {
        let workspace = Workspace::new()?;
        let source = workspace.folder().join("door");
        fs::create_dir_all(&source)?;
        fs::write(
            source.join("source.toml"),
            format!("format = {format}\n{LOGINS}"),
        )?;
        fs::write(source.join("login.toml"), LOGIN)?;
        fs::create_dir_all(workspace.input())?;
        let path = workspace.input().join(format!("{}-door.log", first()));
        fs::write(path, text)?;
        Ok(Self { workspace, source })
    }

    fn load(&self) -> anyhow::Result<Invocation> {
        let source = self.source.to_str().expect("a text");
        let days = [first().to_string(), first().to_string()];
        let load = self.workspace.run(source)?;
        Ok(load.args(["--from", &days[0], "--to", &days[1]]))
    }
}

#[test]
fn an_open_quote_rejects_only_its_own_line() -> anyhow::Result<()> {
    let at = first().midnight() + 60;
    let good = format!("{at},ann\n").repeat(100);
    let behind = format!("{at},\"bob\n") + &format!("{at},carl\n").repeat(49);
    let format = "{ name = \"csv\", header = true, multiline = true }";
    let logins = Logins::new(format, &format!("at,user\n{good}{behind}"))?;
    let answer = logins.load()?.run()?.expect_code(0).json();
    assert_eq!(answer["rows"]["quarantined"], 1, "{answer}");
    assert_eq!(answer["rows"]["written"], 149, "{answer}");
    Ok(())
}

#[test]
fn a_rejected_record_counts_every_line_that_it_spans() -> anyhow::Result<()> {
    let at = first().midnight() + 60;
    let good = format!("{{\"at\":{at},\"user\":\"ann\"}}\n").repeat(100);
    let inside = "\"x\":1,\n".repeat(48);
    let broken = format!("{{\"at\":{at},\n{inside}\"user\":}}\n");
    let format = "{ name = \"json_lines\", multiline = true }";
    let logins = Logins::new(format, &(good + &broken))?;
    let refused = logins.load()?.run()?.expect_code(3).json();
    let error = &refused["periods"][0]["error"];
    assert_eq!(error["code"], "too_many_quarantined", "{refused}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("33.3 % of 150 lines"), "{message}");
    let load = logins.load()?.args(["--max-quarantine", "34%"]);
    let accepted = load.run()?.json();
    assert_eq!(accepted["rows"]["quarantined"], 1, "{accepted}");
    let quarantine = rows::objects(&logins.workspace.folder().join("lake.quarantine"));
    assert_eq!(
        rows::read(&quarantine[0], &["line", "lines"])?,
        [["101", "50"]]
    );
    Ok(())
}

/// Bytes as `rows::read` shows them.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
