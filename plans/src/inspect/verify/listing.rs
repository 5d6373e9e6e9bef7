//! Lists the objects below a URI, and files that do not belong there.

use crate::inspect::objects;
use crate::inspect::objects::{Object, ObjectError};
use crate::lake;

/// Parquet objects and other files, each sorted by name.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) objects: Vec<Object>,
    pub(super) strays: Vec<Object>,
}

/// Lists the objects below `uri`, or the one object that it names.
pub(super) async fn list(uri: &str) -> Result<Listing, ObjectError> {
    let mut listing = Listing::default();
    for object in objects::list(uri).await? {
        listing.sort_in(object);
    }
    Ok(listing)
}

impl Listing {
    fn sort_in(&mut self, object: Object) {
        let own = object.below().rsplit('/').next();
        if object.is_beside_lake() || own.is_some_and(lake::is_owner_file) {
            return;
        }
        let mut segments = object.below().split('/');
        // No reader of the target lists Parquet there.
        let is_work = segments.clone().next().is_some_and(lake::is_local_work);
        let hidden = segments.any(|name| name.starts_with(['_', '.']));
        let is_parquet = object.name.ends_with(".parquet") || object.below().is_empty();
        match (is_work, is_parquet && !hidden) {
            (true, _) if !is_parquet => {}
            (false, true) => self.objects.push(object),
            _ => self.strays.push(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn objects_and_strays_are_separated_and_the_work_area_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let files = [
            "ext/s/a.parquet",
            "ext/s/_temporary/b.parquet",
            "ext/s/c.crc",
            "ext/s/_lakebolt.json",
            ".lakebolt/state.db",
            ".lakebolt/staging/d.parquet",
        ];
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
            fs::write(path, "x").expect("writable");
        }
        let uri = format!("file://{}/", folder.path().display());
        let listing = list(&uri).await.expect("readable");
        let names = |files: &[Object]| -> Vec<String> {
            let name = |file: &Object| file.name.rsplit('/').next().map(str::to_owned);
            files.iter().filter_map(name).collect()
        };
        assert_eq!(names(&listing.objects), ["a.parquet"]);
        assert_eq!(names(&listing.strays), ["d.parquet", "b.parquet", "c.crc"]);
    }

    #[tokio::test]
    async fn one_file_is_an_object_whatever_its_name() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("part-0");
        fs::write(&file, "x").expect("writable");
        let listing = list(&file.display().to_string()).await.expect("readable");
        assert_eq!((listing.objects.len(), listing.strays.len()), (1, 0));
    }
}
