//! Packs input objects into splits, each read by one scan partition. Pure.

use std::collections::{BTreeMap, BTreeSet};

use plans::scan::split::{InputObject, Split};

use crate::load::days::Day;

/// Limits for packing objects into splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Size as stored. A single larger object makes a larger split: compressed objects cannot
    /// be divided.
    pub target_bytes: u64,
    /// Limits the list of a split of tiny objects.
    pub max_objects: usize,
    /// Number of splits per region, account and day. Beyond it the splits become larger. Each
    /// split writes at least one object, and Security Lake allows 288.
    pub max_of_day: u64,
    /// Beyond this number of splits, neighbours are merged within `target_bytes` and
    /// `max_objects`.
    pub max_splits: usize,
    /// Beyond this number of splits, small neighbours are merged: a task costs about as much
    /// as reading 100 kB.
    pub many_splits: usize,
    /// Size up to which small neighbours are merged, so that enough tasks remain to run in
    /// parallel.
    pub small_bytes: u64,
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            target_bytes: 16 * 1024 * 1024,
            max_objects: 4096,
            max_of_day: 200,
            max_splits: 512,
            many_splits: 32,
            small_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Packs objects into splits of one region, account and day each, in the given order. Objects
/// of margin days and objects without a day get their own splits.
pub fn pack(objects: Vec<InputObject>, days: &BTreeSet<Day>, packing: &Packing) -> Vec<Split> {
    let mut runs: BTreeMap<RunKey, Vec<InputObject>> = BTreeMap::new();
    for object in objects {
        runs.entry(RunKey::of(&object, days))
            .or_default()
            .push(object);
    }
    let mut lists = Vec::new();
    for (key, run) in runs {
        let pieces = cut(run, packing).into_iter();
        lists.extend(pieces.map(|piece| (key.kind, piece)));
    }
    if lists.len() > packing.many_splits {
        lists = merged(
            lists,
            packing.small_bytes.min(packing.target_bytes),
            packing,
        );
    }
    if lists.len() > packing.max_splits {
        lists = merged(lists, packing.target_bytes, packing);
    }
    named(lists)
}

/// The reason to read a split. The requested days come first, since they are the most work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Own,
    Undated,
    Margin,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RunKey {
    kind: Kind,
    day: Option<i32>,
    region: Option<String>,
    account: Option<String>,
}

impl RunKey {
    fn of(object: &InputObject, days: &BTreeSet<Day>) -> Self {
        let kind = match object.day {
            None => Kind::Undated,
            Some(day) if days.contains(&Day(day)) => Kind::Own,
            Some(_) => Kind::Margin,
        };
        Self {
            kind,
            day: object.day,
            region: object.region.clone(),
            account: object.account.clone(),
        }
    }
}

/// A list of objects and their total size.
#[derive(Default)]
struct List {
    objects: Vec<InputObject>,
    bytes: u64,
}

impl List {
    fn takes(&self, bytes: u64, objects: usize, limit: u64, packing: &Packing) -> bool {
        self.objects.is_empty()
            || (self.bytes.saturating_add(bytes) <= limit
                && self.objects.len() + objects <= packing.max_objects.max(1))
    }
}

/// Cuts a run into pieces of similar size. A piece exceeds the target only if a single object
/// does, or if the run would have too many pieces.
fn cut(run: Vec<InputObject>, packing: &Packing) -> Vec<List> {
    let total = run
        .iter()
        .fold(0, |sum: u64, object| sum.saturating_add(object.size));
    let largest = run.iter().map(|object| object.size).max().unwrap_or(0);
    let share = even_share(total, largest, packing.target_bytes.max(1));
    let most = packing.max_of_day.max(1);
    let pieces = cut_at(run, share, packing);
    if pieces.len() as u64 <= most {
        return pieces;
    }
    // Every piece except the last then has more than its share of the bytes.
    let run = pieces.into_iter().flat_map(|piece| piece.objects).collect();
    cut_at(run, total.div_ceil(most).saturating_add(largest), packing)
}

fn cut_at(run: Vec<InputObject>, limit: u64, packing: &Packing) -> Vec<List> {
    let mut pieces = vec![List::default()];
    for object in run {
        let fits = |piece: &mut List| piece.takes(object.size, 1, limit, packing);
        if pieces.last_mut().is_none_or(|piece| !fits(piece)) {
            pieces.push(List::default());
        }
        let piece = pieces.last_mut().expect("one was pushed before the loop");
        piece.bytes = piece.bytes.saturating_add(object.size);
        piece.objects.push(object);
    }
    pieces
}

/// Returns a piece size that leaves no small last piece: the run's bytes divided by the number
/// of pieces, plus room for one object that does not fit exactly.
fn even_share(total: u64, largest: u64, target: u64) -> u64 {
    let share = total.div_ceil(total.div_ceil(target).max(1));
    share.saturating_add(largest / 2).min(target)
}

/// Merges neighbours while they stay within `limit`.
fn merged(lists: Vec<(Kind, List)>, limit: u64, packing: &Packing) -> Vec<(Kind, List)> {
    let mut merged: Vec<(Kind, List)> = Vec::new();
    for (kind, list) in lists {
        let last = merged.last_mut().filter(|(last, _)| *last == kind);
        match last {
            Some((_, last)) if last.takes(list.bytes, list.objects.len(), limit, packing) => {
                last.bytes = last.bytes.saturating_add(list.bytes);
                last.objects.extend(list.objects);
            }
            _ => merged.push((kind, list)),
        }
    }
    merged
}

/// Numbers the splits with at least four digits, and as many as the last one needs.
fn named(lists: Vec<(Kind, List)>) -> Vec<Split> {
    let width = lists.len().to_string().len().max(4);
    let numbered = lists.into_iter().enumerate();
    numbered
        .map(|(number, (_, list))| Split {
            id: format!("{number:0width$}"),
            objects: list.objects,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(name: &str, day: Option<i32>, account: &str, size: u64) -> InputObject {
        InputObject {
            store: "file:///".to_owned(),
            path: name.to_owned(),
            size,
            account: Some(account.to_owned()),
            day,
            ..InputObject::default()
        }
    }

    fn packing(target_bytes: u64, max_objects: usize, max_splits: usize) -> Packing {
        Packing {
            target_bytes,
            max_objects,
            max_splits,
            many_splits: usize::MAX,
            max_of_day: u64::MAX,
            small_bytes: 0,
        }
    }

    /// The object names of each split. Objects of day 1 belong to the load itself.
    fn shown(objects: Vec<InputObject>, packing: &Packing) -> Vec<String> {
        let splits = pack(objects, &BTreeSet::from([Day(1)]), packing);
        let names = |split: &Split| {
            let names = split.objects.iter().map(|object| object.path.clone());
            names.collect::<Vec<_>>().join(" ")
        };
        splits.iter().map(names).collect()
    }

    #[test]
    fn a_split_is_a_run_of_one_account_and_day_and_the_margin_comes_last() {
        let objects = vec![
            object("before", Some(0), "a", 1),
            object("z", Some(1), "a", 1),
            object("b1", Some(1), "b", 1),
            object("y", Some(1), "a", 1),
            object("after", Some(2), "a", 1),
            object("undated", None, "a", 1),
        ];
        let splits = shown(objects, &Packing::default());
        assert_eq!(splits, ["z y", "b1", "undated", "before", "after"]);
    }

    #[test]
    fn a_run_is_cut_evenly_by_bytes() {
        let sizes = |sizes: &[u64]| -> Vec<InputObject> {
            let numbered = sizes.iter().enumerate();
            numbered
                .map(|(number, size)| object(&number.to_string(), Some(1), "a", *size))
                .collect()
        };
        let by_bytes = packing(10, 100, 100);
        assert_eq!(shown(sizes(&[4; 3]), &by_bytes), ["0 1", "2"]);
        assert_eq!(
            shown(sizes(&[1; 12]), &by_bytes),
            ["0 1 2 3 4 5", "6 7 8 9 10 11"]
        );
        assert_eq!(shown(sizes(&[99, 1, 1, 99]), &by_bytes), ["0", "1 2", "3"]);
        assert_eq!(
            shown(sizes(&[0; 5]), &packing(10, 2, 100)),
            ["0 1", "2 3", "4"]
        );
        assert_eq!(shown(sizes(&[u64::MAX; 2]), &by_bytes), ["0", "1"]);
    }

    #[test]
    fn a_day_with_too_many_objects_gets_larger_splits() {
        let packing = Packing {
            max_of_day: 20,
            ..packing(10, 100, 100)
        };
        let day = |objects: usize| {
            let objects = (0..objects).map(|number| object(&number.to_string(), Some(1), "a", 10));
            shown(objects.collect(), &packing).len()
        };
        assert_eq!((day(20), day(30), day(100), day(1000)), (20, 15, 17, 20));
    }

    #[test]
    fn many_small_runs_are_merged_but_never_with_the_margin() {
        let accounts = ["a", "b", "c"];
        let objects = || {
            let own = accounts.map(|account| object(account, Some(1), account, 4));
            let margin = accounts.map(|account| object(account, Some(2), account, 4));
            own.into_iter().chain(margin).collect::<Vec<_>>()
        };
        assert_eq!(shown(objects(), &packing(10, 100, 6)).len(), 6);
        assert_eq!(
            shown(objects(), &packing(10, 100, 5)),
            ["a b", "c", "a b", "c"]
        );
        assert_eq!(
            shown(objects(), &packing(99, 2, 5)),
            ["a b", "c", "a b", "c"]
        );
    }

    #[test]
    fn many_small_runs_are_merged_below_the_target() {
        let objects = || {
            let accounts = ["a", "b", "c", "d"];
            let own = accounts.map(|account| object(account, Some(1), account, 4));
            own.into_iter().collect::<Vec<_>>()
        };
        let few = |many_splits| Packing {
            many_splits,
            small_bytes: 8,
            ..packing(16, 100, 100)
        };
        assert_eq!(shown(objects(), &few(4)), ["a", "b", "c", "d"]);
        assert_eq!(shown(objects(), &few(3)), ["a b", "c d"]);
    }

    #[test]
    fn ids_sort_by_number() {
        let objects = (0..10_001).map(|number| object("x", Some(1), &number.to_string(), 99));
        let splits = pack(objects.collect(), &BTreeSet::new(), &packing(1, 1, 1));
        assert_eq!((&*splits[0].id, &*splits[10_000].id), ("00000", "10000"));
        assert!(splits.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(pack(Vec::new(), &BTreeSet::new(), &Packing::default()), []);
    }

    prop_compose! {
        fn any_object()(
            day in proptest::option::of(0..4i32),
            account in 0..3u8,
            size in 0..30u64,
        ) -> (Option<i32>, u8, u64) {
            (day, account, size)
        }
    }

    proptest! {
        #[test]
        fn every_object_is_in_exactly_one_split(
            objects in proptest::collection::vec(any_object(), 0..60),
            target in 0..40u64,
            max_objects in 0..6usize,
            max_splits in 0..20usize,
        ) {
            let numbered = objects.into_iter().enumerate();
            let objects: Vec<InputObject> = numbered
                .map(|(number, (day, account, size))| {
                    object(&number.to_string(), day, &account.to_string(), size)
                })
                .collect();
            let packing = Packing {
                many_splits: max_splits / 2,
                small_bytes: target / 2,
                ..packing(target, max_objects, max_splits)
            };
            let splits = pack(objects.clone(), &BTreeSet::from([Day(1), Day(2)]), &packing);
            let mut packed: Vec<InputObject> = Vec::new();
            for split in &splits {
                prop_assert!(!split.objects.is_empty());
                prop_assert!(split.objects.len() <= max_objects.max(1));
                let bytes: u64 = split.objects.iter().map(|object| object.size).sum();
                prop_assert!(bytes <= target.max(1) || split.objects.len() == 1);
                packed.extend(split.objects.clone());
            }
            let by_number = |object: &InputObject| object.path.parse::<usize>().expect("a number");
            packed.sort_by_key(by_number);
            prop_assert_eq!(packed, objects);
        }
    }
}
