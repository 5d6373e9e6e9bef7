//! The client with its retries and timeouts. Throttled and lost requests are retried. A table
//! that hangs is noticed within seconds, well before a lease expires.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Config};

const ATTEMPTS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(2);
/// Timeout for the first byte of an answer.
const ANSWER: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(6);
/// Timeout for a call with all its retries.
const OPERATION: Duration = Duration::from_secs(15);

/// Opens a client with these retries and timeouts. Everything else comes from `config`.
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
