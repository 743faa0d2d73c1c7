//! Takes up what is stored: only what has changed, since there may be very many accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Roster, RosterError};
use crate::account::{Account, AppId};
use crate::page_hosts::PageHosts;
use crate::store::{AccountRow, AccountRows, Directory, StoreError};

/// How many accounts are taken up together. What many leave behind in memory nobody fills again.
const TOGETHER: usize = 4096;

/// What was taken up.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) directory: Arc<Directory>,
    /// The accounts in it that cannot be opened, whether they would be served or not.
    unopened: BTreeSet<AppId>,
}

impl Roster {
    /// Reads what is stored, and takes it up if it has changed. While the store cannot be reached,
    /// what is known stays.
    pub async fn reload(&self) {
        self.try_to_reload_into(&mut *self.taken.lock().await).await;
    }

    pub(super) async fn try_to_reload_into(&self, taken: &mut Taken) {
        if let Err(error) = self.reload_into(taken).await {
            tracing::debug!(%error, "going on with what is known");
        }
    }

    pub(super) async fn reload_into(&self, taken: &mut Taken) -> Result<(), StoreError> {
        let directory = self.store.directory().await?;
        self.has_read.store(true, Ordering::Relaxed);
        if directory.version == taken.directory.version {
            return Ok(());
        }
        let former = Arc::clone(&taken.directory);
        let mut changed = directory.changed_accounts(&former);
        let (mut some, mut has_changed) = (Vec::with_capacity(TOGETHER), false);
        loop {
            some.clear();
            some.extend(changed.by_ref().take(TOGETHER));
            if some.is_empty() {
                break;
            }
            has_changed = true;
            self.take_up(taken, &directory, &some);
        }
        drop(changed);
        if has_changed {
            self.tell_of_locked(taken);
        }
        if directory.clients != taken.directory.clients {
            self.take_up_clients(&directory.clients);
        }
        taken.directory = directory;
        Ok(())
    }

    fn take_up(&self, taken: &mut Taken, directory: &Directory, changed: &[AppId]) {
        let mut changes = BTreeMap::new();
        for appid in changed {
            let (row, is_configured) = (directory.account(appid), self.is_configured(appid));
            taken.unopened.remove(appid);
            if row.is_some() && is_configured {
                tracing::warn!(
                    %appid,
                    "the account is in the configuration and was also added at run time: the \
                     configuration holds; remove it there, or here with wxsign account remove"
                );
            }
            let opened = row.map(|row| self.open(appid, row.as_ref()));
            match opened {
                // What runs goes on with what it has.
                Some(None) => {
                    taken.unopened.insert(appid.clone());
                }
                Some(Some(_)) | None if is_configured => {}
                account => {
                    changes.insert(appid.clone(), account.flatten());
                }
            }
        }
        self.keeper.change_accounts(changes);
    }

    fn tell_of_locked(&self, taken: &Taken) {
        let locked = taken.unopened.iter();
        let locked = locked.filter(|appid| !self.is_configured(appid)).cloned();
        self.locked.store(Arc::new(locked.collect()));
        if let Some(why) = self.locked() {
            tracing::error!("{why}; they are left as they are");
        }
    }

    /// Why stored accounts could not be opened when they were read last, if there are such.
    pub fn locked(&self) -> Option<RosterError> {
        self.cannot_open(self.locked.load().to_vec())
    }

    /// Whether all accounts of the directory can be opened. Those that were taken up are not opened
    /// once more.
    pub(super) fn can_open(&self, directory: &Directory, taken: &Taken) -> Result<(), RosterError> {
        let mut unopened = taken.unopened.clone();
        for appid in directory.changed_accounts(&taken.directory) {
            unopened.remove(&appid);
            let row = directory.account(&appid);
            if row.is_some_and(|row| self.open(&appid, row.as_ref()).is_none()) {
                unopened.insert(appid);
            }
        }
        self.cannot_open(unopened.into_iter().collect())
            .map_or(Ok(()), Err)
    }

    /// `None` if the row cannot be read or its AppSecret cannot be opened.
    pub(super) fn open(&self, appid: &AppId, row: Option<&AccountRow>) -> Option<Account> {
        let (row, vault) = (row?, self.vault.as_ref()?);
        let mut page_hosts = PageHosts::default();
        for host in &row.page_hosts {
            page_hosts.add(host).ok()?;
        }
        Some(Account {
            appid: appid.clone(),
            name: row.name.clone(),
            secret: vault.open(appid, &row.secret).ok()?,
            token_api: row.token_api,
            page_hosts,
            wx_card: row.wx_card,
        })
    }

    pub(super) fn open_all(
        &self,
        rows: &AccountRows,
    ) -> Result<Vec<(Account, AccountRow)>, RosterError> {
        let (mut opened, mut locked) = (Vec::new(), Vec::new());
        for (appid, row) in rows {
            match self.open(appid, row.as_ref()).zip(row.clone()) {
                Some(both) => opened.push(both),
                None => locked.push(appid.clone()),
            }
        }
        match self.cannot_open(locked) {
            None => Ok(opened),
            Some(why) => Err(why),
        }
    }

    fn cannot_open(&self, locked: Vec<AppId>) -> Option<RosterError> {
        (!locked.is_empty()).then(|| match self.vault {
            Some(_) => RosterError::Locked(locked.into()),
            None => RosterError::NoKeyFor(locked.into()),
        })
    }
}
