//! The publish protocol: lease, receipts, manifest, commit and cleanup.
//! Nothing here decides what to load; it makes an attempt visible, all of it or none.

pub mod cleanup;
pub mod commit;
pub mod lease;
pub mod manifest;
pub mod owner;
pub mod receipts;
pub mod work;
