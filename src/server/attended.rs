//! Conversations of hyper's, which end in good order.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::patience::{LOOK_EVERY, Patience};
use super::seats::Seat;

/// How long a connection that is given up has to end in good order.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    let ended = let_end(connection, patience).await;
    ended.unwrap_or(Ok(())).map(|()| End::Hurried)
}

/// Waits for an end as long as the client takes what it is still told; `None` if it does not.
pub(super) async fn let_end<E: Future>(end: E, patience: &mut Patience) -> Option<E::Output> {
    let mut end = pin!(end);
    loop {
        match tokio::time::timeout(LAST_WORDS, end.as_mut()).await {
            Ok(ended) => return Some(ended),
            Err(_) if patience.is_stalled() => return None,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::patience::Activity;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn last_words_take_as_long_as_someone_listens() {
        let activity = Activity::new();
        let mut patience = Patience::new(activity.clone());
        let heard = async {
            for _ in 0..20 {
                tokio::time::sleep(LAST_WORDS / 2).await;
                activity.sent();
            }
        };
        assert_eq!(let_end(heard, &mut patience).await, Some(()));
        let unheard = std::future::pending::<()>();
        assert_eq!(let_end(unheard, &mut patience).await, None);
    }
}
