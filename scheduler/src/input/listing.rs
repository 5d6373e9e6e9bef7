//! Lists the inputs: walks their folders down to those of a day and streams the objects in
//! them.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream;
use futures::stream::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;
use plans::storage::{Entry, Located, Names, StoreError, StoreFailure, Unaddressable};

use super::inventory::{Inventory, Listed, Place};
use super::paths;
use crate::load::range::Window;

/// Concurrent listing requests. This is enough to hide a store's latency.
const PARALLEL: usize = 8;
/// Names that cannot be addressed and are kept to be shown.
const NAMED: usize = 20;

/// Why the input could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("input {uri}: cannot be opened")]
    Store {
        uri: String,
        #[source]
        source: StoreError,
    },
    #[error("input {uri}: there is no such folder or object")]
    NotFound { uri: String },
    #[error("input {uri}: cannot be listed")]
    Listing {
        uri: String,
        #[source]
        source: StoreFailure,
    },
}

impl InventoryError {
    /// Returns true if the same call may succeed later with the same input.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Listing { source, .. } => source.cause.retryable(),
            Self::Store { .. } | Self::NotFound { .. } => false,
        }
    }
}

/// Lists the inputs. Keeps objects of the days in `window` and objects without a day.
pub async fn list(inputs: &[String], window: Window) -> Result<Inventory, InventoryError> {
    let mut collector = Collector::new(window);
    for (uri, input) in opened(inputs)? {
        // Only a filesystem has folders that can be missing. In an object store they are empty
        // prefixes.
        if input.local.as_ref().is_some_and(|path| !path.exists()) {
            return Err(InventoryError::NotFound { uri });
        }
        let listed = collector.input(&input).await;
        listed.map_err(|error| InventoryError::Listing {
            uri,
            source: error.into(),
        })?;
    }
    Ok(collector.inventory.finished())
}

/// Opens the inputs, without those inside another input: their objects would be read twice.
fn opened(inputs: &[String]) -> Result<Vec<(String, Located)>, InventoryError> {
    let mut opened: Vec<(String, Located)> = Vec::new();
    for uri in inputs {
        let located = plans::storage::open(uri).map_err(|source| InventoryError::Store {
            uri: uri.clone(),
            source,
        })?;
        opened.push((uri.clone(), located));
    }
    opened.sort_by(|(_, a), (_, b)| (&a.uri, &a.path).cmp(&(&b.uri, &b.path)));
    let mut outer: Vec<(String, Located)> = Vec::new();
    for (uri, input) in opened {
        let inside = |(_, outer): &(String, Located)| {
            outer.uri == input.uri && input.path.prefix_matches(&outer.path)
        };
        if !outer.iter().any(inside) {
            outer.push((uri, input));
        }
    }
    Ok(outer)
}

struct Collector {
    window: Window,
    inventory: Inventory,
    place_ids: HashMap<Place, u32>,
}

/// Finds out why an object could not be read. The response to HEAD has no body, so a store
/// only gives the reason when its place is listed.
async fn reason(input: &Located, error: object_store::Error) -> object_store::Error {
    let listed = input.names.below(&input.path).try_next().await;
    listed.err().unwrap_or(error)
}

/// The result of looking into a folder.
enum Folder {
    /// Its objects are directly in it, or all belong to one day. It is listed as a stream.
    Leaf(Path),
    /// It has folders that can be pruned.
    Inner {
        folders: Vec<Path>,
        entries: Vec<Entry>,
    },
}

impl Collector {
    fn new(window: Window) -> Self {
        Self {
            window,
            inventory: Inventory::default(),
            place_ids: HashMap::new(),
        }
    }

    /// Adds the object of this name and the objects below it: a store may have both.
    async fn input(&mut self, input: &Located) -> Result<(), object_store::Error> {
        if !input.path.as_ref().is_empty() {
            match input.names.object(&input.path).await {
                Ok(object) => object
                    .iter()
                    .for_each(|object| self.object_alone(input, object)),
                Err(error) => return Err(reason(input, error).await),
            }
        }
        let leaves = self.leaves(input).await?;
        let mut entries = stream::iter(leaves)
            .map(|leaf| input.names.below(&leaf))
            .flatten_unordered(PARALLEL);
        while let Some(entry) = entries.try_next().await? {
            self.entry(input, &entry);
        }
        Ok(())
    }

    /// Returns the folders to stream, level by level. Objects found on the way are added
    /// immediately.
    async fn leaves(&mut self, input: &Located) -> Result<Vec<Path>, object_store::Error> {
        let mut leaves = Vec::new();
        let mut level = vec![input.path.clone()];
        while !level.is_empty() {
            let looked = stream::iter(level).map(|folder| look(&input.names, folder));
            let found: Vec<Folder> = looked.buffer_unordered(PARALLEL).try_collect().await?;
            level = Vec::new();
            for folder in found {
                match folder {
                    Folder::Leaf(path) => leaves.push(path),
                    Folder::Inner { folders, entries } => {
                        entries.iter().for_each(|entry| self.entry(input, entry));
                        level.extend(self.entered(input, folders).await?);
                    }
                }
            }
        }
        Ok(leaves)
    }

    /// Returns the folders that may hold objects of the window. Looking into a folder is a
    /// request, so several run concurrently.
    async fn entered(
        &mut self,
        input: &Located,
        folders: Vec<Path>,
    ) -> Result<Vec<Path>, object_store::Error> {
        let mut candidates = Vec::new();
        for folder in folders {
            match folder.filename().and_then(paths::skip_folder) {
                Some(skip) => self.skipped(skip),
                None => candidates.push(folder),
            }
        }
        let all = candidates.len();
        let this = &*self;
        let judged = stream::iter(candidates).map(|folder| async move {
            let enters = paths::may_hold(folder.as_ref(), &this.window)
                || this.is_dated_otherwise(input, &folder).await?;
            Ok::<_, object_store::Error>(enters.then_some(folder))
        });
        let judged: Vec<Option<Path>> = judged.buffered(PARALLEL).try_collect().await?;
        let entered: Vec<Path> = judged.into_iter().flatten().collect();
        self.inventory.counts.pruned_folders += (all - entered.len()) as u64;
        Ok(entered)
    }

    /// Returns true if the objects of a folder dated outside the window have other dates, or
    /// none. This is typical of backups and exports.
    async fn is_dated_otherwise(
        &self,
        input: &Located,
        folder: &Path,
    ) -> Result<bool, object_store::Error> {
        let mut entries = input.names.below(folder);
        while let Some(entry) = entries.try_next().await? {
            let Entry::Object(object) = entry else {
                continue;
            };
            let rest = below(&object.location, &input.path);
            if paths::skip(rest, object.size).is_none() {
                let facts = paths::facts(input.path.as_ref(), rest);
                let as_folder = |day| paths::is_dated(folder.as_ref(), day);
                return Ok(!facts.day.is_some_and(as_folder));
            }
        }
        Ok(false)
    }

    /// Adds an object that was named as an input. It is only skipped if it is empty.
    fn object_alone(&mut self, input: &Located, object: &ObjectMeta) {
        let (folder, name) = folder_and_name(&object.location);
        if object.size == 0 {
            self.skipped(paths::Skip::Empty);
        } else {
            self.keep(input, object, paths::facts(folder, name));
        }
    }

    fn entry(&mut self, input: &Located, entry: &Entry) {
        match entry {
            Entry::Object(object) => self.object(input, object),
            Entry::Unaddressable(bad) => self.unaddressable(input, bad),
        }
    }

    /// Counts and names what cannot be read by its name, unless it would not be read anyway.
    fn unaddressable(&mut self, input: &Located, bad: &Unaddressable) {
        let folder = input.path.as_ref();
        let rest = bad.path.strip_prefix(folder).unwrap_or(&bad.path);
        if let Some(skip) = paths::skip_unaddressable(rest, bad.is_empty) {
            return self.skipped(skip);
        }
        let day = paths::facts(folder, rest).day;
        if day.is_some_and(|day| !self.window.contains(day)) {
            self.inventory.counts.outside += 1;
            return;
        }
        self.skipped(paths::Skip::Unaddressable);
        let names = &mut self.inventory.counts.unaddressable;
        if names.len() < NAMED {
            let path = bad.path.escape_debug();
            names.push(format!("{}/{path}", input.uri.trim_end_matches('/')));
        }
    }

    fn object(&mut self, input: &Located, object: &ObjectMeta) {
        let rest = below(&object.location, &input.path);
        match paths::skip(rest, object.size) {
            Some(skip) => self.skipped(skip),
            None => self.keep(input, object, paths::facts(input.path.as_ref(), rest)),
        }
    }

    fn skipped(&mut self, skip: paths::Skip) {
        let count = self.inventory.counts.skipped.entry(skip);
        *count.or_default() += 1;
    }

    fn keep(&mut self, input: &Located, object: &ObjectMeta, facts: paths::PathFacts) {
        if facts.day.is_some_and(|day| !self.window.contains(day)) {
            self.inventory.counts.outside += 1;
            return;
        }
        let (folder, name) = folder_and_name(&object.location);
        let place = self.place(Place {
            store: input.uri.clone(),
            folder: folder.to_owned(),
            region: facts.region,
            account: facts.account,
        });
        let listed = Listed {
            name: name.into(),
            etag: etag(object).into(),
            size: object.size,
            place,
            minute: facts.minute,
        };
        let inventory = &mut self.inventory;
        inventory.counts.objects += 1;
        inventory.counts.bytes += object.size;
        let objects = match facts.day {
            Some(day) => inventory.by_day.entry(day).or_default(),
            None => &mut inventory.undated,
        };
        objects.list.push(listed);
    }

    fn place(&mut self, place: Place) -> u32 {
        if let Some(id) = self.place_ids.get(&place) {
            return *id;
        }
        let places = &mut self.inventory.places;
        let id = u32::try_from(places.len()).expect("memory ends before four billion folders");
        places.push(place.clone());
        self.place_ids.insert(place, id);
        id
    }
}

/// Looks at the first object below a folder. If it is in a subfolder, subfolders can be
/// pruned.
async fn look(names: &Arc<dyn Names>, folder: Path) -> Result<Folder, object_store::Error> {
    if paths::is_day(folder.as_ref()) {
        return Ok(Folder::Leaf(folder));
    }
    let objects = names.below(&folder).try_filter_map(|entry| async {
        Ok(match entry {
            Entry::Object(object) => Some(object),
            Entry::Unaddressable(_) => None,
        })
    });
    let first = std::pin::pin!(objects).try_next().await?;
    let nested = first.is_some_and(|first| below(&first.location, &folder).contains('/'));
    if !nested {
        return Ok(Folder::Leaf(folder));
    }
    let found = names.level(&folder).await?;
    Ok(Folder::Inner {
        folders: found.folders,
        entries: found.entries,
    })
}

/// Returns the path below a folder.
fn below<'a>(path: &'a Path, folder: &Path) -> &'a str {
    let path = path.as_ref();
    let rest = path.strip_prefix(folder.as_ref()).unwrap_or(path);
    rest.strip_prefix('/').unwrap_or(rest)
}

/// Splits a path into its folder, with the last slash, and its name.
fn folder_and_name(path: &Path) -> (&str, &str) {
    let path = path.as_ref();
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    path.split_at(name)
}

/// Returns a text that changes when the object changes.
fn etag(object: &ObjectMeta) -> String {
    let modified = object.last_modified.timestamp_micros();
    let instead = || format!("{modified:x}-{:x}", object.size);
    object.e_tag.clone().unwrap_or_else(instead)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path as FilePath;

    use object_store::ObjectStoreExt;

    use super::*;
    use crate::input::inventory::Reach;
    use crate::input::paths::Skip;
    use crate::load::days::Day;

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    fn window(from: &str, to: &str) -> Window {
        Window {
            from: Some(day(from)),
            to: day(to),
        }
    }

    fn write(root: &FilePath, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, text).expect("written");
    }

    fn uri(path: &FilePath) -> String {
        url::Url::from_file_path(path)
            .expect("absolute")
            .to_string()
    }

    /// Lines `day name` for all objects in order, `- name` without a day.
    fn shown(inventory: &Inventory) -> Vec<String> {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let days = inventory.days().collect::<Vec<_>>().into_iter();
        let dated = days.flat_map(|day| inventory.objects(day).map(move |object| (day, object)));
        let dated = dated.map(|(day, object)| format!("{day} {}", name(&object.path)));
        let undated = inventory
            .undated()
            .map(|object| format!("- {}", name(&object.path)));
        dated.chain(undated).collect()
    }

    async fn listed(root: &FilePath, window: Window) -> Inventory {
        list(&[uri(root)], window).await.expect("listed")
    }

    #[tokio::test]
    async fn only_the_days_of_the_window_are_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = "AWSLogs/123456789012/vpcflowlogs/us-east-1";
        for (path, text) in [
            ("2023/12/31/old.gz", "x"),
            ("2024/01/01/b_20240101T0010Z_.gz", "x"),
            ("2024/01/01/a_20240101T0020Z_.gz", "xy"),
            ("2024/01/01/.hidden", "x"),
            ("2024/01/01/_SUCCESS", ""),
            ("2024/01/02/empty.gz", ""),
            ("2024/01/02/a b+c é%20.gz", "x"),
            ("2024/01/03/late.gz", "x"),
            ("2025/01/01/later.gz", "x"),
            ("_temporary/0/part.gz", "x"),
        ] {
            write(root.path(), &format!("{folder}/{path}"), text);
        }
        let inventory = listed(root.path(), window("2024-01-01", "2024-01-02")).await;
        assert_eq!(
            shown(&inventory),
            [
                "2024-01-01 b_20240101T0010Z_.gz",
                "2024-01-01 a_20240101T0020Z_.gz",
                "2024-01-02 a b+c é%20.gz",
            ]
        );
        let counts = inventory.counts();
        assert_eq!((counts.objects, counts.bytes, counts.outside), (3, 4, 0));
        assert_eq!(counts.pruned_folders, 3, "2023/12, 2024/01/03 and 2025/01");
        let skipped = BTreeMap::from([(Skip::Empty, 1), (Skip::Hidden, 3)]);
        assert_eq!(counts.skipped, skipped);
        let object = inventory.objects(day("2024-01-02")).next().expect("one");
        assert_eq!(object.region.as_deref(), Some("us-east-1"));
        assert_eq!(object.account.as_deref(), Some("123456789012"));
        let read = plans::storage::open(&object.store).expect("a store");
        let path = Path::parse(&object.path).expect("a path");
        let bytes = read.store.get(&path).await.expect("the object");
        assert_eq!(bytes.bytes().await.expect("its bytes"), "x");
    }

    #[tokio::test]
    async fn flat_layouts_are_dated_by_their_names() {
        let root = tempfile::tempdir().expect("a folder");
        for name in [
            "2024-01-01-10-00-00-AB",
            "2024-01-01-09-00-00-CD",
            "2024-03-01-09-00-00-CD",
            "notes.log",
        ] {
            write(root.path(), name, "x");
        }
        let inventory = listed(root.path(), window("2024-01-01", "2024-01-02")).await;
        assert_eq!(
            shown(&inventory),
            [
                "2024-01-01 2024-01-01-09-00-00-CD",
                "2024-01-01 2024-01-01-10-00-00-AB",
                "- notes.log",
            ]
        );
        assert_eq!(
            (inventory.counts().outside, inventory.undated().count()),
            (1, 1)
        );
    }

    #[tokio::test]
    async fn an_object_can_be_an_input_and_counts_once_with_its_folder() {
        let root = tempfile::tempdir().expect("a folder");
        write(root.path(), "2024/01/01/a.log", "x");
        write(root.path(), "2024/01/01/_named", "x");
        let object = uri(&root.path().join("2024/01/01/_named"));
        let days = window("2024-01-01", "2024-01-02");
        let inventory = list(std::slice::from_ref(&object), days)
            .await
            .expect("listed");
        assert_eq!(shown(&inventory), ["2024-01-01 _named"]);
        let folder = uri(root.path());
        let inventory = list(&[object, folder.clone(), folder], days).await;
        assert_eq!(shown(&inventory.expect("listed")), ["2024-01-01 a.log"]);
    }

    #[tokio::test]
    async fn a_dated_folder_does_not_hide_objects_with_other_dates() {
        let root = tempfile::tempdir().expect("a folder");
        write(root.path(), "2024-05-01/AWSLogs/2024/01/01/a.log", "x");
        write(root.path(), "2023/12/undated.log", "x");
        let inventory = listed(root.path(), window("2024-01-01", "2024-01-02")).await;
        assert_eq!(shown(&inventory), ["2024-01-01 a.log", "- undated.log"]);
        let inventory = listed(root.path(), window("2023-11-01", "2023-11-02")).await;
        assert_eq!(shown(&inventory), ["- undated.log"]);
    }

    #[tokio::test]
    async fn a_backup_of_a_later_day_is_listed_whatever_the_date_of_its_first_object() {
        let root = tempfile::tempdir().expect("a folder");
        write(root.path(), "2024-06-01/AWSLogs/.marker", "x");
        write(root.path(), "2024-06-01/AWSLogs/2023/01/01/a.log", "x");
        write(root.path(), "2024-06-01/AWSLogs/2024/03/01/b.log", "x");
        write(root.path(), "2024-06-02/c.log", "x");
        write(root.path(), "2024/07/d.2024-07-03.log", "x");
        let inventory = listed(root.path(), window("2024-03-01", "2024-03-31")).await;
        assert_eq!(shown(&inventory), ["2024-03-01 b.log"]);
        assert_eq!(inventory.counts().pruned_folders, 2);
    }

    #[tokio::test]
    async fn a_missing_folder_is_an_error_and_an_empty_one_is_not() {
        let root = tempfile::tempdir().expect("a folder");
        let days = window("2024-01-01", "2024-01-02");
        assert!(listed(root.path(), days).await.is_empty());
        let error = list(&[uri(&root.path().join("none"))], days).await;
        let error = error.expect_err("no such folder");
        assert!(
            matches!(error, InventoryError::NotFound { .. }),
            "{error:?}"
        );
        let error = list(&["gopher://x".to_owned()], days).await;
        let error = error.expect_err("no such store");
        assert!(matches!(error, InventoryError::Store { .. }) && !error.retryable());
    }

    #[tokio::test]
    async fn a_change_only_affects_the_digests_of_its_day_and_margin() {
        let root = tempfile::tempdir().expect("a folder");
        for number in 1..=9 {
            write(root.path(), &format!("dt=2024-01-0{number}/a.log"), "x");
        }
        let days: Vec<Day> = day("2024-01-01").to(day("2024-01-09")).collect();
        let all = window("2024-01-01", "2024-01-09");
        let before = listed(root.path(), all).await.inputs(&days, |_| 1);
        assert_eq!(listed(root.path(), all).await.inputs(&days, |_| 1), before);
        write(root.path(), "dt=2024-01-05/late.log", "x");
        let after = listed(root.path(), all).await.inputs(&days, |_| 1);
        let changed: Vec<String> = days
            .iter()
            .filter(|day| before[day].digest != after[day].digest)
            .map(Day::to_string)
            .collect();
        assert_eq!(changed, ["2024-01-04", "2024-01-05", "2024-01-06"]);
        write(root.path(), "undated.log", "x");
        let undated = listed(root.path(), all).await.inputs(&days, |_| 1);
        assert!(
            days.iter()
                .all(|day| undated[day].digest != after[day].digest)
        );
        assert_eq!(undated[&days[4]].objects, 2);
    }

    #[tokio::test]
    async fn a_load_reads_its_days_their_margin_and_undated_objects() {
        let root = tempfile::tempdir().expect("a folder");
        for number in 1..=9 {
            write(
                root.path(),
                &format!("dt=2024-01-0{number}/{number}.log"),
                "x",
            );
        }
        write(root.path(), "undated.log", "x");
        let inventory = listed(root.path(), window("2024-01-01", "2024-01-09")).await;
        let days = BTreeSet::from(["2024-01-03", "2024-01-04", "2024-01-09"].map(day));
        let read: Vec<_> = inventory.to_read(&days, &Reach::same(1)).collect();
        let names: Vec<&str> = read
            .iter()
            .filter_map(|read| read.path.rsplit('/').next())
            .collect();
        let expected = [
            "2.log",
            "3.log",
            "4.log",
            "5.log",
            "8.log",
            "9.log",
            "undated.log",
        ];
        assert_eq!(names, expected);
    }
}
