//! What a user should know about a load's decisions though nothing failed.

use super::remaining::{Remaining, SkipReason};

/// What the user should know though nothing failed.
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
                "{period}: published objects of {} are missing, and input that they were made \
                 of has gone: bring either back, or load what is left with --full-load",
                lost.join(", ")
            ));
        }
    }
    warnings
}
