//! How many apps of each corporation of WeCom are here: a corporation's limits are for all its
//! apps together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Accounts;
use crate::account::AppId;

/// How many apps there are of each, by its CorpID.
#[derive(Default)]
pub(super) struct Corporations(Mutex<BTreeMap<Box<str>, u32>>);

impl Corporations {
    /// Counts an account that is about to be put among `accounts`.
    pub(super) fn put(&self, accounts: &Accounts, appid: &AppId) {
        if let Some((corpid, _)) = appid.wecom()
            && accounts.get(appid.as_str()).is_none()
        {
            *self.counts().entry(corpid.into()).or_default() += 1;
        }
    }

    /// Counts an account no more, which was taken away.
    pub(super) fn remove(&self, appid: &AppId) {
        let Some((corpid, _)) = appid.wecom() else {
            return;
        };
        let mut counts = self.counts();
        if let Some(count) = counts.get_mut(corpid) {
            *count -= 1;
            if *count == 0 {
                counts.remove(corpid);
            }
        }
    }

    /// How many apps of the corporation of `appid` there are, this one included.
    pub(super) fn apps_beside(&self, appid: &AppId) -> u32 {
        let count = (appid.wecom()).and_then(|(corpid, _)| self.counts().get(corpid).copied());
        count.unwrap_or(1)
    }

    /// Nothing that can panic runs under the lock.
    fn counts(&self) -> MutexGuard<'_, BTreeMap<Box<str>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, TokenApi};
    use crate::credential::Secret;
    use crate::page_hosts::PageHosts;

    #[test]
    fn the_apps_of_a_corporation_are_counted_while_they_are_here() {
        let appids = [
            "ww0123456789abcdef-1",
            "ww0123456789abcdef-2",
            "wx0123456789abcdef",
        ];
        let appids = appids.map(|appid| appid.parse::<AppId>().unwrap());
        let (corporations, mut accounts) = (Corporations::default(), Accounts::default());
        let [one, two, official] = &appids;
        for appid in [one, two, two, official] {
            corporations.put(&accounts, appid);
            accounts.put(Account {
                appid: appid.clone(),
                name: None,
                secret: Secret::new("s"),
                token_api: TokenApi::of(appid, None).unwrap(),
                page_hosts: PageHosts::default(),
                wx_card: false,
            });
        }
        let counted = |appid| corporations.apps_beside(appid);
        assert_eq!([one, two, official].map(counted), [2, 2, 1]);
        corporations.remove(two);
        corporations.remove(official);
        assert_eq!(counted(one), 1);
    }
}
