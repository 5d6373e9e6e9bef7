//! Object stores by their URI's scheme: where input is read from and the work area stands.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

pub mod access;
pub mod aws;
mod failure;
pub mod parts;
pub mod s3;

pub use access::{Access, Role};
pub use failure::{Cause, StoreFailure};

/// A store, and the path in it that a URI names.
#[derive(Clone, Debug)]
pub struct Located {
    pub store: Arc<dyn ObjectStore>,
    /// The URI of the store itself, as in `InputObject::store` (`file:///`, `s3://bucket`).
    pub uri: String,
    pub path: Path,
    /// The same as a path of this machine's filesystem, where it is one.
    pub local: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{uri}: not a URI of an object or folder, or not an absolute path")]
    BadUri { uri: String },
    #[error("{uri}: no store of that kind is known; known are {known}")]
    NoStore { uri: String, known: String },
    #[error("{uri}: {what}")]
    BadName { uri: String, what: &'static str },
}

type Open = fn(&str) -> Result<Located, StoreError>;

/// Every kind of store, by the scheme of its URIs, in alphabetical order.
static STORES: &[(&str, Open)] = &[("file", file), ("s3", s3::locate)];

/// Opens the store that `uri` (or an absolute path) stands in. Nothing is read, and
/// nothing is connected to.
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

/// The kind of store that a URI names; a path names the filesystem.
pub fn scheme(uri: &str) -> &str {
    uri.split_once("://").map_or("file", |(scheme, _)| scheme)
}

fn known_schemes() -> String {
    let schemes: Vec<_> = STORES.iter().map(|(scheme, _)| *scheme).collect();
    schemes.join(", ")
}

/// The local filesystem, whole: paths in it are absolute paths without their first slash.
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

    #[test]
    fn another_scheme_lists_the_known_ones() {
        let error = open("gopher://x/y").expect_err("an unknown scheme");
        assert!(error.to_string().ends_with("known: file, s3"), "{error}");
    }

    #[test]
    fn a_relative_path_is_refused() {
        assert!(matches!(open("logs"), Err(StoreError::BadUri { .. })));
        assert!(matches!(
            open("file://host/x y"),
            Err(StoreError::BadUri { .. })
        ));
    }
}
