//! The folders that probing makes, to be removed again.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that were not there; those that are empty in the end go with this value.
#[derive(Debug)]
pub(super) struct Traces(Vec<PathBuf>);

impl Traces {
    /// Notes which of `folders`, and of those they stand in, are not there yet.
    pub(super) fn before(folders: &[PathBuf]) -> Self {
        let absent = |path: &&Path| !path.exists();
        let mut missing: Vec<PathBuf> = folders
            .iter()
            .flat_map(|folder| folder.ancestors().take_while(absent))
            .map(Path::to_path_buf)
            .collect();
        // What stands in a folder goes before it.
        missing.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        missing.dedup();
        Self(missing)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Most were never made, and one in which something stands is in use.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_folders_that_were_not_there_are_removed() {
        let root = tempfile::tempdir().expect("a folder for the test");
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("old")).expect("writable");
        let traces = Traces::before(&[path("old/area/scratch"), path("new/a"), path("new/b")]);
        for name in ["old/area/scratch", "new/a", "new/b"] {
            fs::create_dir_all(path(name)).expect("writable");
        }
        fs::write(path("new/b/part"), "x").expect("writable");
        drop(traces);
        assert!(path("old").exists() && !path("old/work").exists());
        assert!(!path("new/a").exists() && path("new/b/part").exists());
    }
}
