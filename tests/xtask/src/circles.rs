//! No circle of imports between files of different rooms.
//!
//! `modules` says what a room is and which file a path leads to. A circle is a set of
//! files that all lead to each other, directly or through others of the set. A circle
//! within one room is allowed: a folder's files may know each other. A circle that
//! holds files of several rooms is a finding, since then no room can be read, tested
//! or moved without the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{self, Crate};
use crate::sources;

/// Files by their place in `Crate::files`, in the order of their paths.
type Circle = BTreeSet<usize>;

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let crates = modules::crates(&sources::all()?);
    Ok(crates.iter().flat_map(findings).collect())
}

/// The circles between rooms of one crate.
pub(crate) fn findings(of: &Crate) -> Vec<String> {
    let circles = circles(of);
    let wrong = circles.iter().filter(|circle| rooms(of, circle).len() > 1);
    wrong.map(|circle| describe(of, circle)).collect()
}

/// The circles within one room, which are allowed.
pub(crate) fn allowed(of: &Crate) -> Vec<String> {
    let circles = circles(of);
    let allowed = circles.iter().filter(|circle| rooms(of, circle).len() == 1);
    allowed.map(|circle| describe(of, circle)).collect()
}

/// The rooms that the files of a circle belong to.
fn rooms<'a>(of: &'a Crate, circle: &Circle) -> BTreeSet<&'a str> {
    let files = circle.iter().map(|&file| &of.files[file]);
    files.map(|file| file.room.as_str()).collect()
}

/// A circle as the user sees it: its files, then what they take from each other,
/// with the imports between rooms first.
fn describe(of: &Crate, circle: &Circle) -> String {
    let rooms: Vec<&str> = rooms(of, circle).into_iter().collect();
    let paths = circle.iter().map(|&file| of.files[file].path.as_str());
    let paths: Vec<&str> = paths.collect();
    let inside = of.edges.keys();
    let inside = inside.filter(|(from, to)| circle.contains(from) && circle.contains(to));
    let (between, within): (Vec<_>, Vec<_>) =
        inside.partition(|(from, to)| of.files[*from].room != of.files[*to].room);
    format!(
        "{}/src: {} files of {} import each other in a circle: {}\n{}{}",
        of.folder,
        circle.len(),
        rooms.join(", "),
        paths.join(", "),
        edges(of, between),
        edges(of, within)
    )
}

/// A line for each edge: the two files and the names that one takes from the other.
pub(crate) fn edges<'a>(of: &Crate, edges: impl IntoIterator<Item = &'a (usize, usize)>) -> String {
    let mut lines = String::new();
    for edge in edges {
        let (from, to) = (&of.files[edge.0].path, &of.files[edge.1].path);
        let names: Vec<&str> = of.edges[edge].iter().map(String::as_str).collect();
        lines.push_str(&format!("    {from} -> {to}: {}\n", names.join(", ")));
    }
    lines
}

/// Every circle of more than one file.
fn circles(of: &Crate) -> Vec<Circle> {
    let mut forward: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut backward: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &(from, to) in of.edges.keys() {
        forward.entry(from).or_default().push(to);
        backward.entry(to).or_default().push(from);
    }
    let mut circles = Vec::new();
    let mut placed = BTreeSet::new();
    for start in 0..of.files.len() {
        if placed.contains(&start) {
            continue;
        }
        let ahead = reachable(start, &forward);
        let behind = reachable(start, &backward);
        let circle: Circle = ahead.intersection(&behind).copied().collect();
        placed.extend(circle.iter().copied());
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles
}

/// `start` and every file that a path of edges leads to.
fn reachable(start: usize, edges: &BTreeMap<usize, Vec<usize>>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        for &next in edges.get(&file).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::tests::tree;

    #[test]
    fn files_of_two_rooms_that_import_each_other_are_found() {
        let found = findings(&tree(&[
            ("a/b.rs", "use crate::c::{D, E};"),
            ("c.rs", "use crate::a::b::F;"),
            ("lib.rs", "mod a;\nmod c;"),
        ]));
        let expected = "house/src: 2 files of a, c import each other in a circle: a/b.rs, c.rs\n    \
                        a/b.rs -> c.rs: D, E\n    \
                        c.rs -> a/b.rs: F\n";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_circle_over_three_rooms_is_one_finding() {
        let found = findings(&tree(&[
            ("a.rs", "use crate::b::X;"),
            ("b/c.rs", "use super::Y;"),
            ("b/mod.rs", "pub use c::X;\nuse crate::d::Z;"),
            ("d.rs", "fn e() -> crate::a::W { }"),
            ("lib.rs", ""),
        ]));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("house/src: 4 files of a, b, d "),
            "{}",
            found[0]
        );
    }

    #[test]
    fn a_circle_within_a_room_is_allowed() {
        let of = tree(&[
            ("a/b.rs", "use super::C;"),
            ("a/mod.rs", "use b::D;"),
            ("e.rs", "use crate::a::C;"),
            ("lib.rs", "use e::F;"),
        ]);
        assert_eq!(circles(&of).len(), 1);
        assert!(findings(&of).is_empty());
    }

    #[test]
    fn rooms_that_use_each_other_through_different_files_make_no_circle() {
        let found = findings(&tree(&[
            ("a/b.rs", "use crate::c::d::E;"),
            ("a/f.rs", ""),
            ("c/d.rs", "use crate::a::f::G;"),
            ("lib.rs", ""),
        ]));
        assert!(found.is_empty());
    }
}
