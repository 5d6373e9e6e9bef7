//! Words that only this project used, and what the field writes instead.
//!
//! A new entry names every form of the word that can be decided without reading the
//! sentence. A word that has a good use somewhere gets an exception with its reason.

/// Where an entry is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Everywhere,
    /// Names in code of at most three words, and single words in backticks or quotes.
    Identifiers,
    /// Everything else.
    Prose,
}

/// Phrases that are not to be written. Case does not count, nor does how the words
/// are joined: `let go` is also found as `LetGo`, `let_go` and `let-go`.
pub(crate) struct Entry {
    pub(crate) phrases: &'static [&'static str],
    pub(crate) write: &'static str,
    pub(crate) place: Place,
}

/// A phrase that is allowed although an entry matches it.
pub(crate) struct Exception {
    pub(crate) phrase: &'static str,
    /// A part of the paths that may write it; empty for all.
    pub(crate) path: &'static str,
    /// Why it is allowed, for the reader of this table.
    #[expect(dead_code, reason = "only people read it")]
    pub(crate) reason: &'static str,
}

use Place::{Everywhere, Identifiers, Prose};

const fn entry(phrases: &'static [&'static str], write: &'static str, place: Place) -> Entry {
    Entry {
        phrases,
        write,
        place,
    }
}

/// Every entry: terms of the design first, then plain English.
pub(crate) static WORDS: &[Entry] = &[
    entry(&["shard", "shards", "sharded"], "split", Everywhere),
    entry(&["elsewhere"], "other_period", Identifiers),
    entry(&["press"], "publisher", Identifiers),
    entry(
        &["pulse", "pulses", "heart", "hearts"],
        "heartbeat",
        Everywhere,
    ),
    entry(
        &["claim", "claims", "claimed", "claimant", "claimants"],
        "lease",
        Everywhere,
    ),
    entry(&["debris"], "cleanup", Everywhere),
    entry(&["happening"], "notification or event", Identifiers),
    entry(&["happenings"], "notifications or events", Everywhere),
    entry(&["teller", "tellers"], "reporter", Everywhere),
    entry(&["board", "boards"], "registry", Everywhere),
    entry(&["vcore", "vcores"], "task slots", Everywhere),
    entry(&["taken on", "take on"], "accepted", Everywhere),
    entry(
        &["called off", "call off", "calls off"],
        "cancelled",
        Everywhere,
    ),
    entry(
        &["let go", "lets go", "letting go"],
        "drained or released",
        Everywhere,
    ),
    entry(
        &["stand", "stands", "stood"],
        "exist, is stored or is",
        Everywhere,
    ),
    entry(
        &["came to nothing", "come to nothing", "comes to nothing"],
        "failed",
        Everywhere,
    ),
    entry(
        &["gets on", "get on", "got on", "getting on"],
        "makes progress",
        Everywhere,
    ),
    entry(&["mend", "mends", "mended", "mending"], "fix", Everywhere),
    entry(
        &["is away", "are away", "was away", "were away"],
        "unavailable",
        Everywhere,
    ),
    entry(&["of its own"], "its own", Everywhere),
    entry(&["of our own"], "our own", Everywhere),
    entry(&["of their own"], "their own", Everywhere),
    entry(
        &["tell", "tells", "told", "telling"],
        "report, say, name or is given",
        Everywhere,
    ),
    entry(&["trouble", "troubles"], "error", Everywhere),
    entry(&["aside"], "rejected or quarantined", Everywhere),
    entry(&["begun"], "started", Everywhere),
    entry(&["amid", "midst"], "during or in the middle of", Everywhere),
    entry(&["whoever"], "the user, client or process that", Prose),
    entry(&["maybe"], "possibly, or the condition itself", Prose),
    entry(&["whose it is"], "who owns it", Prose),
    entry(&["what becomes of", "becomes of"], "what happens to", Prose),
    entry(&["in the way of"], "against, or like", Prose),
    entry(&["be it"], "whether it is", Prose),
];

/// Phrases that are allowed, each with its reason.
pub(crate) static EXCEPTIONS: &[Exception] = &[
    Exception {
        phrase: "stand in",
        path: "",
        reason: "a stand-in replaces a real service in a test",
    },
    Exception {
        phrase: "stands in",
        path: "",
        reason: "a stand-in replaces a real service in a test",
    },
    Exception {
        phrase: "stand ins",
        path: "",
        reason: "a stand-in replaces a real service in a test",
    },
    Exception {
        phrase: "take on disk",
        path: "",
        reason: "disk space is measured, nothing is accepted",
    },
    Exception {
        phrase: "persistent volume claim",
        path: "",
        reason: "the name of a Kubernetes object",
    },
    Exception {
        phrase: "with vcores",
        path: "",
        reason: "a function of Ballista",
    },
    Exception {
        phrase: "vcores",
        path: "scheduler/src/cluster.rs",
        reason: "a field of Ballista's executor specification",
    },
    Exception {
        phrase: "elsewhere",
        path: "tests/it/coverage.rs",
        reason: "the name of a folder",
    },
    Exception {
        phrase: "elsewhere",
        path: "tests/it/s3_refusals.rs",
        reason: "a part of a message that names another place",
    },
    Exception {
        phrase: "elsewhere",
        path: "plans/src/receipt.rs",
        reason: "the name of the count in manifests of the version before",
    },
    Exception {
        phrase: "rows elsewhere",
        path: "scheduler/src/status/dynamodb/",
        reason: "an attribute that version 0.1 wrote",
    },
    Exception {
        phrase: "replay elsewhere",
        path: "scheduler/src/drive/replay/",
        reason: "an error code, which stays",
    },
    Exception {
        phrase: "not begun",
        path: "scheduler/src/decide/remaining.rs",
        reason: "a skip reason in the JSON of `lakebolt plan`",
    },
];
