//! Checks that a load's input, target, work area and quarantine do not get in each other's way.

use plans::lake::{is_inside, is_s3};

/// A place that cannot be where it was asked to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Misplaced {
    /// `input`, `output`, `work` or `quarantine`.
    pub area: &'static str,
    pub what: &'static str,
    pub remedy: &'static str,
}

/// Refuses a place that readers of the target would list, or that parts cannot be published
/// from. All places are absolute URIs, with or without a slash at the end.
pub fn check(output: &str, work: &str, quarantine: &str) -> Result<(), Misplaced> {
    refuse_apart("work", work, output)?;
    refuse_apart("quarantine", quarantine, output)?;
    refuse_inside("quarantine", quarantine, output)?;
    // A local one is hidden from readers by the dot of its name.
    match is_s3(output) {
        true => refuse_inside("work", work, output),
        false => Ok(()),
    }
}

/// Refuses a place that a load would write to and also read as logs. `targets` are all folders
/// that parts go to. All places are absolute URIs, and canonical where that matters: this
/// compares text.
pub fn check_inputs(
    inputs: &[String],
    targets: &[String],
    work: &str,
    quarantine: &str,
) -> Result<(), Misplaced> {
    for input in inputs {
        for target in targets {
            refuse_in_input("output", target, input)?;
            refuse_inside("input", input, target)?;
        }
        refuse_in_input("work", work, input)?;
        refuse_in_input("quarantine", quarantine, input)?;
        if is_below(input, work) || is_below(input, quarantine) {
            return Err(Misplaced {
                area: "input",
                what: "is inside the work area or the quarantine",
                remedy: "choose another folder",
            });
        }
    }
    Ok(())
}

/// The next load would take the objects there for logs.
fn refuse_in_input(area: &'static str, place: &str, input: &str) -> Result<(), Misplaced> {
    match is_below(place, input) {
        true => Err(Misplaced {
            area,
            what: "is inside an input",
            remedy: "choose a folder beside the input",
        }),
        false => Ok(()),
    }
}

/// Whether `place` is `folder`, or anywhere below it.
fn is_below(place: &str, folder: &str) -> bool {
    let (place, folder) = (place.trim_end_matches('/'), folder.trim_end_matches('/'));
    let below = place.strip_prefix(folder);
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Parts are published where they were written: by a rename, or by completing an upload.
fn refuse_apart(area: &'static str, place: &str, output: &str) -> Result<(), Misplaced> {
    let (what, remedy) = match (is_s3(place), is_s3(output)) {
        (true, true) | (false, false) => return Ok(()),
        (true, false) => ("is on S3, and the target is not", "give a local folder"),
        (false, true) => (
            "is not on S3, and the target is",
            "give s3://BUCKET/PREFIX beside the target",
        ),
    };
    Err(Misplaced { area, what, remedy })
}

/// Readers of the target would take the objects there for events.
fn refuse_inside(area: &'static str, place: &str, output: &str) -> Result<(), Misplaced> {
    match is_inside(place, output) {
        true => Err(Misplaced {
            area,
            what: "is inside the target",
            remedy: "choose a folder beside the target",
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(output: &str, work: &str, quarantine: &str) -> (&'static str, &'static str) {
        let misplaced = check(output, work, quarantine).expect_err("it is refused");
        (misplaced.area, misplaced.what)
    }

    #[test]
    fn work_and_quarantine_are_beside_the_target_in_its_kind_of_store() {
        let (local, s3) = ("file:///lake", "s3://lake/a");
        assert_eq!(
            check(local, "file:///lake/.lakebolt/", "file:///q/"),
            Ok(())
        );
        assert_eq!(check(s3, "s3://lake/w/", "s3://lake/q/"), Ok(()));
        let inside = "is inside the target";
        assert_eq!(
            refused(s3, "s3://lake/a/w/", "s3://lake/q/"),
            ("work", inside)
        );
        assert_eq!(refused(s3, "s3://lake/w/", s3), ("quarantine", inside));
        let quarantine = refused(local, "file:///w/", "file:///lake/q/");
        assert_eq!(quarantine, ("quarantine", inside));
        let (area, what) = refused(local, "file:///w/", "s3://lake/q/");
        assert!(area == "quarantine" && what.starts_with("is on S3"));
        let (area, what) = refused(s3, "file:///w/", "s3://lake/q/");
        assert!(area == "work" && what.starts_with("is not on S3"));
    }

    #[test]
    fn nothing_that_is_written_is_inside_an_input() {
        let check = |input: &str, target: &str, work: &str, quarantine: &str| {
            let (inputs, targets) = ([input.to_owned()], [target.to_owned()]);
            let checked = check_inputs(&inputs, &targets, work, quarantine);
            checked.err().map(|wrong| (wrong.area, wrong.what))
        };
        let (work, quarantine) = ("file:///lake/.lakebolt/", "file:///lake.quarantine/");
        for (input, expected) in [
            ("file:///logs", None),
            ("file:///lakes", None),
            ("file:///", Some(("output", "is inside an input"))),
            ("file:///lake", Some(("output", "is inside an input"))),
            (
                "file:///lake/ext/a",
                Some(("input", "is inside the target")),
            ),
            (
                "file:///lake.quarantine/x",
                Some(("input", "is inside the work area or the quarantine")),
            ),
        ] {
            assert_eq!(
                check(input, "file:///lake", work, quarantine),
                expected,
                "{input}"
            );
        }
        let (work, quarantine) = ("s3://logs/lakebolt-work/", "s3://logs/q/");
        let inside = "is inside an input";
        assert_eq!(
            check("s3://logs", "s3://lake", work, quarantine),
            Some(("work", inside))
        );
        let found = check("s3://logs", "s3://lake", "s3://lake/w/", quarantine);
        assert_eq!(found, Some(("quarantine", inside)));
        // Readers of a whole bucket list only `ext/` and `region=…/`.
        let found = check(
            "s3://lake/AWSLogs",
            "s3://lake",
            "s3://lake/w/",
            "s3://lake/q/",
        );
        assert_eq!(found, None);
    }
}
