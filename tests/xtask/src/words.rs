//! No words that only this project uses: the table is `word_list`.
//!
//! Rust is read by its tokens: names are identifiers, comments and strings are prose.
//! In other files everything is prose, except single words in backticks or quotes. A
//! name of more than three words, such as a test's, is a sentence and therefore prose.
//! A phrase is found across line ends, but not across punctuation that ends a clause.

use std::collections::{BTreeMap, HashMap};

use crate::sources::{self, Source};
use crate::tokens::{self, Kind};
use crate::word_list::{EXCEPTIONS, Entry, Exception, Place, WORDS};

/// A name of more words is a sentence.
const LONGEST_NAME: usize = 3;

/// Kinds of files that are read, by the end of their name.
const READ: &[&str] = &[
    ".rs",
    ".md",
    ".toml",
    ".proto",
    ".sh",
    ".yml",
    ".yaml",
    ".py",
    "Dockerfile",
];

/// The parts of a path whose files may hold any word.
const SKIPPED: &[&str] = &[
    "/samples/",
    "plans/tests/accepted/",
    "plans/tests/rejected/",
    "tests/xtask/src/word_list.rs",
];

pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    Ok(all()?.iter().map(Finding::line).collect())
}

/// Prints the findings in files whose paths start with one of `folders`, or in all
/// files, and how often each word was found.
pub(crate) fn run(folders: &[String]) -> anyhow::Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let findings = all()?;
    for finding in &findings {
        let is_wanted = |folder: &String| finding.path.starts_with(folder.as_str());
        if folders.is_empty() || folders.iter().any(is_wanted) {
            println!("{}", finding.line());
            *counts.entry(finding.phrase).or_default() += 1;
        }
    }
    println!("\n{} places", counts.values().sum::<usize>());
    for (phrase, count) in counts {
        println!("{count:>6} {phrase}");
    }
    Ok(())
}

/// The findings in all files, grouped by word.
fn all() -> anyhow::Result<Vec<Finding>> {
    let rules = Rules::new(WORDS, EXCEPTIONS);
    let sources = sources::all()?;
    let sources = sources.iter().filter(|source| is_read(&source.path));
    let mut findings: Vec<Finding> = sources.flat_map(|source| rules.findings(source)).collect();
    findings.sort_by_key(|finding| finding.rank);
    Ok(findings)
}

fn is_read(path: &str) -> bool {
    READ.iter().any(|end| path.ends_with(end)) && !SKIPPED.iter().any(|part| path.contains(part))
}

#[derive(Debug)]
struct Finding {
    path: String,
    line_number: usize,
    phrase: &'static str,
    write: &'static str,
    /// The place of its word in the list.
    rank: usize,
}

impl Finding {
    fn line(&self) -> String {
        format!(
            "{}:{}: `{}`: write `{}`",
            self.path, self.line_number, self.phrase, self.write
        )
    }
}

/// A phrase of the table, as words.
struct Rule {
    phrase: &'static str,
    words: Vec<&'static str>,
    verdict: Verdict,
}

enum Verdict {
    Forbidden { rank: usize, entry: &'static Entry },
    AllowedIn(&'static str),
}

/// The table, by the first word of each phrase, longest phrases and exceptions first.
struct Rules(HashMap<&'static str, Vec<Rule>>);

impl Rules {
    fn new(entries: &'static [Entry], exceptions: &'static [Exception]) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        for exception in exceptions {
            rules.push(rule(exception.phrase, Verdict::AllowedIn(exception.path)));
        }
        for (rank, entry) in entries.iter().enumerate() {
            for phrase in entry.phrases {
                rules.push(rule(phrase, Verdict::Forbidden { rank, entry }));
            }
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.words.len()));
        let mut by_first: HashMap<&str, Vec<Rule>> = HashMap::new();
        for rule in rules {
            by_first.entry(rule.words[0]).or_default().push(rule);
        }
        Self(by_first)
    }

    fn findings(&self, source: &Source) -> Vec<Finding> {
        let words = words_of(source);
        let mut findings = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let Some(rule) = self.matching(&source.path, &words[at..]) else {
                at += 1;
                continue;
            };
            if let Verdict::Forbidden { rank, entry } = rule.verdict {
                findings.push(Finding {
                    path: source.path.clone(),
                    line_number: words[at].line,
                    phrase: rule.phrase,
                    write: entry.write,
                    rank,
                });
            }
            at += rule.words.len();
        }
        findings
    }

    fn matching(&self, path: &str, words: &[Word]) -> Option<&Rule> {
        let rules = self.0.get(words[0].text.as_str())?;
        rules.iter().find(|rule| {
            let place_fits = match &rule.verdict {
                Verdict::AllowedIn(part) => path.contains(part),
                Verdict::Forbidden { entry, .. } => match entry.place {
                    Place::Everywhere => true,
                    Place::Identifiers => words[0].is_identifier,
                    Place::Prose => !words[0].is_identifier,
                },
            };
            place_fits && starts_with(words, &rule.words)
        })
    }
}

fn rule(phrase: &'static str, verdict: Verdict) -> Rule {
    let words = phrase.split(' ').collect();
    Rule {
        phrase,
        words,
        verdict,
    }
}

fn starts_with(words: &[Word], phrase: &[&str]) -> bool {
    if words.len() < phrase.len() {
        return false;
    }
    let pairs = words.iter().zip(phrase).enumerate();
    let mut pairs = pairs.map(|(at, (word, wanted))| {
        let is_joined = at == 0 || !word.is_first;
        word.text == *wanted && is_joined
    });
    pairs.all(|fits| fits)
}

/// A word in small letters.
#[derive(Debug)]
struct Word {
    text: String,
    line: usize,
    is_identifier: bool,
    /// Whether no phrase goes on from the word before it.
    is_first: bool,
}

fn words_of(source: &Source) -> Vec<Word> {
    let mut splitter = Splitter::default();
    if !source.is_rust() {
        splitter.prose(&source.text, 1);
        return splitter.words;
    }
    let mut last_comment = 0;
    for token in tokens::tokens(&source.text) {
        // Comments on successive lines are one text.
        let goes_on = token.kind == Kind::Comment && token.line == last_comment + 1;
        splitter.is_first |= !goes_on;
        match token.kind {
            Kind::Word => splitter.run(token.text, token.line, true),
            Kind::Mark => {}
            Kind::Text | Kind::Comment => splitter.prose(token.text, token.line),
        }
        if token.kind == Kind::Comment {
            last_comment = token.line;
        }
    }
    splitter.words
}

#[derive(Default)]
struct Splitter {
    words: Vec<Word>,
    is_first: bool,
}

impl Splitter {
    /// Splits text that starts on `line`.
    fn prose(&mut self, text: &str, mut line: usize) {
        let mut rest = text;
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let mut length = first.len_utf8();
            if first.is_alphanumeric() {
                length = rest.find(|next| !is_joined(next)).unwrap_or(rest.len());
                let after = rest[length..].chars().next().unwrap_or(' ');
                let is_quoted = before == after && matches!(before, '`' | '"');
                self.run(&rest[..length], line, is_quoted);
            } else if first == '\\' {
                // What is escaped is no letter of a word.
                let escaped = rest[1..].chars().next().filter(|&next| next != '\n');
                length += escaped.map_or(0, char::len_utf8);
            } else if ends_clause(first) {
                self.is_first = true;
            } else if first == '\n' {
                line += 1;
            }
            before = first;
            rest = &rest[length..];
        }
    }

    /// Splits a run of letters, digits and underscores, such as `LeaseId` or `lease_id`.
    fn run(&mut self, run: &str, line: usize, is_identifier: bool) {
        let parts: Vec<&str> = run.split('_').flat_map(humps).collect();
        let is_identifier = is_identifier && parts.len() <= LONGEST_NAME;
        for part in parts {
            self.words.push(Word {
                text: part.to_lowercase(),
                line,
                is_identifier,
                is_first: std::mem::take(&mut self.is_first),
            });
        }
    }
}

fn is_joined(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn ends_clause(character: char) -> bool {
    ".,;:?()[]{}|=".contains(character)
}

/// The words of a name in camel case: `HTTPServer` is `HTTP` and `Server`.
fn humps(name: &str) -> Vec<&str> {
    let letters: Vec<(usize, char)> = name.char_indices().collect();
    let mut humps = Vec::new();
    let mut start = 0;
    for (at, &(offset, letter)) in letters.iter().enumerate().skip(1) {
        let follows_small = !letters[at - 1].1.is_uppercase();
        let next_is_small = letters
            .get(at + 1)
            .is_some_and(|next| next.1.is_lowercase());
        if letter.is_uppercase() && (follows_small || next_is_small) {
            humps.push(&name[start..offset]);
            start = offset;
        }
    }
    humps.push(&name[start..]);
    humps.retain(|hump| !hump.is_empty());
    humps
}

#[cfg(test)]
mod tests {
    use super::*;

    static ENTRIES: &[Entry] = &[
        Entry {
            phrases: &["frob", "frobs"],
            write: "fix",
            place: Place::Everywhere,
        },
        Entry {
            phrases: &["goes over", "over"],
            write: "passes",
            place: Place::Prose,
        },
        Entry {
            phrases: &["yon"],
            write: "other",
            place: Place::Identifiers,
        },
    ];

    static ALLOWED: &[Exception] = &[
        Exception {
            phrase: "frob nut",
            path: "",
            reason: "a part of a machine",
        },
        Exception {
            phrase: "frobs",
            path: "plans/",
            reason: "the name of a product",
        },
    ];

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let findings = Rules::new(ENTRIES, ALLOWED).findings(&source);
        findings.iter().map(Finding::line).collect()
    }

    #[test]
    fn a_finding_says_where_and_what_to_write() {
        let text = "# A\n\nIt Frobs.\n";
        assert_eq!(found("a.md", text), ["a.md:3: `frobs`: write `fix`"]);
    }

    #[test]
    fn words_are_found_in_names_of_either_case() {
        assert_eq!(
            found("a.rs", "struct FrobId { last_frob: FROB_ID, frobber: u8 }").len(),
            3
        );
        assert_eq!(found("a.sh", "export BOLT_FROB=1 # --frob").len(), 2);
    }

    #[test]
    fn prose_and_identifiers_differ() {
        let text = "// It is over yon.\nlet over = yon(\"yon\", \"yon, over\");\n// See `yon`.";
        let expected = [
            "a.rs:1: `over`: write `passes`",
            "a.rs:2: `yon`: write `other`",
            "a.rs:2: `yon`: write `other`",
            "a.rs:2: `over`: write `passes`",
            "a.rs:3: `yon`: write `other`",
        ];
        assert_eq!(found("a.rs", text), expected);
    }

    #[test]
    fn the_name_of_a_test_is_prose() {
        assert_eq!(found("a.rs", "fn yon_b_c() {}").len(), 1);
        assert_eq!(
            found("a.rs", "fn yon_b_c_over() {}"),
            ["a.rs:1: `over`: write `passes`"]
        );
    }

    #[test]
    fn a_phrase_is_found_across_lines_and_not_across_clauses() {
        let text = "    /// What goes\n    /// over it.\n";
        assert_eq!(found("a.rs", text), ["a.rs:1: `goes over`: write `passes`"]);
        let text = "It goes; frob\nit.";
        assert_eq!(found("a.md", text), ["a.md:1: `frob`: write `fix`"]);
        assert_eq!(
            found("a.rs", "f(\"goes \\\n    over\")"),
            ["a.rs:1: `goes over`: write `passes`"]
        );
    }

    #[test]
    fn exceptions_hold_for_a_phrase_or_in_a_path() {
        assert!(found("a.rs", "let frob_nut = FrobNut; // frob-nut").is_empty());
        assert!(found("plans/a.md", "It frobs.").is_empty());
        assert_eq!(found("job/a.md", "It frobs.").len(), 1);
    }

    #[test]
    fn escapes_are_no_letters() {
        assert_eq!(found("a.rs", r#"f("a\nfrob")"#).len(), 1);
    }

    #[test]
    fn data_of_tests_is_not_read() {
        assert!(is_read("plans/sources/vpc_flow/source.toml"));
        assert!(!is_read("plans/sources/vpc_flow/samples/a.toml"));
        assert!(!is_read("plans/tests/rejected/each/source.toml"));
        assert!(!is_read("LICENSE"));
    }
}
