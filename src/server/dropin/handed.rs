//! How long an SDK may keep what it was handed, and what it means if it is back before.

use std::sync::PoisonError;
use std::time::Duration;

use crate::account::TokenApi;
use crate::clock::Moment;
use crate::keeper::{Kept, Served};
use crate::roster::Caller;
use crate::server::Gate;

/// An SDK keeps a token for as long as it is told, and cannot be told of a newer one. So it is
/// told to come back before the overlap that begins with the next renewal is over.
const SAFE_OVERLAP: Duration = Duration::from_secs(280);

/// SDKs fetch again before the end that they were told, by so much at most
/// (<https://github.com/silenceper/wechat/blob/v2/credential/default_access_token.go>), and by no
/// more than half of what they were told.
const EARLY: Duration = Duration::from_secs(1500);

/// How long an SDK may keep a credential, whenever it is renewed meanwhile.
pub(super) fn keep_for(token_api: TokenApi, served: &Served, now: Moment) -> Duration {
    let left = served.until.left(now);
    match token_api {
        TokenApi::Classic | TokenApi::Stable => {
            let until_renewed = served.renew_at.since(now.wall);
            left.min(until_renewed + SAFE_OVERLAP)
        }
        // It is the same until its end; until then it is only asked about.
        TokenApi::WeCom => left,
    }
}

/// The token that a client has.
pub(in crate::server) struct Handed {
    generation: u64,
    /// Who fetches it again before this has found it refused: on the clock that nobody sets.
    early_until: Duration,
}

impl Handed {
    /// Of a client that is told now to keep it for so long.
    fn new(generation: u64, keep_for: Duration, now: Moment) -> Self {
        let early = EARLY.min(keep_for / 2);
        Self {
            generation,
            early_until: now.boot + keep_for.saturating_sub(early),
        }
    }

    /// Whether a fetch of the token of `generation` is a report of it.
    fn is_reported_by_fetch_of(&self, generation: u64, now: Moment) -> bool {
        self.generation == generation && now.boot < self.early_until
    }
}

impl Gate {
    /// Notes that the client has this token; whether it comes for it again too soon.
    pub(super) fn hand_out(
        &self,
        caller: &Caller,
        kept: &Kept,
        token: &Served,
        now: Moment,
    ) -> bool {
        let whom = (caller.client.name.clone(), kept.account.appid.clone());
        let generation = token.credential.generation;
        let keep_for = keep_for(kept.account.token_api, token, now);
        // Nothing that can panic runs under the lock.
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        let former = handed.insert(whom, Handed::new(generation, keep_for, now));
        former.is_some_and(|former| former.is_reported_by_fetch_of(generation, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_for_a_token_when_it_was_told_to_reports_nothing() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        for (told, early) in [(7200, 5699), (600, 299)] {
            let handed = Handed::new(3, Duration::from_secs(told), clock.moment());
            clock.sleep(Duration::from_secs(early)).await;
            let now = clock.moment();
            assert!(handed.is_reported_by_fetch_of(3, now), "{told}");
            assert!(!handed.is_reported_by_fetch_of(4, now), "{told}");
            clock.sleep(Duration::from_secs(2)).await;
            let now = clock.moment();
            assert!(!handed.is_reported_by_fetch_of(3, now), "{told}");
        }
    }
}
