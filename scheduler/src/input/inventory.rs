//! The input of a load: its objects by day, as one listing found them.
//!
//! A listing may pass millions of objects and months that nobody asked for: folders of other
//! days are not entered, objects of other days are not kept, and what is kept is compact.

use std::collections::BTreeMap;
use std::fmt::Write;

use plans::scan::split::InputObject;
use sha2::{Digest, Sha256};

use super::digest::{DayInput, InputDigest};
use super::paths::Skip;
use crate::load::days::Day;

/// The objects of the input, by the day that their paths tell.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub(super) by_day: BTreeMap<Day, Objects>,
    pub(super) undated: Objects,
    pub(super) places: Vec<Place>,
    pub(super) counts: Counts,
}

/// What a listing saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects that were kept, and their bytes.
    pub objects: u64,
    pub bytes: u64,
    /// Objects of days outside the window that were listed all the same.
    pub outside: u64,
    /// Folders of days outside the window that were not listed.
    pub pruned_folders: u64,
    /// Objects, and folders with all that is in them, that are no input.
    pub skipped: BTreeMap<Skip, u64>,
}

/// Objects in the order of the times in their names, and a digest of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    pub(super) list: Vec<Listed>,
    pub(super) digest: [u8; 32],
}

/// An object, without what it shares with its neighbours.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: Box<str>,
    pub(super) etag: Box<str>,
    pub(super) size: u64,
    /// Index of its place.
    pub(super) place: u32,
    pub(super) minute: Option<u16>,
}

/// What the objects of a folder share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) store: String,
    /// Ends with a slash, unless it is the store's root.
    pub(super) folder: String,
    pub(super) region: Option<String>,
    pub(super) account: Option<String>,
}

impl Inventory {
    /// The days that have objects, in order; the margin's among them.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.by_day.keys().copied()
    }

    /// The objects of a day, in the order of the times in their names.
    pub fn objects(&self, day: Day) -> impl Iterator<Item = InputObject> + '_ {
        let objects = self.by_day.get(&day).into_iter();
        let listed = objects.flat_map(|objects| &objects.list);
        listed.map(move |listed| self.object(listed, Some(day)))
    }

    /// The objects whose paths tell no day.
    pub fn undated(&self) -> impl Iterator<Item = InputObject> + '_ {
        let listed = self.undated.list.iter();
        listed.map(|listed| self.object(listed, None))
    }

    /// What a task of `days` reads: their objects, their margin's, and the undated ones; each once.
    pub fn to_read<'a>(
        &self,
        days: impl IntoIterator<Item = &'a Day>,
        margin: u32,
    ) -> Vec<InputObject> {
        let mut objects = BTreeMap::new();
        for day in days {
            objects.extend(
                self.around(*day, margin)
                    .map(|(day, list)| (day, &list.list)),
            );
        }
        let dated = objects.into_iter().flat_map(|(day, list)| {
            list.iter()
                .map(move |listed| self.object(listed, Some(day)))
        });
        dated.chain(self.undated()).collect()
    }

    /// The digest of a day's input: its objects, its margin's and the undated ones.
    pub fn digest(&self, day: Day, margin: u32) -> InputDigest {
        let mut hash = Sha256::new();
        let mut objects = self.undated.list.len() as u64;
        for (day, found) in self.around(day, margin) {
            hash.update(day.0.to_le_bytes());
            hash.update(found.digest);
            objects += found.list.len() as u64;
        }
        hash.update(self.undated.digest);
        InputDigest {
            objects,
            hash: hex(&hash.finalize()),
        }
    }

    /// The listing of each of `days`, for `remaining::decide`.
    pub fn inputs<'a>(
        &self,
        days: impl IntoIterator<Item = &'a Day>,
        margin: u32,
    ) -> BTreeMap<Day, DayInput> {
        let input = |day: &Day| DayInput {
            digest: self.digest(*day, margin),
            objects: self.by_day.get(day).map_or(0, |found| found.list.len()) as u64,
        };
        days.into_iter().map(|day| (*day, input(day))).collect()
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether no object was kept.
    pub fn is_empty(&self) -> bool {
        self.counts.objects == 0
    }

    fn around(&self, day: Day, margin: u32) -> impl Iterator<Item = (Day, &Objects)> {
        let margin = i32::try_from(margin).unwrap_or(i32::MAX);
        let first = Day(day.0.saturating_sub(margin));
        let found = self.by_day.range(first..=day.plus(margin));
        found.map(|(day, objects)| (*day, objects))
    }

    fn object(&self, listed: &Listed, day: Option<Day>) -> InputObject {
        let place = &self.places[listed.place as usize];
        InputObject {
            store: place.store.clone(),
            path: format!("{}{}", place.folder, listed.name),
            size: listed.size,
            etag: Some(listed.etag.to_string()),
            region: place.region.clone(),
            account: place.account.clone(),
            day: day.map(|day| day.0),
        }
    }

    /// Puts every day's objects in order and takes their digests.
    pub(super) fn finished(mut self) -> Self {
        for objects in self.by_day.values_mut() {
            objects.finish(&self.places);
        }
        self.undated.finish(&self.places);
        self
    }
}

impl Objects {
    fn finish(&mut self, places: &[Place]) {
        let folder = |listed: &Listed| &places[listed.place as usize].folder;
        self.list.sort_unstable_by(|a, b| {
            let by_time = a.minute.cmp(&b.minute);
            by_time.then_with(|| (folder(a), &a.name).cmp(&(folder(b), &b.name)))
        });
        self.list.shrink_to_fit();
        let mut hash = Sha256::new();
        for listed in &self.list {
            let place = &places[listed.place as usize];
            for text in [&*place.store, &*place.folder, &*listed.name, &*listed.etag] {
                hash.update(text.as_bytes());
                // No path and no etag has this byte, so that texts cannot run into each other.
                hash.update([0]);
            }
            hash.update(listed.size.to_le_bytes());
        }
        self.digest = hash.finalize().into();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}
