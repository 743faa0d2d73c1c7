//! Which accounts and clients there are: those of the configuration, and those that were added at
//! run time and are kept in the store, AppSecrets sealed with the master key.
//!
//! What is configured wins over what is stored. What cannot be opened, because it was sealed with
//! another master key, or cannot be read is left as it is, and all else is served.

mod clients;
mod error;
mod list;
mod taken;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

pub use clients::{Caller, ClientDraft, ClientPut, Clients};
pub use error::{Appids, RosterError};
pub use list::{KeptIn, Listed, ListedClient, State};

use taken::Taken;

use crate::account::{Account, AppId, TokenApi};
use crate::client::Client;
use crate::credential::{Kind, Secret};
use crate::history::History;
use crate::keeper::Keeper;
use crate::page_hosts::PageHosts;
use crate::store::{AccountRow, Changes, ClientRows, Directory, Key, Store, StoreError};
use crate::upstream::{Api, CALL_TIMEOUT, Class, Failure, Upstream, UpstreamError};
use crate::vault::Vault;

/// What becomes of accounts; `None` takes one away.
type AccountChanges = BTreeMap<AppId, Option<AccountRow>>;

/// The accounts and clients, and the only way to change them.
pub struct Roster {
    configured: Vec<Account>,
    configured_clients: Vec<Client>,
    /// Without it no account can be added at run time.
    vault: Option<Vault>,
    store: Store,
    upstream: Arc<dyn Upstream>,
    keeper: Keeper,
    /// It was read once.
    has_read: AtomicBool,
    /// What was taken up of what is stored. Whoever changes something holds it to the end.
    taken: Mutex<Taken>,
    /// The accounts that would be served if they could be opened.
    locked: ArcSwap<Vec<AppId>>,
    /// Who is let in.
    clients: ArcSwap<Clients>,
}

/// An account as it is to be; what is `None` stays as it is stored.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who it is.
    pub appid: AppId,
    /// What people call it; empty takes its name away.
    pub name: Option<String>,
    /// Which token API it uses; the classic one if nothing is stored, its own for a WeCom app.
    pub token_api: Option<TokenApi>,
    /// The hosts of the pages that it may sign for.
    pub page_hosts: PageHosts,
    /// Whether it hands out coupons; it does not if nothing is stored, and a WeCom app never.
    pub wx_card: Option<bool>,
    /// Its AppSecret.
    pub secret: Option<Secret>,
    /// Takes the AppSecret without asking WeChat whether it is right.
    pub unchecked: bool,
}

/// What was stored.
#[derive(Clone, Debug)]
pub struct Put {
    /// The account was not there before.
    pub is_new: bool,
    /// The account.
    pub row: AccountRow,
}

impl Roster {
    /// The roster of what is `configured` and what is in `store`, whose accounts are for `keeper`
    /// to keep.
    pub fn new(
        configured: Vec<Account>,
        configured_clients: Vec<Client>,
        vault: Option<Vault>,
        store: Store,
        upstream: Arc<dyn Upstream>,
        keeper: Keeper,
    ) -> Self {
        let clients = Clients::new(&configured_clients, &ClientRows::new(), &Clients::default());
        Self {
            configured,
            configured_clients,
            vault,
            // What only this process can reach is read before it listens.
            has_read: AtomicBool::new(store.is_embedded()),
            store,
            upstream,
            keeper,
            taken: Mutex::default(),
            locked: ArcSwap::default(),
            clients: ArcSwap::from_pointee(clients),
        }
    }

    /// Where is recorded what becomes of them. Whoever changes something does that, for he knows who
    /// he is.
    pub fn history(&self) -> &History {
        self.keeper.history()
    }

    /// Whether it is known which accounts were added at run time.
    pub fn has_read(&self) -> bool {
        self.has_read.load(Ordering::Relaxed)
    }

    /// Puts an account there or changes it, and has it served at once.
    ///
    /// An AppSecret that is not the stored one is tried against WeChat first, unless the draft
    /// says otherwise: not by the classic token API, because that would supersede the token that
    /// is in use.
    ///
    /// # Errors
    /// Why nothing was stored; after [`RosterError::Store`] it may have been.
    pub async fn put(&self, draft: Draft) -> Result<Put, RosterError> {
        let mut taken = self.taken.lock().await;
        self.reload_into(&mut taken).await?;
        let (_, untried) = self.drafted(&draft, &taken, &taken.directory)?;
        drop(taken);
        if let Some(secret) = untried {
            self.try_secret(&draft.appid, secret).await?;
        }
        let mut taken = self.taken.lock().await;
        let put = self.change_accounts(|directory| {
            let (put, still_untried) = self.drafted(&draft, &taken, directory)?;
            if untried.is_none() && still_untried.is_some() {
                return Err(RosterError::ChangedMeanwhile);
            }
            let changes = [(draft.appid.clone(), Some(put.row.clone()))];
            Ok((changes.into(), put))
        });
        let put = put.await?;
        tracing::info!(appid = %draft.appid, put.is_new, "an account was put into the store");
        self.try_to_reload_into(&mut taken).await;
        Ok(put)
    }

    /// What is to be stored for `draft` in the `directory`, and its AppSecret if WeChat is to be
    /// asked about it.
    fn drafted<'a>(
        &self,
        draft: &'a Draft,
        taken: &Taken,
        directory: &Directory,
    ) -> Result<(Put, Option<&'a Secret>), RosterError> {
        let appid = &draft.appid;
        let vault = self.vault.as_ref().ok_or(RosterError::NoMasterKey)?;
        if self.is_configured(appid) {
            return Err(RosterError::Configured(appid.clone()));
        }
        // With two master keys in one database, no start could serve all of it.
        self.can_open(directory, taken)?;
        let former = directory.account(appid).flatten();
        let former = former.and_then(|row| self.open(appid, Some(&row)));
        let former = former.as_ref();
        let known = former.map(|account| &account.secret);
        let name = || former.and_then(|account| account.name.clone());
        let known_api = || former.map(|account| account.token_api);
        let token_api = TokenApi::of(appid, draft.token_api.or_else(known_api));
        let wx_card = || former.map(|account| account.wx_card);
        if draft.wx_card == Some(true) && appid.wecom().is_some() {
            return Err(RosterError::CouponsOfWeCom);
        }
        let secret = draft.secret.as_ref().or(known);
        let row = AccountRow {
            name: (draft.name.clone().or_else(name)).filter(|name| !name.is_empty()),
            token_api: token_api.map_err(RosterError::TokenApi)?,
            page_hosts: draft.page_hosts.patterns(),
            secret: vault.seal(appid, secret.ok_or(RosterError::NoSecret)?),
            changed_at: self.keeper.clock().now(),
            wx_card: draft.wx_card.or_else(wx_card).unwrap_or_default() && appid.wecom().is_none(),
        };
        let is_new = former.is_none();
        let untried = draft.secret.as_ref();
        let untried = untried.filter(|secret| !draft.unchecked && known != Some(secret));
        Ok((Put { is_new, row }, untried))
    }

    /// Removes an account that was added at run time; it is not served any more.
    ///
    /// # Errors
    /// It is not there, or not for this program to remove; after [`RosterError::Store`] it may be
    /// gone.
    pub async fn remove(&self, appid: &AppId) -> Result<(), RosterError> {
        let mut taken = self.taken.lock().await;
        let removed = self.change_accounts(|directory| {
            if directory.account(appid).is_some() {
                Ok(([(appid.clone(), None)].into(), ()))
            } else if self.is_configured(appid) {
                Err(RosterError::Configured(appid.clone()))
            } else {
                Err(RosterError::Unknown(appid.clone()))
            }
        });
        removed.await?;
        tracing::info!(%appid, "an account was removed from the store");
        self.try_to_reload_into(&mut taken).await;
        Ok(())
    }

    /// Seals the records of all accounts with another master key, and the AppSecrets of the stored
    /// ones, all or none of these. Returns how many AppSecrets they are.
    ///
    /// # Errors
    /// Why none was: one cannot be opened, or others changed them meanwhile. After
    /// [`RosterError::MayBeRekeyed`] nobody knows.
    pub async fn rekey(&self, vault: &Vault) -> Result<usize, RosterError> {
        let rows = self.store.directory().await?.accounts();
        self.open_all(&rows)?;
        // These first: what was done is left as it is when all of it is done once more.
        let configured = self.configured.iter().map(|account| &account.appid);
        for appid in configured.chain(rows.keys()) {
            // Also what was kept before a setting was changed.
            for kind in Kind::ALL {
                let appid = appid.clone();
                self.store.reseal(&Key { appid, kind }, vault).await?;
            }
        }
        self.rekey_accounts(vault).await
    }

    async fn rekey_accounts(&self, vault: &Vault) -> Result<usize, RosterError> {
        let resealed = self.change_accounts(|directory| {
            let rows = directory.accounts();
            let opened = self.open_all(&rows)?;
            let sealed = opened.into_iter().map(|(account, mut row)| {
                row.secret = vault.seal(&account.appid, &account.secret);
                (account.appid, Some(row))
            });
            Ok((sealed.collect(), rows.len()))
        });
        match resealed.await {
            Err(RosterError::Store(error)) => self.rekeyed(vault, error).await,
            known => known,
        }
    }

    /// What has become of a rekeying that the store answered with `error`: the write may have
    /// taken effect all the same.
    async fn rekeyed(&self, vault: &Vault, error: StoreError) -> Result<usize, RosterError> {
        let Ok(directory) = self.store.directory().await else {
            return Err(RosterError::MayBeRekeyed(error));
        };
        let rows = directory.accounts();
        let is_new = |(appid, row): (&AppId, &Option<AccountRow>)| {
            let opened = row.as_ref().map(|row| vault.open(appid, &row.secret));
            opened.is_some_and(|opened| opened.is_ok())
        };
        if rows.iter().all(is_new) {
            Ok(rows.len())
        } else if self.open_all(&rows).is_ok() {
            Err(RosterError::Store(error))
        } else {
            Err(RosterError::MayBeRekeyed(error))
        }
    }

    async fn change_accounts<T>(
        &self,
        change: impl Fn(&Directory) -> Result<(AccountChanges, T), RosterError>,
    ) -> Result<T, RosterError> {
        self.change(|directory| {
            let (accounts, changed) = change(directory)?;
            let changes = Changes {
                accounts,
                ..Changes::default()
            };
            Ok((changes, changed))
        })
        .await
    }

    /// Changes what is stored; what others make of it at the same moment is read again, once.
    async fn change<T>(
        &self,
        change: impl Fn(&Directory) -> Result<(Changes, T), RosterError>,
    ) -> Result<T, RosterError> {
        for _ in 0..2 {
            if let Some(changed) = self.store.change_directory(&change).await? {
                return Ok(changed);
            }
        }
        Err(RosterError::ChangedMeanwhile)
    }

    /// Where an account is kept that is served.
    pub fn kept_in(&self, appid: &AppId) -> KeptIn {
        if self.is_configured(appid) {
            KeptIn::Configuration
        } else {
            KeptIn::Database
        }
    }

    /// Whether there is a master key, without which no account can be added at run time.
    pub const fn has_vault(&self) -> bool {
        self.vault.is_some()
    }

    fn is_configured(&self, appid: &AppId) -> bool {
        self.configured
            .iter()
            .any(|account| account.appid == *appid)
    }

    /// Asks WeChat whether it accepts an AppID with an AppSecret, by a call that supersedes nothing.
    ///
    /// # Errors
    /// It does not, or cannot be asked.
    pub async fn ask_about(&self, appid: &AppId, secret: &Secret) -> Result<(), UpstreamError> {
        let account = Account {
            appid: appid.clone(),
            name: None,
            secret: secret.clone(),
            token_api: TokenApi::on_trial(appid),
            page_hosts: PageHosts::default(),
            wx_card: false,
        };
        let call = self.upstream.fetch_token(&account);
        let answer = tokio::time::timeout(CALL_TIMEOUT, call).await;
        let api = Api::for_token(account.token_api);
        let answer = answer.unwrap_or_else(|_| Err(UpstreamError::timed_out(api)));
        answer.map(drop)
    }

    async fn try_secret(&self, appid: &AppId, secret: &Secret) -> Result<(), RosterError> {
        let Err(error) = self.ask_about(appid, secret).await else {
            return Ok(());
        };
        let (class, remedy, link) = (error.class(), error.remedy().en, error.explanation().link);
        match error.failure {
            Failure::Refused { errcode, errmsg } if class == Class::Credentials => {
                Err(RosterError::Refused {
                    errcode,
                    errmsg,
                    remedy,
                    link,
                })
            }
            _ => Err(RosterError::NotChecked(error)),
        }
    }
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Roster(…)")
    }
}

#[cfg(test)]
mod tests;
