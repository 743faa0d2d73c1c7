//! What holds for everything that is stored: see [`crate::laws`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::{Hint, Version};
use super::directory::{Directory, lost};
use super::{AccountRow, ClientRow, Entries, Key, PasswordRow, Record, SessionRow, sealed};
use crate::credential::{Kind, Secret};
use crate::laws::CANARY;
use crate::vault::{MasterKey, Vault};

/// A record that can be read is written so that it reads the same, and shows no secret.
pub fn record(bytes: &[u8]) {
    let Some(mut record) = keeps::<Record>(bytes) else {
        return;
    };
    if let Some(credential) = &mut record.credential {
        credential.value = Secret::new(CANARY);
    }
    assert!(!format!("{record:?}").contains(CANARY));
}

/// A row that can be read is written so that it reads the same.
pub fn rows(bytes: &[u8]) {
    let account = AccountRow::decode(bytes).map(|row| (AccountRow::decode(&row.encode()), row));
    let client = ClientRow::decode(bytes).map(|row| (ClientRow::decode(&row.encode()), row));
    assert!(account.is_none_or(|(again, row)| again == Some(row)));
    assert!(client.is_none_or(|(again, row)| again == Some(row)));
    keeps::<PasswordRow>(bytes);
    keeps::<SessionRow>(bytes);
}

fn keeps<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).expect("it has only text keys");
    let again: T = serde_json::from_slice(&written).expect("it reads its own writing");
    assert_eq!(again, read);
    Some(read)
}

/// What is stored is opened with the master key that it was stored with, and what looks sealed
/// and was not is never taken for a record.
pub fn sealed_record(key: &str, bytes: &[u8]) {
    let Ok(master) = key.parse::<MasterKey>() else {
        return;
    };
    let (vault, other) = (Vault::new(&master), Vault::new(&another(&master)));
    let appid = "wx0123456789abcdef".parse().expect("an AppID");
    let kind = Kind::AccessToken;
    let key = Key { appid, kind };
    let looks_sealed = sealed::is_sealed(bytes);
    let taken = sealed::open(Some(&vault), &key, bytes.to_vec());
    assert_eq!(taken.is_err(), looks_sealed);
    assert_eq!(taken.ok().as_deref(), (!looks_sealed).then_some(bytes));
    let stored = sealed::seal(Some(&vault), &key, bytes.to_vec());
    assert!(sealed::is_sealed(&stored));
    assert!(sealed::open(None, &key, stored.clone()).is_err());
    assert!(sealed::open(Some(&other), &key, stored.clone()).is_err());
    let opened = sealed::open(Some(&vault), &key, stored).ok();
    assert_eq!(opened.as_deref(), Some(bytes));
}

fn another(master: &MasterKey) -> MasterKey {
    let keys = ["00", "01"].map(|pair| pair.repeat(32).parse().expect("a master key"));
    let [one, two] = keys;
    if *master == one { two } else { one }
}

/// A directory is read as far as it can be, and what was lost in it is all put back.
///
/// In the lines of the texts stand a name, a blank, and what is stored under it.
pub fn directory(known: &str, stored: &str) {
    let [known, stored] = [known, stored].map(|text| {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let entries = lines.map(|(name, bytes)| (name.to_owned(), bytes.as_bytes().to_vec()));
        entries.collect::<BTreeMap<_, _>>()
    });
    let read = |entries: &BTreeMap<String, Vec<u8>>, former: &Directory| {
        let mut found = Entries::default();
        if !entries.is_empty() {
            found.version = Version::random();
        }
        (entries.iter()).for_each(|(name, content)| found.push(name, content));
        let read = Directory::following(former, &found);
        assert_eq!(read.entries().collect::<BTreeMap<_, _>>(), *entries);
        read
    };
    let nothing = Directory::default();
    let (mine, mut theirs) = (read(&known, &nothing), read(&stored, &nothing));
    assert_eq!(read(&stored, &mine).clients, theirs.clients);
    let accounts = mine.accounts();
    assert!(accounts.len() + mine.clients.len() <= known.len());
    for (appid, row) in &accounts {
        assert_eq!(mine.account(appid).as_ref(), Some(row));
    }
    for (name, row) in &mine.clients {
        let bytes = known.get(&format!("client/{name}"));
        assert_eq!(*row, bytes.and_then(|bytes| ClientRow::decode(bytes)));
    }
    let back = lost(&mine, &theirs);
    assert!(!back.contains_key("history"));
    let emptied = stored.is_empty();
    theirs.apply(back.clone(), Version::random());
    let after: BTreeMap<_, _> = theirs.entries().collect();
    if back.is_empty() {
        assert_eq!(after, stored);
    }
    if emptied || !back.is_empty() {
        let mut names = known.keys().filter(|name| *name != "history");
        assert!(names.all(|name| after.contains_key(name)), "{back:?}");
    }
}

/// A hint is sent as it is read.
pub fn hint(text: &str) {
    if let Some(hint) = Hint::parse(text) {
        assert_eq!(hint.as_str(), text);
    }
}
