//! The sink: parsed rows in, unpublished parts and a receipt out.
//!
//! It stands in the scan's stage, so nothing is shuffled. Rows are classified,
//! sorted while they are still narrow, mapped, and written one part at a time.
//! What it emits is one row a split for the curious; the receipt is what counts.

mod classify;
mod event;
mod fence;
mod group;
mod heartbeat;
mod node;
mod open_parts;
mod part;
mod program;
pub mod quarantine;
mod rows;
mod run;
mod sort;

pub(crate) use classify::Rejection;
pub(crate) use event::{failure, failures};
pub use heartbeat::Heartbeat;
pub use node::SinkExec;
pub(crate) use node::{decode, encode};
pub use program::{PhysicalProgram, PhysicalRoute};
pub(crate) use rows::{RowSteps, RowTerms};
pub(crate) use sort::{Key, gather};
