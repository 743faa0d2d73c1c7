//! A connection to a server that comes and goes.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::sync::watch;

use super::StoreError;
use crate::clock::Clock;

/// A call is given up after this, however long the server takes: whoever calls goes on without it.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(500);

/// The same where much is read or written that nobody waits for: a directory of a hundred thousand
/// accounts.
pub(super) const BULK_TIMEOUT: Duration = Duration::from_secs(5);

/// So long may it take to find the server and to be let in. No call waits for it that long; the
/// next one finds the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// After a vain attempt to connect, the next one is not made before this.
const PAUSE: Duration = Duration::from_millis(250);

/// One connection of a process, made when it is needed first and made anew after any failure: a
/// server that has become a replica, has moved, or is silent is not talked to again.
pub(super) struct Link<C> {
    connect: Connect<C>,
    state: Arc<watch::Sender<State<C>>>,
}

/// How a connection is made.
type Connect<C> = Box<dyn Fn() -> BoxFuture<'static, Result<C, StoreError>> + Send + Sync>;

enum State<C> {
    /// There is none; why, and since when on the boot clock.
    Down(StoreError, Option<Duration>),
    /// It is being made.
    Connecting,
    /// There is one, and it is the so manieth.
    Up(C, u64),
}

impl<C: Clone + Send + Sync + 'static> Link<C> {
    pub(super) fn new(
        connect: impl Fn() -> BoxFuture<'static, Result<C, StoreError>> + Send + Sync + 'static,
    ) -> Self {
        let never = StoreError("there was no connection yet".to_owned());
        Self {
            connect: Box::new(connect),
            state: Arc::new(watch::Sender::new(State::Down(never, None))),
        }
    }

    /// Makes a call within `limit`, on a connection that is given up if the call fails.
    pub(super) async fn call<T, F>(
        &self,
        limit: Duration,
        call: impl FnOnce(C) -> F + Send,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let mut used = None;
        let calling = async {
            let (connection, number) = self.connection().await?;
            used = Some(number);
            call(connection).await
        };
        let called = tokio::time::timeout(limit, calling).await;
        let called = called.unwrap_or_else(|_| {
            let limit = limit.as_millis();
            Err(StoreError(format!("no answer within {limit} ms")))
        });
        if let (Err(error), Some(number)) = (&called, used) {
            self.give_up(number, error);
        }
        called
    }

    async fn connection(&self) -> Result<(C, u64), StoreError> {
        let mut states = self.state.subscribe();
        let begins = self.state.send_if_modified(|state| {
            let due = match state {
                State::Down(_, Some(since)) => boot() >= *since + PAUSE,
                State::Down(_, None) => true,
                State::Connecting | State::Up(..) => false,
            };
            if due {
                *state = State::Connecting;
            }
            due
        });
        if begins {
            let (connecting, state) = ((self.connect)(), Arc::clone(&self.state));
            // A task of its own: a caller that gives up does not break it off. In another one, so
            // that even a panic has an end.
            let connecting = tokio::spawn(tokio::time::timeout(CONNECT_TIMEOUT, connecting));
            tokio::spawn(async move {
                let connected = match connecting.await {
                    Ok(Ok(connected)) => connected,
                    Ok(Err(_)) => {
                        let limit = CONNECT_TIMEOUT.as_secs();
                        Err(StoreError(format!("cannot connect within {limit} s")))
                    }
                    Err(error) => Err(StoreError(error.to_string())),
                };
                state.send_replace(match connected {
                    Ok(connection) => State::Up(connection, rand::random()),
                    Err(error) => State::Down(error, Some(boot())),
                });
            });
        }
        let settled = states.wait_for(|state| !matches!(state, State::Connecting));
        match &*settled.await.expect("the sender is in self") {
            State::Up(connection, number) => Ok((connection.clone(), *number)),
            State::Down(error, _) => Err(error.clone()),
            State::Connecting => unreachable!("it was waited for"),
        }
    }

    /// The next call connects anew.
    fn give_up(&self, number: u64, error: &StoreError) {
        self.state.send_if_modified(|state| {
            let current = matches!(state, State::Up(_, known) if *known == number);
            if current {
                *state = State::Down(error.clone(), None);
            }
            current
        });
    }
}

fn boot() -> Duration {
    Clock::system().moment().boot
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A link to a server that lets in as `lets_in` says, and how often it was asked to.
    fn link(lets_in: impl Fn(u64) -> bool + Send + Sync + 'static) -> (Link<u64>, Arc<AtomicU64>) {
        let attempts = Arc::<AtomicU64>::default();
        let (counted, lets_in) = (Arc::clone(&attempts), Arc::new(lets_in));
        let link = Link::new(move || {
            let attempt = counted.fetch_add(1, Ordering::Relaxed);
            let lets_in = Arc::clone(&lets_in);
            Box::pin(async move {
                tokio::task::yield_now().await;
                let lets_in = lets_in(attempt);
                let refused = || StoreError(format!("attempt {attempt} was refused"));
                lets_in.then_some(attempt).ok_or_else(refused)
            })
        });
        (link, attempts)
    }

    async fn number(link: &Link<u64>) -> Result<u64, StoreError> {
        link.call(CALL_TIMEOUT, async |number| Ok(number)).await
    }

    #[tokio::test]
    async fn many_calls_share_one_connection() {
        let (link, attempts) = link(|_| true);
        let link = Arc::new(link);
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let link = Arc::clone(&link);
            calls.spawn(async move { number(&link).await });
        }
        assert_eq!(calls.join_all().await, vec![Ok(0); 50]);
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_connection_on_which_a_call_failed_is_not_used_again() {
        let (link, _) = link(|_| true);
        assert_eq!(number(&link).await, Ok(0));
        let refuse = async |_| Err::<(), _>(StoreError("READONLY".to_owned()));
        link.call(CALL_TIMEOUT, refuse).await.unwrap_err();
        assert_eq!(number(&link).await, Ok(1));
    }

    #[tokio::test]
    async fn a_server_that_is_silent_is_given_up_in_half_a_second() {
        let (link, _) = link(|_| true);
        let silence = async |_| std::future::pending::<Result<(), _>>().await;
        let silent = link.call(CALL_TIMEOUT, silence);
        let waited = tokio::time::timeout(2 * CALL_TIMEOUT, silent).await;
        assert_eq!(waited.unwrap().unwrap_err().0, "no answer within 500 ms");
        assert_eq!(number(&link).await, Ok(1));
    }

    #[tokio::test]
    async fn a_panic_while_connecting_is_a_failure_like_any_other() {
        let (link, _) = link(|attempt| {
            assert!(attempt > 0, "the first attempt ends so");
            true
        });
        assert!(number(&link).await.is_err());
        tokio::time::sleep(PAUSE).await;
        assert_eq!(number(&link).await, Ok(1));
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_not_asked_again_at_once() {
        let (link, attempts) = link(|attempt| attempt > 0);
        for _ in 0..20 {
            let refused = number(&link).await.unwrap_err();
            assert_eq!(refused.0, "attempt 0 was refused");
        }
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
        tokio::time::sleep(PAUSE).await;
        assert_eq!(number(&link).await, Ok(1));
    }
}
