//! A DynamoDB that throttles, hangs, loses answers or refuses requests.

use std::time::Duration;

use super::*;
use crate::load::failure::{Failure, Kind};
use crate::publish::lease::LeaseClient;
use crate::status::dynamodb::testing::{Fault, Proxy, config, impatient, without_credentials};
use crate::status::state::Transition;

const THROTTLED: Fault = Fault::Says {
    status: 400,
    code: "ProvisionedThroughputExceededException",
    message: "The level of configured provisioned throughput for the table was exceeded.",
};

/// A store behind a proxy. It gives up after the second failure.
async fn behind_a_proxy() -> (Proxy, DynamoDb) {
    let server = Server::start().await;
    server.new_store().await;
    let proxy = Proxy::in_front_of(&server).await;
    let client = Client::from_conf(impatient(&proxy.url));
    (
        proxy,
        DynamoDb::with_client("test-0", client).expect("a prefix"),
    )
}

#[tokio::test]
async fn throttled_requests_are_retried() {
    let server = Server::start().await;
    server.new_store().await;
    let proxy = Proxy::in_front_of(&server).await;
    let client = Client::from_conf(config(&proxy.url));
    let store = DynamoDb::with_client("test-0", client).expect("a prefix");
    proxy.next(2, "DescribeTable", &THROTTLED);
    proxy.next(3, "PutItem", &THROTTLED);
    store.put(&january(), &Expected::Absent).await.expect("put");
    let broken = Fault::Says {
        status: 500,
        code: "InternalServerError",
        message: "The request could not be processed",
    };
    proxy.next(2, "Query", &broken);
    let found = store.periods(&january().dataset).await.expect("periods");
    assert_eq!(found, [january()]);
    assert!(proxy.is_clear());
}

#[tokio::test]
async fn a_permanently_throttled_table_is_unreachable() {
    let (proxy, store) = behind_a_proxy().await;
    for code in [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    ] {
        let fault = Fault::Says {
            status: 400,
            code,
            message: "Too much",
        };
        proxy.next(2, "PutItem", &fault);
        let error = store.put(&january(), &Expected::Absent).await;
        let error = error.expect_err("throttled");
        assert!(error.retryable(), "{error:?}");
        let failure = Failure::from(error);
        assert!(
            failure.message.ends_with(&format!("{code}: Too much")),
            "{failure}"
        );
        assert_eq!(failure.kind, Kind::Dependency);
    }
    store.put(&january(), &Expected::Absent).await.expect("put");
}

/// The retry conflicts with the write that it repeats. The caller gets its own item back.
#[tokio::test]
async fn a_lost_answer_becomes_a_conflict_with_the_own_item() {
    let (proxy, store) = behind_a_proxy().await;
    let record = january();
    for (next, expected) in [
        (record.clone(), Expected::Absent),
        (record.revised(), record.expected()),
    ] {
        proxy.next(1, "PutItem", &Fault::LosesAnswer);
        match store.put(&next, &expected).await {
            Err(StatusError::Conflict {
                current: Some(current),
            }) => assert_eq!(*current, next),
            answer => panic!("{answer:?}"),
        }
    }
    proxy.next(1, "PutItem", &Fault::LosesAnswer);
    let load = load("l", "2024-02-01T00:00:00Z");
    store.put_load(&load).await.expect("put twice");
    assert_eq!(store.loads(9).await.expect("loads"), [load]);
}

/// The lease client recognizes its own item in such conflicts.
#[tokio::test]
async fn an_owner_keeps_its_lease_when_answers_are_lost() {
    let (proxy, store) = behind_a_proxy().await;
    let status = Arc::new(store);
    let lease_client = LeaseClient {
        status: status.clone(),
        clock: || "2024-03-20T12:00:00Z".parse().expect("a moment"),
        owner: "me".to_owned(),
        load_id: "load".to_owned(),
        duration: Duration::from_secs(60),
        wait: Duration::ZERO,
    };
    proxy.next(1, "PutItem", &Fault::LosesAnswer);
    let lease = lease_client.acquire(&january()).await.expect("acquired");
    proxy.next(1, "PutItem", &Fault::LosesAnswer);
    lease.next_attempt("again").await.expect("another");
    proxy.next(1, "PutItem", &Fault::LosesAnswer);
    lease
        .step(Transition::Written, |_| {})
        .await
        .expect("stepped");
    proxy.next(1, "PutItem", &Fault::LosesAnswer);
    lease.release(|_| {}).await.expect("released");
    assert!(proxy.is_clear());
    let found = status.get(&january().dataset, january().period).await;
    let found = found.expect("get").expect("an item");
    assert_eq!(
        (found.revision, found.attempt, found.lease_owner),
        (4, 2, None)
    );
}

#[tokio::test]
async fn a_store_that_hangs_is_unreachable_within_seconds() {
    let server = Server::start().await;
    server.new_store().await;
    let proxy = Proxy::in_front_of(&server).await;
    let patience = impatient(&proxy.url).timeout_config().cloned();
    let patience = patience.expect("timeouts").into_builder();
    let patience = patience.read_timeout(Duration::from_millis(50));
    let config = impatient(&proxy.url).to_builder();
    let client = Client::from_conf(config.timeout_config(patience.build()).build());
    let store = DynamoDb::with_client("test-0", client).expect("a prefix");
    store.datasets().await.expect("reachable");
    proxy.next(2, "GetItem", &Fault::Hangs);
    let error = store
        .get("d", month("2024-01"))
        .await
        .expect_err("no answer");
    assert!(error.retryable(), "{error:?}");
    let line = Failure::from(error).message;
    assert!(line.contains("region eu-central-1"), "{line}");
    store
        .get("d", month("2024-01"))
        .await
        .expect("answers again");
}

#[tokio::test]
async fn a_refusal_is_one_line_with_a_remedy() {
    let (proxy, store) = behind_a_proxy().await;
    store.datasets().await.expect("reachable");
    for (code, message, line, remedy) in [
        (
            "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/x is not authorized to perform: …",
            "denies dynamodb:GetItem on table test-0-run-status",
            "allow this role dynamodb:GetItem",
        ),
        (
            "InvalidSignatureException",
            "Signature expired: 20240101T000000Z is now earlier than 20240101T000500Z",
            "this machine's clock is wrong",
            "set this machine's clock",
        ),
        (
            "RequestExpired",
            "Request has expired.",
            "clock is wrong",
            "clock",
        ),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "needs valid AWS credentials: The security token",
            "AWS_PROFILE",
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "credentials: The security token",
            "log in again",
        ),
        (
            "ValidationException",
            "The provided key element does not match the schema",
            "rejected GetItem on table test-0-run-status: ValidationException: The provided",
            "see the message",
        ),
    ] {
        let fault = Fault::Says {
            status: 400,
            code,
            message,
        };
        proxy.next(1, "GetItem", &fault);
        let error = store.get("d", month("2024-01")).await.expect_err(code);
        assert!(!error.retryable(), "{error:?}");
        let failure = Failure::from(error);
        assert!(failure.message.contains(line), "{failure}");
        assert!(failure.remedy.contains(remedy), "{}", failure.remedy);
        assert_eq!(failure.kind, Kind::Dependency, "{code}");
    }
}

#[tokio::test]
async fn missing_credentials_region_or_server_are_reported() {
    let none = without_credentials();
    let store = DynamoDb::with_client("x", Client::from_conf(none)).expect("a prefix");
    let error = store.datasets().await.expect_err("no credentials");
    assert!(
        matches!(error, StatusError::NoCredentials { .. }),
        "{error:?}"
    );
    let nowhere = config("http://127.0.0.1:9")
        .to_builder()
        .region(None)
        .build();
    let store = DynamoDb::with_client("x", Client::from_conf(nowhere)).expect("a prefix");
    let error = store.datasets().await.expect_err("no region");
    assert_eq!(Failure::from(error).kind, Kind::Usage);
    let client = Client::from_conf(impatient("http://127.0.0.1:9"));
    let store = DynamoDb::with_client("x", client).expect("a prefix");
    let error = store.datasets().await.expect_err("no server listens");
    assert!(error.retryable(), "{error:?}");
    let line = Failure::from(error).message;
    assert!(line.contains("refused"), "{line}");
}
