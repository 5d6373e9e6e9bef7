//! This machine: room to spill to, and the engine.

use super::report::Verdict;
use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::settings::EngineName;
use crate::table::{bytes, plural};
use crate::wire;

/// A month of a busy source spills about this much.
const ROOM: u64 = 2_000_000_000;

/// Makes a file where sorting spills, and says how much room there is.
pub(super) async fn scratch(work: &str) -> Verdict {
    let scratch = match Scratch::make(work) {
        Ok(scratch) => scratch,
        Err(failure) => return failure.into(),
    };
    let folder = scratch.folder().display().to_string();
    let remedy = "make room there, or set TMPDIR (local work areas: --work) to a larger disk";
    if let Err(error) = tempfile::tempfile_in(scratch.folder()) {
        return Verdict::fail(format!("{folder} cannot be written: {error}"), remedy);
    }
    match free(&scratch) {
        Ok(free) if free < ROOM => {
            Verdict::warning(format!("only {} are free in {folder}", bytes(free)), remedy)
        }
        Ok(free) => Verdict::ok(format!("{} are free in {folder}", bytes(free))),
        Err(error) => Verdict::warning(format!("{folder}: free space is unknown: {error}"), ""),
    }
}

fn free(scratch: &Scratch) -> std::io::Result<u64> {
    let about = rustix::fs::statvfs(scratch.folder())?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Starts the engine in a folder of its own, and stops it.
pub(super) async fn engine(name: Option<EngineName>, cores: usize, work: &str) -> Verdict {
    let started = async {
        let scratch = Scratch::make(work)?;
        let own = tempfile::tempdir_in(scratch.folder()).map_err(|error| {
            Failure::unavailable(
                format!("no folder for the engine can be made: {error}"),
                "check that the scratch folder can be written",
            )
        })?;
        let engine = wire::start_engine(name, cores, own.path()).await?;
        engine.close().await;
        Ok::<_, Failure>(())
    };
    match started.await {
        Ok(()) => Verdict::ok(format!(
            "starts; {} run at once",
            plural(cores as u64, "task")
        )),
        Err(failure) => failure.into(),
    }
}
