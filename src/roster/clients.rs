//! The clients: those of the configuration, and those that were added at run time.
//!
//! They need no master key, because what is stored of them are the hashes of their keys. A key
//! that was removed or replaced is refused from the next request on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::Guard;
use subtle::{Choice, ConstantTimeEq};

use super::{KeptIn, Roster, RosterError};
use crate::client::{Accounts, Client, KeyHash, MAX_KEYS, Scope, new_key};
use crate::clock::Timestamp;
use crate::credential::Secret;
use crate::store::{Changes, ClientRow, ClientRows};

/// The clients that are let in, as of one change.
#[derive(Default, Debug)]
pub struct Clients(Vec<Arc<Caller>>);

/// A client that is let in, and when it was last here.
#[derive(Debug)]
pub struct Caller {
    /// The client.
    pub client: Client,
    /// Where it is kept.
    pub kept_in: KeptIn,
    /// In seconds since the Unix epoch, 0 for never. It outlasts a change of the client.
    last_used: Arc<AtomicI64>,
}

impl Clients {
    /// The `configured` clients and those of `rows` that can be read and have other names; when
    /// they were last here is `known`.
    pub(super) fn new(configured: &[Client], rows: &ClientRows, known: &Self) -> Self {
        let is_configured =
            |name: &str| (configured.iter()).any(|configured| configured.name == *name);
        let stored = rows.iter().filter(|(name, _)| !is_configured(name));
        let stored = stored.filter_map(|(name, row)| Some(row.as_ref()?.client(name)));
        let configured = configured.iter().cloned();
        let all = (configured.map(|client| (client, KeptIn::Configuration)))
            .chain(stored.map(|client| (client, KeptIn::Database)));
        let callers = all.map(|(client, kept_in)| {
            let known = known.iter().find(|known| known.client.name == client.name);
            Arc::new(Caller {
                last_used: known.map_or_else(Arc::default, |known| Arc::clone(&known.last_used)),
                client,
                kept_in,
            })
        });
        Self(callers.collect())
    }

    /// All of them, the configured ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Caller>> {
        self.0.iter()
    }

    /// The client whose key this is, if the key holds at `now`. How long that takes depends on
    /// how many clients there are, and on nothing else.
    pub fn find(&self, key: &str, now: Timestamp) -> Option<&Arc<Caller>> {
        let hash = KeyHash::of(key);
        let mut found = None;
        for caller in &self.0 {
            let keys = caller.client.key_sha256.iter();
            let is_its = keys.fold(Choice::from(0), |any, known| any | known.ct_eq(&hash));
            if bool::from(is_its) && found.is_none() {
                found = Some(caller);
            }
        }
        let caller = found.filter(|found| found.holds_at(now))?;
        caller.last_used.store(now.as_secs(), Ordering::Relaxed);
        Some(caller)
    }
}

impl Caller {
    /// When it was last here, in seconds since the Unix epoch.
    pub fn last_used(&self) -> Option<i64> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// Whether its keys have not come to their end.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.client.not_after.is_none_or(|end| now < end)
    }

    /// Whether its scopes name `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.client.scopes.contains(&scope)
    }
}

/// A client as it is to be; what is `None` stays as it is stored.
#[derive(Clone, Debug)]
pub struct ClientDraft {
    /// What logs call it.
    pub name: String,
    /// What it may do.
    pub scopes: Option<BTreeSet<Scope>>,
    /// The accounts that it may ask about.
    pub accounts: Option<Accounts>,
    /// A new one may ask about all accounts where `accounts` names none.
    pub all_unless_named: bool,
    /// When its keys end, if they do.
    pub not_after: Option<Option<Timestamp>>,
    /// Gives it a new key beside its newest one. A new client gets one in any case.
    pub rotate: bool,
    /// Leaves it no key but the newest.
    pub drop_former: bool,
}

impl ClientDraft {
    /// The client of this name as it is stored.
    pub const fn of(name: String) -> Self {
        Self {
            name,
            scopes: None,
            accounts: None,
            all_unless_named: false,
            not_after: None,
            rotate: false,
            drop_former: false,
        }
    }
}

/// What was stored.
#[derive(Clone, Debug)]
pub struct ClientPut {
    /// The client was not there before.
    pub is_new: bool,
    /// The client.
    pub row: ClientRow,
    /// Its new key, which is kept nowhere.
    pub key: Option<Secret>,
}

impl Roster {
    /// The clients that are let in.
    pub fn clients(&self) -> Guard<Arc<Clients>> {
        self.clients.load()
    }

    pub(super) fn take_up_clients(&self, rows: &ClientRows) {
        for (name, row) in rows {
            if row.is_none() {
                tracing::error!(
                    client = %name,
                    "what is stored of the client cannot be read, perhaps because a newer version \
                     put it there; it is left as it is, and not let in"
                );
            } else if self.is_configured_client(name) {
                tracing::warn!(
                    client = %name,
                    "the client is in the configuration and was also added at run time: the \
                     configuration holds; remove it there, or here with wxsign client remove"
                );
            }
        }
        let clients = Clients::new(&self.configured_clients, rows, &self.clients.load());
        self.clients.store(Arc::new(clients));
    }

    /// Puts a client there or changes it; its former rights and keys end at once. `by` is the
    /// client that asks for it, which hands on no more than it has; without one it is the
    /// operator, who may do anything.
    ///
    /// # Errors
    /// Why nothing was stored; after [`RosterError::Store`] it may have been.
    pub async fn put_client(
        &self,
        draft: &ClientDraft,
        by: Option<&Client>,
    ) -> Result<ClientPut, RosterError> {
        let mut taken = self.taken.lock().await;
        let put = self.change(|directory| {
            self.still_holds(by, &directory.clients)?;
            let put = self.drafted_client(draft, by, &directory.clients)?;
            Ok((change_of(&draft.name, Some(put.row.clone())), put))
        });
        let put = put.await?;
        tracing::info!(client = %draft.name, put.is_new, "a client was put into the store");
        self.try_to_reload_into(&mut taken).await;
        Ok(put)
    }

    fn drafted_client(
        &self,
        draft: &ClientDraft,
        by: Option<&Client>,
        rows: &ClientRows,
    ) -> Result<ClientPut, RosterError> {
        let name = || draft.name.clone();
        if self.is_configured_client(&draft.name) {
            return Err(RosterError::ClientConfigured(name()));
        }
        let former = match rows.get(&draft.name) {
            Some(None) => return Err(RosterError::ClientUnreadable(name())),
            Some(Some(row)) if !reaches(by, Some(row)) => {
                return Err(RosterError::ClientBeyond(name()));
            }
            former => former.and_then(Option::as_ref),
        };
        let scopes = || former.map(|row| row.scopes.clone());
        let accounts = || match former {
            Some(row) => Some(row.accounts.clone()),
            None => draft.all_unless_named.then_some(Accounts::All),
        };
        let incomplete = || RosterError::ClientIncomplete(name());
        let key = (former.is_none() || draft.rotate).then(new_key);
        let newest = key.iter().map(|key| KeyHash::of(key.expose()));
        let keys = newest.chain(former.into_iter().flat_map(|row| row.key_sha256.clone()));
        let kept = if draft.drop_former { 1 } else { MAX_KEYS };
        let row = ClientRow {
            key_sha256: keys.take(kept).collect(),
            not_after: (draft.not_after).unwrap_or_else(|| former.and_then(|row| row.not_after)),
            accounts: (draft.accounts.clone())
                .or_else(accounts)
                .ok_or_else(incomplete)?,
            unread_accounts: if draft.accounts.is_some() {
                BTreeSet::new()
            } else {
                former.map_or_else(BTreeSet::new, |row| row.unread_accounts.clone())
            },
            scopes: draft
                .scopes
                .clone()
                .or_else(scopes)
                .ok_or_else(incomplete)?,
            changed_at: self.keeper.clock().now(),
        };
        if !reaches(by, Some(&row)) {
            return Err(RosterError::GrantBeyond(name()));
        }
        Ok(ClientPut {
            is_new: former.is_none(),
            row,
            key,
        })
    }

    /// Removes a client that was added at run time; its keys are refused from now on. For `by` see
    /// [`put_client`](Self::put_client).
    ///
    /// # Errors
    /// It is not there, or not for this program or client to remove; after [`RosterError::Store`]
    /// it may be gone.
    pub async fn remove_client(&self, name: &str, by: Option<&Client>) -> Result<(), RosterError> {
        let mut taken = self.taken.lock().await;
        let removed = self.change(|directory| {
            self.still_holds(by, &directory.clients)?;
            match directory.clients.get(name) {
                Some(row) if reaches(by, row.as_ref()) => Ok((change_of(name, None), ())),
                Some(_) => Err(RosterError::ClientBeyond(name.to_owned())),
                None if self.is_configured_client(name) => {
                    Err(RosterError::ClientConfigured(name.to_owned()))
                }
                None => Err(RosterError::ClientUnknown(name.to_owned())),
            }
        });
        removed.await?;
        tracing::info!(client = %name, "a client was removed from the store");
        self.try_to_reload_into(&mut taken).await;
        Ok(())
    }

    /// Whoever asks was let in by what this process knows; others may have taken his key or rights
    /// away a moment ago.
    fn still_holds(&self, by: Option<&Client>, rows: &ClientRows) -> Result<(), RosterError> {
        let is_as_stored = |by: &Client| {
            let row = rows.get(&by.name).and_then(Option::as_ref);
            row.is_some_and(|row| row.client(&by.name) == *by)
        };
        match by {
            Some(by) if !self.is_configured_client(&by.name) && !is_as_stored(by) => {
                Err(RosterError::ChangedMeanwhile)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_configured_client(&self, name: &str) -> bool {
        (self.configured_clients.iter()).any(|client| client.name == name)
    }
}

/// Whether whoever asks may do all that the client of the row may do.
fn reaches(by: Option<&Client>, row: Option<&ClientRow>) -> bool {
    by.is_none_or(|by| match row {
        Some(row) if row.unread_accounts.is_empty() => by.covers(&row.accounts, &row.scopes),
        Some(row) => by.covers(&Accounts::All, &row.scopes),
        // It cannot be read: it may be allowed to do anything.
        None => by.covers(&Accounts::All, &Scope::ALL.into()),
    })
}

fn change_of(name: &str, row: Option<ClientRow>) -> Changes {
    Changes {
        clients: [(name.to_owned(), row)].into(),
        ..Changes::default()
    }
}
