//! The input of a load: the objects found by one listing, by day.
//!
//! A listing may cover millions of objects and many months that nobody requested. Folders of
//! other days are not listed, objects of other days are not kept, and each kept object is
//! stored compactly.

use std::collections::BTreeMap;
use std::fmt::Write;

use plans::scan::split::InputObject;
use sha2::{Digest, Sha256};

use super::digest::{DayInput, InputDigest};
use super::paths::Skip;
use crate::load::days::Day;

/// The objects of the input, by the day in their paths.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub(super) by_day: BTreeMap<Day, Objects>,
    pub(super) undated: Objects,
    pub(super) places: Vec<Place>,
    pub(super) counts: Counts,
}

/// The counts of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number and size of the kept objects.
    pub objects: u64,
    pub bytes: u64,
    /// Objects outside the window that were listed but not kept.
    pub outside: u64,
    /// Folders outside the window that were not listed.
    pub pruned_folders: u64,
    /// Skipped objects and folders by reason. A folder counts once.
    pub skipped: BTreeMap<Skip, u64>,
    /// URIs of the first objects whose names cannot be addressed, with escapes.
    pub unaddressable: Vec<String>,
}

impl Counts {
    /// Returns a warning that names what cannot be read by its name.
    pub fn warning(&self) -> Option<String> {
        let objects = *self.skipped.get(&Skip::Unaddressable)?;
        let names = self.unaddressable.join(", ");
        let more = objects.saturating_sub(self.unaddressable.len() as u64);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let objects = match objects {
            1 => "an object is not read because its name".to_owned(),
            objects => format!("{objects} objects are not read because their names"),
        };
        Some(format!(
            "{objects} cannot be addressed: {names}{more}; rename what is a log"
        ))
    }
}

/// Objects, ordered by the times in their names, and a digest of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    pub(super) list: Vec<Listed>,
    pub(super) digest: [u8; 32],
}

/// An object without the attributes that its folder shares.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: Box<str>,
    pub(super) etag: Box<str>,
    pub(super) size: u64,
    /// Index of its folder in the list of places.
    pub(super) place: u32,
    pub(super) minute: Option<u16>,
}

/// How many days the rows of an object may be away from its day. The margin of a day's own
/// objects decides, so that two loads with different margins agree about each row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    margin: u32,
    /// Days whose objects have another margin.
    others: BTreeMap<Day, u32>,
}

impl Reach {
    /// The same margin for every day.
    pub fn same(margin: u32) -> Self {
        Self {
            margin,
            others: BTreeMap::new(),
        }
    }

    /// Sets the margin of a day's objects.
    pub fn set(&mut self, day: Day, margin: u32) {
        if margin != self.margin {
            self.others.insert(day, margin);
        }
    }

    /// The margin of the objects of a day.
    pub fn of(&self, day: Option<Day>) -> u32 {
        let other = day.and_then(|day| self.others.get(&day));
        other.copied().unwrap_or(self.margin)
    }

    fn widest(&self) -> u32 {
        let others = self.others.values().copied();
        others.max().unwrap_or(0).max(self.margin)
    }
}

/// The attributes that all objects of a folder share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) store: String,
    /// Ends with a slash, except for the root of the store.
    pub(super) folder: String,
    pub(super) region: Option<String>,
    pub(super) account: Option<String>,
}

impl Inventory {
    /// Returns the days that have objects, in order, including margin days.
    pub fn days(&self) -> impl Iterator<Item = Day> + '_ {
        self.by_day.keys().copied()
    }

    /// Returns the objects of a day, ordered by the times in their names.
    pub fn objects(&self, day: Day) -> impl Iterator<Item = InputObject> + '_ {
        let objects = self.by_day.get(&day).into_iter();
        let listed = objects.flat_map(|objects| &objects.list);
        listed.map(move |listed| self.object(listed, Some(day)))
    }

    /// Returns the objects without a day in their paths.
    pub fn undated(&self) -> impl Iterator<Item = InputObject> + '_ {
        let listed = self.undated.list.iter();
        listed.map(|listed| self.object(listed, None))
    }

    /// Returns the objects that loading `days` reads: those whose reach includes one of the
    /// days, and the undated ones. Each object appears once.
    ///
    /// A day may have hundreds of thousands of objects, so they are made one by one.
    pub fn to_read<'a>(
        &self,
        days: impl IntoIterator<Item = &'a Day>,
        reach: &Reach,
    ) -> Box<dyn Iterator<Item = InputObject> + Send + '_> {
        let mut objects = BTreeMap::new();
        for day in days {
            let near = self.around(*day, reach.widest());
            let near = near.filter(|(own, _)| own.0.abs_diff(day.0) <= reach.of(Some(*own)));
            objects.extend(near.map(|(day, list)| (day, &list.list)));
        }
        let dated = objects.into_iter().flat_map(move |(day, list)| {
            list.iter()
                .map(move |listed| self.object(listed, Some(day)))
        });
        Box::new(dated.chain(self.undated()))
    }

    /// Returns the digest of a day's input: its objects, those of its margin and the undated
    /// ones.
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

    /// Returns the input of each of `days` with its margin, for `remaining::decide`.
    pub fn inputs<'a>(
        &self,
        days: impl IntoIterator<Item = &'a Day>,
        margin: impl Fn(Day) -> u32,
    ) -> BTreeMap<Day, DayInput> {
        let input = |day: &Day| DayInput {
            digest: self.digest(*day, margin(*day)),
            objects: self.by_day.get(day).map_or(0, |found| found.list.len()) as u64,
        };
        days.into_iter().map(|day| (*day, input(day))).collect()
    }

    /// Returns the counts of the listing.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Returns true if no object was kept.
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
            ..InputObject::default()
        }
    }

    /// Sorts each day's objects and computes their digests.
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
                // This byte occurs in no path and no etag, so it separates them unambiguously.
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
