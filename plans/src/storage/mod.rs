//! Object stores of the input and the work area, by the scheme of their URIs.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

pub mod access;
pub mod aws;
mod failure;
mod files;
mod names;
pub mod parts;
mod place;
pub mod s3;

pub use access::{Access, Role};
pub use failure::{Cause, StoreFailure};
pub use files::file_tag;
pub use names::{Entry, Level, Names, Unaddressable};
pub use place::{Place, PlaceError};

/// The store and the path of a URI.
#[derive(Clone, Debug)]
pub struct Located {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Lists the store, with names that cannot be addressed.
    pub names: Arc<dyn Names>,
    /// URI of the store, as in `InputObject::store` (`file:///`, `s3://bucket`).
    pub uri: String,
    /// Path in the store.
    pub path: Path,
    /// The path in the local filesystem, if the store is one.
    pub local: Option<PathBuf>,
}

/// A URI without a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URI or path is invalid.
    #[error("{uri}: not a URI of an object or folder, or not an absolute path")]
    BadUri { uri: String },
    /// The scheme is unknown.
    #[error("{uri}: unknown kind of store; known: {known}")]
    NoStore { uri: String, known: String },
    /// The bucket or key is invalid.
    #[error("{uri}: {what}")]
    BadName { uri: String, what: &'static str },
}

type Open = fn(&str) -> Result<Located, StoreError>;

/// Every kind of store, by the scheme of its URIs, in alphabetical order.
static STORES: &[(&str, Open)] = &[("file", file), ("s3", s3::locate)];

/// Opens the store of `uri`, which may also be an absolute path. It does not read or connect.
pub fn open(uri: &str) -> Result<Located, StoreError> {
    let scheme = scheme(uri);
    match STORES.iter().find(|(known, _)| *known == scheme) {
        Some((_, open)) => open(uri),
        None => Err(StoreError::NoStore {
            uri: uri.to_owned(),
            known: known_schemes(),
        }),
    }
}

/// Returns the scheme of a URI. A path has the scheme `file`.
pub fn scheme(uri: &str) -> &str {
    uri.split_once("://").map_or("file", |(scheme, _)| scheme)
}

/// Returns one spelling for all spellings of a local folder: without links, `.` and slashes at
/// the end. What does not exist yet keeps its name below the folder that exists. The URI of
/// another store only loses slashes at its end.
pub fn canonical(uri: &str) -> String {
    let trimmed = uri.trim_end_matches('/');
    let Some(path) = open(uri).ok().and_then(|located| located.local) else {
        return trimmed.to_owned();
    };
    let resolved = path.ancestors().find_map(|above| {
        let below = path.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(below))
    });
    let resolved = resolved.unwrap_or(path);
    let uri = url::Url::from_file_path(&resolved);
    uri.map_or_else(|()| trimmed.to_owned(), |uri| uri.to_string())
}

fn known_schemes() -> String {
    let schemes: Vec<_> = STORES.iter().map(|(scheme, _)| *scheme).collect();
    schemes.join(", ")
}

/// Opens the entire local filesystem. Paths in it are absolute paths without the first slash.
fn file(uri: &str) -> Result<Located, StoreError> {
    let bad = || StoreError::BadUri {
        uri: uri.to_owned(),
    };
    let path = parts::local::path_of(uri).map_err(|_| bad())?;
    if !path.is_absolute() {
        return Err(bad());
    }
    Ok(Located {
        store: Arc::new(LocalFileSystem::new()),
        names: Arc::new(files::Files),
        uri: "file:///".to_owned(),
        path: Path::from_absolute_path(&path).map_err(|_| bad())?,
        local: Some(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_or_an_absolute_path_names_a_path_in_the_file_store() {
        for (uri, expected) in [
            ("file:///logs/2024", "logs/2024"),
            ("/logs/2024/", "logs/2024"),
            ("file:///a%20b/c+d/%C3%A9", "a b/c+d/é"),
            ("/a b/c+d/é/50%25", "a b/c+d/é/50%25"),
            ("/", ""),
        ] {
            let located = open(uri).expect("a good uri");
            assert_eq!(located.path.as_ref(), expected, "{uri}");
            assert_eq!(located.uri, "file:///");
        }
    }

    #[cfg(unix)]
    #[test]
    fn every_spelling_of_a_folder_has_one_canonical_form() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it exists");
        std::fs::create_dir(root.join("lake")).expect("made");
        std::os::unix::fs::symlink(root.join("lake"), root.join("link")).expect("linked");
        let root = root.display();
        for spelling in ["lake/ext", "link/ext/", "./lake//ext", "link/./ext"] {
            let expected = format!("file://{root}/lake/ext");
            assert_eq!(canonical(&format!("file://{root}/{spelling}")), expected);
        }
        assert_eq!(canonical("s3://lake/a//"), "s3://lake/a");
    }

    #[test]
    fn another_scheme_lists_the_known_ones() {
        let error = open("gopher://x/y").expect_err("an unknown scheme");
        assert!(error.to_string().ends_with("known: file, s3"), "{error}");
    }

    #[test]
    fn a_relative_path_is_rejected() {
        assert!(matches!(open("logs"), Err(StoreError::BadUri { .. })));
        assert!(matches!(
            open("file://host/x y"),
            Err(StoreError::BadUri { .. })
        ));
    }
}
