//! Our functions in a session, and the session that the items of `each` are evaluated with.

use std::sync::LazyLock;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, TaskContext};

/// Adds every function of ours; one of the same name is replaced.
pub(crate) fn register(state: &mut SessionState) {
    for function in super::all() {
        // The answer is the function that was replaced.
        let _ = state.register_udf(function);
    }
}

/// What evaluates the expressions that a literal of `each` holds. It runs no plan, so that
/// the settings of `session` do not matter here.
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

/// What decodes the expressions that a literal of `each` holds.
pub(super) fn decoder() -> &'static TaskContext {
    static CONTEXT: LazyLock<TaskContext> = LazyLock::new(|| TaskContext::from(evaluator()));
    &CONTEXT
}
