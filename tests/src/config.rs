//! What a developer may ask of the tests by the environment. Nothing else reads it.

/// How many rounds of faults are run: `LAKEBOLT_FAULT_ROUNDS`, else `otherwise`.
pub fn fault_rounds(otherwise: u64) -> u64 {
    number("LAKEBOLT_FAULT_ROUNDS").unwrap_or(otherwise)
}

/// The seed of the first round: `LAKEBOLT_FAULT_SEED`, as a failed test printed it. Without
/// it every run of the tests draws the same faults.
pub fn fault_seed() -> u64 {
    number("LAKEBOLT_FAULT_SEED").unwrap_or(1000)
}

/// Seconds that an outage of a round may take at most: `LAKEBOLT_FAULT_SECONDS`.
pub fn fault_seconds(otherwise: u64) -> u64 {
    number("LAKEBOLT_FAULT_SECONDS").unwrap_or(otherwise)
}

#[expect(clippy::disallowed_methods, reason = "the one place of the tests")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.trim().parse();
    Some(number.unwrap_or_else(|_| panic!("{name}=`{text}` is not a number")))
}
