//! Checks of inputs, targets, the work area and the status store. Each makes the requests that
//! a load makes.

use std::path::Path;

use plans::inspect::objects;
use plans::inspect::objects::ObjectError;
use plans::storage::{Access, parts};
use scheduler::load::failure::Failure as LoadFailure;
use scheduler::publish::work;
use scheduler::publish::work::Work;

use super::report::Verdict;
use crate::commands::show::object_failure;
use crate::failure::Failure;
use crate::table::plural;
use crate::wire;

/// The number of objects of an input to list.
const MOST_LISTED: usize = 100;

/// Lists the first objects of an input and reads a byte of one.
pub(super) async fn input(uri: &str, allow_empty: bool) -> Verdict {
    let found = match objects::first(uri, MOST_LISTED).await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let Some(first) = found.iter().find(|object| object.size > 0) else {
        let remedy = "check --input, or allow this with --allow-empty";
        return match allow_empty {
            true => Verdict::warning("contains no objects", remedy),
            false => Verdict::fail("contains no objects", remedy),
        };
    };
    if let Err(error) = first.touch().await {
        return failed(&error);
    }
    if first.below().is_empty() {
        return Verdict::ok("one object, which is readable");
    }
    let is_cut = found.len() == MOST_LISTED;
    let more = if is_cut { " or more" } else { "" };
    let objects = plural(found.len() as u64, "object");
    Verdict::ok(format!("{objects}{more}; {} is readable", first.below()))
}

fn failed(error: &ObjectError) -> Verdict {
    object_failure(error).into()
}

/// Starts to write a part, and aborts it.
pub(super) async fn target(folder: &str, work: &str, access: &Access) -> Verdict {
    let part_store = match parts::open(folder, work, access) {
        Ok(storage) => storage.part_store,
        Err(error) => return refused(error),
    };
    match part_store.probe(folder, &work::probe_name()).await {
        Ok(warnings) if warnings.is_empty() => Verdict::ok("is writable"),
        Ok(warnings) => Verdict::warning(
            warnings.join("; "),
            "set AbortIncompleteMultipartUpload to at least 7 days",
        ),
        Err(error) => refused(error),
    }
}

/// Writes, reads and removes an object in the work area.
pub(super) async fn work(uri: &str) -> Verdict {
    let name = format!("{}.json", work::probe_name());
    let attempt = async {
        let work = Work::open(uri)?;
        work.prepare().await?;
        work.put(&name, &1).await?;
        let read = work.get::<u32>(&name).await;
        work.remove(&name).await?;
        read
    };
    match attempt.await {
        Ok(_) => Verdict::ok("wrote, read and removed an object"),
        Err(error) => refused(error),
    }
}

/// Reads the status store. A missing local file passes if it can be created.
pub(super) async fn state(uri: &str) -> Verdict {
    if let Some(path) = uri.strip_prefix("sqlite:").map(Path::new)
        && !path.exists()
    {
        return absent(path);
    }
    let datasets = async {
        let status = wire::open_status(uri, true)?;
        let datasets = status.datasets().await;
        datasets.map_err(|error| wire::status_failure(&error))
    };
    match datasets.await {
        Ok(datasets) => Verdict::ok(plural(datasets.len() as u64, "dataset")),
        Err(failure) => failure.into(),
    }
}

/// Whether a database can be created in the folder of `path`.
fn absent(path: &Path) -> Verdict {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let created = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    match created {
        Ok(_) => Verdict::ok("does not exist yet; the first load creates it"),
        Err(error) => Verdict::fail(
            format!("cannot be created: {error}"),
            "check the permissions of its folder, or give a different --state",
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
    async fn an_input_is_listed_and_read_or_reported_as_empty() {
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
    async fn checks_leave_a_work_area_and_a_target_unchanged() {
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
    async fn the_check_does_not_create_a_missing_status_store() {
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
