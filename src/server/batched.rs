//! Reads requests and sends the answers to pipelined ones together.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::ahead::{self, MOST_HEAD, Next, Refusal};
use super::patience::Activity;
use super::wire::Wire;

/// While so much waits to be sent, hyper's answers are taken no more. Those that are written ahead
/// of hyper are sent before more is read, and can be more: all that one read asks for.
const MOST_WAITING: usize = 64 * 1024;

/// A connection that has nothing to send keeps no more than this for the next time.
const MOST_KEPT: usize = 2 * 1024;

/// So much is read at once ahead of hyper: dozens of requests for signatures, should they come
/// together. It is on the stack, so that who only waits keeps nothing.
pub(super) const READ_AT_ONCE: usize = 8 * 1024;

/// After so many reads others have their turn, whatever there is still to be read.
const READS_AT_A_TURN: usize = 8;

/// What a client of HTTP/2 says first (<https://www.rfc-editor.org/rfc/rfc9113#section-3.4>).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose answers wait for each other.
///
/// The first answer after a read goes out at once, as the only one mostly is. Those behind it,
/// to requests that came in the same read, wait until there is nothing else to do: more is to be
/// read, the connection ends, or a flush finds nothing new. (hyper's own `pipeline_flush` holds
/// answers back while a single byte of a next request is there, however many they become.)
///
/// With HTTP/2, which gathers its frames by itself and has something to say also when nobody asks
/// for anything, it only passes on.
pub(super) struct Batched {
    wire: Wire,
    activity: Activity,
    is_http2: bool,
    /// What was read ahead, for hyper from `replayed` on.
    ahead: Vec<u8>,
    /// So much has hyper read, with what was not read ahead of all that it was lent.
    replayed: usize,
    /// So much of it holds no whole request.
    looked: usize,
    /// What hyper may read, if that is not all.
    lent: Option<usize>,
    /// What waits, from `sent` on.
    waiting: Vec<u8>,
    sent: usize,
    /// The length of `waiting` at the last flush.
    seen: usize,
    /// Nothing was sent since the last read.
    fresh: bool,
}

impl Batched {
    /// Waits for the first bytes, and learns from them which HTTP is spoken.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn open(mut wire: Wire, activity: Activity) -> io::Result<Self> {
        let mut ahead = Vec::new();
        let mut is_http2 = wire.agreed() == Some(b"h2");
        if !is_http2 {
            is_http2 = loop {
                let before = ahead.len();
                // A buffer that lived across the waiting would be part of what waits.
                poll_fn(|cx| {
                    let mut space = [MaybeUninit::uninit(); READ_AT_ONCE];
                    let read = ready!(wire.poll_recv(cx, &mut space))?;
                    ahead.extend_from_slice(read.filled());
                    Poll::Ready(io::Result::Ok(()))
                })
                .await?;
                let known = ahead.len().min(HTTP2_PREFACE.len());
                if ahead[..known] != HTTP2_PREFACE[..known] || ahead.len() == before {
                    break false;
                } else if known == HTTP2_PREFACE.len() {
                    break true;
                }
            };
        }
        Ok(Self {
            wire,
            activity,
            is_http2,
            ahead,
            replayed: 0,
            looked: 0,
            lent: None,
            waiting: Vec::new(),
            sent: 0,
            seen: 0,
            fresh: false,
        })
    }

    pub(super) const fn is_http2(&self) -> bool {
        self.is_http2
    }

    /// Sends all that waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let rest = &self.waiting[self.sent..];
            match ready!(Pin::new(&mut self.wire).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
            self.activity.sent();
        }
        self.waiting.clear();
        if self.waiting.capacity() > MOST_KEPT {
            self.waiting = Vec::new();
        }
        (self.sent, self.seen) = (0, 0);
        // Encryption keeps something back until it is told not to.
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    /// What was read ahead, if it was not passed on yet.
    fn replay(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let end = self.lent.unwrap_or(self.ahead.len());
        let there = end.min(self.ahead.len());
        let rest = self.ahead.get(self.replayed..there).unwrap_or_default();
        if rest.is_empty() {
            return self.lent == Some(self.replayed);
        }
        let count = rest.len().min(into.remaining());
        into.put_slice(&rest[..count]);
        self.replayed += count;
        if self.replayed == self.ahead.len() && self.lent.is_none() {
            (self.ahead, self.replayed) = (Vec::new(), 0);
        }
        true
    }

    /// Has `take` look at what comes in, which says how many bytes it took and what is to be done
    /// next, until that is something else than to wait; `None` when the client has said all.
    pub(super) fn poll_ahead(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&[u8], &mut Vec<u8>) -> (usize, Next),
    ) -> Poll<io::Result<Option<Next>>> {
        for _ in 0..READS_AT_A_TURN {
            let is_new = self.looked == 0 && !self.ahead.is_empty();
            if is_new || ahead::may_end(&self.ahead, self.looked) {
                let ahead = mem::take(&mut self.ahead);
                if let Some(next) = self.look(&ahead, &mut take) {
                    return Poll::Ready(Ok(Some(next)));
                }
            }
            self.looked = self.ahead.len();
            if self.looked >= MOST_HEAD {
                let refused = Next::Refuse(Refusal::HeadTooLong);
                return Poll::Ready(Ok(Some(refused)));
            }
            ready!(self.poll_send(cx))?;
            let mut space = [MaybeUninit::uninit(); READ_AT_ONCE];
            let read = ready!(self.wire.poll_recv(cx, &mut space))?;
            let read = read.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(None));
            }
            if read.iter().any(is_of_request) {
                self.activity.received();
            }
            if !self.ahead.is_empty() {
                self.ahead.extend_from_slice(read);
            } else if let Some(next) = self.look(read, &mut take) {
                return Poll::Ready(Ok(Some(next)));
            }
        }
        ready!(self.poll_send(cx))?;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Has `take` look at `bytes`, and keeps what it leaves.
    fn look(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&[u8], &mut Vec<u8>) -> (usize, Next),
    ) -> Option<Next> {
        let (taken, next) = take(bytes, &mut self.waiting);
        let rest = &bytes[taken..];
        if taken > 0 && rest.iter().any(is_of_request) {
            self.activity.received();
        }
        self.ahead = rest.to_vec();
        self.looked = rest.len();
        (next != Next::Wait).then_some(next)
    }

    /// Lets hyper read so many bytes, those that were read ahead first, and then the end.
    pub(super) const fn lend(&mut self, count: usize) {
        self.lent = Some(count);
    }

    /// Takes the rest back, when hyper is done; what it has left of its own is none of the rest.
    /// Says whether it has left nothing: if it has, the client was told that the connection ends.
    pub(super) fn take_back(&mut self) -> bool {
        let end = self.lent.unwrap_or(self.replayed);
        let all_read = self.replayed == end;
        self.ahead = self.ahead.split_off(end.min(self.ahead.len()));
        // They came while the one before was answered, and are the beginning of the next one.
        if self.ahead.iter().any(is_of_request) {
            self.activity.received();
        }
        (self.replayed, self.looked, self.lent) = (0, 0, None);
        all_read
    }

    /// Sends all that waits, and that there will be no more.
    pub(super) async fn close(mut self) -> io::Result<()> {
        self.shutdown().await
    }

    /// The same with `last` behind it. What the client still says is read and forgotten until it
    /// has seen that: if any were left unread, it might be told of that instead
    /// (<https://www.rfc-editor.org/rfc/rfc9112#section-9.6>).
    pub(super) async fn close_with(mut self, last: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(last);
        self.shutdown().await?;
        let mut unheard = [0; 1024];
        while self.wire.read(&mut unheard).await? > 0 {}
        Ok(())
    }
}

/// Some clients end a body with an empty line that no length counts.
const fn is_of_request(byte: &u8) -> bool {
    !matches!(byte, b'\r' | b'\n')
}

impl AsyncRead for Batched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_http2 {
            return match self.replay(into) {
                true => Poll::Ready(Ok(())),
                false => Pin::new(&mut self.wire).poll_read(cx, into),
            };
        }
        ready!(self.poll_send(cx))?;
        self.fresh = true;
        if self.replay(into) {
            return Poll::Ready(Ok(()));
        }
        if let Some(lent) = self.lent {
            let room = into.remaining().min(lent - self.replayed);
            let mut read = ReadBuf::new(into.initialize_unfilled_to(room));
            ready!(Pin::new(&mut self.wire).poll_read(cx, &mut read))?;
            let count = read.filled().len();
            into.advance(count);
            self.replayed += count;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(cx, into))?;
        if into.filled()[before..].iter().any(is_of_request) {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
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
        if self.is_http2 {
            let first = slices.iter().find(|slice| !slice.is_empty());
            let first = first.map_or(&[][..], |slice| slice);
            return Pin::new(&mut self.wire).poll_write(cx, first);
        }
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
        if self.fresh || self.is_http2 || self.seen == self.waiting.len() {
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
        if self.lent.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::super::patience::Patience;
    use super::*;

    /// After how many looks a connection is given up that has said `all` and nothing more, of which
    /// hyper was lent the first `lent` bytes.
    async fn looks(all: &[u8], lent: usize) -> Option<u32> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(all).await.unwrap();
        let (served, _) = listener.accept().await.unwrap();
        let activity = Activity::new();
        let opened = Batched::open(Wire::Tcp(served), activity.clone());
        let mut batched = opened.await.unwrap();
        batched.lend(lent);
        let mut read = vec![0; lent];
        batched.read_exact(&mut read).await.unwrap();
        drop(activity.answering());
        assert!(batched.take_back());
        let mut patience = Patience::new(activity);
        (1..=100).find(|_| patience.is_lost(false))
    }

    /// A connection on which `said` says something, and the one who said it.
    async fn opened(said: impl AsyncFnOnce(&mut TcpStream)) -> (Batched, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        said(&mut client).await;
        let (served, _) = listener.accept().await.unwrap();
        let opened = Batched::open(Wire::Tcp(served), Activity::new());
        (opened.await.unwrap(), client)
    }

    #[tokio::test]
    async fn who_sends_more_and_more_lets_others_have_their_turn() {
        let mut sent = 0;
        let (mut batched, _client) = opened(async |client| {
            client.writable().await.unwrap();
            while let Ok(count) = client.try_write(&[b'a'; 4096]) {
                sent += count;
            }
        })
        .await;
        assert!(sent > 20 * READ_AT_ONCE, "{sent}");
        let mut taken = 0;
        let ended = poll_fn(|cx| {
            let polled = batched.poll_ahead(cx, |bytes, _| {
                taken += 1;
                (bytes.len(), Next::Wait)
            });
            Poll::Ready(polled.is_ready())
        })
        .await;
        assert!(!ended);
        // What opened the connection, and what was read since.
        assert!((2..=1 + READS_AT_A_TURN).contains(&taken), "{taken}");
    }

    #[tokio::test]
    async fn what_is_said_at_once_is_read_at_once() {
        let request = [b'a'; 1000];
        let (batched, _client) =
            opened(async |client| client.write_all(&request).await.unwrap()).await;
        assert_eq!(batched.ahead.len(), request.len());
    }

    #[tokio::test]
    async fn what_is_left_behind_a_request_is_the_beginning_of_the_next_one() {
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        let next = [&request[..], b"GET /metr"].concat();
        let for_head = looks(&next, request.len()).await;
        let for_next = looks(request, request.len()).await;
        // The look that sees what has happened, and those that make ten seconds, or seventy-five.
        assert_eq!((for_head, for_next), (Some(3), Some(16)));
    }
}
