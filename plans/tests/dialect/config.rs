//! Reads the environment of this test. Only this module does so.

/// The number of cases of every run of the tests.
const CASES: u64 = 500;

/// The seeds to run: one if `LAKEBOLT_DIALECT_SEED` names it, else as many as
/// `LAKEBOLT_DIALECT_CASES` says.
pub(crate) fn seeds() -> std::ops::Range<u64> {
    match number("LAKEBOLT_DIALECT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAKEBOLT_DIALECT_CASES").unwrap_or(CASES),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only this module reads the environment"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Whether the messages of refused mappings are printed: `LAKEBOLT_DIALECT_REFUSED=1`.
pub(crate) fn shows_refused() -> bool {
    number("LAKEBOLT_DIALECT_REFUSED").is_some_and(|number| number > 0)
}

/// The number of cases to print of those that are broken alike: `LAKEBOLT_DIALECT_SHOWN`, else a
/// few.
pub(crate) fn shown() -> usize {
    let shown = number("LAKEBOLT_DIALECT_SHOWN").unwrap_or(3);
    usize::try_from(shown).unwrap_or(usize::MAX)
}
