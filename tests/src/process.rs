//! Runs binaries, and kills or freezes them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The time limit of a command.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The folder of this build's binaries.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    // target/PROFILE/deps/it-0123 → target/PROFILE
    let folder = own
        .ancestors()
        .nth(2)
        .context("a test is in target/PROFILE/deps")?;
    Ok(folder.to_owned())
}

/// The path of a binary of the workspace. It is an error if it is not built.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let path = binaries()?.join(name);
    if !path.exists() {
        bail!(
            "{} is not built: run `cargo xtask test`, or `cargo build --workspace --bins` first",
            path.display()
        );
    }
    Ok(path)
}

/// A command before it runs.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    folder: PathBuf,
}

impl Invocation {
    /// `program` in `folder`, with an environment of only HOME and PATH.
    pub fn new(program: &Path, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear();
        command
            .env("HOME", folder)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        Self {
            command,
            folder: folder.to_owned(),
        }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Kills the process with SIGKILL at a named point of a load: `NAME`, or `NAME:N` at its
    /// N-th pass. `stop:NAME` freezes it instead.
    pub fn crash_at(self, point: &str) -> Self {
        self.env("LAKEBOLT_CRASH_AT", point)
    }

    /// Runs it and waits for its end.
    pub fn run(self) -> anyhow::Result<Output> {
        self.spawn()?.wait()
    }

    /// Starts it. Its output goes to files, so that it never blocks on a pipe.
    pub fn spawn(mut self) -> anyhow::Result<Running> {
        let stdout = tempfile::tempfile_in(&self.folder)?;
        let stderr = tempfile::tempfile_in(&self.folder)?;
        self.command.stdin(Stdio::null());
        self.command
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?);
        let child = self.command.spawn();
        let child = child.with_context(|| format!("{:?}", self.command.get_program()))?;
        Ok(Running {
            child,
            stdout,
            stderr,
        })
    }
}

/// A running command. It is killed when the test drops it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Sends SIGKILL.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Sends SIGSTOP: the process is stopped until `thaw`.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Sends SIGCONT.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) -> anyhow::Result<()> {
        self.signal(Signal::INT)
    }

    /// Sends SIGTERM, as a container runtime does.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = i32::try_from(self.child.id())?;
        let id = Pid::from_raw(id).context("a child has an id")?;
        Ok(kill_process(id, signal)?)
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Whether SIGSTOP has stopped it.
    pub fn is_frozen(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let state = stat.ok().and_then(|stat| {
            let (_, after) = stat.rsplit_once(") ")?;
            after.chars().next()
        });
        state == Some('T')
    }

    /// What it has written to stderr so far.
    pub fn stderr_so_far(&self) -> anyhow::Result<String> {
        // The process writes at the position of the same open file, so it must not move.
        let mut bytes = vec![0; usize::try_from(self.stderr.metadata()?.len())?];
        self.stderr.read_exact_at(&mut bytes, 0)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Its largest resident size so far, in KiB; 0 after its end.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.split_whitespace().next());
        size.and_then(|size| size.parse().ok()).unwrap_or_default()
    }

    /// Waits for its end and returns its output.
    pub fn wait(mut self) -> anyhow::Result<Output> {
        let since = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if since.elapsed() > TIMEOUT {
                self.child.kill()?;
                let stderr = read_back(&mut self.stderr)?;
                bail!("still running after {TIMEOUT:?}; stderr:\n{stderr}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ok(Output {
            status,
            stdout: read_back(&mut self.stdout)?,
            stderr: read_back(&mut self.stderr)?,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process has ended already, unless the test failed before it waited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_back(file: &mut File) -> anyhow::Result<String> {
    use std::io::Seek;
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The exit status and the output of a command.
#[derive(Debug)]
pub struct Output {
    status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The exit code; `None` if a signal ended the command.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether SIGKILL ended the command.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// Returns itself if the exit code is `code`; panics otherwise.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "{}\nstdout:\n{}\nstderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The object that `--format json` prints.
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| {
            panic!(
                "{error} in stdout:\n{}\nstderr:\n{}",
                self.stdout, self.stderr
            )
        })
    }

    /// Each period of the outcome with its state, such as `2024-01 done`.
    #[track_caller]
    pub fn periods(&self) -> Vec<String> {
        let json = self.json();
        let periods = json["periods"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let lines = periods
            .iter()
            .map(|period| format!("{} {}", text(&period["period"]), text(&period["state"])));
        lines.collect()
    }

    /// A count of the outcome's ledger.
    #[track_caller]
    pub fn rows(&self, what: &str) -> u64 {
        self.json()["rows"][what]
            .as_u64()
            .unwrap_or_else(|| panic!("no rows.{what} in {}", self.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(folder: &Path, script: &str) -> Invocation {
        Invocation::new(Path::new("/bin/sh"), folder).args(["-c", script])
    }

    #[test]
    fn a_command_does_not_inherit_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo \"{\\\"state\\\":\\\"$LAKEBOLT_STATE\\\"}\"; echo no >&2; exit 3";
        let answer = in_folder(folder.path(), script)
            .env("LAKEBOLT_STATE", "done")
            .run();
        let answer = answer.unwrap().expect_code(3);
        assert_eq!(answer.json()["state"], "done");
        assert_eq!(answer.stderr, "no\n");
    }

    #[test]
    fn a_frozen_process_is_stopped_until_it_is_thawed() {
        let folder = tempfile::tempdir().unwrap();
        let running = in_folder(folder.path(), "kill -STOP $$; exit 7")
            .spawn()
            .unwrap();
        let since = Instant::now();
        while !running.is_frozen() {
            assert!(since.elapsed() < Duration::from_secs(10));
        }
        running.thaw().unwrap();
        running.wait().unwrap().expect_code(7);
    }

    #[test]
    fn a_killed_process_is_reported_as_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = in_folder(folder.path(), "exec sleep 60").spawn().unwrap();
        assert!(running.is_running().unwrap());
        running.kill().unwrap();
        assert!(running.wait().unwrap().was_killed());
    }
}
