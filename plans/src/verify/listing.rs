//! The objects below a folder, and what does not belong there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file below the folder that is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// The path with `/`, as findings and rules take it.
    pub(super) name: String,
    pub(super) size: u64,
}

/// Parquet objects and strays, each in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) objects: Vec<Found>,
    pub(super) strays: Vec<Found>,
}

/// Folder of the default work area: no reader of the target lists Parquet there.
const WORK: &str = ".lakebolt";

/// Lists `root`, a folder or one file. `shown` stands before the names.
pub(super) fn list(root: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let about = fs::metadata(root)?;
    if about.is_file() {
        listing.objects.push(found(root, about.len()));
        return Ok(listing);
    }
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            if fs::metadata(&path)?.is_dir() {
                folders.push(path);
                continue;
            }
            listing.sort_in(found(&path, entry.metadata()?.len()), root);
        }
    }
    listing.objects.sort_by(|a, b| a.name.cmp(&b.name));
    listing.strays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

impl Listing {
    fn sort_in(&mut self, file: Found, root: &Path) {
        let below = file.path.strip_prefix(root).unwrap_or(&file.path);
        let mut segments = below.iter().map(|segment| segment.to_string_lossy());
        let is_work = segments.clone().next().is_some_and(|first| first == WORK);
        let hidden = segments.any(|name| name.starts_with(['_', '.']));
        let is_parquet = file.name.ends_with(".parquet");
        match (is_work, is_parquet && !hidden) {
            (true, _) if !is_parquet => {}
            (false, true) => self.objects.push(file),
            _ => self.strays.push(file),
        }
    }
}

fn found(path: &Path, size: u64) -> Found {
    let segments: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    Found {
        path: path.to_path_buf(),
        name: segments.join("/").replacen("//", "/", 1),
        size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_from_strays_and_the_work_area_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let files = [
            "ext/s/a.parquet",
            "ext/s/_temporary/b.parquet",
            "ext/s/c.crc",
            ".lakebolt/state.db",
            ".lakebolt/staging/d.parquet",
        ];
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
            fs::write(path, "x").expect("writable");
        }
        let listing = list(folder.path()).expect("readable");
        let names = |files: &[Found]| -> Vec<String> {
            let name = |file: &Found| {
                file.path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
            };
            files.iter().filter_map(name).collect()
        };
        assert_eq!(names(&listing.objects), ["a.parquet"]);
        assert_eq!(names(&listing.strays), ["d.parquet", "b.parquet", "c.crc"]);
    }
}
