//! Thousands of accounts: the pace of the calls for all of them together, and what a start finds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::future::BoxFuture;
use wxsign::account::AppId;
use wxsign::credential::Secret;
use wxsign::upstream::{Issued, Upstream, UpstreamError};

use super::*;

/// By the pace, 20 calls a second and 16 at one time.
const ACCOUNTS: usize = 3000;
const CALLS_A_SECOND: usize = 20;
const AT_ONCE: usize = 16;

/// A WeChat that counts its calls and is otherwise as simple as can be.
struct Counting {
    clock: Clock,
    /// Calls in each second since [`T0`].
    calls: Mutex<Vec<usize>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Counting {
    async fn issue(&self, value: String) -> Result<Issued, UpstreamError> {
        let second = self.clock.now().since(T0).as_secs() as usize;
        {
            let mut calls = self.calls.lock().unwrap();
            let length = calls.len().max(second + 1);
            calls.resize(length, 0);
            calls[second] += 1;
        }
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(running, Ordering::Relaxed);
        self.clock.sleep(Duration::from_millis(300)).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        Ok(Issued {
            value: Secret::new(value),
            lifetime: Duration::from_secs(7200),
        })
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().iter().sum()
    }
}

impl Upstream for Counting {
    fn fetch_token<'a>(
        &'a self,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        let now = self.clock.now().as_millis();
        Box::pin(self.issue(format!("token of {} at {now}", account.appid)))
    }

    fn fetch_ticket<'a>(
        &'a self,
        account: &'a Account,
        kind: Kind,
        _: &'a Secret,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        let period = self.clock.now().as_secs() / 7200;
        Box::pin(self.issue(format!("{kind} of {} in {period}", account.appid)))
    }

    fn verify_token<'a>(
        &'a self,
        _: &'a Account,
        _: &'a Secret,
    ) -> BoxFuture<'a, Result<(), UpstreamError>> {
        unreachable!("nobody doubts a token")
    }
}

/// Half of them have stable tokens, which are all due at the same age.
fn accounts() -> Vec<Account> {
    let apis = [TokenApi::Classic, TokenApi::Stable].into_iter().cycle();
    let numbered = (0..ACCOUNTS).zip(apis);
    let account = |(number, token_api)| Account {
        appid: format!("wx{number:016x}").parse::<AppId>().unwrap(),
        ..account(token_api)
    };
    numbered.map(account).collect()
}

fn start(store: &Store, wechat: &Arc<Counting>) -> (Keeper, CancellationToken) {
    let (upstream, clock) = (Arc::clone(wechat), wechat.clock.clone());
    let node = "node".to_owned();
    let (keeper, queue) = Keeper::new(clock, store.clone(), upstream, node, accounts());
    let stop = CancellationToken::new();
    tokio::spawn(queue.run(stop.clone()));
    (keeper, stop)
}

/// How long the tokens and tickets last, at the least, and how long ago the tickets were asked for,
/// at the most.
fn worst(keeper: &Keeper) -> (Duration, Duration) {
    let now = keeper.clock().moment();
    let (mut shortest, mut oldest) = (Duration::MAX, Duration::ZERO);
    for kept in keeper.accounts().iter() {
        let snapshot = kept.snapshot();
        for kind in kept.account.kinds() {
            let served = snapshot.served(kind, now);
            let left = served.map_or(Duration::ZERO, |served| served.until.left(now));
            shortest = shortest.min(left);
        }
        if let Some(ticket) = snapshot.ticket(now) {
            oldest = oldest.max(now.wall.since(ticket.credential.confirmed_at));
        }
    }
    (shortest, oldest)
}

#[tokio::test(start_paused = true)]
async fn thousands_of_accounts_have_their_calls_at_an_even_pace_and_a_restart_asks_for_nothing() {
    let clock = Clock::following_tokio(T0);
    let wechat = Arc::new(Counting {
        clock: clock.clone(),
        calls: Mutex::default(),
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let store = Store::memory();
    let (keeper, stop) = start(&store, &wechat);

    // Without anything stored, all are served after two rounds of calls.
    clock.sleep(Duration::from_secs(310)).await;
    assert!(worst(&keeper).0 > Duration::from_secs(6000));

    // Nothing comes near its end, and no ticket is asked for late: also when all the stable tokens
    // are due together.
    for _ in 0..9000 / 60 {
        clock.sleep(Duration::from_secs(60)).await;
        let (shortest, oldest) = worst(&keeper);
        assert!(shortest > Duration::from_secs(200), "{shortest:?}");
        assert!(oldest < Duration::from_secs(360), "{oldest:?}");
    }
    let busiest = wechat.calls.lock().unwrap().iter().copied().max().unwrap();
    assert!(busiest <= CALLS_A_SECOND + 9, "{busiest}");
    let most = wechat.most.load(Ordering::Relaxed);
    assert!(most <= AT_ONCE, "{most}");
    // A token for each 80 minutes or two hours, and a ticket asked for each five minutes.
    let calls = wechat.calls();
    assert!((30..=36).contains(&(calls / ACCOUNTS)), "{calls}");

    // The next process finds it all, and serves it before anything is asked.
    stop.cancel();
    clock.sleep(Duration::from_secs(5)).await;
    let before = wechat.calls();
    let (keeper, _stop) = start(&store, &wechat);
    clock.sleep(Duration::from_millis(10)).await;
    assert!(worst(&keeper).0 > Duration::from_secs(200));
    assert!(wechat.calls() - before <= 9, "{}", wechat.calls() - before);
    clock.sleep(Duration::from_secs(60)).await;
    assert!(wechat.calls() - before <= 60 * CALLS_A_SECOND);
    assert!(worst(&keeper).1 < Duration::from_secs(360));
}
