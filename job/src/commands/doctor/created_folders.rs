//! Removes the folders that checks created.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that did not exist. Dropping this removes those that are empty.
#[derive(Debug)]
pub(super) struct CreatedFolders(Vec<PathBuf>);

impl CreatedFolders {
    /// Records which of `folders` and their parents do not exist yet.
    pub(super) fn before(folders: &[PathBuf]) -> Self {
        let absent = |path: &&Path| !path.exists();
        let mut missing: Vec<PathBuf> = folders
            .iter()
            .flat_map(|folder| folder.ancestors().take_while(absent))
            .map(Path::to_path_buf)
            .collect();
        // A folder is removed after its subfolders.
        missing.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        missing.dedup();
        Self(missing)
    }
}

impl Drop for CreatedFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Most were never created, and one that is not empty is in use.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_empty_folders_are_removed() {
        let root = tempfile::tempdir().expect("a folder for the test");
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("old")).expect("writable");
        let created =
            CreatedFolders::before(&[path("old/area/scratch"), path("new/a"), path("new/b")]);
        for name in ["old/area/scratch", "new/a", "new/b"] {
            fs::create_dir_all(path(name)).expect("writable");
        }
        fs::write(path("new/b/part"), "x").expect("writable");
        drop(created);
        assert!(path("old").exists() && !path("old/work").exists());
        assert!(!path("new/a").exists() && path("new/b/part").exists());
    }
}
