//! A connection of any kind, as bytes.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::listener::{Accepted, Raw};

/// Nobody wants a signal when a client is gone; where there is no such flag, Rust has seen to it.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// A connection of any kind.
pub(super) enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Takes what was accepted, encrypted if it is to be.
    pub(super) async fn open(accepted: Accepted) -> io::Result<Self> {
        let stream = match accepted.stream {
            Raw::Unix(stream) => return Ok(Self::Unix(stream)),
            Raw::Tcp(stream) => stream,
        };
        stream.set_nodelay(true)?;
        match accepted.tls {
            None => Ok(Self::Tcp(stream)),
            // What it needs, connections that are not encrypted need not have.
            Some(tls) => Ok(Self::Tls(Box::new(Box::pin(tls.accept(stream)).await?))),
        }
    }

    /// What of HTTP was agreed upon while encryption was, if anything.
    pub(super) fn agreed(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// Reads what is there, into `space`; nothing if there will be no more.
    pub(super) fn poll_recv<'s>(
        &mut self,
        cx: &mut Context<'_>,
        space: &'s mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<ReadBuf<'s>>> {
        if let Self::Tcp(stream) = self {
            return poll_recv(stream, cx, space);
        }
        let mut read = ReadBuf::uninit(space);
        ready!(Pin::new(self).poll_read(cx, &mut read))?;
        Poll::Ready(Ok(read))
    }
}

// Straight from the kernel: in a program of several threads the C library makes each of these
// calls a point where a thread could be cancelled, which takes 3 % of a signature's time.

fn poll_recv<'s>(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    space: &'s mut [MaybeUninit<u8>],
) -> Poll<io::Result<ReadBuf<'s>>> {
    ready!(stream.poll_read_ready(cx))?;
    let (most, mut read) = (space.len(), None);
    let tried = stream.try_io(Interest::READABLE, || {
        let (filled, _) = recv(stream, space, RecvFlags::empty())?.0;
        let is_all = (1..most).contains(&filled.len());
        read = Some(filled);
        // Who was given less than there is room for need not ask whether there is more.
        match is_all {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        }
    });
    if let Some(filled) = read {
        let count = filled.len();
        let mut read = ReadBuf::new(filled);
        read.set_filled(count);
        return Poll::Ready(Ok(read));
    }
    match tried {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Poll::Ready(Err(error)),
        // There was nothing after all. `space` cannot be lent again in this turn.
        _ => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

fn poll_send(stream: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let sent = stream.try_io(Interest::WRITABLE, || Ok(send(stream, bytes, NO_SIGNAL)?));
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => poll_send(stream, cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
