//! What was added at run time, as all processes that share a store see it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::rows::Rows;
use super::{AccountRow, ClientRow, ConsoleChanges, ConsoleRows, EncodedChanges, Entries, Version};
use crate::account::AppId;
use crate::client::parse_name;

/// What was added at run time, as of one change. A copy costs little, however much it is.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The last change; [`Version::ABSENT`] where there never was one.
    pub version: Version,
    /// The clients.
    pub clients: ClientRows,
    /// What is stored for the console.
    pub console: ConsoleRows,
    /// The accounts.
    accounts: Rows,
    /// All else as it is stored, by name.
    others: BTreeMap<String, Arc<[u8]>>,
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
    /// What changes for the console.
    pub console: ConsoleChanges,
}

/// What the names of accounts begin with.
const ACCOUNT: &str = "account/";

/// What the names of clients begin with.
const CLIENT: &str = "client/";

impl Directory {
    /// What is `stored`, where `former` was before.
    pub(super) fn following(former: &Self, stored: &Entries) -> Self {
        let mut next = former.clone();
        next.version = stored.version;
        let (mut accounts, mut others) = (Vec::with_capacity(stored.len()), HashSet::new());
        for (name, bytes) in stored.iter() {
            match account_of(name) {
                Some(appid) => accounts.push((appid, Some(bytes))),
                None => {
                    next.put(name, Some(bytes));
                    others.insert(name);
                }
            }
        }
        next.accounts.change(accounts, false);
        let gone = former.others.keys();
        for name in gone.filter(|name| !others.contains(name.as_str())) {
            next.put(name, None);
        }
        next
    }

    /// Changes entries, and calls the result `version`.
    pub(super) fn apply(&mut self, changes: EncodedChanges, version: Version) {
        self.version = version;
        let mut accounts = Vec::new();
        for (name, change) in &changes {
            match account_of(name) {
                Some(appid) => accounts.push((appid, change.as_deref())),
                None => self.put(name, change.as_deref()),
            }
        }
        self.accounts.change(accounts, true);
    }

    /// Changes what is no account. What cannot be read stays where it is; what has no name that
    /// can be read is passed over.
    fn put(&mut self, name: &str, change: Option<&[u8]>) {
        if self.others.get(name).map(|bytes| &bytes[..]) == change {
            return;
        }
        let client = name.strip_prefix(CLIENT).map(parse_name);
        match (client, change) {
            (Some(Ok(client)), Some(bytes)) => {
                self.clients.insert(client, ClientRow::decode(bytes));
            }
            (Some(Ok(client)), None) => {
                self.clients.remove(&client);
            }
            _ if self.console.put(name, change) => {}
            (_, Some(_)) if name != HISTORY => {
                tracing::warn!(%name, "an entry of the store is none of this version's");
            }
            _ => {}
        }
        match change {
            Some(bytes) => self.others.insert(name.to_owned(), bytes.into()),
            None => self.others.remove(name),
        };
    }

    /// What is stored under a name.
    fn get(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match account_of(name) {
            Some(appid) => self.accounts.written(&appid).map(Cow::Owned),
            None => self.others.get(name).map(|bytes| bytes[..].into()),
        }
    }

    /// All that is stored, with its names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        let accounts = self.accounts.iter();
        let accounts = accounts.map(|(appid, row)| (format!("{ACCOUNT}{appid}"), row.bytes()));
        let others = self.others.iter();
        accounts.chain(others.map(|(name, bytes)| (name.clone(), bytes.to_vec())))
    }

    /// All accounts, which takes a while where they are many.
    pub fn accounts(&self) -> AccountRows {
        let accounts = self.accounts.iter();
        let appid = |text: &str| text.parse().expect("it was an AppID");
        accounts
            .map(|(text, row)| (appid(text), row.row()))
            .collect()
    }

    /// An account; `Some(None)` for one that cannot be read.
    pub fn account(&self, appid: &AppId) -> Option<Option<AccountRow>> {
        self.accounts.row(appid)
    }

    /// The accounts that are others than in `former`, those that are gone included.
    pub fn changed_accounts<'a>(&'a self, former: &'a Self) -> impl Iterator<Item = AppId> {
        self.accounts.changed_since(&former.accounts)
    }
}

/// The account whose row has that name.
fn account_of(name: &str) -> Option<AppId> {
    name.strip_prefix(ACCOUNT)?.parse().ok()
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            version: Version::ABSENT,
            clients: ClientRows::new(),
            console: ConsoleRows::default(),
            accounts: Rows::default(),
            others: BTreeMap::new(),
        }
    }
}

impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.others == other.others
            && self.accounts == other.accounts
    }
}

impl Eq for Directory {}

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
        let all = accounts.chain(clients).chain(self.console.encode());
        all.collect()
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
    fn of(directory: &Directory) -> Option<Self> {
        let text = String::from_utf8(directory.get(HISTORY)?.into_owned()).ok()?;
        let (name, changes) = text.split_once('/')?;
        let (name, changes) = (name.to_owned(), changes.parse().ok()?);
        Some(Self { name, changes })
    }
}

/// What must be written into the `stored` directory because it was lost there: after all that is
/// `known` if it was emptied, what is missing if somebody began anew in the emptied one, and the
/// difference if it went back in time.
pub(super) fn lost(known: &Directory, stored: &Directory) -> EncodedChanges {
    if known.version == Version::ABSENT || known.entries().next().is_none() {
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
    let differs = |name: &str, mine: &[u8]| match stored.get(name) {
        None => true,
        Some(theirs) => went_back && *theirs != *mine,
    };
    let mut lost: EncodedChanges = (known.entries())
        .filter(|(name, mine)| *name != HISTORY && differs(name, mine))
        .map(|(name, mine)| (name, Some(mine)))
        .collect();
    if went_back {
        let gone = stored.entries();
        let gone = gone.filter(|(name, _)| known.get(name).is_none());
        lost.extend(gone.map(|(name, _)| (name, None)));
    }
    lost
}

/// Counts one more change in the history of the directory.
pub(super) fn count(known: &Directory, stored: &Directory, changes: &mut EncodedChanges) {
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
        let mut entries = Entries::default();
        (stored.iter()).for_each(|(name, row)| entries.push(name, row.as_bytes()));
        entries
    }

    fn directory(stored: &[(&str, &str)]) -> Directory {
        Directory::following(&Directory::default(), &entries(stored))
    }

    #[test]
    fn what_another_change_left_as_it_was_is_not_told_as_changed() {
        let appid = |digit: char| format!("wx000000000000000{digit}").parse().unwrap();
        let named = |digit: char| format!("account/{}", appid(digit));
        let (a, b, c) = (named('a'), named('b'), named('c'));
        let former = directory(&[(&a, "{}"), (&b, "{}"), ("client/shop", ROW)]);
        let next = entries(&[(&a, "{}"), (&c, "{}"), ("client/shop", "{}")]);
        let next = Directory::following(&former, &next);
        let mut changed: Vec<_> = next.changed_accounts(&former).collect();
        changed.sort();
        assert_eq!(changed, [appid('b'), appid('c')]);
        assert_eq!(next.accounts().keys().len(), 2);
        assert_eq!(next.clients["shop"], None);
    }

    #[test]
    fn a_client_is_stored_as_it_is_written_in_a_configuration() {
        let row = ClientRow {
            key_sha256: vec![KeyHash::of("key")],
            not_after: Some(Timestamp::from_secs(1_800_000_000)),
            accounts: Accounts::Listed(["wx0123456789abcdef".parse().unwrap()].into()),
            unread_accounts: [].into(),
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
            let encoded = [("client/shop".to_owned(), Some(stored.as_bytes().to_vec()))];
            assert_eq!(changes.encode(), encoded.into());
            let directory = directory(&[("client/shop", stored)]);
            assert_eq!(directory.clients["shop"], Some(row));
        }
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_else() {
        let later = ROW.replace("admin", "scope-of-a-later-version");
        let directory = directory(&[
            ("account/wx0123456789abcdef", "{}"),
            ("client/", ROW),
            ("client/a b", ROW),
            ("client/broken", "{"),
            ("client/later", &later),
            ("client/shop", ROW),
            ("something/else", ROW),
        ]);
        let readable = directory.clients.iter();
        let readable: Vec<_> = readable
            .map(|(name, row)| (name.as_str(), row.is_some()))
            .collect();
        let expected = [("broken", false), ("later", false), ("shop", true)];
        assert_eq!(readable, expected);
        assert_eq!(directory.accounts().len(), 1);
    }

    proptest! {
        #[test]
        fn what_was_lost_is_put_back_and_what_can_be_read_is_read(
            [known, stored] in [(); 2].map(|()| made_of(&[
                "client/a x\n", "client/b y\n", "console/password {}\n", "console/session/x {}\n",
                "console/session/00 {}\n", "account/wx0123456789abcdef {}\n", "history a/1\n",
                "history a/2\n", "history b/1\n", "history x\n", "client/.. z\n", " ", "client/a z\n",
            ])),
            row in object_of(&[
                "\"key_sha256\":[]", "\"not_after\":null", "\"accounts\":[\"*\"]", "\"scopes\":[\"token\"]",
                "\"changed_at\":0", "\"name\":null", "\"token_api\":\"classic\"", "\"page_hosts\":[]",
                "\"secret\":\"AAAA\"", "\"secret\":\"AAAB\"", "\"hash\":\"a\"", "\"created_at\":0",
                "\"seen_at\":0", "\"user_agent\":\"a\"",
            ]),
        ) {
            laws::directory(&known, &stored);
            laws::directory(&format!("client/shop {row}\n{known}"), &stored);
            laws::rows(row.as_bytes());
            laws::hint(&known);
        }
    }
}
