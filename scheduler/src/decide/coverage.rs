//! Compares the objects that a day was made of with those that exist now. Pure.
//!
//! An object is matched in three steps; each step considers what is left of the one before:
//!
//! 1. The URI and the version are the same: nothing changed.
//! 2. The content is the same, under another name of the same day: the object was renamed.
//! 3. The URI is the same: a new version replaced the old one.
//!
//! What is left of before is gone, and what is left of now is new. From this follows what
//! happens to a day:
//!
//! | new objects or versions | objects gone that gave it rows | the day |
//! |---|---|---|
//! | none, or they give it no row | – | is kept |
//! | give it rows | none | is published again, from all objects |
//! | give it rows | some | is rewritten: kept, not complete, until `--on-vanished` decides |

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use plans::receipt::ObjectRows;
use plans::scan::split::InputObject;

use crate::input::identity::{self, Identity};
use crate::load::days::Day;
use crate::publish::lists::ListedObject;

/// An object that exists now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub uri: String,
    pub identity: Identity,
    /// The day in its path.
    pub day: Option<Day>,
    /// Days that its rows may be away from its day.
    pub margin: u32,
}

/// A list of objects compared with those that exist now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Objects of the list that exist, under their present names, with their indexes.
    pub same: Vec<(ListedObject, usize)>,
    /// Objects of the list that do not exist any more.
    pub gone: Vec<ListedObject>,
    /// Objects of the list that a new version has replaced, with the index of that version.
    pub superseded: Vec<(ListedObject, usize)>,
    /// Indexes of the objects that the list does not have.
    pub new: Vec<usize>,
}

/// How the input of a day has changed since the day was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayChange {
    /// The URIs of new objects and new versions, which must be read to know their rows.
    pub new: BTreeSet<String>,
    /// Rows of the day that came from versions that were replaced since.
    pub superseded_rows: u64,
    /// Objects that gave rows to the day and are gone.
    pub gone: BTreeMap<String, u64>,
}

impl Standing {
    /// Describes an object whose rows may be this many days away from its day.
    pub fn new(object: &InputObject, margin: u32) -> Self {
        Self {
            uri: identity::uri(object),
            identity: Identity::of(object),
            day: object.day.map(Day),
            margin,
        }
    }

    /// Whether the object may hold rows of a day.
    fn reaches(&self, day: Day) -> bool {
        let distance = self.day.map_or(0, |own| own.0.abs_diff(day.0));
        distance <= self.margin
    }
}

impl Comparison {
    /// Compares a list with the objects that exist now.
    pub fn of(list: Vec<ListedObject>, now: &[Standing]) -> Self {
        let mut compared = Self::default();
        let by_uri: HashMap<&str, usize> = (now.iter().enumerate())
            .map(|(index, object)| (object.uri.as_str(), index))
            .collect();
        let mut taken = vec![false; now.len()];
        let mut left = Vec::new();
        for listed in list {
            match by_uri.get(listed.uri.as_str()) {
                Some(&index) if now[index].identity.version == listed.identity.version => {
                    taken[index] = true;
                    compared.same.push((listed, index));
                }
                _ => left.push(listed),
            }
        }
        let left = compared.renamed(left, now, &mut taken);
        for listed in left {
            match by_uri.get(listed.uri.as_str()) {
                Some(&index) if !taken[index] => compared.superseded.push((listed, index)),
                _ => compared.gone.push(listed),
            }
        }
        compared.new = (0..now.len()).filter(|index| !taken[*index]).collect();
        compared
    }

    /// Matches by content alone. Returns what is left.
    fn renamed(
        &mut self,
        left: Vec<ListedObject>,
        now: &[Standing],
        taken: &mut [bool],
    ) -> Vec<ListedObject> {
        if left.is_empty() {
            return left;
        }
        let mut by_content: HashMap<(u64, Option<Day>), Vec<usize>> = HashMap::new();
        for (index, object) in now
            .iter()
            .enumerate()
            .rev()
            .filter(|(index, _)| !taken[*index])
        {
            let key = (object.identity.content, object.day);
            by_content.entry(key).or_default().push(index);
        }
        let mut still = Vec::new();
        for listed in left {
            let key = (listed.identity.content, listed.day);
            match by_content.get_mut(&key).and_then(Vec::pop) {
                Some(index) => {
                    taken[index] = true;
                    let renamed = ListedObject {
                        uri: now[index].uri.clone(),
                        identity: now[index].identity,
                        ..listed
                    };
                    self.same.push((renamed, index));
                }
                None => still.push(listed),
            }
        }
        still
    }

    /// The change of a day that refers to the compared list.
    pub fn change(&self, day: Day, now: &[Standing]) -> DayChange {
        let mut change = DayChange::default();
        // An object that was read for other days only is new to this one.
        let read_for_others = self.same.iter().filter(|(old, _)| !old.reaches(day));
        let read_for_others = read_for_others.map(|(_, index)| index);
        for index in self.new.iter().chain(read_for_others) {
            if now[*index].reaches(day) {
                change.new.insert(now[*index].uri.clone());
            }
        }
        for (old, _) in &self.superseded {
            change.superseded_rows += old.rows_of(day);
        }
        for old in &self.gone {
            let rows = old.rows_of(day);
            if rows > 0 {
                *change.gone.entry(old.uri.clone()).or_default() += rows;
            }
        }
        change
    }

    /// The objects of the list that describe a day which is kept: those that exist, and those
    /// that are gone but gave it rows.
    pub fn kept(&self, day: Day) -> impl Iterator<Item = &ListedObject> {
        let gone = self.gone.iter().filter(move |old| old.rows_of(day) > 0);
        let same = self.same.iter().map(|(old, _)| old);
        same.filter(move |old| old.reaches(day)).chain(gone)
    }
}

impl DayChange {
    /// Whether new objects or versions exist.
    pub fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// The number of published rows whose objects are gone.
    pub fn gone_rows(&self) -> u64 {
        self.gone.values().sum()
    }

    /// The number of new objects with rows of `day`, and of these rows.
    pub fn given<'a>(
        &self,
        day: Day,
        read: impl IntoIterator<Item = &'a ReadObject>,
    ) -> (u64, u64) {
        let mut given = (0, 0);
        for object in read {
            let rows = object.given.rows_of(day.0);
            if rows > 0 && self.new.contains(&object.uri) {
                given.0 += 1;
                given.1 += rows;
            }
        }
        given
    }
}

/// Groups days so that every new object read for a group is new to each of its days that the
/// object may hold rows of.
pub fn read_together(
    days: &BTreeSet<Day>,
    changes: &BTreeMap<Day, DayChange>,
    now: &[Standing],
) -> Vec<BTreeSet<Day>> {
    let by_uri: HashMap<&str, &Standing> = (now.iter())
        .map(|object| (object.uri.as_str(), object))
        .collect();
    let is_read_before = |day: Day, uri: &String| {
        let reaches = by_uri.get(uri.as_str()).is_some_and(|of| of.reaches(day));
        reaches
            && changes
                .get(&day)
                .is_some_and(|change| !change.new.contains(uri))
    };
    let mut groups: Vec<(BTreeSet<Day>, BTreeSet<&String>)> = Vec::new();
    for day in days {
        let new = changes.get(day).map(|change| &change.new);
        let new: BTreeSet<&String> = new.into_iter().flatten().collect();
        let fits = |(days, objects): &&mut (BTreeSet<Day>, BTreeSet<&String>)| {
            let mut others = days.iter();
            !objects.iter().any(|uri| is_read_before(*day, uri))
                && !others.any(|other| new.iter().any(|uri| is_read_before(*other, uri)))
        };
        match groups.iter_mut().find(fits) {
            Some((days, objects)) => {
                days.insert(*day);
                objects.extend(new);
            }
            None => groups.push((BTreeSet::from([*day]), new)),
        }
    }
    groups.into_iter().map(|(days, _)| days).collect()
}

/// An object that an attempt has read, and what it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadObject {
    pub uri: String,
    pub object: InputObject,
    /// Days that its rows may be away from its day.
    pub margin: u32,
    /// The day of its rows without a readable time, if its path names no day.
    pub fallback_day: Day,
    pub given: Arc<ObjectRows>,
}

impl ReadObject {
    /// The entry of this object in a list.
    pub fn listed(&self) -> ListedObject {
        let days = self.given.days.iter();
        ListedObject {
            uri: self.uri.clone(),
            identity: Identity::of(&self.object),
            day: self.object.day.map(Day),
            margin: self.margin,
            fallback_day: self.object.day.is_none().then_some(self.fallback_day),
            damaged: self.given.damaged.is_some(),
            rows: days.map(|(day, rows)| (Day(*day), *rows)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: u32 = 1;

    /// An object of day 10 unless its name ends in `@DAY` or `@-` (undated). Its content is
    /// `content`, in version `content`.
    fn standing(name: &str, content: u64) -> Standing {
        let (path, day) = name.split_once('@').unwrap_or((name, "10"));
        let object = InputObject {
            store: "s3://b".to_owned(),
            path: path.to_owned(),
            size: content,
            etag: Some(String::new()),
            day: day.parse().ok(),
            ..InputObject::default()
        };
        Standing::new(&object, MARGIN)
    }

    fn listed(name: &str, content: u64, rows: &[(i32, u64)]) -> ListedObject {
        let standing = standing(name, content);
        ListedObject {
            uri: standing.uri,
            identity: standing.identity,
            day: standing.day,
            margin: MARGIN,
            rows: rows.iter().map(|(day, rows)| (Day(*day), *rows)).collect(),
            ..ListedObject::default()
        }
    }

    /// The change of day 10: new objects, superseded rows, gone objects.
    fn change(list: Vec<ListedObject>, now: &[Standing]) -> (Vec<String>, u64, Vec<String>) {
        let change = Comparison::of(list, now).change(Day(10), now);
        let short = |uri: &String| uri.trim_start_matches("s3://b/").to_owned();
        (
            change.new.iter().map(short).collect(),
            change.superseded_rows,
            change.gone.keys().map(short).collect(),
        )
    }

    #[test]
    fn nothing_changes_when_objects_are_the_same_or_renamed() {
        let list = || vec![listed("a", 1, &[(10, 5)]), listed("b", 2, &[(10, 5)])];
        let none = (Vec::new(), 0, Vec::new());
        assert_eq!(change(list(), &[standing("a", 1), standing("b", 2)]), none);
        assert_eq!(change(list(), &[standing("b", 1), standing("c", 2)]), none);
        assert_eq!(change(list(), &[standing("a", 2), standing("b", 1)]), none);
    }

    #[test]
    fn a_rotated_log_is_renamed_and_a_new_one_started() {
        let list = vec![
            listed("log@-", 1, &[(10, 5)]),
            listed("log.1@-", 2, &[(9, 5)]),
        ];
        let now = [standing("log@-", 3), standing("log.1@-", 1)];
        let new = vec!["log".to_owned()];
        assert_eq!(
            change(list, &now),
            (new, 0, Vec::new()),
            "log.1 gave day 10 nothing"
        );
    }

    #[test]
    fn an_object_that_changed_under_its_name_is_a_new_version() {
        let list = vec![listed("a", 1, &[(10, 5), (9, 1)])];
        let found = change(list, &[standing("a", 2)]);
        assert_eq!(found, (vec!["a".to_owned()], 5, Vec::new()));
    }

    #[test]
    fn an_object_that_gave_the_day_no_row_is_not_missed() {
        let list = vec![listed("a", 1, &[(9, 5)]), listed("b", 2, &[(10, 1)])];
        assert_eq!(change(list, &[]), (Vec::new(), 0, vec!["b".to_owned()]));
    }

    #[test]
    fn new_objects_count_for_the_days_that_they_reach() {
        let now = ["far@8", "near@9", "own", "after@11", "undated@-"];
        let now = now.map(|name| standing(name, 1));
        let (new, ..) = change(Vec::new(), &now);
        assert_eq!(new, ["after", "near", "own", "undated"]);
        let mut now = [standing("far@3", 1)];
        now[0].margin = 7;
        let (new, ..) = change(Vec::new(), &now);
        assert_eq!(new, ["far"], "its own margin reaches the day");
    }

    #[test]
    fn an_object_that_was_read_for_other_days_is_new_when_its_margin_grows() {
        let list = || vec![listed("a@8", 1, &[(8, 5)])];
        let mut now = [standing("a@8", 1)];
        assert_eq!(change(list(), &now), (Vec::new(), 0, Vec::new()));
        now[0].margin = 2;
        assert_eq!(change(list(), &now), (vec!["a".to_owned()], 0, Vec::new()));
    }

    #[test]
    fn a_copy_with_the_same_content_is_new_beside_the_original() {
        let list = vec![listed("a", 1, &[(10, 5)])];
        let now = [standing("a", 1), standing("copy", 1)];
        assert_eq!(change(list, &now), (vec!["copy".to_owned()], 0, Vec::new()));
    }

    #[test]
    fn an_object_of_another_day_is_no_rename() {
        let list = vec![listed("a", 1, &[(10, 5)])];
        let now = [standing("b@11", 1)];
        let expected = (vec!["b".to_owned()], 0, vec!["a".to_owned()]);
        assert_eq!(change(list, &now), expected);
    }
}
