//! Something that happened, as it is stored, shown and told in one line.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::What;
use crate::account::AppId;
use crate::clock::Timestamp;
use crate::store::{EventId, StoredEvent};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Fingerprint, Kind};
    use crate::upstream::Class;

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
