//! What is stored about a client that was added at run time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::client::{Accounts, Client, KeyHash, Scope};
use crate::clock::Timestamp;

/// A client that was added at run time; its name is the key under which it is stored. Whoever
/// reads it can let nobody in with it: it holds no key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct ClientRow {
    /// The hash of its key, or of two while one takes the place of the other, the newest first.
    pub key_sha256: Vec<KeyHash>,
    /// Its keys are refused from then on.
    pub not_after: Option<Timestamp>,
    /// Those that it may ask about.
    pub accounts: Accounts,
    /// What else stands among those: names that this version cannot read, perhaps because a newer
    /// one put them there. They let it ask about nothing here.
    pub unread_accounts: BTreeSet<String>,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// When it was put here.
    pub changed_at: Timestamp,
}

/// How it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    key_sha256: Vec<KeyHash>,
    not_after: Option<Timestamp>,
    accounts: Vec<String>,
    scopes: BTreeSet<Scope>,
    changed_at: Timestamp,
}

impl From<Written> for ClientRow {
    fn from(written: Written) -> Self {
        let is_read = |name: &String| Accounts::try_from(vec![name.clone()]).is_ok();
        let (read, unread): (Vec<_>, Vec<_>) = written.accounts.into_iter().partition(is_read);
        Self {
            key_sha256: written.key_sha256,
            not_after: written.not_after,
            accounts: Accounts::try_from(read).expect("each of them can be read"),
            unread_accounts: unread.into_iter().collect(),
            scopes: written.scopes,
            changed_at: written.changed_at,
        }
    }
}

impl From<ClientRow> for Written {
    fn from(row: ClientRow) -> Self {
        let mut accounts = Vec::from(row.accounts);
        accounts.extend(row.unread_accounts);
        Self {
            key_sha256: row.key_sha256,
            not_after: row.not_after,
            accounts,
            scopes: row.scopes,
            changed_at: row.changed_at,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_version_named_stays_as_it_is_and_lets_nobody_in() {
        let text = r#"{"key_sha256":[],"not_after":null,"accounts":["wx0123456789abcdef","zz-of-later"],"scopes":["token"],"changed_at":1700000000000}"#;
        let row = ClientRow::decode(text.as_bytes()).unwrap();
        let known = "wx0123456789abcdef".parse().unwrap();
        assert_eq!(row.accounts, Accounts::Listed([known].into()));
        assert_eq!(row.unread_accounts, ["zz-of-later".to_owned()].into());
        assert_eq!(row.encode(), text.as_bytes());

        let none = text.replace("\"wx0123456789abcdef\",", "");
        let row = ClientRow::decode(none.as_bytes()).unwrap();
        assert_eq!(row.accounts, Accounts::Listed(BTreeSet::new()));
        assert_eq!(row.encode(), none.as_bytes());
    }
}
