//! The state machine of a period. Pure: callers ask it before they write.

use super::State;

/// An event in the life of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// A lease was taken, which starts a new attempt.
    Acquired,
    /// All parts are written and the manifest names them. This is the commit.
    Written,
    /// All parts are visible and all replaced objects are deleted.
    Published,
    /// The attempt failed.
    Broke { retryable: bool },
    /// Parts named by the manifest disappeared before they were published.
    PartsLost,
}

/// A transition that the current state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a period in state {state:?} does not allow {event:?}")]
pub struct IllegalTransition {
    pub state: State,
    pub event: Transition,
}

impl State {
    /// Returns the state after `event`, or an error if the event is not allowed.
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

    /// Returns the state in which a new load finds a period that another load left. A
    /// committed attempt must be finished first; anything else starts again.
    pub fn reopened(self) -> State {
        match self {
            State::Publishing | State::Repairing => self,
            State::Pending | State::Running | State::Done | State::Failed => State::Pending,
        }
    }

    /// Returns true if the record's manifest is committed but not published yet.
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
    fn only_the_seven_transitions_of_the_protocol_are_allowed() {
        let allowed = STATES
            .iter()
            .flat_map(|state| EVENTS.iter().map(|event| state.after(*event)))
            .filter(Result::is_ok);
        assert_eq!(allowed.count(), 7);
    }

    #[test]
    fn publishing_only_leads_to_done_or_repairing() {
        for event in EVENTS {
            let after = State::Publishing.after(event);
            assert!(matches!(after, Err(_) | Ok(State::Done | State::Repairing)));
        }
    }

    #[test]
    fn a_committed_period_is_finished_before_it_is_reopened() {
        assert_eq!(State::Publishing.reopened(), State::Publishing);
        assert_eq!(State::Repairing.reopened(), State::Repairing);
        assert_eq!(State::Done.reopened(), State::Pending);
    }
}
