//! Warnings about a load's decisions.

use super::remaining::{Remaining, SkipReason};

/// Returns warnings about stale days and about days that cannot be restored.
pub fn warnings(remaining: &[Remaining]) -> Vec<String> {
    let mut warnings = Vec::new();
    for remaining in remaining {
        let (period, stale) = (remaining.period, remaining.stale.len());
        if stale > 0 {
            warnings.push(format!(
                "{period} is stale: {stale} days were loaded with another configuration \
                 (reload them with --on-stale reload or --full-load)"
            ));
        }
        let skipped = remaining.skip.iter();
        let lost = skipped.filter(|(_, reason)| **reason == SkipReason::BothGone);
        let lost: Vec<String> = lost.map(|(day, _)| day.to_string()).collect();
        if !lost.is_empty() {
            warnings.push(format!(
                "{period}: published objects of {} are missing, and so is input that they \
                 came from: restore either, or load the remaining input with --full-load",
                lost.join(", ")
            ));
        }
    }
    warnings
}
