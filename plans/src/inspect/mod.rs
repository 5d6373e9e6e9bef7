//! What only the command line needs: reading published objects (verify, show), trying a
//! source out (preview, report, explain, golden) and its reference (coverage, json_schema).

mod attributes;
pub mod coverage;
pub mod explain;
pub mod golden;
pub mod json_schema;
pub mod objects;
pub mod preview;
pub mod report;
pub mod show;
#[cfg(test)]
mod testing;
pub mod verify;
