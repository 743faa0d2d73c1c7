//! WeChat's API over HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;

use super::endpoint::MEDIA_UPLOAD;
use super::{Effect, Reply, Request, Simulator};

/// How long a connection hangs before it ends all the same: longer than any client waits.
const HANG: Duration = Duration::from_secs(600);

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The largest upload that is taken.
const MAX_UPLOAD_BYTES: usize = 32 * 1024 * 1024;

/// How much of an upload is kept.
const KEPT_UPLOAD_BYTES: usize = 1024;

/// WeChat's paths, faults included; what WeChat does not know is answered with 404.
///
/// The address of the caller is taken from [`ConnectInfo`], where the server provides it.
pub fn wechat_router(simulator: Simulator) -> Router {
    Router::new().fallback(serve).with_state(simulator)
}

async fn serve(State(simulator): State<Simulator>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let body = match head.uri.path() {
        MEDIA_UPLOAD => beginning_of(body).await,
        _ => to_bytes(body, MAX_BODY_BYTES).await.ok(),
    };
    let Some(body) = body else {
        return status_only(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let client_ip = head
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| {
            peer.0.ip().to_canonical()
        });
    let reply = simulator.call(&Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        body: &body,
        client_ip,
    });
    simulator.clock.sleep(reply.delay).await;
    if reply.effect == Effect::Hang {
        simulator.clock.sleep(HANG).await;
    }
    response(reply)
}

/// Reads an upload to its end, but keeps only its beginning; `None` if it is too large.
async fn beginning_of(mut body: Body) -> Option<Bytes> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        read += data.len();
        let room = KEPT_UPLOAD_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if read > MAX_UPLOAD_BYTES {
            return None;
        }
    }
    Some(kept.into())
}

fn response(reply: Reply) -> Response {
    let whole = reply.body.len();
    let cut = match reply.effect {
        Effect::Answer => None,
        Effect::CutOff { after } => Some(Cut::Bytes(reply.body[..after].to_vec().into())),
        Effect::Reset | Effect::Hang | Effect::Unreachable => Some(Cut::End),
    };
    let mut response = status_only(StatusCode::from_u16(reply.status).unwrap_or_default());
    if let Ok(content_type) = HeaderValue::from_str(&reply.content_type)
        && !content_type.is_empty()
    {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    if let Some(cut) = cut {
        // More is promised than will come.
        let promised = HeaderValue::from(whole.max(1));
        response.headers_mut().insert(CONTENT_LENGTH, promised);
        *response.body_mut() = Body::new(cut);
    } else {
        *response.body_mut() = Body::from(reply.body);
    }
    response
}

fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A body that ends in an error, whereupon the server ends the connection.
enum Cut {
    Bytes(Bytes),
    /// The server writes what it has before it hears of the error.
    Flush,
    End,
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match std::mem::replace(&mut *self, Self::End) {
            Self::Bytes(bytes) => {
                *self = Self::Flush;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Flush => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::End => Poll::Ready(Some(Err(io::Error::other(
                "the simulator cuts the connection",
            )))),
        }
    }
}
