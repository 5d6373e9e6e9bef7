//! Where the work area and the quarantine are unless the user names a place, and how places
//! lie to a target.

use std::path::{Path, PathBuf};

use url::Url;

use super::address::is_listed;

const S3: &str = "s3://";
/// Readers of a local target skip the work area because of the dot.
const LOCAL_WORK: &str = ".lakebolt";
const LOCAL_QUARANTINE: &str = ".quarantine";
const S3_WORK: &str = "lakebolt-work";
const S3_QUARANTINE: &str = "lakebolt-quarantine";
const STATE: &str = "state.db";

/// The work area of a target, an absolute URI. On S3 it is beside the target: readers list
/// every folder of a target there.
pub fn default_work(target: &str) -> String {
    match bucket(target) {
        Some(bucket) => format!("{bucket}/{S3_WORK}/"),
        None => format!("{}/{LOCAL_WORK}/", trimmed(target)),
    }
}

/// The quarantine of a target, an absolute URI.
pub fn default_quarantine(target: &str) -> String {
    match bucket(target) {
        Some(bucket) => format!("{bucket}/{S3_QUARANTINE}/"),
        None => format!("{}{LOCAL_QUARANTINE}/", trimmed(target)),
    }
}

/// The status store's file of a local target.
pub fn default_state(target: &Path) -> PathBuf {
    target.join(LOCAL_WORK).join(STATE)
}

/// Whether `name` is the folder of a local target's work area.
pub fn is_local_work(name: &str) -> bool {
    name == LOCAL_WORK
}

/// Whether a key of a bucket is in the work area or the quarantine of a target there, which
/// are beside the target also if that is the whole bucket.
pub fn is_beside(key: &str) -> bool {
    let first = key.split_once('/').map(|(first, _)| first);
    first.is_some_and(|first| [S3_WORK, S3_QUARANTINE].contains(&first))
}

/// Whether a place, an absolute URI, is on S3.
pub fn is_s3(uri: &str) -> bool {
    uri.starts_with(S3)
}

/// Whether readers of the target would list `place`, a folder. Both are absolute URIs.
pub fn is_inside(place: &str, target: &str) -> bool {
    match (is_s3(target), local(place), local(target)) {
        (false, Some(place), Some(target)) => place.starts_with(target),
        _ => is_below(trimmed(place), trimmed(target)),
    }
}

fn is_below(place: &str, target: &str) -> bool {
    let Some(below) = place.strip_prefix(target) else {
        return false;
    };
    match below.strip_prefix('/') {
        None => below.is_empty(),
        Some(key) if bucket(target) == Some(target) => is_listed(key),
        Some(_) => true,
    }
}

/// `s3://{bucket}` of a URI of S3.
fn bucket(uri: &str) -> Option<&str> {
    let name = uri.strip_prefix(S3)?.split('/').next()?;
    uri.get(..S3.len() + name.len())
}

/// The path of a `file:` URI: two spellings of one folder are the same.
fn local(uri: &str) -> Option<PathBuf> {
    Url::parse(uri).ok()?.to_file_path().ok()
}

fn trimmed(uri: &str) -> &str {
    uri.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_area_and_quarantine_follow_from_the_target() {
        for (target, work, quarantine) in [
            (
                "file:///lake",
                "file:///lake/.lakebolt/",
                "file:///lake.quarantine/",
            ),
            (
                "s3://lake/a/b/",
                "s3://lake/lakebolt-work/",
                "s3://lake/lakebolt-quarantine/",
            ),
            (
                "s3://lake",
                "s3://lake/lakebolt-work/",
                "s3://lake/lakebolt-quarantine/",
            ),
        ] {
            assert_eq!(default_work(target), work);
            assert_eq!(default_quarantine(target), quarantine);
            assert_eq!(is_inside(work, target), target.starts_with("file:"));
            assert!(!is_inside(quarantine, target), "{quarantine}");
        }
        let state = default_state(Path::new("/lake"));
        assert_eq!(state, Path::new("/lake/.lakebolt/state.db"));
    }

    #[test]
    fn keys_beside_the_lake_are_recognised_in_a_listing_of_the_bucket() {
        for (key, expected) in [
            ("lakebolt-work/attempts/a", true),
            ("lakebolt-quarantine/q.parquet", true),
            ("lakebolt-quarantines/q.parquet", false),
            ("lakebolt-work", false),
            ("ext/lakebolt-work/a", false),
        ] {
            assert_eq!(is_beside(key), expected, "{key}");
        }
    }

    #[test]
    fn what_readers_of_a_target_list_is_inside_it() {
        for (place, target, expected) in [
            ("s3://lake/a/w/", "s3://lake/a", true),
            ("s3://lake/a", "s3://lake/a/", true),
            ("s3://lake/ab/", "s3://lake/a", false),
            ("s3://lakes/a/", "s3://lake", false),
            ("s3://lake/lakebolt-work/", "s3://lake", false),
            ("s3://lake/ext/work/", "s3://lake", true),
            ("s3://lake/ext/", "s3://lake", true),
            ("s3://lake/", "s3://lake", true),
            ("s3://lake/region=r/", "s3://lake", true),
            ("file:///lake/q/", "file:///lake", true),
            ("file:///lake", "file:///lake/", true),
            ("file:///lake.quarantine/", "file:///lake", false),
            ("file:///a//lake/./q", "file:///a/lake", true),
            ("file:///x/%2e%2e/lake/q", "file:///lake", true),
        ] {
            assert_eq!(is_inside(place, target), expected, "{place} in {target}");
        }
    }
}
