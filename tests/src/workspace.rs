//! The folder of a test, with input, lake and state.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::days::Day;
use crate::inputs::Flows;
use crate::process::{Invocation, Output, binary};
use crate::rows;

/// The folder of a test. It is removed when the test ends.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
}

impl Workspace {
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("lakebolt-it-").tempdir()?;
        Ok(Self { folder })
    }

    /// A workspace with `lines` flows for each of these days, the day before and the day after.
    /// The file of the day after has a row of the last day.
    pub fn with_flows(first: Day, last: Day, lines: u64) -> anyhow::Result<Self> {
        let workspace = Self::new()?;
        Flows::default().write_days(&workspace.input(), first.plus(-1), last.plus(1), lines)?;
        Ok(workspace)
    }

    /// The folder that commands run in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of raw logs.
    pub fn input(&self) -> PathBuf {
        self.folder().join("input")
    }

    /// The target of loads.
    pub fn lake(&self) -> PathBuf {
        self.folder().join("lake")
    }

    /// `lakebolt` without arguments.
    pub fn lakebolt(&self) -> anyhow::Result<Invocation> {
        Ok(Invocation::new(&binary("lakebolt")?, self.folder()))
    }

    /// `lakebolt run SOURCE` from `input` to `lake`, with JSON output.
    pub fn run(&self, source: &str) -> anyhow::Result<Invocation> {
        Ok(self
            .lakebolt()?
            .args(["run", source, "--format", "json"])
            .args(["--input", "input", "--output", "lake"]))
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
            .args(["sweep", "lake", "--min-age", "0s"])
            .run()
    }

    /// Fails unless the lake has exactly the raw rows of these days.
    #[track_caller]
    pub fn assert_exact(&self, first: Day, last: Day) -> anyhow::Result<()> {
        let found = rows::lake_flows(&self.lake())?;
        let expected = rows::raw_flows(&self.input(), first, last)?;
        assert!(!expected.is_empty(), "the input has no rows of these days");
        rows::assert_same(&found, &expected);
        Ok(())
    }

    /// Unpublished parts in the work area.
    pub fn staged(&self) -> Vec<PathBuf> {
        rows::files(&self.lake().join(".lakebolt/staging"))
    }

    /// Writes a source folder with this severity, and returns its path.
    pub fn source(&self, name: &str, severity: u32) -> anyhow::Result<PathBuf> {
        let folder = self.folder().join(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("source.toml"), SOURCE)?;
        let event = EVENT.replace("SEVERITY", &severity.to_string());
        fs::write(folder.join("flow.toml"), event)?;
        Ok(folder)
    }
}

const SOURCE: &str = r#"format = "vpc_flow"
events = ["flow"]

[partition]
account = ["account_id"]

[base.set]
cloud.provider = "AWS"
metadata.product.name = "Flows of a test"
metadata.product.vendor_name = "Test"
"#;

const EVENT: &str = r#"class = "network_activity"
profiles = ["cloud"]

[set]
severity_id = SEVERITY

[map]
time = "start"
end_time = "end"
status_code = "log_status"
src_endpoint.ip = "srcaddr"
src_endpoint.port = "srcport"
dst_endpoint.ip = "dstaddr"
dst_endpoint.port = "dstport"
src_endpoint.interface_uid = "interface_id"
dst_endpoint.interface_uid = "interface_id"
traffic.bytes = "bytes"
traffic.packets = "packets"

[map.activity_id]
match = "action"
to = { ACCEPT = "Traffic", REJECT = "Refuse" }
"#;
