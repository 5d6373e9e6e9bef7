//! The input of a load: what its paths say, what a listing found, and how it is packed
//! into splits.

pub mod digest;
pub mod inventory;
pub mod listing;
pub mod paths;
pub mod splits;
