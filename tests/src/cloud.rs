//! A workspace with its own bucket and tables: input and lake are on S3, the state is in
//! DynamoDB. Both services are stand-ins on loopback.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, thread};

use anyhow::Context;

use crate::days::Day;
use crate::inputs::Flows;
use crate::process::{Invocation, Output};
use crate::s3::Bucket;
use crate::workspace::Workspace;
use crate::{dynamo, moto, rows};

/// Folders of the bucket that a load may write to.
const LAKE: &str = "lake/";
const WORK: &str = "lakebolt-work/";
const QUARANTINE: &str = "lakebolt-quarantine/";

static WORKSPACES: AtomicU32 = AtomicU32::new(0);

/// A workspace on S3 and DynamoDB. Raw logs are written to the local workspace's `input` and
/// uploaded. The lake is downloaded to the local `lake` to be read.
#[derive(Debug)]
pub struct CloudWorkspace {
    pub local: Workspace,
    pub bucket: Bucket,
    pub s3: String,
    pub dynamo: String,
    prefix: String,
}

impl CloudWorkspace {
    /// A workspace with an empty bucket and new tables. `None` if moto cannot run here, which
    /// is counted under the test's name.
    pub fn new(test: &str) -> anyhow::Result<Option<Self>> {
        let workspace = Self::without_tables(test)?;
        if let Some(workspace) = &workspace {
            workspace
                .lakebolt()?
                .args(["config", "init", "--state", &workspace.state()])
                .run()?
                .expect_code(0);
        }
        Ok(workspace)
    }

    /// Like `new`, without `config init`.
    pub fn without_tables(test: &str) -> anyhow::Result<Option<Self>> {
        let Some(s3) = moto::endpoint(test)? else {
            return Ok(None);
        };
        let name = format!("workspace-{}", WORKSPACES.fetch_add(1, Ordering::Relaxed));
        Ok(Some(Self {
            local: Workspace::new()?,
            bucket: Bucket::create(&s3, &name)?,
            s3,
            dynamo: dynamo::endpoint()?,
            prefix: name,
        }))
    }

    /// A workspace with `lines` flows for each of these days, the day before and the day after.
    pub fn with_flows(
        test: &str,
        first: Day,
        last: Day,
        lines: u64,
    ) -> anyhow::Result<Option<Self>> {
        let Some(workspace) = Self::new(test)? else {
            return Ok(None);
        };
        let input = workspace.local.input();
        Flows::default().write_days(&input, first.plus(-1), last.plus(1), lines)?;
        workspace.upload()?;
        Ok(Some(workspace))
    }

    /// `dynamodb:PREFIX`
    pub fn state(&self) -> String {
        format!("dynamodb:{}", self.prefix)
    }

    /// Uploads every raw file below `in/`.
    pub fn upload(&self) -> anyhow::Result<()> {
        let input = self.local.input();
        for path in rows::files(&input) {
            let name = path.strip_prefix(&input)?.to_str().context("UTF-8")?;
            self.bucket.put(&format!("in/{name}"), fs::read(&path)?)?;
        }
        Ok(())
    }

    /// `lakebolt` without arguments, in an environment that points to the stand-ins.
    pub fn lakebolt(&self) -> anyhow::Result<Invocation> {
        let variables = credentials().into_iter();
        let lakebolt = self.without_credentials()?;
        Ok(variables.fold(lakebolt, |lakebolt, (name, value)| {
            lakebolt.env(name, &value)
        }))
    }

    /// Like `lakebolt`, without credentials.
    pub fn without_credentials(&self) -> anyhow::Result<Invocation> {
        let variables = environment(&self.s3, &self.dynamo).into_iter();
        let lakebolt = self.local.lakebolt()?;
        Ok(variables.fold(lakebolt, |lakebolt, (name, value)| {
            lakebolt.env(name, &value)
        }))
    }

    /// `lakebolt COMMAND SOURCE` from the bucket's input to its lake.
    pub fn command(&self, invocation: Invocation, command: &str, source: &str) -> Invocation {
        invocation
            .args([command, source, "--format", "json"])
            .args(["--input", &self.bucket.uri("in/")])
            .args(["--output", &self.bucket.uri("lake")])
            .args(["--state", &self.state()])
    }

    /// `lakebolt run SOURCE` with JSON output.
    pub fn run(&self, source: &str) -> anyhow::Result<Invocation> {
        Ok(self.command(self.lakebolt()?, "run", source))
    }

    /// `lakebolt run vpc_flow` for these days.
    pub fn load(&self, first: Day, last: Day) -> anyhow::Result<Invocation> {
        Ok(self
            .run("vpc_flow")?
            .args(["--from", &first.to_string(), "--to", &last.to_string()]))
    }

    /// Like `load`, after a crash: it waits until the dead process's lease expires.
    pub fn load_again(&self, first: Day, last: Day) -> anyhow::Result<Invocation> {
        Ok(self.load(first, last)?.args(["--wait", "120s"]))
    }

    /// `lakebolt sweep` of everything that no live attempt owns, without a minimum age.
    pub fn sweep(&self) -> anyhow::Result<Output> {
        self.lakebolt()?
            .args(["sweep", &self.bucket.uri("lake")])
            .args(["--state", &self.state(), "--min-age", "0s"])
            .run()
    }

    /// The sorted keys of the lake, without the file that names its owner.
    pub fn objects(&self) -> anyhow::Result<Vec<String>> {
        let mut keys = self.bucket.keys(LAKE)?;
        keys.retain(|key| !key.ends_with("/_lakebolt.json"));
        Ok(keys)
    }

    /// Downloads the lake to the local workspace.
    pub fn download(&self) -> anyhow::Result<()> {
        let lake = self.local.lake();
        if lake.exists() {
            fs::remove_dir_all(&lake)?;
        }
        for key in self.objects()? {
            let path = lake.join(key.strip_prefix(LAKE).unwrap_or(&key));
            fs::create_dir_all(path.parent().context("a key has a folder")?)?;
            fs::write(&path, self.bucket.get(&key)?)?;
        }
        Ok(())
    }

    /// Fails unless the lake has exactly the raw rows of these days and no other objects.
    #[track_caller]
    pub fn assert_exact(&self, first: Day, last: Day) -> anyhow::Result<()> {
        self.download()?;
        let objects = rows::objects(&self.local.lake());
        let files = rows::files(&self.local.lake());
        assert_eq!(files, objects, "a stray key in the lake");
        self.local.assert_exact(first, last)
    }

    /// Sweeps twice. Fails if the second pass changes something, or if the bucket has uploads
    /// or other keys than inputs, the lake, its quarantine and manifests.
    #[track_caller]
    pub fn assert_swept(&self) -> anyhow::Result<()> {
        self.sweep()?.expect_code(0);
        let uploads = self.bucket.uploads()?;
        assert!(uploads.is_empty(), "uploads left: {uploads:#?}");
        let before = self.bucket.keys("")?;
        let second = self.sweep()?.expect_code(0);
        assert_eq!(before, self.bucket.keys("")?, "{}", second.stdout);
        let strays = self.strays(&before);
        assert!(strays.is_empty(), "stray keys: {strays:#?}");
        Ok(())
    }

    fn strays(&self, keys: &[String]) -> Vec<String> {
        let manifests = format!("{WORK}manifests/");
        let known = ["in/", LAKE, QUARANTINE, &manifests];
        let is_stray = |key: &&String| !known.iter().any(|known| key.starts_with(known));
        keys.iter().filter(is_stray).cloned().collect()
    }
}

/// The variables that point a process to the stand-ins, without credentials.
pub fn environment(s3: &str, dynamo: &str) -> [(&'static str, String); 4] {
    [
        ("AWS_ENDPOINT_URL_S3", s3.to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamo.to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        // A test must not ask the network for credentials.
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}

/// Credentials for the stand-ins, which do not check them.
pub fn credentials() -> [(&'static str, String); 2] {
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "test".to_owned()))
}

/// Runs `check` for all cases in parallel, since most of their time is spent waiting for
/// leases to expire. Panics with the cases that failed.
#[track_caller]
pub fn in_parallel<C: std::fmt::Debug + Sync>(
    cases: &[C],
    check: impl Fn(&C) -> anyhow::Result<()> + Sync,
) {
    let run = |case| {
        let outcome = check(case);
        outcome.map_err(|error| eprintln!("{case:?}: {error:?}"))
    };
    let failed: Vec<&C> = thread::scope(|scope| {
        let spawned = cases
            .iter()
            .map(|case| (case, scope.spawn(move || run(case))));
        let running: Vec<_> = spawned.collect();
        let ended = running
            .into_iter()
            .map(|(case, thread)| (case, thread.join()));
        let failed = ended.filter(|(_, ended)| !matches!(ended, Ok(Ok(()))));
        failed.map(|(case, _)| case).collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}
