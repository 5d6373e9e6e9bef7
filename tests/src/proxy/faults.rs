//! The faults of a proxy, and the rules that choose the requests they hit.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::random::Random;

/// A fault of one request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Status 500; the request is not forwarded.
    InternalError,
    /// Status 503 of S3, throttling of DynamoDB; the request is not forwarded.
    SlowDown,
    /// The connection is reset; the request is not forwarded.
    Reset,
    /// The request is served, but the connection ends before its answer.
    Lost,
    /// The request is served, but the connection ends in the middle of the body.
    Truncated,
    /// The answer is delayed.
    Slow(Duration),
    /// An error with this status, code and message; the request is not forwarded.
    Refused(u16, &'static str, &'static str),
}

impl Fault {
    /// Every fault that a client must survive.
    pub const EVERY: [Self; 6] = [
        Self::InternalError,
        Self::SlowDown,
        Self::Reset,
        Self::Lost,
        Self::Truncated,
        Self::Slow(Duration::from_millis(200)),
    ];

    /// The name of the fault in counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InternalError => "internal_error",
            Self::SlowDown => "slow_down",
            Self::Reset => "reset",
            Self::Lost => "lost",
            Self::Truncated => "truncated",
            Self::Slow(_) => "slow",
            Self::Refused(_, code, _) => code,
        }
    }
}

/// Random faults: `per_mille` of the requests for one of `operations` fail. An empty list
/// means every operation.
#[derive(Clone, Debug)]
pub struct RandomFaults {
    pub operations: Vec<&'static str>,
    pub per_mille: u64,
    pub faults: Vec<Fault>,
}

/// A fault of chosen requests: those of `operation` with `text` in their body or URL. The
/// first `after` of them succeed, the next `times` fail.
#[derive(Clone, Debug)]
pub struct ScriptedFault {
    pub operation: &'static str,
    pub text: &'static str,
    pub after: u64,
    pub times: u64,
    pub fault: Fault,
}

impl ScriptedFault {
    /// The first request of `operation`.
    pub fn first(operation: &'static str, fault: Fault) -> Self {
        Self {
            operation,
            text: "",
            after: 0,
            times: 1,
            fault,
        }
    }

    /// Every request of `operation`, or every request if it is empty.
    pub fn always(operation: &'static str, fault: Fault) -> Self {
        Self {
            times: u64::MAX,
            ..Self::first(operation, fault)
        }
    }

    /// Only requests that contain `text`.
    pub fn with(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    fn matches(&self, operation: &str, contains: impl Fn(&str) -> bool) -> bool {
        let named = self.operation.is_empty() || self.operation == operation;
        named && (self.text.is_empty() || contains(self.text))
    }
}

/// The rules of a proxy, with counts of its requests and faults.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    seed: u64,
    chances: Vec<RandomFaults>,
    /// Each with the number of requests that matched it.
    scripts: Vec<(ScriptedFault, u64)>,
    down: bool,
    requests: BTreeMap<&'static str, u64>,
    done: BTreeMap<(&'static str, &'static str), u64>,
}

impl Faults {
    pub(crate) fn set_random(&mut self, seed: u64, chances: Vec<RandomFaults>) {
        self.seed = seed;
        self.chances = chances;
    }

    pub(crate) fn add_script(&mut self, script: ScriptedFault) {
        self.scripts.push((script, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.chances.clear();
        self.scripts.clear();
        self.down = false;
    }

    pub(crate) fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// The number of requests of an operation.
    pub(crate) fn requests(&self, operation: &str) -> u64 {
        self.requests.get(operation).copied().unwrap_or_default()
    }

    /// The number of requests of all operations.
    pub(crate) fn all_requests(&self) -> u64 {
        self.requests.values().sum()
    }

    /// The counts of injected faults, by `OPERATION FAULT`.
    pub(crate) fn injected(&self) -> BTreeMap<String, u64> {
        let line = |((operation, fault), count): (&(&str, &str), &u64)| {
            (format!("{operation} {fault}"), *count)
        };
        self.done.iter().map(line).collect()
    }

    /// Counts this request and chooses its fault.
    pub(crate) fn decide(
        &mut self,
        operation: &'static str,
        contains: impl Fn(&str) -> bool,
    ) -> Option<Fault> {
        let number = self.requests.entry(operation).or_default();
        *number += 1;
        let number = *number;
        let fault = match self.down {
            true => Some(Fault::Reset),
            false => self
                .scripted(operation, contains)
                .or_else(|| self.by_chance(operation, number)),
        };
        if let Some(fault) = &fault {
            *self.done.entry((operation, fault.name())).or_default() += 1;
        }
        fault
    }

    fn scripted(&mut self, operation: &str, contains: impl Fn(&str) -> bool) -> Option<Fault> {
        for (script, matched) in &mut self.scripts {
            if !script.matches(operation, &contains) {
                continue;
            }
            *matched += 1;
            if *matched > script.after && *matched - script.after <= script.times {
                return Some(script.fault.clone());
            }
        }
        None
    }

    /// Chooses by the seed, the operation and its request number, so that requests of other
    /// operations do not change the result.
    fn by_chance(&self, operation: &str, number: u64) -> Option<Fault> {
        let chance = self.chances.iter().find(|chance| {
            chance.operations.is_empty() || chance.operations.contains(&operation)
        })?;
        let mut random = Random::of(self.seed.wrapping_add(number << 32), operation);
        if random.below(1000) >= chance.per_mille || chance.faults.is_empty() {
            return None;
        }
        let at = random.below(u64::try_from(chance.faults.len()).ok()?);
        chance.faults.get(usize::try_from(at).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(faults: &mut Faults, operation: &'static str, body: &str) -> Option<Fault> {
        faults.decide(operation, |text| body.contains(text))
    }

    #[test]
    fn a_scripted_fault_hits_only_matching_requests() {
        let mut faults = Faults::default();
        let script = ScriptedFault::first("UpdateItem", Fault::Lost).with("publishing");
        faults.add_script(ScriptedFault { after: 1, ..script });
        assert_eq!(decide(&mut faults, "UpdateItem", "publishing"), None);
        assert_eq!(decide(&mut faults, "UpdateItem", "running"), None);
        assert_eq!(decide(&mut faults, "PutItem", "publishing"), None);
        let second = decide(&mut faults, "UpdateItem", "publishing");
        assert_eq!(second, Some(Fault::Lost));
        assert_eq!(decide(&mut faults, "UpdateItem", "publishing"), None);
        assert_eq!(faults.requests("UpdateItem"), 4);
        assert_eq!(faults.all_requests(), 5);
        assert_eq!(faults.injected()["UpdateItem lost"], 1);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let mut faults = Faults::default();
            let chance = RandomFaults {
                operations: Vec::new(),
                per_mille: 300,
                faults: Fault::EVERY.to_vec(),
            };
            faults.set_random(seed, vec![chance]);
            let drawn: Vec<_> = (0..200)
                .map(|_| decide(&mut faults, "GetObject", ""))
                .collect();
            drawn
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let faults = run(7).into_iter().flatten().count();
        assert!((30..90).contains(&faults), "{faults} of 200");
    }

    #[test]
    fn a_service_that_is_down_resets_every_request() {
        let mut faults = Faults::default();
        faults.set_down(true);
        assert_eq!(decide(&mut faults, "GetItem", ""), Some(Fault::Reset));
        faults.clear();
        assert_eq!(decide(&mut faults, "GetItem", ""), None);
    }
}
