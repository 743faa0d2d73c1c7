//! How many signatures a minute were made in the last hour, by account and together.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::account::AppId;
use crate::keeper::Keeper;

/// So many minutes are known.
pub const MINUTES: usize = 60;

const MINUTE: Duration = Duration::from_secs(60);

/// The signatures of each of the last 60 minutes, the oldest first.
pub type Hour = [u32; MINUTES];

/// How many signatures this process made in each minute of the last hour. An account without one
/// in that hour takes no room.
#[derive(Default)]
pub struct Rates(Mutex<Minutes>);

struct Minutes {
    /// Where the oldest minute stands in each ring.
    oldest: usize,
    by_account: HashMap<AppId, Box<Hour>>,
    total: Hour,
}

impl Default for Minutes {
    fn default() -> Self {
        Self {
            oldest: 0,
            by_account: HashMap::new(),
            total: [0; MINUTES],
        }
    }
}

impl Rates {
    /// Those of an account.
    pub fn of(&self, appid: &AppId) -> Hour {
        let minutes = self.minutes();
        let ring = minutes.by_account.get(appid.as_str());
        ring.map_or([0; MINUTES], |ring| minutes.in_order(ring))
    }

    /// Those of all accounts together.
    pub fn total(&self) -> Hour {
        let minutes = self.minutes();
        minutes.in_order(&minutes.total)
    }

    /// Takes what each account has counted in a minute, once a minute until `stop`. One task does
    /// this.
    pub async fn keep_sampling(&self, keeper: &Keeper, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = keeper.clock().sleep(MINUTE) => self.sample(keeper),
            }
        }
    }

    fn sample(&self, keeper: &Keeper) {
        let accounts = keeper.accounts();
        let counted = accounts.iter().filter_map(|kept| {
            let count = kept.take_signatures();
            (count > 0).then(|| (kept.account.appid.clone(), count))
        });
        self.minutes().add(counted.collect());
    }

    /// What is under the lock is whole at any time.
    fn minutes(&self) -> MutexGuard<'_, Minutes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates(…)")
    }
}

impl Minutes {
    /// Puts one more minute in the place of the oldest.
    fn add(&mut self, counted: Vec<(AppId, u32)>) {
        let now = self.oldest;
        self.oldest = (now + 1) % MINUTES;
        self.total[now] = 0;
        self.by_account.retain(|_, ring| {
            ring[now] = 0;
            ring.iter().any(|count| *count > 0)
        });
        for (appid, count) in counted {
            self.total[now] = self.total[now].saturating_add(count);
            let ring = self.by_account.entry(appid);
            ring.or_insert_with(|| Box::new([0; MINUTES]))[now] = count;
        }
    }

    fn in_order(&self, ring: &Hour) -> Hour {
        let mut hour = *ring;
        hour.rotate_left(self.oldest);
        hour
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::{Account, TokenApi};
    use crate::clock::{Clock, Timestamp};
    use crate::credential::Secret;
    use crate::page_hosts::PageHosts;
    use crate::simulator::Simulator;
    use crate::store::Store;

    #[tokio::test(start_paused = true)]
    async fn what_was_signed_in_a_minute_is_known_when_it_is_over() {
        let clock = Clock::following_tokio(Timestamp::from_secs(1_700_000_000));
        let simulator = Arc::new(Simulator::new(clock.clone(), 7));
        let accounts = [1, 2].map(|number: u8| Account {
            appid: format!("wx{number:016x}").parse().unwrap(),
            name: None,
            secret: Secret::new("secret"),
            token_api: TokenApi::Classic,
            page_hosts: PageHosts::default(),
            wx_card: false,
        });
        let appids = accounts.clone().map(|account| account.appid);
        let (node, accounts) = ("node".to_owned(), accounts.to_vec());
        let (keeper, _queue) = Keeper::new(clock, Store::memory(), simulator, node, accounts);
        let (rates, stop) = (Arc::<Rates>::default(), CancellationToken::new());
        let (sampled, keeper_too) = (Arc::clone(&rates), keeper.clone());
        tokio::spawn(async move { sampled.keep_sampling(&keeper_too, stop).await });
        let kept = Arc::clone(keeper.accounts().get(appids[0].as_str()).unwrap());
        keeper.clock().sleep(MINUTE / 2).await;
        for count in [3, 0, 2] {
            (0..count).for_each(|_| kept.count_signature());
            keeper.clock().sleep(MINUTE).await;
        }
        assert_eq!(rates.of(&appids[0])[MINUTES - 4..], [0, 3, 0, 2]);
        assert_eq!(rates.of(&appids[1]), [0; MINUTES]);
        assert_eq!(rates.total(), rates.of(&appids[0]));
        assert_eq!(kept.signatures(), 5);
    }

    #[test]
    fn an_hour_is_known_and_nothing_of_who_was_silent_in_it() {
        let appid = |number: u8| -> AppId { format!("wx{number:016x}").parse().unwrap() };
        let mut minutes = Minutes::default();
        minutes.add(vec![(appid(1), 5), (appid(2), 1)]);
        minutes.add(vec![(appid(1), u32::MAX)]);
        for _ in 2..MINUTES {
            minutes.add(vec![]);
        }
        let of = |minutes: &Minutes, number| minutes.in_order(&minutes.by_account[&appid(number)]);
        assert_eq!(of(&minutes, 1)[..3], [5, u32::MAX, 0]);
        assert_eq!(of(&minutes, 2)[..2], [1, 0]);
        assert_eq!(minutes.in_order(&minutes.total)[..3], [6, u32::MAX, 0]);
        minutes.add(vec![(appid(3), 7)]);
        assert_eq!(of(&minutes, 1)[..1], [u32::MAX]);
        assert_eq!(of(&minutes, 3)[MINUTES - 2..], [0, 7]);
        assert!(!minutes.by_account.contains_key(&appid(2)));
        minutes.add(vec![]);
        assert_eq!(minutes.by_account.len(), 1);
    }
}
