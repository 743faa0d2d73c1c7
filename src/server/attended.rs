//! Conversations of hyper's, which end in good order.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::patience::{LOOK_EVERY, Patience};
use super::seats::Seat;

/// How long a connection that is given up has to end in good order.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a conversation of hyper's ended.
#[derive(PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Done,
    /// The connection is to end.
    Hurried,
}

/// Sees to it that a conversation ends: when the server stops, and when the client keeps it
/// waiting.
pub(super) async fn attend<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    hurry: impl Fn(Pin<&mut C>),
    patience: &mut Patience,
    seat: &Seat,
    stop: &CancellationToken,
) -> hyper::Result<End> {
    let mut connection = pin!(connection);
    let mut look = pin!(tokio::time::sleep(LOOK_EVERY));
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map(|()| End::Done),
            () = stop.cancelled() => {
                hurry(connection.as_mut());
                break;
            }
            () = look.as_mut() => {
                if patience.is_lost(seat.is_wanted()) {
                    hurry(connection.as_mut());
                    let ended = tokio::time::timeout(LAST_WORDS, connection).await;
                    return ended.unwrap_or(Ok(())).map(|()| End::Hurried);
                }
                look.set(tokio::time::sleep(LOOK_EVERY));
            }
        }
    }
    // Who is answered is waited for, and who has begun to ask is not.
    loop {
        match tokio::time::timeout(LAST_WORDS, connection.as_mut()).await {
            Ok(ended) => return ended.map(|()| End::Hurried),
            Err(_) if patience.is_stalled() => return Ok(End::Hurried),
            Err(_) => {}
        }
    }
}
