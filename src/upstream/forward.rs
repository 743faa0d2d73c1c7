//! Passes calls of others on to the API of WeChat or WeCom, with an access_token that they need not know.
//!
//! Bodies pass in both directions as they come, as fast as the slower side takes them. What is
//! changed is the `access_token` in the query, and the headers that are meant for one connection
//! or tell of who asks.

mod headers;
mod query;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use reqwest::Client;
use tokio::sync::{Mutex, watch};
use tokio::time::Sleep;

use super::wechat::{WeChat, was_not_sent, why};
use crate::account::TokenApi;
use crate::credential::Secret;

/// How long WeChat may take to begin its answer, once it has the request; and how long a request
/// may rest on its way.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A call to WeChat's API as its caller made it; its body comes apart.
pub struct Call {
    /// `GET`, `POST`.
    pub method: Method,
    /// Its path at WeChat, `/cgi-bin/…`.
    pub path: String,
    /// What follows the `?`, as sent; an `access_token` in it is replaced.
    pub query: String,
    /// Its headers; those that WeChat should not see are left out.
    pub headers: HeaderMap,
}

/// Passes calls on to WeChat's API.
pub struct Forwarder {
    client: Client,
    wechat: WeChat,
}

/// The body of an answer, as it comes from WeChat.
pub type AnswerBody = BoxBody<Bytes, NoAnswer>;

/// Why there is no answer, or no whole one. It never names the URL, which holds the token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The request did not leave: name look-up, connection or TLS.
    #[error("{0}")]
    NotSent(String),
    /// The request may have been carried out.
    #[error("{0}")]
    Lost(String),
    /// Nothing happened for too long.
    #[error("no answer in time")]
    TimedOut,
}

impl Forwarder {
    /// A forwarder to the API that `wechat` speaks to. What the two need for encryption takes
    /// room, and is there once.
    pub fn beside(wechat: &WeChat) -> Self {
        Self {
            client: wechat.client(),
            wechat: wechat.clone(),
        }
    }

    /// Sends a call with `token`, which was issued by `token_api`; returns once the head of the
    /// answer is there.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send<B>(
        &self,
        call: &Call,
        token_api: TokenApi,
        token: &Secret,
        body: B,
    ) -> Result<Response<AnswerBody>, NoAnswer>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut url = self.wechat.base(token_api).clone();
        url.set_path(&call.path);
        url.set_query(Some(&query::with_token(&call.query, token)));
        let mut headers = headers::to_wechat(&call.headers);
        if call.method == Method::POST && body.is_end_stream() {
            // Some servers refuse a POST that does not say its length; hyper says only others.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let (progress, moved) = watch::channel(());
        let request = self
            .client
            .request(call.method.clone(), url)
            .headers(headers)
            .body(reqwest::Body::wrap(Sent::new(body, progress)));
        let answer = tokio::select! {
            answer = request.send() => answer.map_err(|error| NoAnswer::of(&error))?,
            () = stalls(moved) => return Err(NoAnswer::TimedOut),
        };
        let (head, body) = Response::<reqwest::Body>::from(answer).into_parts();
        let body = body.map_err(|error| NoAnswer::of(&error));
        let mut answer = Response::new(Unstalled::new(body).boxed());
        *answer.status_mut() = head.status;
        *answer.headers_mut() = headers::from_wechat(&head.headers, token);
        Ok(answer)
    }
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forwarder({:?})", self.wechat)
    }
}

impl NoAnswer {
    fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if was_not_sent(error) {
            Self::NotSent(why(error))
        } else {
            Self::Lost(why(error))
        }
    }
}

/// Returns when the body has not moved for too long or, being sent, nothing has come of it.
async fn stalls(mut moved: watch::Receiver<()>) {
    loop {
        match tokio::time::timeout(HEAD_TIMEOUT, moved.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_sent)) => return tokio::time::sleep(HEAD_TIMEOUT).await,
            Err(_stalled) => return,
        }
    }
}

/// An answer's body that ends in an error when nothing comes of it for too long.
struct Unstalled<B> {
    body: B,
    /// Counts while the body is waited for, not while its reader is slow.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> Unstalled<B> {
    const fn new(body: B) -> Self {
        Self {
            body,
            waiting: None,
        }
    }
}

impl<B: Body<Error = NoAnswer> + Unpin> Body for Unstalled<B> {
    type Data = B::Data;
    type Error = NoAnswer;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, NoAnswer>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = None;
            return Poll::Ready(frame);
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(HEAD_TIMEOUT)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(NoAnswer::TimedOut)))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// A request's body that tells how it gets on.
struct Sent<B> {
    /// Nobody ever waits for this lock: it makes `Sync` what has only one user anyway.
    body: Mutex<B>,
    /// That of the whole body.
    size: SizeHint,
    /// Dropped at the body's end.
    progress: Option<watch::Sender<()>>,
}

impl<B: Body> Sent<B> {
    fn new(body: B, progress: watch::Sender<()>) -> Self {
        Self {
            size: body.size_hint(),
            progress: (!body.is_end_stream()).then_some(progress),
            body: Mutex::new(body),
        }
    }
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(self.body.get_mut()).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                if self.body.get_mut().is_end_stream() {
                    self.progress = None;
                } else if let Some(progress) = &self.progress {
                    progress.send_replace(());
                }
            }
            Poll::Ready(_) => self.progress = None,
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }

    fn is_end_stream(&self) -> bool {
        self.progress.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_stops_coming_is_given_up() {
        struct Silent;
        impl Body for Silent {
            type Data = Bytes;
            type Error = NoAnswer;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
                Poll::Pending
            }
        }
        let mut body = Unstalled::new(Silent);
        let frame = body.frame().await.unwrap();
        assert_eq!(frame.map(drop), Err(NoAnswer::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_long_as_long_as_it_moves() {
        let (progress, moved) = watch::channel(());
        let mut stalled = tokio::spawn(stalls(moved));
        for _ in 0..100 {
            let pause = Duration::from_secs(29);
            assert!(tokio::time::timeout(pause, &mut stalled).await.is_err());
            progress.send_replace(());
        }
        drop(progress);
        let pause = Duration::from_secs(29);
        assert!(tokio::time::timeout(pause, &mut stalled).await.is_err());
        stalled.await.unwrap();
    }
}
