//! Names the days that miss rows, with what the user can do. Pure.

use std::collections::BTreeSet;

use crate::load::days::Day;
use crate::load::outcome::{DayNote, Incomplete};
use crate::status::{DayCoverage, PeriodRecord};

const OWED: &str = "load the day again: name it in the range, or give no range";
const REWRITTEN: &str = "--on-vanished replace publishes the day from the objects that exist; \
                         --on-vanished add publishes the new objects' rows beside the others";
const BROKEN: &str = "replace the damaged objects and load the day again, or accept what could be \
                      read with --accept-broken";
/// What to do about rows of days that no load has covered.
pub const NOT_LOADED: &str = "load the day: it reads these objects";

/// The days that miss rows. Rewritten and broken days are only named if they are in `asked`;
/// `None` names all.
pub fn incomplete(records: &[PeriodRecord], asked: Option<&BTreeSet<Day>>) -> Incomplete {
    let mut found = Incomplete::default();
    for record in records {
        for (day, coverage) in &record.covered_days {
            found.owed.extend(owed(*day, coverage));
            if asked.is_none_or(|asked| asked.contains(day)) {
                found.rewritten.extend(rewritten(*day, coverage));
                found.broken.extend(broken(*day, coverage));
            }
        }
    }
    found
}

fn owed(day: Day, coverage: &DayCoverage) -> Option<DayNote> {
    let owed = coverage.owed?;
    Some(DayNote::new(day, owed.objects, Some(owed.rows), OWED))
}

fn rewritten(day: Day, coverage: &DayCoverage) -> Option<DayNote> {
    let found = coverage.rewritten.as_ref()?;
    Some(DayNote {
        gone_objects: Some(found.gone_objects),
        gone_rows: Some(found.gone_rows),
        ..DayNote::new(day, found.new_objects, Some(found.new_rows), REWRITTEN)
    })
}

fn broken(day: Day, coverage: &DayCoverage) -> Option<DayNote> {
    let broken = coverage.broken?;
    Some(DayNote::new(day, broken.objects, None, BROKEN))
}
