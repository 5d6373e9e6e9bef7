//! The input of a load: dates in paths, the listing, and the packing into splits.

pub mod digest;
pub mod identity;
pub mod inventory;
pub mod listing;
pub mod paths;
pub mod splits;
