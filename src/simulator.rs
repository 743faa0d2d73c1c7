//! WeChat's side and WeCom's, simulated: a state machine with faults.
//!
//! It is no mock. It behaves as WeChat does where that is known, it is strict where strictness
//! teaches good behaviour, and it says what was wrong where WeChat is silent. It drops all state
//! when the process ends, and its values derive from a seed, so that a run can be repeated.
//!
//! There are three ways in:
//! - as an [`Upstream`](crate::upstream::Upstream) in the same process, without sockets, under
//!   the clock of a test;
//! - over HTTP, by [`wechat_router`]: WeChat's paths;
//! - by the methods of [`Simulator`], which [`control_router`] offers over HTTP too: knobs,
//!   faults, time, counters, and [`Simulator::preverify`], which tells whether WeChat would
//!   accept a `wx.config`, and if not, which classic mistake it is.
//!
//! # Layout
//! [`App`] and its [`Knobs`] say how WeChat treats an account. `state` holds the accounts with
//! their `tokens`, `tickets`, `quota` and `ip_list`; `api` leads a request for an `endpoint` through
//! them, with what is different at WeCom in `wecom`; `faults` spoils what comes out, `answer` writes it as WeChat does, `ledger` remembers it. `preverify`
//! and `sha1` judge signatures, and share nothing with the signer; `keys` says what the
//! [`diagnosis`](crate::diagnosis) of a wrong one may try.

mod answer;
mod api;
mod app;
mod cards;
mod control;
mod endpoint;
mod faults;
mod http;
mod in_process;
mod ip_list;
mod keys;
mod ledger;
mod preverify;
mod quota;
mod seed;
mod sha1;
mod sign;
mod state;
#[cfg(test)]
mod tests;
mod tickets;
mod tokens;
mod wecom;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::diagnosis::{Diagnosis, Mistake};
pub use app::{App, Dialect, Knobs, PageUrlRule, Quotas, TicketMode};
pub use cards::{AddCard, CardVerdict, ChooseCard, ListedCard};
pub use control::control_router;
pub use faults::{Fault, FaultRule};
pub use http::wechat_router;
pub use ledger::{By, Counter, Counters, Event, Minted, What};
pub use preverify::{Matched, Preverify, Verdict, Verdicts};
pub use sign::{MistakenConfig, MistakenSigning};

use crate::account::AppId;
use crate::clock::{Clock, Timestamp};
use crate::credential::Secret;
use seed::Seed;
use state::{Account, Scene, State, TicketType};
use tokens::Standing;

/// WeChat's side. Clones share one state.
#[derive(Clone)]
pub struct Simulator {
    state: Arc<Mutex<State>>,
    clock: Clock,
    client_ip: IpAddr,
}

/// One request to WeChat's API.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST`.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// What follows the `?`, as sent.
    pub query: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// Where it comes from.
    pub client_ip: IpAddr,
}

/// What becomes of a request.
#[derive(Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Content type; empty for none.
    pub content_type: String,
    /// The whole body, even if not all of it arrives.
    pub body: Vec<u8>,
    /// How long it takes.
    pub delay: Duration,
    /// What of it arrives.
    pub effect: Effect,
}

/// What of a reply arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// All of it.
    Answer,
    /// The head and so many bytes of the body; then the connection ends.
    CutOff {
        /// Bytes of the body.
        after: usize,
    },
    /// Nothing; the connection ends.
    Reset,
    /// Nothing; the connection stays.
    Hang,
    /// There was no connection.
    Unreachable,
}

/// What the control interface can do to an account, beside turning its knobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A stranger with the same AppSecret fetches a classic token.
    StealToken,
    /// All tokens die before their time: 40001.
    RevokeTokens,
    /// All tokens reach their end: 42001.
    ExpireTokens,
    /// The jsapi_ticket changes; the former one lives on for the overlap.
    RotateTicket,
    /// The jsapi_ticket changes, and so does a WeCom app's own; all former ones die.
    ExpireTicket,
}

/// The simulator has no such account.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the simulator has no account {0}: add it first")]
pub struct UnknownApp(pub String);

impl Simulator {
    /// A simulator without accounts. The same seed gives the same values.
    pub fn new(clock: Clock, seed: u64) -> Self {
        let state = State {
            seed: Seed(seed),
            ahead: Duration::ZERO,
            requests: 0,
            accounts: Default::default(),
            faults: Default::default(),
            ledger: Default::default(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            clock,
            client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// The same simulator as called in process from another address.
    #[must_use]
    pub fn seen_from(&self, client_ip: IpAddr) -> Self {
        Self {
            client_ip,
            ..self.clone()
        }
    }

    /// Adds an account, or replaces it and forgets all that was issued to it.
    pub fn add_app(&self, app: App) {
        let now = self.now();
        let mut state = self.state();
        let account = Account::new(app, state.seed, now);
        state.accounts.insert(account.app.appid.clone(), account);
    }

    /// Changes an account and keeps what was issued to it.
    ///
    /// # Errors
    /// There is no such account.
    pub fn change_app(
        &self,
        appid: &AppId,
        change: impl FnOnce(&mut App),
    ) -> Result<(), UnknownApp> {
        self.with_account(appid, |account, _| change(&mut account.app))
    }

    /// The accounts.
    pub fn apps(&self) -> Vec<App> {
        let state = self.state();
        state.accounts.values().map(|a| a.app.clone()).collect()
    }

    /// Answers one request.
    pub fn call(&self, request: &Request<'_>) -> Reply {
        let now = self.now();
        api::call(&mut self.state(), request, now)
    }

    /// Does something to an account.
    ///
    /// # Errors
    /// There is no such account.
    pub fn act(&self, appid: &AppId, action: Action) -> Result<(), UnknownApp> {
        self.with_account(appid, |account, scene| account.act(action, scene))
    }

    /// Adds a fault rule behind those in force.
    pub fn inject(&self, rule: FaultRule) {
        self.state().faults.inject(rule);
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// The fault rules in force.
    pub fn faults(&self) -> Vec<FaultRule> {
        self.state().faults.rules()
    }

    /// The simulator's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now() + self.state().ahead
    }

    /// Moves the simulator's own time ahead of the clock.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.ahead = state.ahead.saturating_add(by);
    }

    /// How often each API was called.
    pub fn counters(&self) -> Counters {
        self.state().ledger.counters.clone()
    }

    /// How often one API was called for one account.
    pub fn counter(&self, appid: &AppId, path: &str) -> Counter {
        let state = self.state();
        let paths = state.ledger.counters.get(appid.as_str());
        paths
            .and_then(|paths| paths.get(path))
            .cloned()
            .unwrap_or_default()
    }

    /// What happened, the oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.state().ledger.events.iter().cloned().collect()
    }

    /// Whether WeChat accepts this access_token now.
    pub fn token_is_accepted(&self, appid: &AppId, token: &str) -> bool {
        self.with_account(appid, |account, scene| account.standing(token, scene.now))
            .is_ok_and(|standing| standing == Some(Standing::Accepted))
    }

    /// Whether WeChat accepts a signature with this jsapi_ticket now.
    pub fn ticket_is_accepted(&self, appid: &AppId, ticket: &str) -> bool {
        self.with_account(appid, |account, scene| {
            account.settle(TicketType::Jsapi, scene);
            account.jsapi.accepts(ticket, scene.now)
        })
        .unwrap_or_default()
    }

    /// Whether WeChat accepts what is signed for cards with this ticket now.
    pub fn card_ticket_is_accepted(&self, appid: &AppId, ticket: &str) -> bool {
        self.with_account(appid, |account, scene| {
            account.settle(TicketType::Card, scene);
            account.card.accepts(ticket, scene.now)
        })
        .unwrap_or_default()
    }

    /// The classic access_token that was issued last, while it lives.
    pub fn newest_token(&self, appid: &AppId) -> Option<Secret> {
        self.with_account(appid, |account, scene| {
            let token = account.classic.current(scene.now)?;
            Some(token.value.clone())
        })
        .ok()
        .flatten()
    }

    /// The jsapi_ticket that WeChat would return now.
    pub fn newest_ticket(&self, appid: &AppId) -> Option<Secret> {
        self.with_account(appid, |account, scene| {
            account.settle(TicketType::Jsapi, scene);
            account.jsapi.newest().value.clone()
        })
        .ok()
    }

    /// The ticket for `wx.agentConfig` that WeCom would return now to an app.
    pub fn newest_agent_ticket(&self, appid: &AppId) -> Option<Secret> {
        self.with_account(appid, |account, scene| {
            account.settle(TicketType::Agent, scene);
            account.agent.newest().value.clone()
        })
        .ok()
        .filter(|_| appid.wecom().is_some())
    }

    /// Tickets that a signature must not be made with, and which mistake each would be: former ones
    /// and those for cards.
    pub fn wrong_tickets(&self, appid: &AppId) -> Vec<(Mistake, Secret)> {
        self.with_account(appid, |account, scene| {
            account.settle(TicketType::Jsapi, scene);
            account.settle(TicketType::Card, scene);
            keys::wrong_tickets(account, scene.now)
        })
        .unwrap_or_default()
    }

    /// Would WeChat accept this `wx.config`? And if not, why?
    pub fn preverify(&self, ask: &Preverify) -> Verdict {
        let now = self.now();
        preverify::judge(&mut self.state(), ask, now)
    }

    /// Signs as a home-made signer with a mistake would.
    ///
    /// `None` when the mistake cannot be made with this address: there must be a query for it to
    /// be cut.
    ///
    /// # Errors
    /// There is no such account.
    pub fn sign(&self, ask: &MistakenSigning) -> Result<Option<MistakenConfig>, UnknownApp> {
        self.with_account(&ask.appid, |account, scene| sign::sign(ask, account, scene))
    }

    /// Would WeChat put these coupons into the visitor's wallet? Once, if at all.
    ///
    /// # Errors
    /// There is no such account.
    pub fn add_card(&self, ask: &AddCard) -> Result<CardVerdict, UnknownApp> {
        let judge = |account: &mut Account, scene: &mut Scene<'_>| cards::add(ask, account, scene);
        self.with_account(&ask.appid, judge).map(CardVerdict::from)
    }

    /// Would WeChat let the visitor choose? Once, if at all.
    ///
    /// # Errors
    /// There is no such account.
    pub fn choose_card(&self, ask: &ChooseCard) -> Result<CardVerdict, UnknownApp> {
        let judge =
            |account: &mut Account, scene: &mut Scene<'_>| cards::choose(ask, account, scene);
        self.with_account(&ask.appid, judge).map(CardVerdict::from)
    }

    fn with_account<T>(
        &self,
        appid: &AppId,
        act: impl FnOnce(&mut Account, &mut Scene<'_>) -> T,
    ) -> Result<T, UnknownApp> {
        let now = self.now();
        let state = &mut *self.state();
        let account = state
            .accounts
            .get_mut(appid)
            .ok_or_else(|| UnknownApp(appid.to_string()))?;
        let mut scene = Scene {
            now,
            seed: state.seed,
            ledger: &mut state.ledger,
        };
        Ok(act(account, &mut scene))
    }

    /// A panic elsewhere must not take the simulator down with it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reply {
    fn json(content_type: &str, body: String) -> Self {
        Self {
            status: 200,
            content_type: content_type.to_owned(),
            body: body.into_bytes(),
            delay: Duration::ZERO,
            effect: Effect::Answer,
        }
    }

    fn html(status: u16, body: &str) -> Self {
        Self {
            status,
            ..Self::json("text/html", body.to_owned())
        }
    }

    /// What WeChat answers to a path that it does not know is not documented.
    fn not_found() -> Self {
        Self {
            status: 404,
            ..Self::json("", String::new())
        }
    }

    /// The errcode in it, unless that is 0.
    fn errcode(&self) -> Option<i64> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get("errcode")?
            .as_i64()
            .filter(|errcode| *errcode != 0)
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Simulator(…)")
    }
}
