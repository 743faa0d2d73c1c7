//! The body of an answer, for which the server or the client is waited.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::front::AnswerBody;
use super::patience::{Activity, Answering};

/// A body that tells its connection whom it waits for. While it has nothing to give, that is the
/// server; otherwise the client, who is to take what there is.
pub(super) struct WatchedBody {
    body: AnswerBody,
    /// Nothing for a body that is there as a whole.
    activity: Option<Activity>,
    waiting: Option<Answering>,
}

impl WatchedBody {
    pub(super) const fn whole(body: AnswerBody) -> Self {
        Self {
            body,
            activity: None,
            waiting: None,
        }
    }

    pub(super) fn new(body: AnswerBody, activity: &Activity) -> Self {
        Self {
            activity: Some(activity.clone()),
            ..Self::whole(body)
        }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = <AnswerBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(activity) = &this.activity else {
            return Pin::new(&mut this.body).poll_frame(cx);
        };
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            this.waiting.get_or_insert_with(|| activity.answering());
            return Poll::Pending;
        };
        this.waiting = None;
        activity.sent();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Either};
    use tokio::sync::mpsc;

    use super::super::patience::Patience;
    use super::*;

    /// A body whose pieces are sent by a test.
    struct Pieces(mpsc::Receiver<&'static str>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let piece = self.0.poll_recv(cx);
            piece.map(|piece| Some(Ok(Frame::data(Bytes::from_static(piece?.as_bytes())))))
        }
    }

    #[tokio::test]
    async fn a_body_that_pauses_is_no_client_that_does_nothing() {
        let (sender, pieces) = mpsc::channel(8);
        let activity = Activity::new();
        activity.answered();
        let body = Either::Right(axum::body::Body::new(Pieces(pieces)));
        let mut body = WatchedBody::new(body, &activity);
        let mut patience = Patience::new(activity.clone());
        let mut loses_patience = || (0..100).any(|_| patience.is_lost(true));

        let next = tokio::time::timeout(std::time::Duration::ZERO, body.frame()).await;
        assert!(
            next.is_err() && !loses_patience(),
            "the server is waited for"
        );
        sender.send("piece").await.unwrap();
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece, "piece");
        assert!(
            loses_patience(),
            "the client does not ask for the next piece"
        );
    }
}
