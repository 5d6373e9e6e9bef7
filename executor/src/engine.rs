//! The settings and the codec that all our Ballista processes share. Plans can only be decoded
//! if they are the same in every process.

use std::sync::Arc;

use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_JOB_NAME,
    BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
};
use ballista_core::extension::{SessionConfigExt, SessionConfigHelperExt};
use ballista_core::serde::BallistaPhysicalExtensionCodec;
use ballista_core::serde::protobuf::KeyValuePair;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use plans::codec::Codec;
use plans::session;

/// Maximum size of a message. Plans are smaller, because they contain no paths of objects.
pub const MESSAGE_BYTES: usize = 64 << 20;

/// Returns the codec for our nodes and Ballista's.
pub fn codec() -> Arc<dyn PhysicalExtensionCodec> {
    Arc::new(Codec::new(Arc::new(
        BallistaPhysicalExtensionCodec::default(),
    )))
}

/// Returns our session configuration with Ballista's settings: the static planner, and one
/// split for each task.
pub fn session_config() -> SessionConfig {
    session::config()
        .upgrade_for_ballista()
        .update_from_key_value_pair(&settings(""))
}

/// Returns the same settings for a job.
pub fn settings(job_name: &str) -> Vec<KeyValuePair> {
    let pair = |key: &str, value: &str| KeyValuePair {
        key: key.to_owned(),
        value: Some(value.to_owned()),
    };
    let mut settings = vec![
        pair(BALLISTA_ADAPTIVE_PLANNER_ENABLED, "false"),
        pair(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1"),
    ];
    if !job_name.is_empty() {
        settings.push(pair(BALLISTA_JOB_NAME, job_name));
    }
    settings
}
