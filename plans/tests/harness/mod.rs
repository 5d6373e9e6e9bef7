//! What the tests of this folder share. It decides nothing that a test is about.

pub(crate) mod config;
