//! Answers in the format of each service, complete and truncated.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Response, StatusCode};

/// The error that ends a connection on purpose.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy ends the connection, as the test requested")
    }
}

impl std::error::Error for Broken {}

/// A body that may end before its announced length.
#[derive(Debug)]
pub(crate) struct FaultyBody {
    rest: Option<Bytes>,
    /// Bytes that are announced but never sent.
    missing: u64,
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.rest.take() {
            Some(bytes) if self.missing > 0 => {
                // The bytes so far must be sent before the connection ends.
                context.waker().wake_by_ref();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.missing > 0 => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.missing == 0
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(rest as u64 + self.missing)
    }
}

pub(crate) fn whole(answer: Response<Bytes>) -> Response<FaultyBody> {
    answer.map(|body| FaultyBody {
        rest: Some(body).filter(|body| !body.is_empty()),
        missing: 0,
    })
}

/// The head of the answer and the first half of its body.
pub(crate) fn truncated(answer: Response<Bytes>) -> Response<FaultyBody> {
    answer.map(|body| {
        let half = body.len() / 2;
        FaultyBody {
            rest: Some(body.slice(..half)),
            missing: (body.len() - half) as u64,
        }
    })
}

pub(crate) fn internal_error(is_dynamo: bool) -> Response<FaultyBody> {
    let code = match is_dynamo {
        true => "InternalServerError",
        false => "InternalError",
    };
    let message = "We encountered an internal error. Please try again.";
    refused(is_dynamo, 500, code, message)
}

pub(crate) fn slow_down(is_dynamo: bool) -> Response<FaultyBody> {
    match is_dynamo {
        true => {
            let message = "Throughput exceeds the current capacity of your table.";
            refused(true, 400, "ThrottlingException", message)
        }
        false => refused(false, 503, "SlowDown", "Please reduce your request rate."),
    }
}

/// An error in the format of its service.
pub(crate) fn refused(
    is_dynamo: bool,
    status: u16,
    code: &str,
    message: &str,
) -> Response<FaultyBody> {
    let (kind, body) = match is_dynamo {
        true => (
            "application/x-amz-json-1.0",
            format!(
                "{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"{message}\"}}"
            ),
        ),
        false => (
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                 <Message>{message}</Message><RequestId>0123456789ABCDEF</RequestId></Error>"
            ),
        ),
    };
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = answer.headers_mut();
    headers.insert(
        "content-type",
        hyper::header::HeaderValue::from_static(kind),
    );
    whole(answer)
}
