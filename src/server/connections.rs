//! Accepts connections and ends them in good order.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tokio::task::coop::has_budget_remaining;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::ahead::{self, Date, Head, MOST_HEAD, Next, Refusal};
use super::attended::{End, attend, let_end};
use super::batched::Batched;
use super::front::{AnswerBody, Front};
use super::listener::{Accepted, Listener};
use super::patience::{Activity, Answering, FOR_HEAD, LOOK_EVERY, Patience};
use super::seats::{Seat, Seats};
use super::watched::WatchedBody;
use super::wire::Wire;

/// The most that the headers of a request take up with HTTP/2, where few bytes can stand for many.
const MAX_HTTP2_HEAD_BYTES: u32 = 16 * 1024;

/// The most requests that run at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 100;

/// What may come of one request's body, and of all on a connection of HTTP/2, before it is read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// A connection of HTTP/2 is asked for a sign of life so often, and has as long to give it.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long requests may take to end once the server is stopping.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// When the machine is out of file descriptors, for instance, accepting again at once is of no
/// use.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What answers the requests of a connection.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn call(self: &Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer;

    /// Writes the whole answer to a request that was read ahead of hyper, and says whether it did;
    /// if not, it is asked to [`call`](Self::call).
    fn sign_ahead(&self, _: &Head<'_>, _: SocketAddr, _: &mut Date, _: &mut Vec<u8>) -> bool {
        false
    }

    /// The whole answer to what is no request; hyper's if there is none.
    fn refusal(&self, _: Refusal, _: &mut Date) -> Option<Vec<u8>> {
        None
    }
}

/// An answer that is there, or will be.
pub enum Answer {
    /// It is there: neither a task nor an allocation stands between it and the client.
    Now(Response<AnswerBody>),
    /// It will be.
    Later(Pending),
}

/// An answer that has to be waited for.
type Pending = Pin<Box<dyn Future<Output = Response<AnswerBody>> + Send>>;

impl Service for Front {
    fn call(self: &Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        self.answer(request, peer.ip())
    }

    fn sign_ahead(
        &self,
        head: &Head<'_>,
        peer: SocketAddr,
        date: &mut Date,
        out: &mut Vec<u8>,
    ) -> bool {
        Self::sign_ahead(self, head, peer.ip(), date, out)
    }

    fn refusal(&self, why: Refusal, date: &mut Date) -> Option<Vec<u8>> {
        Some(Self::refusal(self, why, date))
    }
}

/// A bare router, which reads the peer's address as an extension of the request.
impl Service for Router {
    fn call(self: &Arc<Self>, mut request: Request<Incoming>, peer: SocketAddr) -> Answer {
        request
            .extensions_mut()
            .insert(axum::extract::ConnectInfo(peer));
        let answering = Self::clone(self).oneshot(request.map(Body::new));
        Answer::Later(Box::pin(async {
            let Ok(response) = answering.await;
            response.map(http_body_util::Either::Right)
        }))
    }
}

/// Serves `listener` until `stop`; then accepts no more, lets running requests end, and cuts off
/// after 10 seconds those that do not.
pub async fn serve(listener: impl Into<Listener>, service: impl Service, stop: CancellationToken) {
    serve_seated(listener.into(), service, Seats::default(), stop).await;
}

/// The same, with as many connections at a time as there are `seats`.
pub(super) async fn serve_seated(
    listener: Listener,
    service: impl Service,
    seats: Seats,
    stop: CancellationToken,
) {
    let service = Arc::new(service);
    let mut connections = JoinSet::new();
    let mut refused = 0_u64;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            // A task that has ended keeps its memory until somebody has seen that.
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => match seats.take(accepted.peer.ip()) {
                Some(seat) => {
                    let connection = Connection::new(Arc::clone(&service), &accepted);
                    // One of its own: each signature asks it, and to ask it takes a lock.
                    connections.spawn(connection.run(accepted, seat, stop.child_token()));
                }
                None => {
                    refused += 1;
                    tell_of_refused(refused, accepted.peer);
                }
            },
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted; trying again");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!(count = connections.len(), "connections were cut off");
    }
}

/// Says it seldom: who is refused mostly comes again.
fn tell_of_refused(count: u64, peer: SocketAddr) {
    if count.is_power_of_two() {
        tracing::warn!(
            %peer,
            count,
            "connections were refused, because there are too many, in all or from one address: \
             [limits] connections and connections_per_address say how many there may be"
        );
    }
}

/// Why a connection ended early.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What the requests of a connection have in common.
struct Connection<S> {
    service: Arc<S>,
    peer: SocketAddr,
    activity: Activity,
}

impl<S: Service> Connection<S> {
    fn new(service: Arc<S>, accepted: &Accepted) -> Self {
        Self {
            service,
            peer: accepted.peer,
            activity: Activity::new(),
        }
    }

    // What waits in here, each connection has: a future that is moved into another one takes up
    // its place twice, and what is rare and large is boxed.
    async fn run(self, accepted: Accepted, seat: Seat, stop: CancellationToken) {
        let peer = self.peer;
        if let Err(error) = self.converse(accepted, &seat, &stop).await {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }

    async fn converse(
        self,
        accepted: Accepted,
        seat: &Seat,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let activity = self.activity.clone();
        let opening = async { Batched::open(Wire::open(accepted).await?, activity.clone()).await };
        let stream = tokio::select! {
            biased;
            opened = tokio::time::timeout(FOR_HEAD, opening) => opened??,
            () = stop.cancelled() => return Ok(()),
        };
        let mut patience = Patience::new(activity);
        if stream.is_http2() {
            Box::pin(self.converse_http2(stream, &mut patience, seat, stop)).await?;
        } else {
            self.converse_http1(stream, &mut patience, seat, stop)
                .await?;
        }
        Ok(())
    }

    /// What hyper asks for answers.
    fn answers(
        &self,
    ) -> impl hyper::service::HttpService<
        Incoming,
        ResBody = WatchedBody,
        Error = Infallible,
        Future = Reply,
    > {
        service_fn(|request| {
            let answer = self.service.call(request, self.peer);
            Reply::new(answer, &self.activity)
        })
    }

    /// Answers what can be answered ahead of hyper, and leaves it the other requests: one at a
    /// time where they are there as a whole, else all that follow.
    async fn converse_http1(
        self,
        mut stream: Batched,
        patience: &mut Patience,
        seat: &Seat,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let http1 = || {
            let mut http1 = http1::Builder::new();
            http1.half_close(true).max_buf_size(MOST_HEAD);
            http1
        };
        let mut date = Date::default();
        loop {
            let next = self.attend_ahead(&mut stream, &mut date, patience, seat, stop);
            let next = next.await?;
            if let Some(Next::Refuse(why)) = next
                && let Some(answer) = self.service.refusal(why, &mut date)
            {
                let end = let_end(stream.close_with(&answer), patience);
                return Ok(Box::pin(end).await.unwrap_or(Ok(()))?);
            }
            match next {
                Some(Next::One(length)) => {
                    stream.lend(length);
                    let connection =
                        http1().serve_connection(TokioIo::new(&mut stream), self.answers());
                    let end = Box::pin(attend(
                        connection,
                        http1::Connection::graceful_shutdown,
                        patience,
                        seat,
                        stop,
                    ))
                    .await?;
                    let all_read = stream.take_back();
                    if end == End::Hurried {
                        break;
                    } else if !all_read {
                        let end = let_end(stream.close_with(&[]), patience);
                        return Ok(Box::pin(end).await.unwrap_or(Ok(()))?);
                    }
                }
                Some(Next::Rest | Next::Refuse(_)) => {
                    let connection = http1().serve_connection(TokioIo::new(stream), self.answers());
                    Box::pin(attend(
                        connection,
                        http1::Connection::graceful_shutdown,
                        patience,
                        seat,
                        stop,
                    ))
                    .await?;
                    return Ok(());
                }
                Some(Next::Wait) | None => break,
            }
        }
        let end = let_end(stream.close(), patience);
        Ok(Box::pin(end).await.unwrap_or(Ok(()))?)
    }

    /// Answers ahead of hyper as long as that is possible; `None` when the connection is to end.
    async fn attend_ahead(
        &self,
        stream: &mut Batched,
        date: &mut Date,
        patience: &mut Patience,
        seat: &Seat,
        stop: &CancellationToken,
    ) -> io::Result<Option<Next>> {
        let mut stopped = pin!(stop.cancelled());
        let mut look = pin!(tokio::time::sleep(LOOK_EVERY));
        let mut are_awaited = false;
        poll_fn(|cx| {
            let mut was_read = false;
            let take = |bytes: &[u8], out: &mut Vec<u8>| {
                was_read = true;
                ahead::take(bytes, &self.activity, |head| {
                    self.service.sign_ahead(head, self.peer, date, out)
                })
            };
            if let Poll::Ready(next) = stream.poll_ahead(cx, take) {
                return Poll::Ready(next);
            }
            // Where there was something to read, nobody has to ask the two again to wake this task,
            // which is the same all along: that takes a fiftieth of a signature's time.
            if was_read && are_awaited && !stop.is_cancelled() && !look.is_elapsed() {
                return Poll::Pending;
            }
            while stopped.as_mut().poll(cx).is_pending() {
                // A task that has done its share of this turn cannot begin to wait for a timer.
                are_awaited = has_budget_remaining();
                ready!(look.as_mut().poll(cx));
                if patience.is_lost(seat.is_wanted()) {
                    break;
                }
                look.set(tokio::time::sleep(LOOK_EVERY));
            }
            Poll::Ready(Ok(None))
        })
        .await
    }

    async fn converse_http2(
        self,
        stream: Batched,
        patience: &mut Patience,
        seat: &Seat,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HTTP2_HEAD_BYTES)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .serve_connection(TokioIo::new(stream), self.answers());
        attend(
            connection,
            http2::Connection::graceful_shutdown,
            patience,
            seat,
            stop,
        )
        .await?;
        Ok(())
    }
}

/// An answer on its way to hyper.
enum Reply {
    Now(Option<Response<WatchedBody>>),
    Later(Pending, Answering),
}

impl Reply {
    fn new(answer: Answer, activity: &Activity) -> Self {
        match answer {
            Answer::Now(response) => {
                activity.answered();
                Self::Now(Some(response.map(WatchedBody::whole)))
            }
            Answer::Later(pending) => Self::Later(pending, activity.answering()),
        }
    }
}

impl Future for Reply {
    type Output = Result<Response<WatchedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(response) => Poll::Ready(Ok(response
                .take()
                .expect("no future is polled after its end"))),
            Self::Later(pending, answering) => {
                let response = ready!(pending.as_mut().poll(cx));
                Poll::Ready(Ok(
                    response.map(|body| WatchedBody::new(body, answering.activity()))
                ))
            }
        }
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

#[cfg(test)]
mod tests;
