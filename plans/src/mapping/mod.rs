//! From a `spec::Source` to DataFusion expressions: `check` against OCSF,
//! `compile` to a `Program`. Pure: no network, no clock, no environment.

mod program;

pub use program::{Class, Layout, Program, Quarantined, Route};
