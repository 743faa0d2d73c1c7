//! The body of a request, in pieces of some size.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// A piece that is no smaller is passed on as it came.
const ENOUGH: usize = 4 * 1024;

/// No piece is held for longer while no other comes, for whoever waits may give up.
const LONGEST_HELD: Duration = Duration::from_secs(1);

/// A body whose small pieces are put together.
///
/// hyper reads into buffers of 8 KiB and hands out parts of them, which keep the whole: who sends
/// a body byte by byte would have thousands of bytes kept for each.
pub(super) struct GatheredBody<B> {
    body: B,
    held: Vec<u8>,
    /// Ends the waiting of what is held, where it has to wait.
    held_for: Option<Pin<Box<Sleep>>>,
}

impl<B> GatheredBody<B> {
    pub(super) const fn new(body: B) -> Self {
        Self {
            body,
            held: Vec::new(),
            held_for: None,
        }
    }

    /// Waits until something has been held for long enough.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.held.is_empty() {
            return Poll::Pending;
        }
        let held_for = self
            .held_for
            .get_or_insert_with(|| Box::pin(sleep(LONGEST_HELD)));
        held_for.as_mut().poll(cx)
    }

    fn hand_out(&mut self) -> Frame<Bytes> {
        self.held_for = None;
        Frame::data(mem::take(&mut self.held).into())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for GatheredBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx)? else {
                ready!(this.poll_held(cx));
                return Poll::Ready(Some(Ok(this.hand_out())));
            };
            // Trailers are nothing that anybody here asks for.
            let data = match frame {
                Some(frame) => frame.into_data().unwrap_or_default(),
                None if this.held.is_empty() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Ok(this.hand_out()))),
            };
            if this.held.is_empty() && data.len() >= ENOUGH {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            this.held.extend_from_slice(&data);
            // What is the last need not wait until that is said.
            let is_last = !this.held.is_empty() && this.body.is_end_stream();
            if this.held.len() >= ENOUGH || is_last {
                return Poll::Ready(Some(Ok(this.hand_out())));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, held) = (self.body.size_hint(), self.held.len() as u64);
        let mut all = SizeHint::new();
        all.set_lower(hint.lower() + held);
        if let Some(upper) = hint.upper() {
            all.set_upper(upper + held);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http_body_util::BodyExt;

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
        }
    }

    /// The lengths of the pieces in which a body of such pieces comes, and that it stays the same.
    async fn lengths(pieces: &[usize]) -> Vec<usize> {
        let whole: Vec<u8> = (0..=u8::MAX).cycle().take(pieces.iter().sum()).collect();
        let mut rest = Bytes::from(whole.clone());
        let pieces = pieces.iter().map(|length| rest.split_to(*length)).collect();
        let mut body = GatheredBody::new(Pieces(pieces));
        let (mut lengths, mut said) = (Vec::new(), Vec::new());
        loop {
            let left = (whole.len() - said.len()) as u64;
            assert_eq!(body.size_hint().exact(), Some(left));
            let Some(frame) = body.frame().await else {
                break;
            };
            let data = frame.unwrap().into_data().unwrap();
            lengths.push(data.len());
            said.extend_from_slice(&data);
        }
        assert_eq!(said, whole);
        lengths
    }

    /// A body that comes byte by byte, with a pause before each.
    struct Trickle(Pin<Box<Sleep>>);

    const PAUSE: Duration = Duration::from_secs(20);

    impl Body for Trickle {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            ready!(self.0.as_mut().poll(cx));
            self.0 = Box::pin(sleep(PAUSE));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_slowly_is_not_held_for_long() {
        let mut body = GatheredBody::new(Trickle(Box::pin(sleep(PAUSE))));
        for _ in 0..10 {
            let frame = tokio::time::timeout(PAUSE + 2 * LONGEST_HELD, body.frame()).await;
            let frame = frame.expect("what has come").unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "a");
        }
    }

    #[tokio::test]
    async fn small_pieces_are_put_together_and_large_ones_are_left() {
        assert_eq!(lengths(&[]).await, [0; 0]);
        assert_eq!(lengths(&[1; 9000]).await, [4096, 4096, 808]);
        assert_eq!(lengths(&[8000, 0, 5000]).await, [8000, 5000]);
        assert_eq!(lengths(&[10, 8000, 10]).await, [8010, 10]);
    }
}
