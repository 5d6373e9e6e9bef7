//! From a `spec::Source` to DataFusion expressions: `check` against OCSF,
//! `compile` to a `Program`. Pure: no network, no clock, no environment.

mod check;
mod program;

pub use check::{FormatOptions, check};
pub use program::{Class, Layout, Program, Quarantined, Route};
