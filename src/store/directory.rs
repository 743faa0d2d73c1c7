//! What was added at run time, as all processes that share a store see it.

use std::collections::BTreeMap;

use super::{AccountRow, ClientRow, EncodedChanges, Entries, Version};
use crate::account::AppId;
use crate::client::parse_name;

/// What was added at run time, as of one change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// The last change; [`Version::ABSENT`] where there never was one.
    pub version: Version,
    /// The accounts.
    pub accounts: AccountRows,
    /// The clients.
    pub clients: ClientRows,
}

/// The accounts that were added at run time; `None` for one that cannot be read.
pub type AccountRows = BTreeMap<AppId, Option<AccountRow>>;

/// The clients that were added at run time, by their names; `None` for one that cannot be read.
pub type ClientRows = BTreeMap<String, Option<ClientRow>>;

/// What becomes of what was added; `None` takes it away. All else stays as it is.
#[derive(Clone, Default, Debug)]
pub struct Changes {
    /// The accounts that change.
    pub accounts: BTreeMap<AppId, Option<AccountRow>>,
    /// The clients that change.
    pub clients: BTreeMap<String, Option<ClientRow>>,
}

/// What the names of accounts begin with.
const ACCOUNT: &str = "account/";

/// What the names of clients begin with.
const CLIENT: &str = "client/";

impl Directory {
    /// What cannot be read stays where it is; what has no name that can be read is passed over.
    pub(super) fn decode(stored: &Entries) -> Self {
        let (mut accounts, mut clients) = (AccountRows::new(), ClientRows::new());
        let entries = stored.entries.iter().filter(|(name, _)| *name != HISTORY);
        for (name, bytes) in entries {
            let appid = name.strip_prefix(ACCOUNT).map(str::parse);
            let client = name.strip_prefix(CLIENT).map(parse_name);
            if let Some(Ok(appid)) = appid {
                accounts.insert(appid, AccountRow::decode(bytes));
            } else if let Some(Ok(client)) = client {
                clients.insert(client, ClientRow::decode(bytes));
            } else {
                tracing::warn!(%name, "an entry of the store is none of this version's");
            }
        }
        Self {
            version: stored.version,
            accounts,
            clients,
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
        let clients = self.clients.iter().map(|(name, row)| {
            let row = row.as_ref().map(ClientRow::encode);
            (format!("{CLIENT}{name}"), row)
        });
        accounts.chain(clients).collect()
    }
}

/// The entry that tells one directory from another, and how often it was changed.
const HISTORY: &str = "history";

/// What the entry says: a name that nobody else has, and a count.
#[derive(Clone, PartialEq, Eq)]
struct History {
    name: String,
    changes: u64,
}

impl History {
    fn of(entries: &Entries) -> Option<Self> {
        let text = std::str::from_utf8(entries.entries.get(HISTORY)?).ok()?;
        let (name, changes) = text.split_once('/')?;
        let (name, changes) = (name.to_owned(), changes.parse().ok()?);
        Some(Self { name, changes })
    }
}

/// What must be written into the `stored` directory because it was lost there: after all that is
/// `known` if it was emptied, what is missing if somebody began anew in the emptied one, and the
/// difference if it went back in time.
pub(super) fn lost(known: &Entries, stored: &Entries) -> EncodedChanges {
    if known.version == Version::ABSENT || known.entries.is_empty() {
        return EncodedChanges::new();
    }
    let (went_back, begun_anew) = match (History::of(known), History::of(stored)) {
        (Some(mine), Some(theirs)) if mine.name == theirs.name => {
            (mine.changes > theirs.changes, false)
        }
        // What was written before there were histories gets one with the first change.
        (None, _) => (false, false),
        (Some(_), _) => (false, true),
    };
    let emptied = stored.version == Version::ABSENT;
    if !(went_back || begun_anew || emptied) {
        return EncodedChanges::new();
    }
    let differs = |name: &String, mine: &Vec<u8>| match stored.entries.get(name) {
        None => true,
        Some(theirs) => went_back && theirs != mine,
    };
    let mut lost: EncodedChanges = (known.entries.iter())
        .filter(|(name, mine)| *name != HISTORY && differs(name, mine))
        .map(|(name, mine)| (name.clone(), Some(mine.clone())))
        .collect();
    if went_back {
        let gone = stored.entries.keys();
        let gone = gone.filter(|name| !known.entries.contains_key(*name));
        lost.extend(gone.map(|name| (name.clone(), None)));
    }
    lost
}

/// Counts one more change in the history of the directory.
pub(super) fn count(known: &Entries, stored: &Entries, changes: &mut EncodedChanges) {
    let (mine, theirs) = (History::of(known), History::of(stored));
    let name = theirs.as_ref().or(mine.as_ref());
    let name = name.map_or_else(
        || Version::random().to_string(),
        |history| history.name.clone(),
    );
    let so_far = [mine, theirs].into_iter().flatten();
    let so_far = so_far.filter(|history| history.name == name);
    let so_far = so_far.map(|history| history.changes).max();
    let text = format!("{name}/{}", so_far.unwrap_or_default() + 1);
    changes.insert(HISTORY.to_owned(), Some(text.into_bytes()));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;
    use super::*;
    use crate::client::{Accounts, KeyHash, Scope};
    use crate::clock::Timestamp;
    use crate::laws::{made_of, object_of};

    const ROW: &str = "{\"key_sha256\":[\"\
        2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683\"],\
        \"not_after\":1800000000000,\"accounts\":[\"wx0123456789abcdef\"],\
        \"scopes\":[\"token\",\"admin\"],\"changed_at\":1700000000000}";

    fn entries(stored: &[(&str, &str)]) -> Entries {
        let stored = stored.iter();
        let entries = stored.map(|(name, row)| ((*name).to_owned(), row.as_bytes().to_vec()));
        Entries {
            version: Version::ABSENT,
            entries: entries.collect(),
        }
    }

    #[test]
    fn a_client_is_stored_as_it_is_written_in_a_configuration() {
        let row = ClientRow {
            key_sha256: vec![KeyHash::of("key")],
            not_after: Some(Timestamp::from_secs(1_800_000_000)),
            accounts: Accounts::Listed(["wx0123456789abcdef".parse().unwrap()].into()),
            scopes: [Scope::Token, Scope::Admin].into(),
            changed_at: Timestamp::from_secs(1_700_000_000),
        };
        let for_all = ClientRow {
            accounts: Accounts::All,
            ..row.clone()
        };
        for (row, stored) in [
            (row, ROW),
            (for_all, &ROW.replace("wx0123456789abcdef", "*")),
        ] {
            let changes = Changes {
                clients: [("shop".to_owned(), Some(row.clone()))].into(),
                ..Changes::default()
            };
            let encoded = entries(&[("client/shop", stored)]).entries.into_iter();
            let encoded = encoded.map(|(name, row)| (name, Some(row))).collect();
            assert_eq!(changes.encode(), encoded);
            let directory = Directory::decode(&entries(&[("client/shop", stored)]));
            assert_eq!(directory.clients["shop"], Some(row));
        }
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_else() {
        let later = ROW.replace("admin", "scope-of-a-later-version");
        let directory = Directory::decode(&entries(&[
            ("account/wx0123456789abcdef", "{}"),
            ("client/", ROW),
            ("client/a b", ROW),
            ("client/broken", "{"),
            ("client/later", &later),
            ("client/shop", ROW),
            ("something/else", ROW),
        ]));
        let readable = directory.clients.iter();
        let readable: Vec<_> = readable
            .map(|(name, row)| (name.as_str(), row.is_some()))
            .collect();
        let expected = [("broken", false), ("later", false), ("shop", true)];
        assert_eq!(readable, expected);
        assert_eq!(directory.accounts.len(), 1);
    }

    proptest! {
        #[test]
        fn what_was_lost_is_put_back_and_what_can_be_read_is_read(
            [known, stored] in [(); 2].map(|()| made_of(&[
                "client/a x\n", "client/b y\n", "account/wx0123456789abcdef {}\n", "history a/1\n",
                "history a/2\n", "history b/1\n", "history x\n", "client/.. z\n", " ", "client/a z\n",
            ])),
            row in object_of(&[
                "\"key_sha256\":[]", "\"not_after\":null", "\"accounts\":[\"*\"]", "\"scopes\":[\"token\"]",
                "\"changed_at\":0", "\"name\":null", "\"token_api\":\"classic\"", "\"page_hosts\":[]",
                "\"secret\":\"AAAA\"", "\"secret\":\"AAAB\"",
            ]),
        ) {
            laws::directory(&known, &stored);
            laws::directory(&format!("client/shop {row}\n{known}"), &stored);
            laws::rows(row.as_bytes());
            laws::hint(&known);
        }
    }
}
