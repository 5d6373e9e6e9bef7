//! The processes of a cluster on loopback: where they meet, and how each is started.

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

/// Longest wait for anything that a cluster is to do by itself.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for an answer over HTTP: a process may be frozen.
const ANSWER: Duration = Duration::from_secs(2);
/// Ports that no outgoing connection takes while a process is away.
const PORTS: Range<u16> = 10_000..32_768;

/// A place for a scheduler, executors and clients. Nothing runs until it is started.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    state: String,
    /// The scheduler's address.
    pub listen: SocketAddr,
    /// Where executors look for it: the same, unless a test puts something between.
    pub meet: SocketAddr,
    /// Flags of every process, the client's too: certificates.
    pub tls: Vec<String>,
    /// Flags of the scheduler alone.
    pub settings: Vec<String>,
    /// Variables of every process but the client.
    pub environment: Vec<(String, String)>,
}

impl Cluster {
    /// A cluster whose processes run in `folder`, with a status store at `state`. Executors
    /// are given up after six seconds, the least there is.
    pub fn new(folder: &Path, state: &str) -> anyhow::Result<Self> {
        let listen = free_port()?;
        Ok(Self {
            folder: folder.to_owned(),
            state: state.to_owned(),
            listen,
            meet: listen,
            tls: Vec::new(),
            settings: ["--executor-timeout", "6"].map(str::to_owned).into(),
            environment: Vec::new(),
        })
    }

    /// The scheduler, ready to be spawned.
    pub fn scheduler(&self) -> anyhow::Result<Invocation> {
        let scheduler = self.process("lakebolt-scheduler")?;
        Ok(scheduler
            .args(["--listen", &self.listen.to_string()])
            .args(["--state", &self.state])
            .args(&self.settings))
    }

    /// Starts the scheduler and waits until it serves.
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

    /// An executor of one vcore, ready to be spawned.
    pub fn executor(&self) -> anyhow::Result<Invocation> {
        let executor = self.process("lakebolt-executor")?;
        Ok(executor
            .args([
                "--scheduler",
                &self.meet.to_string(),
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

    /// What the scheduler's port answers over plain HTTP.
    pub fn http(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.listen, ANSWER).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        stream.set_write_timeout(Some(ANSWER)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

/// A place on loopback where nothing listens, and that no other test of this process was given.
fn free_port() -> anyhow::Result<SocketAddr> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let count = PORTS.end - PORTS.start;
    // Other processes of tests begin elsewhere.
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

/// Waits until something holds; fails the test when it does not in two minutes.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < TIMEOUT, "waited in vain: {what}");
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
    fn ports_differ_and_are_no_outgoing_ones() {
        let (one, other) = (cluster().listen, cluster().listen);
        assert_ne!(one, other);
        assert!(PORTS.contains(&one.port()) && PORTS.contains(&other.port()));
    }

    #[test]
    fn a_scheduler_that_does_not_answer_is_not_waited_for() {
        let cluster = cluster();
        let _silent = TcpListener::bind(cluster.listen).expect("it is free");
        assert_eq!(cluster.http("/readyz"), None);
    }
}
