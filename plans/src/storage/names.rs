//! Lists the names of a store for reading. A name that no [`Path`] can hold, or that the store
//! would leave out, is a separate entry: it never fails the listing, and never goes
//! unnoticed.

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectMeta, Result};

/// One name below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An object that can be read by its path.
    Object(ObjectMeta),
    /// An object or a folder that cannot be read by its name.
    Unaddressable(Unaddressable),
}

/// A name with an empty part, `.`, `..` or a control character, or with bytes that are not
/// UTF-8, or one that object stores reserve for files that are being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unaddressable {
    /// The path in the store as text. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Whether it is an object without content, for example the marker of a folder.
    pub is_empty: bool,
}

/// The names directly in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The folders, whatever they hold.
    pub folders: Vec<Path>,
    /// The objects, and what cannot be addressed. A folder of that kind is one entry.
    pub entries: Vec<Entry>,
}

/// Lists a store.
#[async_trait]
pub trait Names: Send + Sync + Debug {
    /// Returns every object below a folder, at any depth.
    fn below(&self, folder: &Path) -> BoxStream<'static, Result<Entry>>;

    /// Returns the folders and objects directly in a folder.
    async fn level(&self, folder: &Path) -> Result<Level>;

    /// Returns the object with exactly this path, if there is one.
    async fn object(&self, path: &Path) -> Result<Option<ObjectMeta>>;
}

/// Parses a path. Returns `None` if the result would not be the same path.
pub(super) fn exact(text: &str) -> Option<Path> {
    let path = Path::parse(text).ok();
    path.filter(|path| path.as_ref() == text)
}
