//! What is stored about a client that was added at run time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::client::{Accounts, Client, KeyHash, Scope};
use crate::clock::Timestamp;

/// A client that was added at run time; its name is the key under which it is stored. Whoever
/// reads it can let nobody in with it: it holds no key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientRow {
    /// The hash of its key, or of two while one takes the place of the other, the newest first.
    pub key_sha256: Vec<KeyHash>,
    /// Its keys are refused from then on.
    pub not_after: Option<Timestamp>,
    /// Those that it may ask about.
    pub accounts: Accounts,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// When it was put here.
    pub changed_at: Timestamp,
}

impl ClientRow {
    /// The client of this name.
    pub fn client(&self, name: &str) -> Client {
        Client {
            name: name.to_owned(),
            key_sha256: self.key_sha256.clone(),
            not_after: self.not_after,
            accounts: self.accounts.clone(),
            scopes: self.scopes.clone(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it has only text keys")
    }

    /// `None` if it cannot be read.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
