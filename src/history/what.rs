//! What can happen, what it is called, and how it is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::credential::{Fingerprint, Kind};
use crate::store::EventStream;
use crate::upstream::Class;

/// What happened. What it is called begins with what it is about, so that a query can ask for all
/// of that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what")]
pub enum What {
    /// There is a new credential.
    #[serde(rename = "renewal.done")]
    Renewed {
        /// Of which kind.
        kind: Kind,
        /// Grows by one with each.
        generation: u64,
        /// Which one.
        fingerprint: Fingerprint,
        /// When it ends, in seconds where it is written.
        #[serde(with = "seconds")]
        expires_at: Timestamp,
    },
    /// A renewal failed. It is told when that begins, when the reason is another one, and once an
    /// hour while it goes on.
    #[serde(rename = "renewal.failed")]
    RenewalFailed {
        /// What was to be renewed.
        kind: Kind,
        /// What it means for the next try.
        class: Class,
        /// What happened, in one line.
        error: String,
        /// WeChat's errcode, if it gave one.
        errcode: Option<i64>,
        /// WeChat's errmsg, if it gave one.
        errmsg: Option<String>,
        /// No call before this, in seconds where it is written.
        #[serde(with = "seconds")]
        next_at: Timestamp,
        /// How often it failed since it was told of last, this time included.
        times: u32,
    },
    /// Renewals work again.
    #[serde(rename = "renewal.recovered")]
    Recovered {
        /// Of this kind of credential.
        kind: Kind,
    },
    /// Another program fetches tokens with the account's AppSecret.
    #[serde(rename = "foreign.noticed")]
    ForeignNoticed,
    /// No other program has been seen to fetch tokens for a day.
    #[serde(rename = "foreign.over")]
    ForeignOver,
    /// A page was told "invalid signature". It is told once a minute and account.
    #[serde(rename = "page.reported")]
    PageReported {
        /// The page's host.
        host: String,
        /// What the page was told, its beginning.
        err_msg: String,
    },
    /// A back end reported a token. Of its reports with the same outcome, one a minute is told.
    #[serde(rename = "token.reported")]
    TokenReported {
        /// What WeChat had answered.
        errcode: i64,
        /// What came of it, as the interface names it.
        outcome: String,
    },
    /// An account was added at run time.
    #[serde(rename = "account.added")]
    AccountAdded,
    /// An account that was added at run time was changed.
    #[serde(rename = "account.changed")]
    AccountChanged,
    /// An account that was added at run time was removed.
    #[serde(rename = "account.removed")]
    AccountRemoved,
    /// All AppSecrets were sealed with a new master key.
    #[serde(rename = "account.rekeyed")]
    AccountsRekeyed {
        /// How many of them there are.
        accounts: usize,
    },
    /// A client was added, and given a key.
    #[serde(rename = "client.added")]
    ClientAdded {
        /// Its name.
        client: String,
    },
    /// What a client may do, or its end, was changed; or its former key was dropped.
    #[serde(rename = "client.changed")]
    ClientChanged {
        /// Its name.
        client: String,
    },
    /// A client was given a new key.
    #[serde(rename = "client.rotated")]
    ClientRotated {
        /// Its name.
        client: String,
    },
    /// A client was removed.
    #[serde(rename = "client.removed")]
    ClientRemoved {
        /// Its name.
        client: String,
    },
    /// Somebody logged in to the console.
    #[serde(rename = "console.login")]
    LoggedIn {
        /// From where.
        address: String,
    },
    /// Somebody gave a wrong password.
    #[serde(rename = "console.refused")]
    LoginRefused {
        /// From where.
        address: String,
    },
    /// Somebody logged out of the console.
    #[serde(rename = "console.logout")]
    LoggedOut {
        /// From where.
        address: String,
    },
    /// A credential was shown.
    #[serde(rename = "console.revealed")]
    Revealed {
        /// Of which kind.
        kind: Kind,
        /// Which one.
        fingerprint: Fingerprint,
    },
    /// The console has another password.
    #[serde(rename = "console.password")]
    PasswordSet,
    /// A version that this one does not know wrote of something that it does not know.
    #[serde(other, rename = "unknown")]
    Unknown,
}

impl What {
    /// What is told of an account that was put there.
    pub const fn account_put(is_new: bool) -> Self {
        if is_new {
            Self::AccountAdded
        } else {
            Self::AccountChanged
        }
    }

    /// What is told of a client that was put there, and whether it was given a new key.
    pub fn client_put(client: &str, is_new: bool, has_new_key: bool) -> Self {
        let client = client.to_owned();
        match (is_new, has_new_key) {
            (true, _) => Self::ClientAdded { client },
            (false, true) => Self::ClientRotated { client },
            (false, false) => Self::ClientChanged { client },
        }
    }

    /// What it is called, as in `renewal.failed`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Renewed { .. } => "renewal.done",
            Self::RenewalFailed { .. } => "renewal.failed",
            Self::Recovered { .. } => "renewal.recovered",
            Self::ForeignNoticed => "foreign.noticed",
            Self::ForeignOver => "foreign.over",
            Self::PageReported { .. } => "page.reported",
            Self::TokenReported { .. } => "token.reported",
            Self::AccountAdded => "account.added",
            Self::AccountChanged => "account.changed",
            Self::AccountRemoved => "account.removed",
            Self::AccountsRekeyed { .. } => "account.rekeyed",
            Self::ClientAdded { .. } => "client.added",
            Self::ClientChanged { .. } => "client.changed",
            Self::ClientRotated { .. } => "client.rotated",
            Self::ClientRemoved { .. } => "client.removed",
            Self::LoggedIn { .. } => "console.login",
            Self::LoginRefused { .. } => "console.refused",
            Self::LoggedOut { .. } => "console.logout",
            Self::Revealed { .. } => "console.revealed",
            Self::PasswordSet => "console.password",
            Self::Unknown => "unknown",
        }
    }

    /// Where it is kept. A refused login is nobody's deed but that of strangers, who can make many.
    pub const fn stream(&self) -> EventStream {
        match self {
            Self::AccountAdded
            | Self::AccountChanged
            | Self::AccountRemoved
            | Self::AccountsRekeyed { .. }
            | Self::ClientAdded { .. }
            | Self::ClientChanged { .. }
            | Self::ClientRotated { .. }
            | Self::ClientRemoved { .. }
            | Self::LoggedIn { .. }
            | Self::LoggedOut { .. }
            | Self::Revealed { .. }
            | Self::PasswordSet => EventStream::Audit,
            Self::Renewed { .. }
            | Self::RenewalFailed { .. }
            | Self::Recovered { .. }
            | Self::ForeignNoticed
            | Self::ForeignOver
            | Self::PageReported { .. }
            | Self::TokenReported { .. }
            | Self::LoginRefused { .. }
            | Self::Unknown => EventStream::Course,
        }
    }

    /// Whether it is to worry somebody.
    pub const fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::RenewalFailed { .. }
                | Self::ForeignNoticed
                | Self::PageReported { .. }
                | Self::LoginRefused { .. }
        )
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renewed {
                kind,
                generation,
                fingerprint,
                expires_at,
            } => {
                let until = Utc(*expires_at);
                write!(
                    f,
                    "{kind} renewed: generation {generation}, fingerprint {fingerprint}, good until {until}"
                )
            }
            Self::RenewalFailed {
                kind,
                error,
                next_at,
                times,
                ..
            } => {
                write!(f, "{kind} not renewed: {error}; next try {}", Utc(*next_at))?;
                match times {
                    0 | 1 => Ok(()),
                    _ => write!(f, "; {times} times since it was last told"),
                }
            }
            Self::Recovered { kind } => write!(f, "{kind}: renewals work again"),
            Self::ForeignNoticed => {
                f.write_str("another program fetches tokens with this AppSecret")
            }
            Self::ForeignOver => {
                f.write_str("no other program has been seen to fetch tokens for a day")
            }
            Self::PageReported { host, err_msg } => {
                write!(f, "a page of {host} was told {err_msg:?}")
            }
            Self::TokenReported { errcode, outcome } => {
                write!(f, "access_token reported for errcode {errcode}: {outcome}")
            }
            Self::AccountAdded => f.write_str("account added"),
            Self::AccountChanged => f.write_str("account changed"),
            Self::AccountRemoved => f.write_str("account removed"),
            Self::AccountsRekeyed { accounts } => {
                write!(
                    f,
                    "AppSecrets of {accounts} accounts sealed with a new master key"
                )
            }
            Self::ClientAdded { client } => write!(f, "client {client} added"),
            Self::ClientChanged { client } => write!(f, "client {client} changed"),
            Self::ClientRotated { client } => write!(f, "client {client} given a new key"),
            Self::ClientRemoved { client } => write!(f, "client {client} removed"),
            Self::LoggedIn { address } => write!(f, "login from {address}"),
            Self::LoginRefused { address } => write!(f, "login from {address} refused"),
            Self::LoggedOut { address } => write!(f, "logout from {address}"),
            Self::Revealed { kind, fingerprint } => {
                write!(f, "{kind} with fingerprint {fingerprint} shown")
            }
            Self::PasswordSet => f.write_str("the console's password was set"),
            Self::Unknown => f.write_str("something that this version of wxsign does not know"),
        }
    }
}

/// A time for people, to the second.
pub(crate) struct Utc(pub(crate) Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.as_secs()) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => f.write_str("?"),
        }
    }
}

/// Times in seconds, as the interface has them.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_secs)
    }
}
