//! Registers our functions in a session, and builds the session that evaluates `each`.

use std::sync::LazyLock;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, TaskContext};

/// Registers all our functions. They replace functions with the same name.
pub(crate) fn register(state: &mut SessionState) {
    for function in super::all() {
        // The result is the function that was replaced.
        let _ = state.register_udf(function);
    }
}

/// Returns the session for the expressions in literals of `each`. It runs no plan, so the
/// settings of `session` are not needed.
#[expect(
    clippy::disallowed_methods,
    reason = "`session` imports the functions, so they cannot import it"
)]
pub(super) fn evaluator() -> &'static SessionState {
    static STATE: LazyLock<SessionState> = LazyLock::new(|| {
        let mut state = SessionStateBuilder::new().with_default_features().build();
        register(&mut state);
        state
    });
    &STATE
}

/// Returns the context that decodes the expressions in literals of `each`.
pub(super) fn decoder() -> &'static TaskContext {
    static CONTEXT: LazyLock<TaskContext> = LazyLock::new(|| TaskContext::from(evaluator()));
    &CONTEXT
}
