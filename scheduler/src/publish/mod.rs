//! The publish protocol: lease, receipts, manifest, commit and cleanup. It does not decide
//! which days to load. It makes an attempt visible completely or not at all.

pub mod bounds;
pub mod cleanup;
pub mod commit;
pub mod lease;
pub mod lists;
pub mod manifest;
pub mod owner;
pub mod receipts;
pub mod stored;
pub mod target;
pub mod work;
