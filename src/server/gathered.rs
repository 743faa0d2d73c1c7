//! The body of a request, in pieces of some size.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A piece that is no smaller is passed on as it came.
const ENOUGH: usize = 4 * 1024;

/// A body whose small pieces are put together.
///
/// hyper reads into buffers of 8 KiB and hands out parts of them, which keep the whole: who sends
/// a body byte by byte would have thousands of bytes kept for each.
pub(super) struct GatheredBody<B> {
    body: B,
    held: Vec<u8>,
}

impl<B> GatheredBody<B> {
    pub(super) const fn new(body: B) -> Self {
        let held = Vec::new();
        Self { body, held }
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
            // Trailers are nothing that anybody here asks for.
            let data = match ready!(Pin::new(&mut this.body).poll_frame(cx)?) {
                Some(frame) => frame.into_data().unwrap_or_default(),
                None if this.held.is_empty() => return Poll::Ready(None),
                None => {
                    return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut this.held).into()))));
                }
            };
            if this.held.is_empty() && data.len() >= ENOUGH {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            this.held.extend_from_slice(&data);
            if this.held.len() >= ENOUGH {
                return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut this.held).into()))));
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

    #[tokio::test]
    async fn small_pieces_are_put_together_and_large_ones_are_left() {
        assert_eq!(lengths(&[]).await, [0; 0]);
        assert_eq!(lengths(&[1; 9000]).await, [4096, 4096, 808]);
        assert_eq!(lengths(&[8000, 0, 5000]).await, [8000, 5000]);
        assert_eq!(lengths(&[10, 8000, 10]).await, [8010, 10]);
    }
}
