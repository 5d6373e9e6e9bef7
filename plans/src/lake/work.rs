//! The names in a work area, each relative to it.

use std::fmt::Display;

use object_store::path::Path;

use super::digest8;

/// The folder of the attempts' files.
pub const ATTEMPTS: &str = "attempts";
/// The folder of unpublished parts, on a local filesystem.
pub const STAGING: &str = "staging";
/// The folder of all datasets' manifests.
pub const MANIFESTS: &str = "manifests";
/// The folder of what is written to check that it can be.
pub const PROBES: &str = "probes";
/// The folder of a local engine's spilled rows.
pub const SCRATCH: &str = "scratch";
const OWNER: &str = "owner.json";
const RECEIPTS: &str = "receipts";
const HEARTBEAT: &str = ".heartbeat";
const JSON: &str = ".json";
const OBJECTS: &str = ".objects";
const REPLAYED: &str = ".log";
const PROBE: &str = "lakebolt-probe-";

/// The names of an attempt's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptFiles<'a>(pub &'a str);

impl AttemptFiles<'_> {
    /// The folders that hold all files of the attempt.
    pub fn folders(&self) -> [String; 2] {
        [ATTEMPTS, STAGING].map(|folder| format!("{folder}/{}", self.0))
    }

    /// The file that exists while the attempt is worked on.
    pub fn owner(&self) -> String {
        self.file(OWNER)
    }

    /// The list of what one task reads.
    pub fn split(&self, id: &str) -> String {
        self.file(&format!("splits/{id}{JSON}"))
    }

    /// The folder of receipts and heartbeats.
    pub fn receipts(&self) -> String {
        self.file(RECEIPTS)
    }

    /// The receipt of one run of a split.
    pub fn receipt(&self, run: &str) -> String {
        format!("{}/{run}{JSON}", self.receipts())
    }

    /// The heartbeat of one run of a split.
    pub fn heartbeat(&self, run: &str) -> String {
        format!("{}/{run}{HEARTBEAT}", self.receipts())
    }

    /// Quarantined rows that a replay reads again.
    pub fn replayed(&self, number: usize) -> String {
        self.file(&format!("replay/{number:06}{REPLAYED}"))
    }

    /// The original places of the rows of `replayed`.
    pub fn origins(&self, number: usize) -> String {
        self.file(&format!("replay/{number:06}{JSON}"))
    }

    /// The folder of what a replay on S3 rejects.
    pub fn rejected(&self) -> String {
        self.file("rejected")
    }

    /// An unpublished part, relative to the folder of those.
    pub fn staged(&self, stem: &str) -> String {
        format!("{}/{stem}.part", self.0)
    }

    fn file(&self, name: &str) -> String {
        format!("{ATTEMPTS}/{}/{name}", self.0)
    }
}

/// The number of an object that a replay reads, from its URI.
pub fn replayed_number(uri: &str) -> Option<usize> {
    let name = uri.rsplit('/').next()?;
    name.strip_suffix(REPLAYED)?.parse().ok()
}

/// The name of an attempt. It is made from the record of its period, so that `sweep` knows
/// the owner of what it finds.
pub fn attempt_name(load_id: &str, period: impl Display, attempt: u64) -> String {
    format!("{load_id}-{period}-{attempt}")
}

/// The name of a reading for several periods, whose files are below those of the attempt at one
/// of them.
pub fn common_name(attempt: &str) -> String {
    format!("{attempt}/common")
}

/// The load whose attempt has this name.
pub fn load_of(attempt: &str) -> &str {
    attempt.split('-').next().unwrap_or_default()
}

/// The attempt that owns a file of [`ATTEMPTS`] or [`STAGING`].
pub fn attempt_of_file(name: &str) -> Option<&str> {
    name.split('/').nth(1)
}

/// The attempt that owns a file of [`STAGING`], from the file's absolute path.
pub fn attempt_of_staged(path: &str) -> Option<&str> {
    let (_, below) = path.rsplit_once(&format!("/{STAGING}/"))?;
    below.split('/').next()
}

/// The folder of a dataset's manifests.
pub fn manifest_folder(dataset: &str) -> String {
    format!("{MANIFESTS}/{}", digest8(dataset))
}

/// The manifest of one attempt at a month of a dataset.
pub fn manifest_name(dataset: &str, month: impl Display, attempt: &str) -> String {
    let folder = manifest_folder(dataset);
    format!("{folder}/{month}-{attempt}{JSON}")
}

/// Whether a file beside the manifests is one.
pub fn is_manifest(name: &str) -> bool {
    name.ends_with(JSON)
}

/// The list of the objects that an attempt read, beside its manifest. Its name does not
/// end in `.parquet`, so that readers of the target ignore it.
pub fn list_name(dataset: &str, month: impl Display, attempt: &str) -> String {
    let dataset = digest8(dataset);
    format!("{MANIFESTS}/{dataset}/{month}-{attempt}{OBJECTS}")
}

/// The attempt that wrote a manifest or its list of objects, from the file's name.
pub fn attempt_of_manifest(manifest: &str) -> Option<&str> {
    let name = manifest.rsplit('/').next()?;
    let name = name.strip_suffix(JSON).or(name.strip_suffix(OBJECTS))?;
    name.get("yyyy-MM-".len()..)
}

/// Whether a file among the receipts is a heartbeat.
pub fn is_heartbeat(name: &str) -> bool {
    name.ends_with(HEARTBEAT)
}

/// The name of an object that is never published. `unique` makes it unlike any other.
pub fn probe_name(unique: impl Display) -> String {
    format!("{PROBE}{unique}")
}

/// The probe `name` in the work area.
pub fn probe_file(name: &str) -> String {
    format!("{PROBES}/{name}")
}

/// Whether the object at `uri`, finished or not, was only written to check that it can be.
pub fn is_probe(uri: &str) -> bool {
    let name = uri.rsplit('/').next().unwrap_or_default();
    name.starts_with(PROBE)
}

/// The path of `name`, a name in the work area, in the store whose `root` is the work area.
pub fn path_below(root: &Path, name: &str) -> Path {
    let parts = name.split('/').filter(|part| !part.is_empty());
    parts.fold(root.clone(), |path, part| path.join(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempts_files_are_named_as_the_picture_shows_them() {
        let attempt = attempt_name("abc", "2024-02", 3);
        let files = AttemptFiles(&attempt);
        for (name, expected) in [
            (files.owner(), "attempts/abc-2024-02-3/owner.json"),
            (
                files.split("0007"),
                "attempts/abc-2024-02-3/splits/0007.json",
            ),
            (files.receipts(), "attempts/abc-2024-02-3/receipts"),
            (
                files.receipt("r1"),
                "attempts/abc-2024-02-3/receipts/r1.json",
            ),
            (
                files.heartbeat("r1"),
                "attempts/abc-2024-02-3/receipts/r1.heartbeat",
            ),
            (
                files.replayed(12),
                "attempts/abc-2024-02-3/replay/000012.log",
            ),
            (
                files.origins(12),
                "attempts/abc-2024-02-3/replay/000012.json",
            ),
            (files.rejected(), "attempts/abc-2024-02-3/rejected"),
        ] {
            assert_eq!(name, expected);
            assert_eq!(attempt_of_file(&name), Some(attempt.as_str()));
            assert!(name.starts_with(&files.folders()[0]), "{name}");
        }
        assert_eq!(load_of(&attempt), "abc");
        let common = common_name(&attempt);
        let receipt = AttemptFiles(&common).receipt("r1");
        assert_eq!(receipt, "attempts/abc-2024-02-3/common/receipts/r1.json");
        assert_eq!(attempt_of_file(&receipt), Some(attempt.as_str()));
        assert_eq!(replayed_number(&files.replayed(12)), Some(12));
        assert_eq!(replayed_number("file:///a/flows.log"), None);
    }

    #[test]
    fn an_unpublished_part_belongs_to_its_attempt() {
        let files = AttemptFiles("abc-2024-02-3");
        assert_eq!(files.staged("p"), "abc-2024-02-3/p.part");
        let path = format!("/a/staging/b/{STAGING}/{}", files.staged("p"));
        assert_eq!(attempt_of_staged(&path), Some(files.0));
        assert_eq!(attempt_of_staged("/lake/ext/p.parquet"), None);
        assert_eq!(files.folders()[1], "staging/abc-2024-02-3");
    }

    #[test]
    fn a_manifest_has_the_name_of_its_attempt() {
        let name = manifest_name("vpc_flow-default", "2024-02", "abc-2024-02-3");
        let digest = digest8("vpc_flow-default");
        assert_eq!(
            name,
            format!("manifests/{digest}/2024-02-abc-2024-02-3.json")
        );
        assert_eq!(attempt_of_manifest(&name), Some("abc-2024-02-3"));
        let list = list_name("vpc_flow-default", "2024-02", "abc-2024-02-3");
        assert_eq!(attempt_of_manifest(&list), Some("abc-2024-02-3"));
        assert_eq!(attempt_of_manifest("manifests/x/y.txt"), None);
    }

    #[test]
    fn a_heartbeat_is_no_receipt() {
        let files = AttemptFiles("a");
        assert!(is_heartbeat(&files.heartbeat("r1")));
        assert!(!is_heartbeat(&files.receipt("r1")));
    }

    #[test]
    fn a_probe_is_recognised_by_its_name() {
        let name = probe_file(&probe_name(1));
        assert_eq!(name, "probes/lakebolt-probe-1");
        assert!(is_probe(&name) && is_probe("s3://lake/ext/lakebolt-probe-1"));
        assert!(!is_probe("probes/a"));
    }

    #[test]
    fn a_name_is_a_path_in_the_work_areas_store() {
        let root = Path::from("lakebolt-work");
        let path = path_below(&root, "attempts/a//owner.json");
        assert_eq!(path.as_ref(), "lakebolt-work/attempts/a/owner.json");
    }
}
