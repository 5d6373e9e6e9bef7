//! What distinguishes one version of an input object from another.

use plans::scan::split::InputObject;
use sha2::{Digest, Sha256};

/// Digests of an object as it was listed. They are stored in lists of objects, so they must not
/// change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// With its URI, distinguishes versions of the object: size and `ETag`, or size and
    /// modification time of a local file. Of a local file only 32 bits are kept: they are
    /// compared with those of the same URI, and a list is smaller by them.
    pub version: u64,
    /// Distinguishes objects whatever their names: size and `ETag`, or size, modification time
    /// and inode of a local file.
    pub content: u64,
}

impl Identity {
    /// The identity of a listed object.
    pub fn of(object: &InputObject) -> Self {
        let etag = object.etag.as_deref().unwrap_or_default();
        let content = digest(etag, object.size);
        // The tag of a local file is its inode, modification time and size.
        let version = match etag.split_once('-') {
            Some((_, rest)) if object.store.starts_with("file:") => digest(rest, object.size),
            _ => content,
        };
        Self::new(version, content)
    }

    /// The identity with these digests.
    pub fn new(version: u64, content: u64) -> Self {
        let kept = match version == content {
            true => u64::MAX,
            false => u64::from(u32::MAX),
        };
        Self {
            version: version & kept,
            content,
        }
    }
}

/// The URI of an object, as lists of objects have it.
pub fn uri(object: &InputObject) -> String {
    let store = object.store.strip_suffix('/').unwrap_or(&object.store);
    format!("{store}/{}", object.path)
}

fn digest(etag: &str, size: u64) -> u64 {
    let mut hash = Sha256::new();
    hash.update(etag.as_bytes());
    hash.update([0]);
    hash.update(size.to_le_bytes());
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(store: &str, path: &str, etag: &str, size: u64) -> InputObject {
        InputObject {
            store: store.to_owned(),
            path: path.to_owned(),
            etag: Some(etag.to_owned()),
            size,
            ..InputObject::default()
        }
    }

    #[test]
    fn identities_do_not_change_between_versions_of_the_program() {
        let of = |etag| Identity::of(&object("s3://b", "k", etag, 7));
        assert_eq!(of("\"abc\"").content, 3_535_313_740_635_411_025);
        assert_eq!(of("\"abc\"").version, of("\"abc\"").content);
    }

    #[test]
    fn a_local_file_is_the_same_version_on_another_inode() {
        let of = |etag| Identity::of(&object("file:///", "k", etag, 7));
        let (before, restored, grown) = (of("1a-5f-7"), of("1b-5f-7"), of("1a-60-7"));
        assert!(before.version <= u64::from(u32::MAX));
        assert_eq!(before.version, restored.version);
        assert_ne!(before.content, restored.content);
        assert_ne!(before.version, grown.version);
    }

    #[test]
    fn a_uri_has_one_spelling() {
        assert_eq!(uri(&object("file:///", "a/b", "", 0)), "file:///a/b");
        assert_eq!(uri(&object("s3://bucket", "a/b", "", 0)), "s3://bucket/a/b");
    }
}
