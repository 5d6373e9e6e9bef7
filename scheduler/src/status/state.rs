//! The states a task goes through. Pure: the drive loop asks here before it writes.

use super::State;

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// A lease was taken, and with it a new attempt.
    Acquired,
    /// Every part is written and the manifest names them: the commit.
    Written,
    /// Every part stands at its name and everything replaced is gone.
    Published,
    /// The attempt came to nothing.
    Broke { retryable: bool },
    /// Parts that the manifest names are gone before they were published.
    PartsLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {state:?} cannot take {event:?}")]
pub struct IllegalTransition {
    pub state: State,
    pub event: Transition,
}

impl State {
    /// The state after `event`, or the step that is not allowed from here.
    pub fn after(self, event: Transition) -> Result<State, IllegalTransition> {
        use State::*;
        use Transition::*;
        match (self, event) {
            (Pending, Acquired) => Ok(Running),
            (Running, Written) => Ok(Publishing),
            (Publishing, Published) => Ok(Done),
            (Running, Broke { retryable: true }) => Ok(Pending),
            (Running, Broke { retryable: false }) => Ok(Failed),
            (Publishing, PartsLost) => Ok(Repairing),
            (Repairing, Acquired) => Ok(Running),
            (state, event) => Err(IllegalTransition { state, event }),
        }
    }

    /// The state in which a new task finds a period that another one left. What was
    /// committed has to be finished first; everything else starts afresh.
    pub fn reopened(self) -> State {
        match self {
            State::Publishing | State::Repairing => self,
            State::Pending | State::Running | State::Done | State::Failed => State::Pending,
        }
    }

    /// Whether the record's manifest is not in force yet and must be finished first.
    pub fn is_committed(self) -> bool {
        self == State::Publishing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] = [
        State::Pending,
        State::Running,
        State::Publishing,
        State::Done,
        State::Failed,
        State::Repairing,
    ];
    const EVENTS: [Transition; 6] = [
        Transition::Acquired,
        Transition::Written,
        Transition::Published,
        Transition::Broke { retryable: true },
        Transition::Broke { retryable: false },
        Transition::PartsLost,
    ];

    #[test]
    fn exactly_the_seven_steps_of_the_protocol_are_allowed() {
        let allowed = STATES
            .iter()
            .flat_map(|state| EVENTS.iter().map(|event| state.after(*event)))
            .filter(Result::is_ok);
        assert_eq!(allowed.count(), 7);
    }

    #[test]
    fn publishing_goes_only_to_done_or_to_repairing() {
        for event in EVENTS {
            let after = State::Publishing.after(event);
            assert!(matches!(after, Err(_) | Ok(State::Done | State::Repairing)));
        }
    }

    #[test]
    fn a_committed_period_is_not_reopened_before_it_is_finished() {
        assert_eq!(State::Publishing.reopened(), State::Publishing);
        assert_eq!(State::Repairing.reopened(), State::Repairing);
        assert_eq!(State::Done.reopened(), State::Pending);
    }
}
