//! The ten points of a load at which tests kill it, in their order. Written once more
//! here, so that a point that is renamed fails a test.

pub const BEFORE_COMMIT: [&str; 6] = [
    "after-lease",
    "after-listing",
    "during-first-part",
    "before-receipt",
    "before-manifest",
    "before-commit",
];

pub const AFTER_COMMIT: [&str; 4] = [
    "after-commit",
    "between-completions",
    "before-deletion",
    "before-done",
];

/// Those of them that an executor passes on a cluster.
pub const OF_EXECUTORS: [&str; 2] = ["during-first-part", "before-receipt"];
