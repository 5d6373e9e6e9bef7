use std::time::Duration;

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::http::send;

/// A server that answers `echo` to every request and counts the requests.
fn upstream() -> (String, Arc<Mutex<u64>>) {
    let served = Arc::new(Mutex::new(0));
    let counter = served.clone();
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    RUNTIME.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            *counter.lock().unwrap() += 1;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\necho";
            let _ = stream.write_all(answer).await;
        }
    });
    (url, served)
}

fn get(proxy: &FaultProxy) -> anyhow::Result<crate::http::Reply> {
    send(Method::GET, &format!("{}/b/k", proxy.url()), &[], "")
}

#[test]
fn without_faults_requests_are_forwarded() {
    let (url, served) = upstream();
    let proxy = FaultProxy::start(&url).unwrap();
    assert_eq!(get(&proxy).unwrap().text(), "echo");
    assert_eq!(*served.lock().unwrap(), 1);
    assert_eq!(proxy.requests("GetObject"), 1);
    assert!(proxy.injected().is_empty());
}

#[test]
fn each_fault_reaches_the_client_and_only_some_requests_reach_upstream() {
    let cases = [
        (Fault::InternalError, Some(500), 0),
        (Fault::SlowDown, Some(503), 0),
        (Fault::Refused(403, "AccessDenied", "no"), Some(403), 0),
        (Fault::Reset, None, 0),
        (Fault::Lost, None, 1),
        (Fault::Truncated, None, 1),
        (Fault::Slow(Duration::from_millis(1)), Some(200), 1),
    ];
    for (fault, status, reaches) in cases {
        let (url, served) = upstream();
        let proxy = FaultProxy::start(&url).unwrap();
        proxy.add_script(ScriptedFault::always("GetObject", fault.clone()));
        let answer = get(&proxy).ok().map(|reply| reply.status.as_u16());
        assert_eq!(answer, status, "{fault:?}");
        assert_eq!(*served.lock().unwrap(), reaches, "{fault:?}");
        proxy.clear_faults();
        assert_eq!(get(&proxy).unwrap().text(), "echo", "after {fault:?}");
    }
}

#[test]
fn errors_have_the_format_of_their_service() {
    let (url, _) = upstream();
    let proxy = FaultProxy::start(&url).unwrap();
    proxy.add_script(ScriptedFault::always("", Fault::SlowDown));
    let s3 = get(&proxy).unwrap().text();
    assert!(s3.contains("<Code>SlowDown</Code>"), "{s3}");
    let target = [("x-amz-target", "DynamoDB_20120810.GetItem")];
    let dynamo = send(Method::POST, proxy.url(), &target, "{}").unwrap();
    assert!(dynamo.text().contains("#ThrottlingException"));
    assert_eq!(dynamo.status, 400);
}
