//! Inputs, targets, work area and state: asked just for what a load asks them for.

use std::path::Path;

use plans::inspect::objects;
use plans::inspect::objects::ObjectError;
use plans::storage::{Access, parts};
use scheduler::load::failure::Failure as LoadFailure;
use scheduler::publish::work;
use scheduler::publish::work::Work;

use super::report::Verdict;
use crate::commands::show::unreached;
use crate::failure::Failure;
use crate::table::plural;
use crate::wire;

/// Objects of an input that are looked at.
const LOOK: usize = 100;

/// Lists the first objects of an input and reads a byte of one.
pub(super) async fn input(uri: &str, allow_empty: bool) -> Verdict {
    let found = match objects::first(uri, LOOK).await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let Some(first) = found.iter().find(|object| object.size > 0) else {
        let remedy = "check --input; --allow-empty takes this for an answer";
        return match allow_empty {
            true => Verdict::warning("holds no object", remedy),
            false => Verdict::fail("holds no object", remedy),
        };
    };
    if let Err(error) = first.touch().await {
        return failed(&error);
    }
    if first.below().is_empty() {
        return Verdict::ok("one object, which can be read");
    }
    let more = if found.len() == LOOK { " or more" } else { "" };
    let objects = plural(found.len() as u64, "object");
    Verdict::ok(format!("{objects}{more}; {} can be read", first.below()))
}

fn failed(error: &ObjectError) -> Verdict {
    unreached(error).into()
}

/// Begins to write a part, and takes it back.
pub(super) async fn target(folder: &str, work: &str, access: &Access) -> Verdict {
    let part_store = match parts::open(folder, work, access) {
        Ok(sink) => sink.part_store,
        Err(error) => return refused(error),
    };
    match part_store.probe(folder, &work::probe_name()).await {
        Ok(warnings) if warnings.is_empty() => Verdict::ok("can be written"),
        Ok(warnings) => Verdict::warning(
            warnings.join("; "),
            "let AbortIncompleteMultipartUpload wait for 7 days",
        ),
        Err(error) => refused(error),
    }
}

/// Writes, reads and removes an object of the work area.
pub(super) async fn work(uri: &str) -> Verdict {
    let name = format!("{}.json", work::probe_name());
    let tried = async {
        let work = Work::open(uri)?;
        work.prepare().await?;
        work.put(&name, &1).await?;
        let read = work.get::<u32>(&name).await;
        work.remove(&name).await?;
        read
    };
    match tried.await {
        Ok(_) => Verdict::ok("written, read and removed an object"),
        Err(error) => refused(error),
    }
}

/// Reads the state; one on this machine that is not there yet would be made.
pub(super) async fn state(uri: &str) -> Verdict {
    if let Some(path) = uri.strip_prefix("sqlite:").map(Path::new)
        && !path.exists()
    {
        return absent(path);
    }
    let looked = async {
        let status = wire::open_status(uri, true)?;
        let datasets = status.datasets().await;
        datasets.map_err(|error| wire::status_failure(&error))
    };
    match looked.await {
        Ok(datasets) => Verdict::ok(plural(datasets.len() as u64, "dataset")),
        Err(failure) => failure.into(),
    }
}

/// Whether a database could be made in the folder of `path`.
fn absent(path: &Path) -> Verdict {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    match made {
        Ok(_) => Verdict::ok("is not there yet; the first load makes it"),
        Err(error) => Verdict::fail(
            format!("cannot be made: {error}"),
            "check the permissions of its folder, or give another --state",
        ),
    }
}

fn refused(error: impl Into<LoadFailure>) -> Verdict {
    Failure::from(error.into()).into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::commands::doctor::report::State;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder for the test")
    }

    #[tokio::test]
    async fn an_input_is_listed_and_read_or_said_to_be_empty() {
        let root = folder();
        let uri = format!("file://{}", root.path().display());
        assert_eq!(input(&uri, false).await.state, State::Fail);
        assert_eq!(input(&uri, true).await.state, State::Warning);
        fs::write(root.path().join("a.log"), "x").expect("writable");
        let verdict = input(&uri, false).await;
        assert_eq!(verdict.state, State::Ok);
        assert!(
            verdict.message.starts_with("1 object; "),
            "{}",
            verdict.message
        );
        let one = input(&format!("{uri}/a.log"), false).await;
        assert_eq!(one.state, State::Ok, "{}", one.message);
        let absent = input(&format!("{uri}/none"), false).await;
        assert_eq!(absent.state, State::Fail);
        assert!(!absent.remedy.is_empty());
    }

    #[tokio::test]
    async fn a_work_area_and_a_target_are_as_they_were_after_their_probes() {
        let root = folder();
        let uri = format!("file://{}", root.path().display());
        assert_eq!(work(&uri).await.state, State::Ok);
        assert_eq!(
            target(&uri, &uri, &Access::default()).await.state,
            State::Ok
        );
        assert_eq!(fs::read_dir(root.path()).expect("listable").count(), 0);
    }

    #[tokio::test]
    async fn a_state_that_is_not_there_is_not_made() {
        let root = folder();
        let path = root.path().join("state.db");
        let verdict = state(&format!("sqlite:{}", path.display())).await;
        assert_eq!(verdict.state, State::Ok);
        assert!(!path.exists());
        fs::write(root.path().join("file"), "x").expect("writable");
        let below = root.path().join("file/state.db");
        let verdict = state(&format!("sqlite:{}", below.display())).await;
        assert_eq!(verdict.state, State::Fail);
    }
}
