//! The integration tests: one binary, a module for each promise. They run the real
//! `lakebolt`, so build it first (`cargo xtask test` does).

mod configuration;
mod coverage;
mod crash;
mod executors;
mod loads;
mod readers;
mod samples;
mod together;
