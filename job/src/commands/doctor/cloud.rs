//! Checks of AWS: the region, the identity, and the endpoint of a bucket.

use plans::storage::aws::IdentityError;
use plans::storage::s3::Bucket;
use plans::storage::{StoreFailure, aws};

use super::report::Verdict;

pub(super) async fn region() -> Verdict {
    let config = aws::config().await;
    let endpoint = match config.endpoint_url() {
        Some(endpoint) => format!("; requests to every service go to {endpoint}"),
        None => String::new(),
    };
    match config.region() {
        Some(region) => Verdict::ok(format!("{region}{endpoint}")),
        None => Verdict::warning(
            format!("none is set{endpoint}"),
            "set AWS_REGION, or `region` in the profile; DynamoDB needs it",
        ),
    }
}

pub(super) async fn identity() -> Verdict {
    match aws::identity().await {
        Ok(arn) => Verdict::ok(arn),
        Err(error) => match error {
            // STS may be unreachable although S3 and DynamoDB are not, as behind VPC endpoints.
            IdentityError::Unreachable(_) => Verdict::warning(error.to_string(), error.remedy()),
            _ => Verdict::fail(error.to_string(), error.remedy()),
        },
    }
}

/// Region and endpoint of a bucket, as this process sees it.
pub(super) async fn endpoint(bucket: &str) -> Verdict {
    let remedy =
        |failure: &StoreFailure| failure.cause.remedy().unwrap_or("check the bucket's name");
    let bucket = match Bucket::locate(bucket, None) {
        Ok((bucket, _)) => bucket,
        Err(error) => return Verdict::fail(error.to_string(), "check the bucket's name"),
    };
    match bucket.endpoint().await.map_err(StoreFailure::from) {
        Ok(endpoint) => Verdict::ok(endpoint),
        Err(failure) => Verdict::fail(failure.to_string(), remedy(&failure)),
    }
}
