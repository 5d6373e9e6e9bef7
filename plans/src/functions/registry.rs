//! Registers our functions in a session.

use datafusion::execution::{FunctionRegistry, SessionState};

/// Registers all our functions. They replace functions with the same name.
pub(crate) fn register(state: &mut SessionState) {
    for function in super::all() {
        // The result is the function that was replaced.
        let _ = state.register_udf(function);
    }
}
