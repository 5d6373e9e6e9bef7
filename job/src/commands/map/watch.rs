//! `map --watch`: maps the file again whenever a file of the source or the log is saved. It
//! ends on Ctrl-C.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{process, thread};

use super::{is_stdin, once, say};
use crate::cli::MapArgs;
use crate::context::Context;
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::sources::SourceIndex;
use crate::{interrupt, wire};

/// The time between two looks at the files.
const PAUSE: Duration = Duration::from_millis(300);

pub(super) fn run(
    args: &MapArgs,
    source_index: &SourceIndex,
    context: &Context,
) -> Result<ExitCode, Failure> {
    if is_stdin(&args.file) {
        let remedy = "give the log as FILE";
        return Err(Failure::usage("--watch cannot repeat stdin", remedy));
    }
    let source = source_index.path_of(&args.source);
    let log = context.folder().join(&args.file);
    let look = || Seen::of(&watched(source.as_deref(), &log));
    let mut seen = look();
    // Also where the parent process ignores the signal, as a shell does for its jobs.
    thread::spawn(|| {
        let waited = wire::block_on(async {
            interrupt::wait().await;
            Ok(())
        });
        if waited.is_ok() {
            process::exit(ExitCode::Done.number().into());
        }
    });
    for number in 1u64.. {
        if let Err(failure) = once(args, source_index, context) {
            say(&failure.to_string());
        }
        let changed = loop {
            thread::sleep(PAUSE);
            let now = look();
            let changed = now.changes_since(&seen);
            seen = now;
            if !changed.is_empty() {
                break changed;
            }
        };
        say(&separator(number + 1, &changed));
    }
    Ok(ExitCode::Done)
}

/// A line between two runs.
fn separator(number: u64, changed: &[String]) -> String {
    format!("\n---- run {number}: {} changed ----", changed.join(", "))
}

/// The files of the source, and the log. A shipped source has no files.
fn watched(source: Option<&Path>, log: &Path) -> Vec<PathBuf> {
    let folder = source.and_then(|path| match path.is_dir() {
        true => Some(path),
        false => path.parent(),
    });
    let mut files = vec![log.to_owned()];
    if let Some(folder) = folder {
        // A file alone has the empty path as its folder.
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        files.extend(paths.filter(|path| path.is_file() && path != log));
    }
    files.sort();
    files
}

/// The files with the time and size of their last version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Seen {
    fn of(files: &[PathBuf]) -> Self {
        let version = |path: &PathBuf| {
            let metadata = path.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        let seen = files.iter().map(|path| (path.clone(), version(path)));
        Self(seen.collect())
    }

    /// Names of the files that are new, changed or gone since `earlier`.
    fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let differs = |one: &&(PathBuf, _), other: &Self| !other.0.contains(one);
        let new = self.0.iter().filter(|one| differs(one, earlier));
        let old = earlier.0.iter().filter(|one| differs(one, self));
        let names = new.chain(old).filter_map(|(path, _)| path.file_name());
        let mut names: Vec<String> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_new_and_removed_files_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let look = || Seen::of(&watched(Some(folder.path()), &path("a.log")));
        fs::write(path("a.log"), "1").expect("writable");
        fs::write(path("source.toml"), "a").expect("writable");
        let first = look();
        assert_eq!(first.changes_since(&first), [""; 0]);
        fs::write(path("source.toml"), "ab").expect("writable");
        fs::write(path("flow.toml"), "a").expect("writable");
        let second = look();
        assert_eq!(second.changes_since(&first), ["flow.toml", "source.toml"]);
        fs::remove_file(path("flow.toml")).expect("removable");
        assert_eq!(look().changes_since(&second), ["flow.toml"]);
        let line = separator(2, &["flow.toml".to_owned()]);
        assert_eq!(line, "\n---- run 2: flow.toml changed ----");
    }
}
