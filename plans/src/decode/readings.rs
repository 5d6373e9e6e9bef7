//! Finds out which quotes of a line are marks, where the writer of the log did not escape the
//! quotes in the texts of others.
//!
//! A reading chooses the quotes that begin and end fields. Each field has to fit what is known
//! of the column at its position. Among these readings, those with the most marks come first:
//! the writer has marked all of its fields, and another reading hides some of these marks in a
//! text. If two such readings are left, the row is rejected, as nothing says which one is right.
//!
//! Time is linear in the length of the line. All readings are followed at once: for each
//! position of a column, only the best reading that has this column open is kept.

use std::collections::HashMap;

use memchr::memchr;

use super::marked::{Ahead, Marks, QUOTE};
use super::rows::Rejected;

/// Fields by their positions, one bit each.
pub(crate) type FieldSet = u128;

/// The most fields that a layout may know.
pub(crate) const MAX_FIELDS: usize = 120;

/// The number of ends that are kept without a look at whether they are used.
const KEPT_ENDS: usize = 1 << 12;

/// The reason for a line that can be read in several ways, or in none.
pub(crate) const AMBIGUOUS: &str = "ambiguous_quotes";

/// What is known of the fields of a line.
pub(crate) trait Layout {
    /// The number of known fields, at most `MAX_FIELDS`. What follows is surplus.
    fn count(&self) -> usize;

    /// The known fields that may be quoted.
    fn quotable(&self) -> FieldSet;

    /// The known fields in which quotes may be part of the text. Every other field ends at the
    /// first quote.
    fn free(&self) -> FieldSet;

    /// Those of `fields` that may have this text without quotes.
    fn bare(&self, fields: FieldSet, text: &[u8]) -> FieldSet;

    /// Whether the known field may have this text in quotes.
    fn quoted(&self, field: usize, text: &[u8]) -> bool;

    /// Whether a field with this text does not go on behind its first quote, if another quoted
    /// field follows at once.
    fn is_whole(&self, field: usize, text: &[u8]) -> bool;

    /// Whether readings with more marks come first. Without it, any second reading makes a line
    /// ambiguous.
    fn counts_marks(&self) -> bool;

    /// Whether a line may have `count` fields, if the last quote ends the field `last`. A
    /// higher rank comes before the number of marks.
    fn rank(&self, count: usize, last: Option<usize>) -> Option<u8>;
}

/// What the quotes of a line mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The positions of the quotes that end known fields.
    One(Vec<usize>),
    Several,
    None,
}

impl Reading {
    /// The rejection of a line that can be read in several ways.
    pub(crate) fn several() -> Rejected {
        let detail = "its quotes and spaces can be read in several ways";
        Rejected::new(AMBIGUOUS, detail)
    }

    /// The rejection of a line that cannot be read.
    pub(crate) fn none() -> Rejected {
        let detail = "no reading of its quotes fits the types of the fields";
        Rejected::new(AMBIGUOUS, detail)
    }
}

/// Reads the fields of the line from `at` on, the first of which has the position `first`.
pub(crate) fn read(
    marks: Marks,
    line: &[u8],
    at: usize,
    first: usize,
    layout: &impl Layout,
) -> Reading {
    let mut reader = Reader::new(marks, line, layout);
    reader.follow(at, first);
    reader.outcome()
}

/// A reading of the beginning of a line.
#[derive(Clone, Copy, Default)]
struct State {
    /// The quoted fields that have ended, if they are counted.
    marks: usize,
    /// How many such readings there are; 2 means all larger numbers.
    ways: u8,
    /// The number of entries in `Reader::ends` that lead to it, as the last one's index plus 1.
    ends: usize,
    /// The start of the text of the open field.
    start: usize,
}

impl State {
    fn add_ways(&mut self, ways: u8) {
        self.ways = self.ways.saturating_add(ways).min(2);
    }
}

/// The readings that have a quoted field open, by its position.
struct Open {
    fields: FieldSet,
    /// The quote that opens them, where all have the same one.
    opened_at: Option<usize>,
    states: Vec<State>,
}

impl Open {
    fn new(count: usize) -> Self {
        Self {
            fields: 0,
            opened_at: None,
            states: vec![State::default(); count + 1],
        }
    }

    fn clear(&mut self) {
        self.fields = 0;
        self.opened_at = None;
    }

    fn has(&self, field: usize) -> bool {
        self.fields & bit(field) != 0
    }

    /// Whether a reading with so many marks is better than the one that is known.
    fn is_improved_by(&self, field: usize, marks: usize) -> bool {
        !self.has(field) || marks > self.states[field].marks
    }

    fn add(&mut self, field: usize, new: State) {
        if self.is_improved_by(field, new.marks) {
            self.states[field] = new;
        } else if self.states[field].marks == new.marks {
            self.states[field].add_ways(new.ways);
        }
        self.fields |= bit(field);
    }
}

/// Fields without quotes between two quoted ones.
struct Run {
    /// The fields before it that it fits.
    before: FieldSet,
    /// The next field is this far behind the one before the run.
    distance: usize,
    /// The quote that opens the next field, or `None` if the line ends.
    opening: Option<usize>,
}

struct Best {
    rank: u8,
    state: State,
}

struct Reader<'a, L> {
    marks: Marks,
    line: &'a [u8],
    layout: &'a L,
    brackets: Ahead,
    quotes: Ahead,
    /// Quotes that end known fields, each with the index plus 1 of the one before it.
    ends: Vec<(usize, usize)>,
    /// The number of ends from which on unused ones are dropped.
    limit: usize,
    best: Option<Best>,
}

impl<'a, L: Layout> Reader<'a, L> {
    fn new(marks: Marks, line: &'a [u8], layout: &'a L) -> Self {
        Self {
            marks,
            line,
            layout,
            brackets: Ahead::default(),
            quotes: Ahead::default(),
            ends: Vec::new(),
            limit: KEPT_ENDS,
            best: None,
        }
    }

    /// Follows all readings from `at` on, where the field at the position `first` begins.
    fn follow(&mut self, at: usize, first: usize) {
        let count = self.layout.count();
        // Opened before the last quote, by the last quote, by this one, and by the next one.
        let mut open = Open::new(count);
        let mut fresh = Open::new(count);
        let mut opening = Open::new(count);
        let mut next = Open::new(count);
        let start = State {
            ways: 1,
            ..State::default()
        };
        let run = self.run(bit(first), 0, at);
        self.advance(first, None, start, &run, &mut next);
        let mut search = at;
        while let Some(quote) = self.next_quote(search) {
            search = quote + 1;
            opening.clear();
            if next.opened_at == Some(quote) {
                std::mem::swap(&mut opening, &mut next);
            }
            let ended = self.end_fields(quote, &open, &fresh, &mut next);
            for field in bits(fresh.fields & self.layout.free() & !ended) {
                open.add(field, fresh.states[field]);
            }
            std::mem::swap(&mut fresh, &mut opening);
            if self.ends.len() > self.limit {
                self.forget_unused([&mut open, &mut fresh, &mut next]);
            }
        }
    }

    /// Drops the ends that lead to no reading any more, so that memory does not grow with the
    /// line.
    #[cold]
    fn forget_unused(&mut self, tables: [&mut Open; 3]) {
        let old = std::mem::take(&mut self.ends);
        let mut kept = HashMap::from([(0, 0)]);
        let open = tables.into_iter().flat_map(|table| {
            let fields = table.fields;
            let states = table.states.iter_mut().enumerate();
            states.filter(move |(field, _)| fields & bit(*field) != 0)
        });
        let best = self.best.iter_mut().map(|best| &mut best.state);
        for state in open.map(|(_, state)| state).chain(best) {
            let mut chain = Vec::new();
            let mut at = state.ends;
            while !kept.contains_key(&at) {
                chain.push(at);
                at = old[at - 1].1;
            }
            let mut moved = kept[&at];
            for at in chain.into_iter().rev() {
                self.ends.push((old[at - 1].0, moved));
                moved = self.ends.len();
                kept.insert(at, moved);
            }
            state.ends = moved;
        }
        self.limit = KEPT_ENDS + 2 * self.ends.len();
    }

    /// Ends open fields at `quote`. Returns the fresh ones that do not go on behind it.
    fn end_fields(&mut self, quote: usize, open: &Open, fresh: &Open, next: &mut Open) -> FieldSet {
        if !self.marks.is_end(self.line, quote + 1) {
            return 0;
        }
        let (open_ones, fresh_ones) = (self.closable(open, quote), self.closable(fresh, quote));
        let run = self.run(open_ones | fresh_ones, 1, quote + 1);
        for field in bits(run.before & open_ones) {
            self.advance(field, Some(quote), open.states[field], &run, next);
        }
        let has_neighbour = run.opening.is_some() && run.distance == 1;
        let mut ended = 0;
        for field in bits(run.before & fresh_ones) {
            let state = fresh.states[field];
            let text = &self.line[state.start..quote];
            let goes_on = self.advance(field, Some(quote), state, &run, next);
            let is_known = field < self.layout.count();
            if goes_on && has_neighbour && is_known && self.layout.is_whole(field, text) {
                ended |= bit(field);
            }
        }
        ended
    }

    /// The open fields that may have the text up to `quote`.
    fn closable(&self, open: &Open, quote: usize) -> FieldSet {
        let mut closable = 0;
        for field in bits(open.fields) {
            let text = &self.line[open.states[field].start..quote];
            if field == self.layout.count() || self.layout.quoted(field, text) {
                closable |= bit(field);
            }
        }
        closable
    }

    /// Reads fields without quotes. The first of them is `distance` behind each of the fields
    /// `before`. With a distance it begins behind a separator at `at`.
    fn run(&mut self, before: FieldSet, distance: usize, mut at: usize) -> Run {
        let mut run = Run {
            before,
            distance,
            opening: None,
        };
        let mut is_behind_separator = distance == 0;
        while run.before != 0 {
            if !is_behind_separator {
                if at >= self.line.len() {
                    return run;
                }
                at += 1;
            }
            at = self.marks.skip(self.line, at);
            if self.marks.separator == b' ' && at == self.line.len() {
                return run;
            }
            if self.line.get(at) == Some(&QUOTE) {
                run.opening = Some(at);
                return run;
            }
            let (brackets, quotes) = (&mut self.brackets, &mut self.quotes);
            let token = self.marks.unquoted(self.line, at, brackets, quotes);
            let text = &self.line[token.start..token.end];
            // A quote at the end of a field belongs to a field that began before it.
            let is_stray = distance > 0 && self.line[at..token.next].ends_with(b"\"");
            run.before = match is_stray {
                true => 0,
                false => self.fitting(run.before, run.distance, text),
            };
            run.distance += 1;
            at = token.next;
            is_behind_separator = false;
        }
        run
    }

    /// Those of `before` whose neighbour at `distance` may have the text.
    fn fitting(&self, before: FieldSet, distance: usize, text: &[u8]) -> FieldSet {
        let count = self.layout.count();
        if distance >= count {
            return before;
        }
        let fields = (before << distance) & (bit(count) - 1);
        let unfit = fields & !self.layout.bare(fields, text);
        before & !(unfit >> distance)
    }

    /// Goes on behind a run. Returns whether the reading can go on there.
    fn advance(
        &mut self,
        field: usize,
        end: Option<usize>,
        state: State,
        run: &Run,
        next: &mut Open,
    ) -> bool {
        if run.before & bit(field) == 0 {
            return false;
        }
        let (count, target) = (self.layout.count(), field + run.distance);
        let mut state = State {
            marks: state.marks + usize::from(end.is_some() && self.layout.counts_marks()),
            ..state
        };
        let end = end.filter(|_| field < count);
        let Some(opening) = run.opening else {
            let Some(rank) = self.layout.rank(target, end.map(|_| field)) else {
                return false;
            };
            state.ends = self.with_end(state.ends, end);
            self.offer(rank, state);
            return true;
        };
        let target = target.min(count);
        if target < count && self.layout.quotable() & bit(target) == 0 {
            return false;
        }
        state.start = opening + 1;
        next.opened_at = Some(opening);
        if next.is_improved_by(target, state.marks) {
            state.ends = self.with_end(state.ends, end);
        }
        next.add(target, state);
        true
    }

    fn with_end(&mut self, before: usize, end: Option<usize>) -> usize {
        let Some(end) = end else {
            return before;
        };
        self.ends.push((end, before));
        self.ends.len()
    }

    fn offer(&mut self, rank: u8, state: State) {
        match &mut self.best {
            Some(best) if (best.rank, best.state.marks) > (rank, state.marks) => {}
            Some(best) if (best.rank, best.state.marks) == (rank, state.marks) => {
                best.state.add_ways(state.ways);
            }
            _ => self.best = Some(Best { rank, state }),
        }
    }

    fn outcome(self) -> Reading {
        let Some(best) = self.best else {
            return Reading::None;
        };
        if best.state.ways > 1 {
            return Reading::Several;
        }
        let mut ends = Vec::new();
        let mut at = best.state.ends;
        while let Some((end, before)) = at.checked_sub(1).and_then(|index| self.ends.get(index)) {
            ends.push(*end);
            at = *before;
        }
        ends.reverse();
        Reading::One(ends)
    }

    /// The next quote that no backslash precedes, if backslashes escape.
    fn next_quote(&self, mut from: usize) -> Option<usize> {
        loop {
            let quote = from + memchr(QUOTE, &self.line[from..])?;
            if !self.marks.escapes {
                return Some(quote);
            }
            let before = self.line[..quote].iter().rev();
            let backslashes = before.take_while(|byte| **byte == b'\\').count();
            if backslashes % 2 == 0 {
                return Some(quote);
            }
            from = quote + 1;
        }
    }
}

fn bit(field: usize) -> FieldSet {
    1 << field
}

/// The positions in a set.
fn bits(mut fields: FieldSet) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let field = fields.trailing_zeros() as usize;
        let is_any = fields != 0;
        fields &= fields.wrapping_sub(1);
        is_any.then_some(field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of any text.
    struct Texts(usize);

    impl Layout for Texts {
        fn count(&self) -> usize {
            self.0
        }

        fn quotable(&self) -> FieldSet {
            FieldSet::MAX
        }

        fn free(&self) -> FieldSet {
            FieldSet::MAX
        }

        fn bare(&self, fields: FieldSet, text: &[u8]) -> FieldSet {
            // The last column is a number.
            let is_number = text.iter().all(u8::is_ascii_digit);
            match is_number {
                true => fields,
                false => fields & !bit(self.0 - 1),
            }
        }

        fn quoted(&self, field: usize, _text: &[u8]) -> bool {
            field + 1 < self.0
        }

        fn is_whole(&self, _field: usize, _text: &[u8]) -> bool {
            false
        }

        fn counts_marks(&self) -> bool {
            true
        }

        fn rank(&self, count: usize, _last: Option<usize>) -> Option<u8> {
            (count == self.0).then_some(0)
        }
    }

    fn of(columns: usize, line: &str) -> Reading {
        let marks = Marks {
            separator: b' ',
            escapes: false,
            brackets: false,
        };
        read(marks, line.as_bytes(), 0, 0, &Texts(columns))
    }

    #[test]
    fn the_reading_that_fits_the_columns_is_found() {
        for (columns, line, ends) in [
            (2, "\"a\" 1", vec![2]),
            (2, "\"a\" b\" 1", vec![5]),
            (2, "\"a\" \"b\" 1", vec![6]),
            (3, "\"a\" \"b\" 1", vec![2, 6]),
            (3, "x \"b\" y\" 1", vec![7]),
            (3, "x\"y \"b\" 1", vec![6]),
            (3, "\"a\"b\"c\" x\"y 1", vec![6]),
            (1, "1", vec![]),
        ] {
            assert_eq!(of(columns, line), Reading::One(ends), "{line}");
        }
        assert_eq!(of(3, "\"a\" \"b\" \"c\" 1"), Reading::Several);
        for line in ["\"a\" b", "\"a 1", "\"a\" 1 2", "", "1", "\"1\" \"2\""] {
            assert_eq!(of(2, line), Reading::None, "{line}");
        }
    }

    /// Every quote may end a field and begin another one here.
    #[test]
    fn memory_does_not_grow_with_the_line() {
        let layout = Texts(30);
        let line = format!("\"{}\" 1", "\" \"".repeat(100_000));
        let marks = Marks {
            separator: b' ',
            escapes: false,
            brackets: false,
        };
        let mut reader = Reader::new(marks, line.as_bytes(), &layout);
        reader.follow(0, 0);
        assert!(reader.ends.len() < 100_000, "{}", reader.ends.len());
        assert_eq!(reader.outcome(), Reading::Several);
    }
}
