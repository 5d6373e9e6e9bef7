//! What the environment tells a test; it is read nowhere else.

/// Whether expected files are rewritten for review, as `cargo xtask bless` asks.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that reads the environment"
)]
pub(crate) fn is_blessing() -> bool {
    std::env::var_os("LAKEBOLT_BLESS").is_some()
}
