//! The bounds of publishing: which objects a load may complete, rename or delete. Manifests and
//! receipts are files that others may have written, so nothing outside the load's own targets,
//! quarantine and work area is touched because one of them names it.

use std::collections::BTreeSet;

use plans::lake::{ATTEMPTS, STAGING, attempt_digest};
use plans::storage::parts::{PartHandle, Staged};
use plans::storage::{Place, PlaceError};

use super::manifest::Manifest;
use super::receipts::Collected;
use super::work::Work;
use crate::load::failure::{Failure, Kind};

/// A manifest or a receipt that names something outside the bounds.
#[derive(Debug, thiserror::Error)]
pub enum OutOfBounds {
    #[error("a {document} names {uri}, which is not a part in this load's targets or quarantine")]
    Object { document: &'static str, uri: String },
    #[error("a {document} names {path}, which is not a file that this load staged")]
    Staged {
        document: &'static str,
        path: String,
    },
    #[error("a manifest belongs to {attempt:?}, which is not the name of an attempt")]
    Attempt { attempt: String },
    /// A folder of the load cannot be looked at.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// The places of one load.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Places of published objects: the targets, the quarantine, and what a replay keeps in the
    /// work area.
    objects: Vec<Place>,
    /// The place of local parts that are not published yet.
    staging: Place,
}

impl Bounds {
    /// The bounds of a load with these targets and this work area.
    pub fn new(folders: &BTreeSet<String>, work: &Work) -> Result<Self, PlaceError> {
        let kept = work.uri_of(ATTEMPTS);
        let folders = folders.iter().chain([&kept]);
        let objects: Result<_, _> = folders.map(|uri| Place::of(uri)).collect();
        Ok(Self {
            objects: objects?,
            staging: Place::of(&work.uri_of(STAGING))?,
        })
    }

    /// Refuses a manifest that names anything outside the bounds.
    pub fn check_manifest(&self, manifest: &Manifest) -> Result<(), OutOfBounds> {
        const DOCUMENT: &str = "manifest";
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if manifest.attempt.is_empty() || !manifest.attempt.chars().all(is_plain) {
            return Err(OutOfBounds::Attempt {
                attempt: manifest.attempt.clone(),
            });
        }
        for part in manifest.added.iter().chain(&manifest.losers) {
            self.check_part(DOCUMENT, part)?;
        }
        let mut removed = manifest.removed.iter();
        removed.try_for_each(|uri| self.check_object(DOCUMENT, uri))
    }

    /// Refuses receipts that name anything outside the bounds.
    pub fn check_receipts(&self, collected: &Collected) -> Result<(), OutOfBounds> {
        let parts = collected.parts.iter().map(|part| &part.handle);
        let mut parts = parts.chain(&collected.losers);
        parts.try_for_each(|part| self.check_part("receipt", part))
    }

    fn check_part(&self, document: &'static str, part: &PartHandle) -> Result<(), OutOfBounds> {
        self.check_object(document, &part.uri)?;
        // Names every variant and field: a new one does not compile until it is decided here.
        match &part.staged {
            Staged::File { path } => self.check_staged(document, path),
            // An upload belongs to its key, which is that of the URI. The store refuses the id
            // of an upload to another key.
            Staged::Upload { id: _, parts: _ } => Ok(()),
        }
    }

    fn check_staged(&self, document: &'static str, path: &str) -> Result<(), OutOfBounds> {
        match Place::of(path) {
            Ok(place) if place.is_within(&self.staging) && place != self.staging => Ok(()),
            Ok(_) | Err(_) => Err(OutOfBounds::Staged {
                document,
                path: path.to_owned(),
            }),
        }
    }

    fn check_object(&self, document: &'static str, uri: &str) -> Result<(), OutOfBounds> {
        let is_part = attempt_digest(uri).is_some();
        let place = Place::of(uri).ok().filter(|_| is_part);
        let is_ours = |place: Place| self.objects.iter().any(|ours| place.is_within(ours));
        match place.is_some_and(is_ours) {
            true => Ok(()),
            false => Err(OutOfBounds::Object {
                document,
                uri: uri.to_owned(),
            }),
        }
    }
}

impl From<OutOfBounds> for Failure {
    fn from(error: OutOfBounds) -> Self {
        let remedy = match &error {
            OutOfBounds::Place(_) => "check --output, --quarantine and --work",
            OutOfBounds::Object { .. }
            | OutOfBounds::Staged { .. }
            | OutOfBounds::Attempt { .. } => {
                "nothing was published or deleted: see who may write the work area, and that the \
                 source still writes where it did"
            }
        };
        Self::of(Kind::Refused, "out_of_bounds", &error, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: &str = "vpc-2024-02-20240201-0123abcd-0-0.zstd.parquet";

    fn bounds(folder: &tempfile::TempDir) -> Bounds {
        let at = |name: &str| folder.path().join(name).display().to_string();
        let work = Work::open(&at("lake/.lakebolt")).unwrap();
        Bounds::new(&[at("lake/ext/vpc"), at("q")].into(), &work).unwrap()
    }

    #[test]
    fn only_parts_below_the_folders_are_in_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = bounds(&folder);
        let check = |name: &str| {
            let uri = format!("file://{}/{name}", folder.path().display());
            bounds.check_object("manifest", &uri).is_ok()
        };
        for inside in [
            "lake/ext/vpc/region=r",
            "q/eventDay=1",
            "lake/.lakebolt/attempts/a/rejected",
        ] {
            assert!(check(&format!("{inside}/{PART}")), "{inside}");
        }
        for outside in [
            "lake/ext/elb",
            "lake/.lakebolt",
            "lake",
            "lake/ext/vpc/../../../x",
            "lake/ext/vpc/%2E%2E",
        ] {
            assert!(!check(&format!("{outside}/{PART}")), "{outside}");
        }
        assert!(!check("lake/ext/vpc/.bashrc"));
        std::fs::create_dir_all(folder.path().join("lake/ext/vpc")).unwrap();
        let (link, target) = (folder.path().join("lake/ext/vpc/out"), folder.path());
        std::os::unix::fs::symlink(target, link).unwrap();
        assert!(!check(&format!("lake/ext/vpc/out/{PART}")));
    }

    #[test]
    fn only_staged_files_of_the_work_area_are_in_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = bounds(&folder);
        let check = |name: &str| {
            let at = |name: &str| folder.path().join(name).display().to_string();
            let part = PartHandle {
                uri: at(&format!("lake/ext/vpc/{PART}")),
                size: 1,
                staged: Staged::File { path: at(name) },
            };
            bounds.check_part("receipt", &part).is_ok()
        };
        assert!(check("lake/.lakebolt/staging/a/x.part"));
        for outside in [
            "secret",
            "lake/.lakebolt/staging",
            "lake/.lakebolt/state.db",
            "lake/.lakebolt/staging/../state.db",
        ] {
            assert!(!check(outside), "{outside}");
        }
        let staging = folder.path().join("lake/.lakebolt/staging");
        std::fs::create_dir_all(&staging).unwrap();
        std::fs::write(folder.path().join("secret"), "").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), staging.join("link")).unwrap();
        assert!(!check("lake/.lakebolt/staging/link"));
    }
}
