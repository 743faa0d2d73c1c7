//! What is stored for the console: how its password is known again, and who has shown it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::KeyHash;
use crate::clock::Timestamp;
use crate::credential::{Secret, serialize_exposed};

/// What is stored for the console.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConsoleRows {
    /// `None` as long as no password was set; `Some(None)` if what is stored cannot be read, and
    /// then none is right.
    pub password: Option<Option<PasswordRow>>,
    /// The sessions, by the hashes of what their browsers show. One that cannot be read is none.
    pub sessions: BTreeMap<KeyHash, SessionRow>,
    /// The one-time links, by the hashes of their secrets. One that cannot be read is none.
    pub links: BTreeMap<KeyHash, LinkRow>,
}

/// How the password of the console is known again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PasswordRow {
    /// Its Argon2id hash, as a PHC string
    /// (<https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>).
    #[serde(serialize_with = "serialize_exposed")]
    pub hash: Secret,
    /// When it was set.
    pub changed_at: Timestamp,
}

/// A browser that has shown the password.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionRow {
    /// When it did.
    pub created_at: Timestamp,
    /// When it was last seen, a few minutes more or less.
    pub seen_at: Timestamp,
    /// What it calls itself, shortened.
    pub user_agent: String,
}

/// A link by which the first password can be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkRow {
    /// When it holds no more.
    pub ends_at: Timestamp,
}

/// What becomes of what is stored for the console; all else stays as it is.
#[derive(Clone, Default, Debug)]
pub struct ConsoleChanges {
    /// The new password.
    pub password: Option<PasswordRow>,
    /// The sessions that change; `None` ends one.
    pub sessions: BTreeMap<KeyHash, Option<SessionRow>>,
    /// The one-time links that change; `None` ends one.
    pub links: BTreeMap<KeyHash, Option<LinkRow>>,
}

/// The name of the password's row.
const PASSWORD: &str = "console/password";

/// What the names of sessions and of links begin with.
const SESSION: &str = "console/session/";
const LINK: &str = "console/link/";

impl ConsoleRows {
    /// Takes up what is stored under `name`, if that is one of these rows; says whether it is.
    pub(super) fn put(&mut self, name: &str, row: Option<&[u8]>) -> bool {
        if name == PASSWORD {
            self.password = row.map(decode);
            return true;
        }
        put_into(&mut self.sessions, SESSION, name, row)
            || put_into(&mut self.links, LINK, name, row)
    }
}

fn put_into<T: DeserializeOwned>(
    rows: &mut BTreeMap<KeyHash, T>,
    prefix: &str,
    name: &str,
    row: Option<&[u8]>,
) -> bool {
    let Some(Ok(key)) = name.strip_prefix(prefix).map(str::parse) else {
        return false;
    };
    match row.and_then(decode) {
        Some(row) => rows.insert(key, row),
        None => rows.remove(&key),
    };
    true
}

impl ConsoleChanges {
    pub(super) fn encode(&self) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
        let password = self.password.iter();
        let password = password.map(|row| (PASSWORD.to_owned(), Some(encode(row))));
        let sessions = encode_all(SESSION, &self.sessions);
        password
            .chain(sessions)
            .chain(encode_all(LINK, &self.links))
    }
}

fn encode_all<T: Serialize>(
    prefix: &str,
    rows: &BTreeMap<KeyHash, Option<T>>,
) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
    rows.iter()
        .map(move |(key, row)| (format!("{prefix}{key}"), row.as_ref().map(encode)))
}

fn encode(row: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(row).expect("it has only text keys")
}

fn decode<T: DeserializeOwned>(row: &[u8]) -> Option<T> {
    serde_json::from_slice(row).ok()
}
