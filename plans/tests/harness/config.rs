//! Reads the environment of the tests. Only this module does so.

/// Whether expected files are rewritten for review. `cargo xtask bless` sets it.
#[expect(
    clippy::disallowed_methods,
    reason = "only this module reads the environment"
)]
pub(crate) fn is_blessing() -> bool {
    std::env::var_os("LAKEBOLT_BLESS").is_some()
}
