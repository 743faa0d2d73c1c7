//! Sends the answers to pipelined requests together.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// No more than about this waits to be sent; a client that does not read is read from no further.
const MOST_WAITING: usize = 64 * 1024;

/// A connection whose answers wait for each other.
///
/// The first answer after a read goes out at once, as the only one mostly is. Those behind it,
/// to requests that came in the same read, wait until there is nothing else to do: more is to be
/// read, the connection ends, or a flush finds nothing new. (hyper's own `pipeline_flush` holds
/// answers back while a single byte of a next request is there, however many they become.)
pub(super) struct Batched {
    stream: TcpStream,
    /// What waits, from `sent` on.
    waiting: Vec<u8>,
    sent: usize,
    /// The length of `waiting` at the last flush.
    seen: usize,
    /// Nothing was sent since the last read.
    fresh: bool,
}

impl Batched {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            waiting: Vec::new(),
            sent: 0,
            seen: 0,
            fresh: false,
        }
    }

    /// Sends all that waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let rest = &self.waiting[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        self.waiting.clear();
        (self.sent, self.seen) = (0, 0);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Batched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.fresh = true;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Batched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= MOST_WAITING {
            ready!(self.poll_send(cx))?;
        }
        let before = self.waiting.len();
        for slice in slices {
            let room = MOST_WAITING.saturating_sub(self.waiting.len());
            let taken = slice.len().min(room);
            self.waiting.extend_from_slice(&slice[..taken]);
        }
        Poll::Ready(Ok(self.waiting.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.fresh || self.seen == self.waiting.len() {
            self.fresh = false;
            return self.poll_send(cx);
        }
        self.seen = self.waiting.len();
        // There is to be another flush, with or without another answer.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
