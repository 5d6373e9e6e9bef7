//! From a `spec::Source` to DataFusion expressions: `check` against OCSF,
//! `compile` to a `Program`. Pure: no network, no clock, no environment.

mod attributes;
mod captions;
mod check;
mod classify;
mod compile;
mod digest;
mod enumeration;
mod fit;
mod leftover;
mod program;
mod rewrite;
mod scope;
mod sql;
#[cfg(test)]
mod tests;
mod times;
mod tree;

pub use check::{FormatOptions, Verdict, check};
pub use compile::compile;
pub use program::{Class, Layout, Program, Quarantined, Route};
