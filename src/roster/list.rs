//! All that there is, for operators to look at.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Roster, RosterError};
use crate::account::{AppId, TokenApi};
use crate::client::{Accounts, Client, Scope};
use crate::clock::Timestamp;

/// An account as a list shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Listed {
    /// Who it is.
    pub appid: AppId,
    /// What people call it.
    pub name: Option<String>,
    /// Which token API it uses, if that can be read.
    pub token_api: Option<TokenApi>,
    /// The hosts of the pages that it may sign for.
    pub page_hosts: Vec<String>,
    /// Whether it hands out coupons.
    pub wx_card: bool,
    /// Where it is kept.
    pub kept_in: KeptIn,
    /// Whether a server with this configuration serves it.
    pub state: State,
}

/// A client as a list shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ListedClient {
    /// What logs call it.
    pub name: String,
    /// How many keys it has: two while one takes the place of the other.
    pub keys: usize,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// The accounts that it may ask about.
    pub accounts: Accounts,
    /// When its keys end, in seconds since the Unix epoch.
    pub not_after: Option<i64>,
    /// Where it is kept.
    pub kept_in: KeptIn,
    /// Whether a server with this configuration lets it in.
    pub state: State,
}

/// Where an account or a client is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptIn {
    /// In the file or the environment.
    Configuration,
    /// In the store: it was added at run time.
    Database,
}

/// Whether an account or a client is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is.
    Served,
    /// The configuration has one with its AppID or name, which is served instead.
    Overridden,
    /// Its AppSecret cannot be opened: the master key is not there, or is another one.
    Locked,
    /// What is stored of the client cannot be read: perhaps a newer version put it there.
    Unreadable,
}

impl KeptIn {
    /// Its name in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Database => "database",
        }
    }
}

impl State {
    /// Its name in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Overridden => "overridden",
            Self::Locked => "locked",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Roster {
    /// All accounts: those of the configuration, then those that were added at run time.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn list(&self) -> Result<Vec<Listed>, RosterError> {
        let configured = self.configured.iter().map(|account| Listed {
            appid: account.appid.clone(),
            name: account.name.clone(),
            token_api: Some(account.token_api),
            page_hosts: account.page_hosts.patterns(),
            wx_card: account.wx_card,
            kept_in: KeptIn::Configuration,
            state: State::Served,
        });
        let rows = self.store.directory().await?.accounts();
        let stored = rows.into_iter().map(|(appid, row)| {
            let state = if self.is_configured(&appid) {
                State::Overridden
            } else if self.open(&appid, row.as_ref()).is_some() {
                State::Served
            } else {
                State::Locked
            };
            Listed {
                appid,
                name: row.as_ref().and_then(|row| row.name.clone()),
                token_api: row.as_ref().map(|row| row.token_api),
                wx_card: row.as_ref().is_some_and(|row| row.wx_card),
                page_hosts: row.map(|row| row.page_hosts).unwrap_or_default(),
                kept_in: KeptIn::Database,
                state,
            }
        });
        Ok(configured.chain(stored).collect())
    }

    /// All clients: those of the configuration, then those that were added at run time.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn list_clients(&self) -> Result<Vec<ListedClient>, RosterError> {
        let listed = |client: &Client, kept_in, state| ListedClient {
            name: client.name.clone(),
            keys: client.key_sha256.len(),
            scopes: client.scopes.clone(),
            accounts: client.accounts.clone(),
            not_after: client.not_after.map(Timestamp::as_secs),
            kept_in,
            state,
        };
        let configured = self.configured_clients.iter();
        let configured =
            configured.map(|client| listed(client, KeptIn::Configuration, State::Served));
        let directory = self.store.directory().await?;
        let stored = directory.clients.iter().map(|(name, row)| {
            let state = match row {
                None => State::Unreadable,
                Some(_) if self.is_configured_client(name) => State::Overridden,
                Some(_) => State::Served,
            };
            let client = match row {
                Some(row) => row.client(name),
                None => Client {
                    name: name.clone(),
                    key_sha256: Vec::new(),
                    not_after: None,
                    accounts: Accounts::Listed(BTreeSet::new()),
                    scopes: BTreeSet::new(),
                },
            };
            listed(&client, KeptIn::Database, state)
        });
        Ok(configured.chain(stored).collect())
    }
}
