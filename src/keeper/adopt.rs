//! Takes over what is stored of many accounts at once: after a start, and after many were added.

use tokio_util::sync::CancellationToken;

use super::local::Local;
use super::protocol::{self, Plan};
use super::reconcile::reconcile;
use super::renewal::{Base, Renewal};
use super::step::Renewals;
use super::{Kept, Shared};
use crate::account::AppId;
use crate::clock::Timestamp;
use crate::store::{Key, Loaded, StoreError};

/// How many accounts are read together. It takes a few milliseconds.
pub(super) const TOGETHER: usize = 500;

/// Takes over what is stored of these accounts, for which no step may run meanwhile. Returns when
/// each of them is to be looked at.
///
/// # Errors
/// The store cannot be reached; nothing was taken over.
pub(super) async fn adopt(
    shared: &Shared,
    appids: &[AppId],
    stop: &CancellationToken,
) -> Result<Vec<Timestamp>, StoreError> {
    let accounts = shared.accounts.load_full();
    let kept = appids.iter().map(|appid| accounts.get(appid.as_str()));
    let kept: Vec<_> = kept.collect();
    let keys = kept.iter().flatten().flat_map(|kept| {
        let key = |kind| Key {
            appid: kept.account.appid.clone(),
            kind,
        };
        kept.account.kinds().map(key)
    });
    let keys: Vec<Key> = keys.collect();
    let mut found = shared.store.load_many(&keys).await?.into_iter();
    let now = shared.clock.now();
    let wakes = kept.into_iter().map(|kept| {
        let Some(kept) = kept else { return now };
        let of_account = found.by_ref().take(kept.account.kinds().count());
        let of_account: Vec<_> = of_account.collect();
        let all: Option<Vec<_>> = of_account.into_iter().collect();
        all.map_or(now, |found| adopt_one(shared, kept, stop, found))
    });
    Ok(wakes.collect())
}

/// Takes over what was `found` of an account, in the order of its kinds.
fn adopt_one(
    shared: &Shared,
    kept: &Kept,
    stop: &CancellationToken,
    found: Vec<Loaded>,
) -> Timestamp {
    let mut memory = kept.recall();
    let renewals = Renewals::new(shared, kept, stop);
    let of = [
        (Some(&renewals.token), &mut memory.token),
        (Some(&renewals.ticket), &mut memory.ticket),
        (renewals.further.as_ref(), &mut memory.further),
    ];
    let of = of.into_iter().zip(found);
    let wakes = of.filter_map(|((renewal, local), found)| Some(renewal?.adopt(local, found)));
    let wake = wakes.min().unwrap_or_default();
    kept.remember(memory);
    wake
}

impl Renewal<'_> {
    /// Takes over what is stored, unless something in it is to be set right first. Returns when the
    /// first step is to be.
    fn adopt(&self, local: &mut Local, found: Loaded) -> Timestamp {
        let (stored, now) = (found.record.unwrap_or_default(), self.shared.clock.moment());
        if reconcile(self.policy, &stored, local, now).is_some() {
            return now.wall;
        }
        local.saw(stored, now);
        local.stands(found.seen);
        self.publish(local);
        match protocol::plan(self.policy, &self.key.appid, self.caller(), local, now) {
            Plan::Fetch(_) => now.wall,
            Plan::Wait(until) => self.wake_at(until, now, &Base::Stored(found.version)),
        }
    }
}
