//! The integration tests: one binary with a module for each guarantee. They run the real
//! `lakebolt`, which must be built first (`cargo xtask test` does that).

mod authoring;
mod chaos;
mod cluster;
mod cluster_many;
mod concurrent;
mod configuration;
mod coverage;
mod crash;
mod docs;
mod executors;
mod loads;
mod names;
mod ownership;
mod readers;
mod reading;
mod regions;
mod replay;
mod s3;
mod s3_crash;
mod s3_faults;
mod s3_refusals;
mod samples;
mod status_and_doctor;
mod target;
mod trust;
mod two_drivers;
mod undated;
