//! Object stores of the input and the work area, by the scheme of their URIs.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

pub mod access;
pub mod aws;
mod failure;
pub mod parts;
mod place;
pub mod s3;

pub use access::{Access, Role};
pub use failure::{Cause, StoreFailure};
pub use place::{Place, PlaceError};

/// The store and the path of a URI.
#[derive(Clone, Debug)]
pub struct Located {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
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
    fn a_relative_path_is_rejected() {
        assert!(matches!(open("logs"), Err(StoreError::BadUri { .. })));
        assert!(matches!(
            open("file://host/x y"),
            Err(StoreError::BadUri { .. })
        ));
    }
}
