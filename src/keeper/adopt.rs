//! Takes over what is stored of many accounts at once: after a start, and after many were added.

use tokio_util::sync::CancellationToken;

use super::local::Local;
use super::protocol::{self, Plan};
use super::reconcile::reconcile;
use super::renewal::{Base, Renewal};
use super::{Kept, Shared, step};
use crate::account::AppId;
use crate::clock::Timestamp;
use crate::credential::Kind;
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
    let key = |appid: &AppId, kind| Key {
        appid: appid.clone(),
        kind,
    };
    let keys = (appids.iter()).flat_map(|appid| Kind::ALL.map(|kind| key(appid, kind)));
    let keys: Vec<Key> = keys.collect();
    let mut found = shared.store.load_many(&keys).await?.into_iter();
    let (accounts, now) = (shared.accounts.load_full(), shared.clock.now());
    let wakes = appids.iter().map(|appid| {
        let both = (found.next().flatten(), found.next().flatten());
        match (accounts.get(appid.as_str()), both) {
            (Some(kept), (Some(token), Some(ticket))) => {
                adopt_one(shared, kept, stop, token, ticket)
            }
            _ => now,
        }
    });
    Ok(wakes.collect())
}

fn adopt_one(
    shared: &Shared,
    kept: &Kept,
    stop: &CancellationToken,
    token: Loaded,
    ticket: Loaded,
) -> Timestamp {
    let mut memory = kept.recall();
    let (of_token, of_ticket) = step::renewals(shared, kept, stop);
    let token = of_token.adopt(&mut memory.token, token);
    let ticket = of_ticket.adopt(&mut memory.ticket, ticket);
    kept.remember(memory);
    token.min(ticket)
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
