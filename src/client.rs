//! A back end that may ask for credentials: the key that it shows, and what it may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::account::{AppId, InvalidAppId};
use crate::clock::Timestamp;
use crate::credential::{Fingerprint, Secret};
use crate::nearest::nearest;

/// What keys begin with.
pub const KEY_PREFIX: &str = "wxk_";

/// How many keys a client has at most: the new one and the old one.
pub const MAX_KEYS: usize = 2;

/// What stands for all accounts in a list of them.
const ALL_ACCOUNTS: &str = "*";

/// A back end: what it shows to be let in, and what it may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// `name`: how logs and metrics call it.
    pub name: String,
    /// `key_sha256`: the hash of its key, or of two while one takes the place of the other;
    /// `wxsign key new` makes both.
    pub key_sha256: Vec<KeyHash>,
    /// `not_after`: its keys are refused from then on. Default never.
    pub not_after: Option<Timestamp>,
    /// `accounts`: those that it may ask about; `["*"]` stands for all.
    pub accounts: Accounts,
    /// `scopes`: what it may do.
    pub scopes: BTreeSet<Scope>,
}

impl Client {
    /// Whether it may do all of `scopes` with all of `accounts`.
    pub fn covers(&self, accounts: &Accounts, scopes: &BTreeSet<Scope>) -> bool {
        self.accounts.cover(accounts) && scopes.is_subset(&self.scopes)
    }
}

/// The accounts that a client may ask about; a list of AppIDs, or of `"*"` for all of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum Accounts {
    /// Every account, those to come included.
    All,
    /// These.
    Listed(BTreeSet<AppId>),
}

impl Accounts {
    /// Whether `appid` is one of them.
    pub fn allow(&self, appid: &AppId) -> bool {
        match self {
            Self::All => true,
            Self::Listed(listed) => listed.contains(appid),
        }
    }

    /// Whether all of `others` are among them.
    pub fn cover(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::All, _) => true,
            (Self::Listed(mine), Self::Listed(theirs)) => theirs.is_subset(mine),
            (Self::Listed(_), Self::All) => false,
        }
    }
}

impl TryFrom<Vec<String>> for Accounts {
    type Error = InvalidAppId;

    fn try_from(listed: Vec<String>) -> Result<Self, Self::Error> {
        if listed.iter().any(|appid| appid == ALL_ACCOUNTS) {
            return Ok(Self::All);
        }
        let listed = listed.into_iter().map(AppId::try_from);
        Ok(Self::Listed(listed.collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Vec::from(self.clone()).join(", "))
    }
}

impl From<Accounts> for Vec<String> {
    fn from(accounts: Accounts) -> Self {
        match accounts {
            Accounts::All => vec![ALL_ACCOUNTS.to_owned()],
            Accounts::Listed(listed) => listed.into_iter().map(String::from).collect(),
        }
    }
}

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read the access_token.
    Token,
    /// Read the tickets, and have coupons signed.
    Ticket,
    /// Say that WeChat refused a token.
    Report,
    /// Read how the accounts fare.
    Status,
    /// Call WeChat's API through this server.
    Proxy,
    /// Add, change and remove accounts and clients.
    Admin,
}

impl Scope {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Token,
        Self::Ticket,
        Self::Report,
        Self::Status,
        Self::Proxy,
        Self::Admin,
    ];

    /// What a back end needs; the others are given by name only.
    pub const USUAL: [Self; 4] = [Self::Token, Self::Ticket, Self::Report, Self::Status];

    /// Its name in `scopes`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Ticket => "ticket",
            Self::Report => "report",
            Self::Status => "status",
            Self::Proxy => "proxy",
            Self::Admin => "admin",
        }
    }
}

/// Names with commas between.
pub fn join(scopes: &BTreeSet<Scope>) -> String {
    let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    names.join(", ")
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.as_str() == name)
            .ok_or_else(|| UnknownScope(name.to_owned()))
    }
}

/// The text is not the name of a scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownScope(String);

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = Scope::ALL.map(Scope::as_str);
        write!(f, "{:?} is not a scope", self.0)?;
        if let Some(near) = nearest(&self.0, all) {
            write!(f, ", the nearest one is {near}")?;
        }
        write!(f, " (there are {})", all.join(", "))
    }
}

impl std::error::Error for UnknownScope {}

/// The SHA-256 of a client's key: enough to know the key again, useless to show it.
///
/// The keys are random and long, so a slow hash would only slow the server down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of `key`.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// The fingerprint of the key itself.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::from_sha256(&self.0)
    }
}

impl ConstantTimeEq for KeyHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl FromStr for KeyHash {
    type Err = InvalidKeyHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidKeyHash);
        }
        let mut hash = [0; 32];
        for (i, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| InvalidKeyHash)?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for KeyHash {
    type Error = InvalidKeyHash;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({})", self.fingerprint())
    }
}

/// The text is not the hash of a key. It is not repeated: it may be the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "must be the 64 hexadecimal digits of the key's SHA-256, not the key; \
     \"wxsign key new\" prints a key with its hash"
)]
pub struct InvalidKeyHash;

/// A new key: `wxk_`, 8 characters that may be shown, and 32 (190 random bits) that may not.
pub fn new_key() -> Secret {
    let mut random = rand::rng();
    let id = Alphanumeric.sample_string(&mut random, 8);
    let secret = Alphanumeric.sample_string(&mut random, 32);
    Secret::new(format!("{KEY_PREFIX}{id}_{secret}"))
}

/// Reads the name of a client.
///
/// # Errors
/// What it must look like.
pub fn parse_name(text: &str) -> Result<String, String> {
    // Whoever reads paths takes "." and ".." for something else.
    let well_formed = (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && (text.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if well_formed {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must be 1 to 64 letters, digits, dots, - or _, and begin with no dot, not {text:?}"
        ))
    }
}

/// Reads the end of a client's keys.
///
/// # Errors
/// What it must look like.
pub fn parse_not_after(text: &str) -> Result<Timestamp, String> {
    let at = text.parse::<jiff::Timestamp>().map_err(|_| {
        format!("must be a time with its zone, as 2027-12-31T23:59:59+08:00, not {text:?}")
    })?;
    Ok(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_two_keys_are_alike() {
        let keys = [new_key(), new_key()];
        assert_ne!(keys[0], keys[1]);
        for key in keys {
            let parts: Vec<&str> = key.expose().split('_').collect();
            let [prefix, id, secret] = parts[..] else {
                panic!("a key of {} parts", parts.len());
            };
            assert_eq!((prefix, id.len(), secret.len()), ("wxk", 8, 32));
        }
    }

    proptest! {
        #[test]
        fn what_reads_as_a_name_is_written_as_it_was_read(
            appid in "wx[0-9a-fg]{15,17}",
            hash in "[0-9a-fA-F]{63,65}",
            fingerprint in "[+0-9a-fA-F]{0,17}",
            name in "[a-z./%_-]{0,70}",
            end in "2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:?[0-9]{2})",
            anything in any::<String>(),
        ) {
            for text in [appid, hash, fingerprint, name, end, anything] {
                crate::laws::names(&text);
            }
        }
    }
}
