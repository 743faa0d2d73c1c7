//! Reads the beginning of a body, and the whole of it if it is small.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

/// A body of which nothing has come for so long is given up. (A request's comes gathered, small
/// pieces a second late: see [`GatheredBody`](crate::server::gathered::GatheredBody).)
const STALLED: Duration = Duration::from_secs(30);

/// The beginning of a body is waited for so long in all.
const BEGINNING: Duration = Duration::from_secs(60);

/// A body of which the beginning has been read.
pub(super) enum Start<B> {
    /// That was all of it.
    Whole(Bytes),
    /// There is more.
    Part(Rejoined<B>),
}

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum Broken<E> {
    Stalled,
    Ended(E),
}

/// Reads a body of up to `limit` bytes, or about as much of a longer one.
pub(super) async fn read<B>(body: B, limit: usize) -> Result<Start<B>, Broken<B::Error>>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let beginning = tokio::time::timeout(BEGINNING, begin(body, limit)).await;
    beginning.unwrap_or(Err(Broken::Stalled))
}

async fn begin<B>(mut body: B, limit: usize) -> Result<Start<B>, Broken<B::Error>>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut first = Vec::new();
    while first.len() + size(body.size_hint().lower()) <= limit {
        let frame = tokio::time::timeout(STALLED, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Broken::Stalled)? else {
            return Ok(Start::Whole(first.into()));
        };
        // Trailers belong to one connection alone.
        if let Ok(data) = frame.map_err(Broken::Ended)?.into_data() {
            first.extend_from_slice(&data);
        }
    }
    let first = first.into();
    Ok(Start::Part(Rejoined { first, rest: body }))
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX / 2)
}

impl<B> Start<B>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn into_body(self) -> Body {
        match self {
            Self::Whole(bytes) => Body::from(bytes),
            Self::Part(body) => Body::new(body),
        }
    }
}

/// What was read of a body, and the rest as it comes.
pub(super) struct Rejoined<B> {
    first: Bytes,
    rest: B,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Rejoined<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.first.is_empty() {
            Pin::new(&mut self.rest).poll_frame(cx)
        } else {
            let first = std::mem::take(&mut self.first);
            Poll::Ready(Some(Ok(Frame::data(first))))
        }
    }

    fn size_hint(&self) -> SizeHint {
        let (first, rest) = (self.first.len() as u64, self.rest.size_hint());
        let mut whole = SizeHint::new();
        whole.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(first)) {
            whole.set_upper(upper);
        }
        whole
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;

    use super::*;

    /// A body in chunks that does not say how many there are.
    struct Chunks(&'static [&'static str]);

    impl HttpBody for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let first = self.0.split_off_first();
            Poll::Ready(first.map(|chunk| Ok(Frame::data(Bytes::from_static(chunk.as_bytes())))))
        }
    }

    #[tokio::test]
    async fn a_small_body_is_read_whole_and_of_a_large_one_nothing_is_lost() {
        for (limit, whole) in [(6, true), (5, false), (2, false), (0, false)] {
            let start = read(Chunks(&["ab", "cd", "ef"]), limit).await.unwrap();
            assert_eq!(matches!(start, Start::Whole(_)), whole, "{limit}");
            let all = start.into_body().collect().await.unwrap();
            assert_eq!(all.to_bytes(), "abcdef", "{limit}");
        }
    }

    #[tokio::test]
    async fn a_body_that_says_that_it_is_large_is_not_waited_for() {
        let body = || Full::new(Bytes::from_static(b"abcdef"));
        let start = read(body(), 5).await.unwrap();
        let Start::Part(part) = start else {
            panic!("it is too large");
        };
        assert!(part.first.is_empty());
        assert_eq!(part.size_hint().exact(), Some(6));
        let start = read(body(), 6).await.unwrap();
        assert!(matches!(start, Start::Whole(bytes) if bytes == "abcdef"));
    }
}
