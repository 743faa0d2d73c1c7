//! Credentials: what WeChat issues and everything here revolves around.

use std::fmt;
use std::num::NonZeroU64;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// The kinds of credential, in the order in which they are renewed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The right to call WeChat's API for an account.
    AccessToken,
    /// What `wx.config` is signed with; it is fetched with an access_token.
    JsapiTicket,
    /// What coupons are handed out and chosen with (`wx.addCard`, `wx.chooseCard`): WeChat's
    /// api_ticket, which it issues for `type=wx_card`; few accounts have one.
    CardTicket,
    /// What `wx.agentConfig` of WeCom is signed with, which it issues for `type=agent_config`.
    AgentTicket,
}

impl Kind {
    /// All of them. Which of them an account has, [`crate::account::Account::kinds`] says.
    pub const ALL: [Self; 4] = [
        Self::AccessToken,
        Self::JsapiTicket,
        Self::CardTicket,
        Self::AgentTicket,
    ];

    /// Its name, here and in what is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::JsapiTicket => "jsapi_ticket",
            Self::CardTicket => "card_ticket",
            Self::AgentTicket => "agent_ticket",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that must not be seen: an AppSecret, an access_token, a ticket.
///
/// It has no `Display`, its `Debug` hides it, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself, for the few places that must send or store it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A name for the secret that does not show it.
    ///
    /// Not a prefix of it: the tickets of different accounts begin with the same 21 characters.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::from_sha256(&Sha256::digest(self.expose()).into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Writes a secret out: for records that go to a [`crate::store::Store`], nothing else.
///
/// # Errors
/// Those of the serializer.
pub fn serialize_exposed<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose())
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// The first 8 bytes of a secret's SHA-256: the only form of it that logs, metrics, pages and
/// errors show.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(NonZeroU64);

impl Fingerprint {
    /// The fingerprint of the secret that has this hash.
    pub fn from_sha256(hash: &[u8; 32]) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        // One in 2^64 is taken for its neighbour, so that where there is none takes no room.
        Self(NonZeroU64::new(u64::from_be_bytes(first)).unwrap_or(NonZeroU64::MIN))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(from)?;
        let bits = u64::from_str_radix(&digits, 16).map_err(serde::de::Error::custom)?;
        let bits = NonZeroU64::new(bits);
        bits.map(Self)
            .ok_or_else(|| serde::de::Error::custom("no fingerprint is zero"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A credential as WeChat issued it, with its times.
///
/// All times are those at which a request left this program, not those of its answer: a life
/// counted from there never ends too late.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Credential {
    /// The access_token or the ticket itself.
    #[serde(serialize_with = "serialize_exposed")]
    pub value: Secret,
    /// Grows by one with each new value that is stored.
    pub generation: u64,
    /// The first time that this very value was asked for and came; nothing moves it.
    pub first_seen: Timestamp,
    /// The last time that this very value was asked for and came.
    pub confirmed_at: Timestamp,
    /// The end of its life. For a ticket this is the earliest end that WeChat ever named:
    /// getticket says 7200 seconds however old the ticket is.
    pub expires_at: Timestamp,
    /// The end of its life by WeChat's last answer alone.
    pub claimed_until: Timestamp,
}

/// How badly a new credential is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Served; nothing to do.
    Fresh,
    /// Served; a new one is being asked for.
    Due,
    /// Served; a new one should have come by now.
    Urgent,
    /// Served for a last short while; someone should look.
    Alarm,
    /// Not served.
    Expired,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, TokenApi};
    use crate::page_hosts::PageHosts;
    use crate::store::Record;

    const VALUE: &str = "kgt8ON7yVITDhtdwci0qe-c4n4ry";

    fn credential() -> Credential {
        Credential {
            value: Secret::new(VALUE),
            generation: 1,
            first_seen: Timestamp::default(),
            confirmed_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            claimed_until: Timestamp::default(),
        }
    }

    #[test]
    fn nothing_that_holds_a_secret_shows_it_when_a_panic_prints_it() {
        let account = Account {
            appid: "wx0123456789abcdef".parse().unwrap(),
            name: None,
            secret: Secret::new(VALUE),
            token_api: TokenApi::Classic,
            page_hosts: PageHosts::default(),
            wx_card: false,
        };
        let record = Record {
            credential: Some(credential()),
            ..Record::default()
        };
        let shown = format!("{account:?} {record:#?} {:?}", credential());
        assert!(shown.contains("Secret(…)"), "the secrets are there");
        for length in 4..VALUE.len() {
            assert!(!shown.contains(&VALUE[..length]));
        }
    }

    #[test]
    fn a_stored_credential_reads_back_whole() {
        let stored = serde_json::to_string(&credential()).unwrap();
        let read: Credential = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, credential());
    }

    #[test]
    fn tickets_that_begin_alike_have_different_fingerprints() {
        let one = Secret::new("HoagFKDcsGMVCIY2vOjf9g-one").fingerprint();
        let two = Secret::new("HoagFKDcsGMVCIY2vOjf9g-two").fingerprint();
        assert_ne!(one, two);
        let sha256 = Secret::new("abc").fingerprint().to_string();
        assert_eq!(sha256, "ba7816bf8f01cfea");
    }
}
