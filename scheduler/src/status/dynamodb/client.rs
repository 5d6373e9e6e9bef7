//! The client and its patience: what is throttled or lost is tried again, and a table that
//! hangs is noticed within seconds, well before a lease ends.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Config};

const ATTEMPTS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(2);
/// Until the first byte of an answer.
const ANSWER: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(6);
/// With all its attempts.
const OPERATION: Duration = Duration::from_secs(15);

/// A client with our retries and timeouts, for whatever else `config` says.
pub(super) fn open(config: Builder) -> Client {
    Client::from_conf(patient(config))
}

pub(super) fn patient(config: Builder) -> Config {
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_PAUSE)
        .with_max_backoff(LONGEST_PAUSE);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(ANSWER)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    config
        .retry_config(retries)
        .timeout_config(timeouts)
        .build()
}
