//! The processes of a cluster on loopback, and the addresses that connect them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{Invocation, Running, binary};

/// The time limit for anything that a cluster must do.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The time limit of an HTTP request, since the process may be frozen.
const HTTP_TIMEOUT: Duration = Duration::from_secs(2);
/// Ports that are not ephemeral: no outgoing connection takes them while a process is down.
const PORTS: Range<u16> = 10_000..32_768;

/// The settings of a cluster's processes. A test starts the processes that it needs.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    state: String,
    /// The scheduler's address.
    pub listen: SocketAddr,
    /// The address that executors connect to: the scheduler's, or that of a relay.
    pub scheduler_address: SocketAddr,
    /// Certificate flags of every process and of clients.
    pub tls: Vec<String>,
    /// Further flags of the scheduler.
    pub settings: Vec<String>,
    /// Variables of every process except clients.
    pub environment: Vec<(String, String)>,
}

impl Cluster {
    /// A cluster whose processes run in `folder`, with a status store at `state`. Its executor
    /// timeout is six seconds, the minimum.
    pub fn new(folder: &Path, state: &str) -> anyhow::Result<Self> {
        let listen = free_port()?;
        Ok(Self {
            folder: folder.to_owned(),
            state: state.to_owned(),
            listen,
            scheduler_address: listen,
            tls: Vec::new(),
            settings: ["--executor-timeout", "6"].map(str::to_owned).into(),
            environment: Vec::new(),
        })
    }

    /// The command of the scheduler.
    pub fn scheduler(&self) -> anyhow::Result<Invocation> {
        let scheduler = self.process("lakebolt-scheduler")?;
        Ok(scheduler
            .args(["--listen", &self.listen.to_string()])
            .args(["--state", &self.state])
            .args(&self.settings))
    }

    /// Starts the scheduler and waits until it is ready.
    pub fn serve(&self) -> anyhow::Result<Running> {
        let scheduler = self.scheduler()?.spawn()?;
        self.wait_until_ready();
        Ok(scheduler)
    }

    #[track_caller]
    pub fn wait_until_ready(&self) {
        until("the scheduler is ready", || self.is_ready());
    }

    pub fn is_ready(&self) -> bool {
        let answer = self.http("/readyz");
        answer.is_some_and(|answer| answer.contains("200 OK"))
    }

    /// The command of an executor with one task slot.
    pub fn executor(&self) -> anyhow::Result<Invocation> {
        let executor = self.process("lakebolt-executor")?;
        Ok(executor
            .args([
                "--scheduler",
                &self.scheduler_address.to_string(),
                "--concurrent-tasks",
                "1",
            ])
            .arg("--scratch")
            .arg(&self.folder))
    }

    fn process(&self, name: &str) -> anyhow::Result<Invocation> {
        let process = Invocation::new(&binary(name)?, &self.folder).args(&self.tls);
        let variables = self.environment.iter();
        Ok(variables.fold(process, |process, (name, value)| process.env(name, value)))
    }

    /// Lets loads read and write everything below this URI. They may use the cluster's folder in
    /// any case.
    pub fn allow(&mut self, uri: &str) {
        self.settings.extend(["--allow", uri].map(str::to_owned));
    }

    /// The file of the scheduler's token. The folder is the home folder of all processes.
    pub fn token_file(&self) -> PathBuf {
        self.folder.join(".config/lakebolt/token")
    }

    /// The header that holds the scheduler's token.
    pub fn authorization(&self) -> String {
        let token = std::fs::read_to_string(self.token_file()).unwrap_or_default();
        format!("authorization: Bearer {}", token.trim_end())
    }

    /// The scheduler's answer to a GET over plain HTTP with its token.
    pub fn http(&self, path: &str) -> Option<String> {
        self.request("GET", path, &[&self.authorization()])
    }

    /// The scheduler's answer to a request over plain HTTP with these headers.
    pub fn request(&self, method: &str, path: &str, headers: &[&str]) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.listen, HTTP_TIMEOUT).ok()?;
        stream.set_read_timeout(Some(HTTP_TIMEOUT)).ok()?;
        stream.set_write_timeout(Some(HTTP_TIMEOUT)).ok()?;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

/// A free port on loopback. No other test of this process gets the same one.
fn free_port() -> anyhow::Result<SocketAddr> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let count = PORTS.end - PORTS.start;
    // Other test processes start at a different port.
    let first = || AtomicU16::new(RandomState::new().build_hasher().finish() as u16 % count);
    let next = NEXT.get_or_init(first);
    for _ in PORTS {
        let port = PORTS.start + next.fetch_add(1, Ordering::Relaxed) % count;
        let place = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(place).is_ok() {
            return Ok(place);
        }
    }
    anyhow::bail!("no port of {PORTS:?} is free")
}

/// Waits until a condition holds; panics after two minutes.
#[track_caller]
pub fn until(condition: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(
            since.elapsed() < TIMEOUT,
            "timed out waiting until {condition}"
        );
        sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        Cluster::new(Path::new("."), "memory:").expect("a free port")
    }

    #[test]
    fn ports_differ_and_are_not_ephemeral() {
        let (one, other) = (cluster().listen, cluster().listen);
        assert_ne!(one, other);
        assert!(PORTS.contains(&one.port()) && PORTS.contains(&other.port()));
    }

    #[test]
    fn a_request_to_a_silent_scheduler_times_out() {
        let cluster = cluster();
        let _silent = TcpListener::bind(cluster.listen).expect("it is free");
        assert_eq!(cluster.http("/readyz"), None);
    }
}
