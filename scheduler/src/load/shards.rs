//! Input objects packed into shards: what one scan partition reads. Pure.

use std::collections::{BTreeMap, BTreeSet};

use plans::shard::{InputObject, Shard};

use super::days::Day;

/// How much goes into a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Bytes as stored. An object alone may exceed it: compressed objects cannot be split.
    pub target_bytes: u64,
    /// Bounds the list of a shard of tiny objects.
    pub max_objects: usize,
    /// With more shards than this, neighbours are merged as far as the other two allow.
    pub max_shards: usize,
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            target_bytes: 16 * 1024 * 1024,
            max_objects: 4096,
            max_shards: 512,
        }
    }
}

/// Shards of runs of one (region, account, day), in the order given within a run. Objects of
/// other days than `days` (the margin) and objects without a day are in shards of their own.
pub fn pack(objects: Vec<InputObject>, days: &BTreeSet<Day>, packing: &Packing) -> Vec<Shard> {
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
    if lists.len() > packing.max_shards {
        lists = merged(lists, packing);
    }
    named(lists)
}

/// What a shard is read for. The days asked for come first, as the longest work.
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

/// A list of objects and their bytes.
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

/// Cuts a run into pieces of about the same size, none of more than the target unless an
/// object alone is.
fn cut(run: Vec<InputObject>, packing: &Packing) -> Vec<List> {
    let limit = even_share(&run, packing);
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

/// The bytes of a piece, such that the last one is not a small rest: the run's bytes by the
/// number of pieces that it needs, and room for an object that does not fit exactly.
fn even_share(run: &[InputObject], packing: &Packing) -> u64 {
    let target = packing.target_bytes.max(1);
    let total = run
        .iter()
        .fold(0, |sum: u64, object| sum.saturating_add(object.size));
    let largest = run.iter().map(|object| object.size).max().unwrap_or(0);
    let share = total.div_ceil(total.div_ceil(target).max(1));
    share.saturating_add(largest / 2).min(target)
}

/// Neighbours put together while they stay within the target.
fn merged(lists: Vec<(Kind, List)>, packing: &Packing) -> Vec<(Kind, List)> {
    let mut merged: Vec<(Kind, List)> = Vec::new();
    for (kind, list) in lists {
        let last = merged.last_mut().filter(|(last, _)| *last == kind);
        match last {
            Some((_, last))
                if last.takes(
                    list.bytes,
                    list.objects.len(),
                    packing.target_bytes,
                    packing,
                ) =>
            {
                last.bytes = last.bytes.saturating_add(list.bytes);
                last.objects.extend(list.objects);
            }
            _ => merged.push((kind, list)),
        }
    }
    merged
}

/// Ids as long as the last one needs, and at least four digits.
fn named(lists: Vec<(Kind, List)>) -> Vec<Shard> {
    let width = lists.len().to_string().len().max(4);
    let numbered = lists.into_iter().enumerate();
    numbered
        .map(|(number, (_, list))| Shard {
            id: format!("{number:0width$}"),
            objects: list.objects,
        })
        .collect()
}
