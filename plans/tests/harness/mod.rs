//! Code that the tests of this folder share.

pub(crate) mod config;
