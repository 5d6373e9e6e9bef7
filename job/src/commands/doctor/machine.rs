//! Checks of this machine: free space to spill to, and the engine.

use super::report::Verdict;
use crate::failure::Failure;
use crate::scratch::Scratch;
use crate::settings::EngineName;
use crate::table::{bytes, plural};
use crate::wire;

/// Bytes that a month of a busy source spills.
const SPILL_BYTES: u64 = 2_000_000_000;

/// Creates a file in the scratch folder, and reports the free space.
pub(super) async fn scratch(work: &str) -> Verdict {
    let scratch = match Scratch::make(work) {
        Ok(scratch) => scratch,
        Err(failure) => return failure.into(),
    };
    let folder = scratch.folder().display().to_string();
    let remedy = "free some space, or set TMPDIR (local work areas: --work) to a larger disk";
    if let Err(error) = tempfile::tempfile_in(scratch.folder()) {
        return Verdict::fail(format!("cannot write to {folder}: {error}"), remedy);
    }
    match free(&scratch) {
        Ok(free) if free < SPILL_BYTES => {
            Verdict::warning(format!("only {} are free in {folder}", bytes(free)), remedy)
        }
        Ok(free) => Verdict::ok(format!("{} are free in {folder}", bytes(free))),
        Err(error) => Verdict::warning(format!("{folder}: free space is unknown: {error}"), ""),
    }
}

fn free(scratch: &Scratch) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(scratch.folder())?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Starts the engine in a new folder, and stops it.
pub(super) async fn engine(name: Option<EngineName>, cores: usize, work: &str) -> Verdict {
    let started = async {
        let scratch = Scratch::make(work)?;
        let own = tempfile::tempdir_in(scratch.folder()).map_err(|error| {
            Failure::unavailable(
                format!("cannot create a folder for the engine: {error}"),
                "check that the scratch folder is writable",
            )
        })?;
        let engine = wire::start_engine(name, cores, own.path()).await?;
        engine.close().await;
        Ok::<_, Failure>(())
    };
    match started.await {
        Ok(()) => Verdict::ok(format!(
            "starts; it runs {} at once",
            plural(cores as u64, "task")
        )),
        Err(failure) => failure.into(),
    }
}
