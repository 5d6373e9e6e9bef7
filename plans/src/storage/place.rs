//! Where a URI leads: the store and the path in it, with local links followed. Two spellings of
//! one place are the same, so that places can be compared.

use std::io;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::{StoreError, open};

/// A place in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The absolute path in the local filesystem, without links.
    Local(PathBuf),
    /// A path in another store.
    Remote {
        /// URI of the store, such as `s3://bucket`.
        store: String,
        path: object_store::path::Path,
    },
}

/// A URI that leads nowhere, or nobody knows where.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error(transparent)]
    Uri(#[from] StoreError),
    /// A folder on the way cannot be read, or a link leads nowhere.
    #[error("{uri}: nobody knows where it leads")]
    Unresolved {
        uri: String,
        #[source]
        source: io::Error,
    },
}

impl Place {
    /// Returns the place that a URI or an absolute path names. It need not exist.
    pub fn of(uri: &str) -> Result<Self, PlaceError> {
        let located = open(uri)?;
        let Some(path) = located.local else {
            return Ok(Self::Remote {
                store: located.uri,
                path: located.path,
            });
        };
        let resolved = resolved(&path).map_err(|source| PlaceError::Unresolved {
            uri: uri.to_owned(),
            source,
        })?;
        Ok(Self::Local(resolved))
    }

    /// Returns true if this is `root`, or below it.
    pub fn is_within(&self, root: &Self) -> bool {
        match (self, root) {
            (Self::Local(path), Self::Local(root)) => path.starts_with(root),
            (
                Self::Remote { store, path },
                Self::Remote {
                    store: its_store,
                    path: root,
                },
            ) => store == its_store && path.prefix_matches(root),
            (Self::Local(_), Self::Remote { .. }) | (Self::Remote { .. }, Self::Local(_)) => false,
        }
    }
}

/// Follows the links of as much of the path as exists.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    if path.components().any(|part| part == Component::ParentDir) {
        let message = "it leads upwards by `..`";
        return Err(io::Error::new(ErrorKind::InvalidInput, message));
    }
    let mut absent = Vec::new();
    let mut present = path;
    loop {
        match present.canonicalize() {
            Ok(found) => return Ok(absent.iter().rev().fold(found, |at, name| at.join(name))),
            // A link to what does not exist yet may lead anywhere later.
            Err(error) if error.kind() != ErrorKind::NotFound || present.is_symlink() => {
                return Err(error);
            }
            Err(error) => {
                let (Some(above), Some(name)) = (present.parent(), present.file_name()) else {
                    return Err(error);
                };
                absent.push(name);
                present = above;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_place_is_where_its_links_lead() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["root", "other"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("root/a b"), "").unwrap();
        for (link, target) in [("in", "root"), ("root/out", "other"), ("root/gone", "none")] {
            std::os::unix::fs::symlink(at(target), at(link)).unwrap();
        }
        let root = Place::of(&at("in")).unwrap();
        let is_within = |uri: &str| Place::of(uri).unwrap().is_within(&root);
        for inside in ["root", "root/", "root/new/part", "in/x", "root/a b"] {
            assert!(is_within(&at(inside)), "{inside}");
        }
        assert!(is_within(&format!("file://{}", at("root/a%20b"))));
        for outside in ["other", "rooted", "root/out/x", "root/out"] {
            assert!(!is_within(&at(outside)), "{outside}");
        }
        // A URI's `..` is resolved before anything is opened.
        assert!(!is_within(&format!("file://{}", at("root/%2E%2e/other"))));
        for unknown in ["root/gone", "root/gone/x", "root/../other"] {
            assert!(Place::of(&at(unknown)).is_err(), "{unknown}");
        }
    }

    #[test]
    fn a_place_in_a_bucket_is_below_whole_segments_of_it() {
        let is_within = |uri: &str, root: &str| {
            let root = Place::of(root).unwrap();
            Place::of(uri).unwrap().is_within(&root)
        };
        assert!(is_within("s3://lake/a/b", "s3://lake"));
        assert!(is_within("s3://lake/a/b", "s3://lake/a/"));
        assert!(is_within("s3://lake/a", "s3://lake/a"));
        assert!(!is_within("s3://lake/ab", "s3://lake/a"));
        assert!(!is_within("s3://lakes/a", "s3://lake/"));
        assert!(!is_within("/lake/a", "s3://lake/"));
        assert!(Place::of("s3://lake/a/../b").is_err());
    }
}
