//! What can happen, and how it is told in one line.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::AppId;
use crate::clock::Timestamp;
use crate::credential::{Fingerprint, Kind};
use crate::store::{EventId, StoredEvent};
use crate::upstream::Class;

/// Something that happened. No secret is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its name; events are in the order of their ids, which is that of their times.
    pub id: EventId,
    /// The node that tells of it.
    pub node: String,
    /// The account that it is about, if it is about one.
    pub appid: Option<AppId>,
    /// Who did it: the name of a client, [`CONSOLE`], [`CLI`]; `None` for wxsign itself and for
    /// pages.
    pub actor: Option<String>,
    /// What happened.
    pub what: What,
}

/// The actor of what is done in the console.
pub const CONSOLE: &str = "console";

/// The actor of what is done on the command line.
pub const CLI: &str = "cli";

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
    /// A back end reported a token. Of the same report again and again, one a minute is told.
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

impl Event {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.id.at()
    }

    /// Its particulars beside what all events have: the members of [`What`], without its name.
    pub fn details(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(&self.what) {
            Ok(serde_json::Value::Object(mut members)) => {
                members.remove("what");
                members
            }
            _ => serde_json::Map::new(),
        }
    }

    /// All of it, as the interface shows it: times in seconds, and the line for people.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id,
            "at": self.at().as_secs(),
            "node": self.node,
            "appid": self.appid,
            "actor": self.actor,
            "what": self.what.name(),
            "line": self.to_string(),
            "details": self.details(),
        })
    }

    pub(super) fn store(&self) -> StoredEvent {
        let written = Written {
            node: self.node.as_str().into(),
            actor: self.actor.as_deref().map(Into::into),
            what: self.what.clone(),
        };
        StoredEvent {
            id: self.id,
            appid: self.appid.clone(),
            bytes: serde_json::to_vec(&written).expect("an event has only text keys"),
        }
    }

    /// `None` for what cannot be read.
    pub(super) fn read(stored: StoredEvent) -> Option<Self> {
        let written: Written<'_> = serde_json::from_slice(&stored.bytes).ok()?;
        Some(Self {
            id: stored.id,
            node: written.node.into_owned(),
            appid: stored.appid,
            actor: written.actor.map(Into::into),
            what: written.what,
        })
    }
}

/// In one line: the account, what happened, and who did it.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(appid) = &self.appid {
            write!(f, "{appid} ")?;
        }
        write!(f, "{}", self.what)?;
        match &self.actor {
            Some(actor) => write!(f, " (by {actor})"),
            None => Ok(()),
        }
    }
}

/// An event as it is stored: what its key says is not said again.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    node: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<std::borrow::Cow<'a, str>>,
    #[serde(flatten)]
    what: What,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: What) -> Event {
        Event {
            id: EventId::first_of(Timestamp::from_secs(1_700_000_000)),
            node: "host/1".to_owned(),
            appid: "wx0123456789abcdef".parse().ok(),
            actor: Some("shop".to_owned()),
            what,
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_stored_and_told_in_one_line() {
        let end = Timestamp::from_secs(1_700_007_200);
        let (kind, fingerprint) = (Kind::AccessToken, Fingerprint::from_sha256(&[7; 32]));
        let client = || "shop".to_owned();
        let address = || "192.0.2.1".to_owned();
        let all = [
            What::Renewed {
                kind,
                generation: u64::MAX,
                fingerprint,
                expires_at: end,
            },
            What::RenewalFailed {
                kind,
                class: Class::Address,
                error: "WeChat does not accept this address".to_owned(),
                errcode: Some(40164),
                errmsg: Some("invalid ip".to_owned()),
                next_at: end,
                times: 12,
            },
            What::Recovered {
                kind: Kind::JsapiTicket,
            },
            What::ForeignNoticed,
            What::ForeignOver,
            What::PageReported {
                host: "h5.example.com".to_owned(),
                err_msg: "a\nb".to_owned(),
            },
            What::TokenReported {
                errcode: 40001,
                outcome: "renewed".to_owned(),
            },
            What::AccountAdded,
            What::AccountChanged,
            What::AccountRemoved,
            What::AccountsRekeyed { accounts: 2 },
            What::ClientAdded { client: client() },
            What::ClientChanged { client: client() },
            What::ClientRotated { client: client() },
            What::ClientRemoved { client: client() },
            What::LoggedIn { address: address() },
            What::LoginRefused { address: address() },
            What::LoggedOut { address: address() },
            What::Revealed { kind, fingerprint },
            What::PasswordSet,
            What::Unknown,
        ];
        let mut told = String::new();
        for what in all {
            let event = event(what);
            let written: serde_json::Value = serde_json::from_slice(&event.store().bytes).unwrap();
            assert_eq!(written["what"], event.what.name());
            assert_eq!(Event::read(event.store()).as_ref(), Some(&event));
            let line = event.to_string();
            assert_eq!(line.lines().count(), 1, "{line}");
            told += &format!("{:18} {line}\n", event.what.name());
        }
        insta::assert_snapshot!(told);
    }

    #[test]
    fn what_another_version_wrote_is_told_as_unknown() {
        let mut stored = event(What::ForeignOver).store();
        stored.bytes = br#"{"node":"host/1","what":"moon.full","phase":3}"#.to_vec();
        assert_eq!(Event::read(stored.clone()).unwrap().what, What::Unknown);
        stored.bytes = b"{".to_vec();
        assert_eq!(Event::read(stored), None);
    }
}
