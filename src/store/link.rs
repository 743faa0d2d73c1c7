//! A connection to a server that comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Endpoint, StoreError};
use crate::clock::Clock;

/// A call is given up after this, however long the server takes: whoever calls goes on without it.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(500);

/// The same where much is read or written that no reader waits for: a directory of a hundred
/// thousand accounts.
pub(super) const BULK_TIMEOUT: Duration = Duration::from_secs(5);

/// So long may it take to find the server and to be let in. No call waits for it that long; the
/// next one finds the connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// After a vain attempt to connect, or a connection that was of no use, the next attempt is not
/// made before this.
const PAUSE: Duration = Duration::from_millis(250);

/// One connection of a process, made when it is needed first and made anew after it has failed: a
/// server that has become a replica, has moved, or is silent is not talked to again.
pub(super) struct Link<C> {
    /// The server as errors name it.
    name: String,
    connect: Connect<C>,
    state: Arc<watch::Sender<State<C>>>,
}

/// How a connection is made.
type Connect<C> = Box<dyn Fn() -> BoxFuture<'static, Result<C, StoreError>> + Send + Sync>;

enum State<C> {
    /// There is none; why, and since when on the boot clock if the next is to wait.
    Down(StoreError, Option<Duration>),
    /// It is being made; why the last one failed.
    Connecting(StoreError),
    /// There is one.
    Up(C, Arc<Use>),
}

/// What has become of a connection.
#[derive(Default)]
struct Use {
    /// A call on it was answered.
    served: AtomicBool,
}

/// Why a call failed.
pub(super) enum Fault {
    /// The connection is of no use any more, or leads to a server that is not the right one.
    Line(StoreError),
    /// The server has answered, and will answer the same on another connection.
    Said(StoreError),
}

impl<C: Clone + Send + Sync + 'static> Link<C> {
    pub(super) fn new(
        name: String,
        connect: impl Fn() -> BoxFuture<'static, Result<C, StoreError>> + Send + Sync + 'static,
    ) -> Self {
        let never = StoreError(format!("{name}: there was no connection yet"));
        Self {
            name,
            connect: Box::new(connect),
            state: Arc::new(watch::Sender::new(State::Down(never, None))),
        }
    }

    /// Makes a call within `limit`, on a connection that is given up if it fails.
    pub(super) async fn call<T, F>(
        &self,
        limit: Duration,
        call: impl FnOnce(C) -> F + Send,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        let mut used = None;
        let calling = async {
            let (connection, so_far) = self.connection().await.map_err(Fault::Said)?;
            used = Some(so_far);
            call(connection).await
        };
        let called = tokio::time::timeout(limit, calling).await;
        let called = called.unwrap_or_else(|_| Err(Fault::Line(self.no_answer(limit))));
        match called {
            Err(Fault::Line(error)) => {
                if let Some(used) = used {
                    self.give_up(&used, &error);
                }
                Err(error)
            }
            answered => {
                if let Some(used) = used {
                    used.served.store(true, Ordering::Relaxed);
                }
                answered.map_err(|(Fault::Line(error) | Fault::Said(error))| error)
            }
        }
    }

    fn no_answer(&self, limit: Duration) -> StoreError {
        let (name, limit) = (&self.name, limit.as_millis());
        StoreError(match &*self.state.borrow() {
            State::Connecting(StoreError(last)) => {
                format!("{name}: not connected within {limit} ms; before that: {last}")
            }
            _ => format!("{name}: no answer within {limit} ms"),
        })
    }

    async fn connection(&self) -> Result<(C, Arc<Use>), StoreError> {
        let mut states = self.state.subscribe();
        let begins = self.state.send_if_modified(|state| {
            let State::Down(error, since) = state else {
                return false;
            };
            let due = since.is_none_or(|since| boot() >= since + PAUSE);
            if due {
                *state = State::Connecting(error.clone());
            }
            due
        });
        if begins {
            self.begin();
        }
        let settled = states.wait_for(|state| !matches!(state, State::Connecting(_)));
        match &*settled.await.expect("the sender is in self") {
            State::Up(connection, so_far) => Ok((connection.clone(), Arc::clone(so_far))),
            State::Down(error, _) | State::Connecting(error) => Err(error.clone()),
        }
    }

    /// Connects, in a task of its own: a caller that gives up does not break it off.
    fn begin(&self) {
        let (state, name) = (Arc::clone(&self.state), self.name.clone());
        // In another one, so that even a panic has an end.
        let connecting = tokio::spawn(tokio::time::timeout(CONNECT_TIMEOUT, (self.connect)()));
        tokio::spawn(async move {
            let connected = match connecting.await {
                Ok(Ok(connected)) => connected,
                Ok(Err(_)) => {
                    let limit = CONNECT_TIMEOUT.as_secs();
                    Err(StoreError(format!(
                        "{name}: not connected within {limit} s"
                    )))
                }
                Err(error) => Err(StoreError(error.to_string())),
            };
            state.send_replace(match connected {
                Ok(connection) => State::Up(connection, Arc::default()),
                Err(error) => State::Down(error, Some(boot())),
            });
        });
    }

    /// The next call connects anew: at once if this connection was good for something.
    fn give_up(&self, used: &Arc<Use>, error: &StoreError) {
        let served = used.served.load(Ordering::Relaxed);
        self.state.send_if_modified(|state| {
            let current = matches!(state, State::Up(_, known) if Arc::ptr_eq(known, used));
            if current {
                *state = State::Down(error.clone(), (!served).then(boot));
            }
            current
        });
    }
}

fn boot() -> Duration {
    Clock::system().moment().boot
}

/// The first connection that `open` makes to one of the endpoints; all are tried at once, since any
/// of them may be silent.
pub(super) async fn first_of<C: Send + 'static, F>(
    endpoints: &[Endpoint],
    open: impl Fn(Endpoint) -> F,
) -> Result<C, StoreError>
where
    F: Future<Output = Result<C, StoreError>> + Send + 'static,
{
    let mut attempts: JoinSet<_> = endpoints.iter().cloned().map(open).collect();
    let mut failed = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(StoreError(why))) => failed.push(why),
            Err(error) => failed.push(error.to_string()),
        }
    }
    failed.sort();
    failed.dedup();
    Err(StoreError(failed.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// A link to a server that lets in as `lets_in` says, and how often it was asked to.
    fn link(lets_in: impl Fn(u64) -> bool + Send + Sync + 'static) -> (Link<u64>, Arc<AtomicU64>) {
        let attempts = Arc::<AtomicU64>::default();
        let (counted, lets_in) = (Arc::clone(&attempts), Arc::new(lets_in));
        let link = Link::new("server".to_owned(), move || {
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
        let mut calls = JoinSet::new();
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
        let refuse = async |_| Err::<(), _>(Fault::Line(StoreError("READONLY".to_owned())));
        link.call(CALL_TIMEOUT, refuse).await.unwrap_err();
        assert_eq!(number(&link).await, Ok(1));
    }

    #[tokio::test]
    async fn a_connection_that_was_never_of_use_is_not_replaced_at_once() {
        let (link, attempts) = link(|_| true);
        for _ in 0..20 {
            let refuse = async |_| Err::<(), _>(Fault::Line(StoreError("LOADING".to_owned())));
            link.call(CALL_TIMEOUT, refuse).await.unwrap_err();
        }
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_a_server_says_on_any_connection_is_no_reason_to_make_another() {
        let (link, attempts) = link(|_| true);
        for _ in 0..20 {
            let refuse = async |_| Err::<(), _>(Fault::Said(StoreError("OOM".to_owned())));
            link.call(CALL_TIMEOUT, refuse).await.unwrap_err();
        }
        assert_eq!(number(&link).await, Ok(0));
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn of_several_endpoints_the_first_that_answers_is_taken() {
        let endpoints = ["silent", "refuses", "answers"];
        let endpoints = endpoints.map(|host| Endpoint::Tcp(host.to_owned(), 1));
        let open = async |endpoint: Endpoint| match endpoint {
            Endpoint::Tcp(host, _) if host == "silent" => std::future::pending().await,
            Endpoint::Tcp(host, _) if host == "refuses" => Err(StoreError(host)),
            endpoint => Ok(endpoint),
        };
        assert_eq!(first_of(&endpoints, open).await.as_ref(), Ok(&endpoints[2]));
        let refused = first_of(&endpoints[1..2], open).await;
        assert_eq!(refused, Err(StoreError("refuses".to_owned())));
    }

    #[tokio::test]
    async fn a_server_that_is_silent_is_given_up_in_half_a_second() {
        let (link, _) = link(|_| true);
        assert_eq!(number(&link).await, Ok(0));
        let silence = async |_| std::future::pending::<Result<(), Fault>>().await;
        let silent = link.call(CALL_TIMEOUT, silence);
        let waited = tokio::time::timeout(2 * CALL_TIMEOUT, silent).await;
        assert_eq!(
            waited.unwrap().unwrap_err().0,
            "server: no answer within 500 ms"
        );
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
