//! The sink: parsed rows in, unpublished parts and a receipt out.
//!
//! It stands in the scan's stage, so nothing is shuffled. Rows are classified,
//! sorted while they are still narrow, mapped, and written one part at a time.
//! What it emits is one row a shard for the curious; the receipt is what counts.

mod begun;
mod classify;
mod exec;
mod fence;
mod groups;
mod parts;
mod program;
mod pulse;
mod quarantine;
mod runs;
mod task;

pub(crate) use classify::{Classifier, Rejection};
pub use exec::PublishExec;
pub(crate) use exec::{decode, encode};
pub use fence::owner_path;
pub use groups::{is_account, is_region_name};
pub use parts::{attempt_digest, part_day};
pub use program::{PhysicalLayout, PhysicalProgram, PhysicalRoute};
pub use pulse::{Pulse, is_pulse};
pub use quarantine::schema as quarantine_schema;
pub(crate) use runs::{Key, gather};
pub use task::receipts_folder;
