//! Checks that a load's target, work area and quarantine do not get in each other's way.

use plans::lake::{is_inside, is_s3};

/// A work area or quarantine that cannot be where it was asked to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Misplaced {
    /// `work` or `quarantine`.
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
}
