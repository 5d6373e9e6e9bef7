//! From a `spec::Source` to a `Program` of DataFusion expressions. One walk checks a
//! source against OCSF and compiles it. Pure: no network, no clock, no environment.

mod attributes;
mod base;
mod captions;
mod classify;
mod compile;
mod constants;
mod derived;
mod digest;
mod enumeration;
mod fit;
mod format;
mod found;
mod holds;
mod keywords;
mod layout;
mod leftover;
mod lets;
mod lists;
mod missing;
mod outputs;
mod program;
mod rewrite;
mod routes;
mod scope;
mod shape;
mod sql;
#[cfg(test)]
mod tests;
mod times;
mod tree;
mod values;
mod words;

pub use self::compile::{Compilation, compile};
pub use self::layout::{
    Around, Content, Demand, Each, Held, Key, Layout, Leaf, Leftover, Object, Observable, Placed,
    Step,
};
pub use self::outputs::name as output_name;
pub use self::program::{Class, Program, Route};
