//! Credentials: what WeChat issues and everything here revolves around.

use std::fmt;
use std::time::Duration;

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
}

impl Kind {
    /// WeChat's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::JsapiTicket => "jsapi_ticket",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that must not be seen: an AppSecret, an access_token, a jsapi_ticket.
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
        let digest = Sha256::digest(self.expose().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Fingerprint(u64::from_be_bytes(first))
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
pub struct Fingerprint(u64);

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

/// A credential as it was issued, with its times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Credential {
    /// The access_token or jsapi_ticket itself.
    #[serde(serialize_with = "serialize_exposed")]
    pub value: Secret,
    /// Grows by one with each new value that is stored.
    pub generation: u64,
    /// When the request for it left this program.
    pub sent_at: Timestamp,
    /// `sent_at` and the life that WeChat named.
    pub expires_at: Timestamp,
    /// The first time that this very value was seen; a later answer with the same value does
    /// not move it.
    pub first_seen: Timestamp,
    /// The last time that WeChat answered with this very value.
    pub confirmed_at: Timestamp,
}

impl Credential {
    /// The life that WeChat named when the value was last seen.
    pub fn lifetime(&self) -> Duration {
        self.expires_at.since(self.confirmed_at)
    }

    /// What remains of that life.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.expires_at.since(now)
    }
}

/// What readers may do with a credential, and how badly a new one is needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Served; nothing to do.
    Fresh,
    /// Served; a new one is being asked for.
    Due,
    /// Served; a new one should have come by now.
    Urgent,
    /// Not served.
    Expired,
}
