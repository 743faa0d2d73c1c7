//! What happened, in order, and how often: the oracle of tests and the operator's view.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::Action;
use crate::account::AppId;
use crate::clock::Timestamp;
use crate::credential::{Fingerprint, Secret};

/// Older events are forgotten; the counters are not.
const REMEMBERED: usize = 100_000;

/// Something that happened at the simulator.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    /// The simulator's time.
    pub at: Timestamp,
    /// The account that it happened to, if it is known.
    pub appid: Option<AppId>,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A call.
    Request {
        /// Its path.
        path: String,
        /// WeChat's name for it.
        rid: String,
        /// Where it came from.
        client_ip: IpAddr,
        /// The errcode of the answer, if it had one other than 0.
        errcode: Option<i64>,
        /// The fault that struck it, if one did.
        fault: Option<String>,
    },
    /// A new value.
    Minted {
        /// What it is.
        kind: Minted,
        /// Its fingerprint.
        #[serde(serialize_with = "as_text")]
        fingerprint: Fingerprint,
        /// At whose request.
        by: By,
    },
    /// Somebody used the control interface.
    Acted {
        /// What was done.
        action: Action,
    },
}

/// The values that the simulator makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Minted {
    /// An access_token of `/cgi-bin/token`.
    ClassicToken,
    /// An access_token of `/cgi-bin/stable_token`.
    StableToken,
    /// An access_token of WeCom.
    WecomToken,
    /// A ticket for `wx.config`.
    JsapiTicket,
    /// A ticket for `wx.agentConfig`.
    AgentTicket,
    /// A ticket for cards.
    CardTicket,
}

/// Who made the simulator make a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A caller of the API.
    Caller,
    /// Somebody else with the same AppSecret.
    Stranger,
    /// Time, or the control interface.
    WeChat,
}

/// How often an API was called for an account.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Counter {
    /// All requests, with those that a fault kept from arriving.
    pub requests: u64,
    /// Those that were carried out and gave a token or ticket, whether or not the answer
    /// arrived.
    pub issued: u64,
    /// The errcodes of the answers, and how often.
    pub errcodes: BTreeMap<i64, u64>,
}

/// Counters by AppID (empty where it is not known), then by path.
pub type Counters = BTreeMap<String, BTreeMap<String, Counter>>;

/// All that is written down.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) events: VecDeque<Event>,
    pub(super) counters: Counters,
}

impl Ledger {
    pub(super) fn write(&mut self, at: Timestamp, appid: Option<&AppId>, what: What) {
        if self.events.len() >= REMEMBERED {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            at,
            appid: appid.cloned(),
            what,
        });
    }

    pub(super) fn minted(
        &mut self,
        at: Timestamp,
        appid: &AppId,
        kind: Minted,
        value: &Secret,
        by: By,
    ) {
        let fingerprint = value.fingerprint();
        let what = What::Minted {
            kind,
            fingerprint,
            by,
        };
        self.write(at, Some(appid), what);
    }

    pub(super) fn count(
        &mut self,
        appid: Option<&AppId>,
        path: &str,
        issued: bool,
        errcode: Option<i64>,
    ) {
        let appid = appid.map_or_else(String::new, AppId::to_string);
        let counter = self
            .counters
            .entry(appid)
            .or_default()
            .entry(path.to_owned())
            .or_default();
        counter.requests += 1;
        counter.issued += u64::from(issued);
        if let Some(errcode) = errcode {
            *counter.errcodes.entry(errcode).or_default() += 1;
        }
    }
}

fn as_text<S: Serializer>(fingerprint: &Fingerprint, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(fingerprint)
}
