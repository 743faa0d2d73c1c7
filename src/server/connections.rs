//! Accepts connections and ends them in good order.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::batched::Batched;
use super::{AnswerBody, Front};

/// A client that has not sent the headers of its first or its next request by then is cut off.
/// Proxies keep idle connections for 60 seconds and take it ill if they are closed before.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// The most headers of a request.
const MAX_HEADERS: usize = 64;

/// The most that a request line and its headers may take up. The longest page URL, with each byte
/// percent-encoded, is 6 KiB.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long requests may take to end once the server is stopping.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// When the machine is out of file descriptors, for instance, accepting again at once is of no
/// use.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What answers the requests of a connection.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn call(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;
}

impl Service for Front {
    async fn call(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<AnswerBody> {
        self.answer(request, peer.ip()).await
    }
}

/// A bare router, which reads the peer's address as an extension of the request.
impl Service for Router {
    async fn call(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Response<AnswerBody> {
        request
            .extensions_mut()
            .insert(axum::extract::ConnectInfo(peer));
        let Ok(response) = self.clone().oneshot(request.map(Body::new)).await;
        response.map(http_body_util::Either::Right)
    }
}

/// Serves `listener` until `stop`; then accepts no more, lets running requests end, and cuts off
/// after 10 seconds those that do not.
pub async fn serve(listener: TcpListener, service: impl Service, stop: CancellationToken) {
    let service = Arc::new(service);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, Arc::clone(&service), stop.clone());
                connections.spawn(connection);
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted; trying again");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(count = connections.len(), "connections were cut off");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    service: Arc<impl Service>,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY cannot be set");
    }
    let answers = service_fn(|request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.call(request, peer).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Batched::new(stream)), answers)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Errors of a connection that ended before it was accepted
/// (<https://man7.org/linux/man-pages/man2/accept.2.html>).
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
