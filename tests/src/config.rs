//! Settings of the tests from environment variables. Only this module reads them.

/// The number of rounds of faults: `LAKEBOLT_FAULT_ROUNDS`, else `default`.
pub fn fault_rounds(default: u64) -> u64 {
    number("LAKEBOLT_FAULT_ROUNDS").unwrap_or(default)
}

/// The seed of the first round: `LAKEBOLT_FAULT_SEED`, as a failed test printed it. The
/// default is fixed, so that every run of the tests has the same faults.
pub fn fault_seed() -> u64 {
    number("LAKEBOLT_FAULT_SEED").unwrap_or(1000)
}

/// The most seconds that an outage takes: `LAKEBOLT_FAULT_SECONDS`, else `default`.
pub fn fault_seconds(default: u64) -> u64 {
    number("LAKEBOLT_FAULT_SECONDS").unwrap_or(default)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only reader of the environment in the tests"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.trim().parse();
    Some(number.unwrap_or_else(|_| panic!("{name}=`{text}` is not a number")))
}
