//! What was added at run time, as all processes that share a store see it.

use std::collections::BTreeMap;

use super::{AccountRow, EncodedChanges, Entries, Version};
use crate::account::AppId;

/// What was added at run time, as of one change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// The last change; [`Version::ABSENT`] where there never was one.
    pub version: Version,
    /// The accounts.
    pub accounts: AccountRows,
}

/// The accounts that were added at run time; `None` for one that cannot be read.
pub type AccountRows = BTreeMap<AppId, Option<AccountRow>>;

/// What becomes of what was added; `None` takes it away. All else stays as it is.
#[derive(Clone, Default, Debug)]
pub struct Changes {
    /// The accounts that change.
    pub accounts: BTreeMap<AppId, Option<AccountRow>>,
}

/// What the names of accounts begin with.
const ACCOUNT: &str = "account/";

impl Directory {
    /// What cannot be read stays where it is; what has no name that can be read is passed over.
    pub(super) fn decode(stored: &Entries) -> Self {
        let mut accounts = AccountRows::new();
        for (name, bytes) in &stored.entries {
            let appid = name.strip_prefix(ACCOUNT).map(str::parse);
            match appid {
                Some(Ok(appid)) => {
                    accounts.insert(appid, AccountRow::decode(bytes));
                }
                _ => tracing::warn!(%name, "an entry of the store is none of this version's"),
            }
        }
        Self {
            version: stored.version,
            accounts,
        }
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::decode(&Entries::default())
    }
}

impl Changes {
    pub(super) fn encode(&self) -> EncodedChanges {
        let accounts = self.accounts.iter().map(|(appid, row)| {
            let row = row.as_ref().map(AccountRow::encode);
            (format!("{ACCOUNT}{appid}"), row)
        });
        accounts.collect()
    }
}

/// The entries after `changes`.
pub(super) fn apply(entries: &mut BTreeMap<String, Vec<u8>>, changes: &EncodedChanges) {
    for (name, change) in changes {
        match change {
            Some(bytes) => entries.insert(name.clone(), bytes.clone()),
            None => entries.remove(name),
        };
    }
}
