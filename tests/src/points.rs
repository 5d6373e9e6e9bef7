//! The ten points at which tests kill a load, in their order. The list is a copy, so that a
//! renamed point fails a test.

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

/// The points that an executor passes on a cluster.
pub const OF_EXECUTORS: [&str; 2] = ["during-first-part", "before-receipt"];
