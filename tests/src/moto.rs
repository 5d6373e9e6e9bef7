//! moto as S3: one server for all tests of a process, started at its first use.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::Context;

use crate::python;

const GATE: &str = "support/moto_gate.py";

/// The server. It exits with this process, which closes the pipe to its stdin.
#[derive(Debug)]
struct Moto {
    endpoint: String,
    _server: Child,
}

static MOTO: OnceLock<Result<Moto, String>> = OnceLock::new();

/// The URL of moto, such as `http://127.0.0.1:5000`. `None` if Python is missing, which is
/// printed and counted under the test's name.
pub fn endpoint(test: &str) -> anyhow::Result<Option<String>> {
    let Some(python) = python::interpreter(test)? else {
        return Ok(None);
    };
    let started = MOTO.get_or_init(|| start(&python).map_err(|error| format!("{error:#}")));
    match started {
        Ok(moto) => Ok(Some(moto.endpoint.clone())),
        Err(error) => anyhow::bail!("moto did not start: {error}"),
    }
}

fn start(python: &Path) -> anyhow::Result<Moto> {
    let gate = Path::new(env!("CARGO_MANIFEST_DIR")).join(GATE);
    let mut server = Command::new(python)
        .arg(gate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = server.stdout.take().context("stdout is piped")?;
    let mut port = String::new();
    BufReader::new(stdout).read_line(&mut port)?;
    let port: u16 = port.trim().parse().context("moto printed no port")?;
    Ok(Moto {
        endpoint: format!("http://127.0.0.1:{port}"),
        _server: server,
    })
}
