//! `cargo xtask rooms`: the size of each crate and how its rooms depend on each other.

use std::collections::BTreeMap;

use anyhow::bail;

use crate::circles;
use crate::modules::{self, Crate};
use crate::sources;

/// The files that take something from the files of another room, counted by pairs of rooms.
type Arrows<'a> = BTreeMap<(&'a str, &'a str), usize>;

/// Prints every crate's figures, its arrows between rooms and its circles; with
/// `--files` also every import between files.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let with_files = match arguments {
        [] => false,
        [flag] if flag == "--files" => true,
        _ => bail!("usage: cargo xtask rooms [--files]"),
    };
    println!("Files that only tests compile and unit tests are left out.");
    for of in modules::crates(&sources::all()?) {
        print!("\n{}", report(&of));
        if with_files {
            print!("{}", circles::edges(&of, of.edges.keys()));
        }
    }
    Ok(())
}

fn report(of: &Crate) -> String {
    let between = circles::findings(of);
    let within = circles::allowed(of);
    let arrows = arrows(of);
    let lines: usize = of.files.iter().map(|file| file.lines).sum();
    let crossing: usize = arrows.values().sum();
    let is_mutual = |(from, to)| arrows.contains_key(&(to, from));
    let mutual = arrows.keys().filter(|&&pair| is_mutual(pair)).count() / 2;
    let mut report = format!(
        "{}: {} files, {lines} lines\n  \
         {} arrows between files, {crossing} of them between rooms\n  \
         {} arrows between rooms, {mutual} pairs of rooms that use each other\n  \
         {} circles between rooms, {} within a room\n",
        of.folder,
        of.files.len(),
        of.edges.len(),
        arrows.len(),
        between.len(),
        within.len()
    );
    for (&(from, to), count) in &arrows {
        let back = if is_mutual((from, to)) {
            ", and back"
        } else {
            ""
        };
        report.push_str(&format!("  {from} -> {to}: {count}{back}\n"));
    }
    for circle in between.iter().chain(&within) {
        report.push_str(&format!("  {circle}"));
    }
    report
}

fn arrows(of: &Crate) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for &(from, to) in of.edges.keys() {
        let (from, to) = (&of.files[from].room, &of.files[to].room);
        if from != to {
            *arrows.entry((from, to)).or_default() += 1;
        }
    }
    arrows
}
