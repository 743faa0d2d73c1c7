//! Client keys: which back end asks, and what it may do.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use subtle::{Choice, ConstantTimeEq};

use super::client_address::client_address;
use super::limits::{Limit, client_key};
use super::problem::{Code, Problem};
use super::{Gate, Peer};
use crate::account::AppId;
use crate::client::{Accounts, Client, KEY_PREFIX, KeyHash, Scope};
use crate::clock::Timestamp;
use crate::credential::Credential;
use crate::keeper::Kept;

/// So many refused keys a second come from one address before it has to wait.
const FAILURES_PER_SECOND: u32 = 1;

/// The back ends by their keys.
pub(super) struct Clients {
    known: Vec<Caller>,
    failures: Option<Limit>,
}

/// A back end, and when it was last here.
pub(super) struct Caller {
    pub(super) client: Client,
    /// In seconds since the Unix epoch, 0 for never.
    last_used: AtomicI64,
}

/// Why a key is refused; who sent it is told no more than that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Unknown, wrong or expired.
    Key,
    /// The address has sent too many of those.
    TooMany(Duration),
}

impl Clients {
    pub(super) fn new(clients: Vec<Client>) -> Self {
        let known = clients.into_iter().map(|client| Caller {
            client,
            last_used: AtomicI64::new(0),
        });
        Self {
            known: known.collect(),
            failures: Limit::per_second(FAILURES_PER_SECOND),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Caller> {
        self.known.iter()
    }

    /// The client whose key this is, if the key holds at `now`. How long that takes depends on
    /// how many clients there are, and on nothing else.
    fn find(&self, key: &str, now: Timestamp) -> Option<&Caller> {
        let hash = KeyHash::of(key);
        let mut found = None;
        for caller in &self.known {
            let keys = caller.client.key_sha256.iter();
            let is_its = keys.fold(Choice::from(0), |any, known| any | known.ct_eq(&hash));
            if bool::from(is_its) {
                found = Some(caller);
            }
        }
        let caller = found.filter(|found| found.holds_at(now))?;
        caller.last_used.store(now.as_secs(), Ordering::Relaxed);
        Some(caller)
    }
}

impl Caller {
    /// When it was last here, in seconds since the Unix epoch.
    pub(super) fn last_used(&self) -> Option<i64> {
        Some(self.last_used.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// Whether its keys have not come to their end.
    pub(super) fn holds_at(&self, now: Timestamp) -> bool {
        self.client.not_after.is_none_or(|end| now < end)
    }

    pub(super) fn may(&self, scope: Scope) -> bool {
        self.client.scopes.contains(&scope)
    }

    /// Writes down what it did, for whoever asks later who had a token. The values themselves are
    /// written nowhere.
    pub(super) fn audit(&self, appid: &AppId, did: &str, what: Option<&Credential>, result: &str) {
        tracing::info!(
            target: "wxsign::audit",
            client = self.client.name,
            %appid,
            did,
            generation = what.map(|credential| credential.generation),
            fingerprint = what.map(|credential| tracing::field::display(credential.value.fingerprint())),
            result,
        );
    }
}

impl Gate {
    /// The back end that sends `key` from `peer`.
    pub(super) fn recognise(
        &self,
        key: &str,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<&Caller, Refused> {
        let now = self.app.keeper.clock().moment();
        if let Some(caller) = self.clients.find(key, now.wall) {
            return Ok(caller);
        }
        let from = client_address(peer, headers, &self.app.trusted_proxies);
        if let Some(limit) = &self.clients.failures
            && let Err(wait) = limit.admit(client_key(from), now.boot)
        {
            return Err(Refused::TooMany(wait));
        }
        // Behind the limit, which so holds for the log too.
        tracing::warn!(target: "wxsign::audit", address = %from, result = "refused", "a client key");
        Err(Refused::Key)
    }

    /// The back end that asks, by the one header that holds its key.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        query: &str,
        peer: IpAddr,
    ) -> Result<&Caller, Problem> {
        let mut values = form_urlencoded::parse(query.as_bytes());
        if values.any(|(_, value)| value.starts_with(KEY_PREFIX)) {
            return Err(Problem::new(
                Code::KeyInQuery,
                "what stands in an address ends up in logs: send the key in the header \
                 \"Authorization: Bearer wxk_…\", and take a new one, for this one may have been \
                 read",
            ));
        }
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (sent.next(), sent.next()) else {
            return Err(Problem::new(
                Code::KeyRequired,
                "send one header \"Authorization: Bearer wxk_…\" with the key of a [[client]]; \
                 \"wxsign key new NAME\" makes one",
            ));
        };
        let key = bearer(header).unwrap_or_default();
        self.recognise(key, headers, peer)
            .map_err(|refused| match refused {
                Refused::Key => Problem::new(
                    Code::KeyRefused,
                    "no [[client]] has this key, or it has expired: compare the header \
                     \"Authorization: Bearer wxk_…\" with the key that \"wxsign key new\" printed",
                ),
                Refused::TooMany(wait) => Problem::too_many(
                    "too many wrong keys came from this address: mend the key, and ask again \
                     after the time in Retry-After",
                    wait,
                ),
            })
    }

    /// The account, if the back end may do `scope` with it.
    pub(super) fn let_through(
        &self,
        caller: &Caller,
        scope: Scope,
        appid: &str,
    ) -> Result<Arc<Kept>, Problem> {
        caller.needs(scope)?;
        let parsed = caller.reaches(appid)?;
        let accounts = self.app.keeper.accounts();
        let kept = accounts.get(parsed.as_str()).ok_or_else(unknown_account)?;
        Ok(Arc::clone(kept))
    }
}

/// A request of a back end, as far as it says who asks.
pub(super) struct Asking {
    pub(super) gate: Arc<Gate>,
    pub(super) headers: HeaderMap,
    /// As sent; empty where there is none.
    pub(super) query: String,
    peer: IpAddr,
}

impl FromRequestParts<Arc<Gate>> for Asking {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, gate: &Arc<Gate>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        Ok(Self {
            gate: Arc::clone(gate),
            headers: parts.headers.clone(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            peer: peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0),
        })
    }
}

impl Asking {
    /// The back end that asks.
    pub(super) fn caller(&self) -> Result<&Caller, Problem> {
        self.gate
            .authenticate(&self.headers, &self.query, self.peer)
    }

    /// The back end that asks, if it may do `scope` with the account, and the account.
    pub(super) fn admit(&self, scope: Scope, appid: &str) -> Result<(&Caller, Arc<Kept>), Problem> {
        let caller = self.caller()?;
        Ok((caller, self.gate.let_through(caller, scope, appid)?))
    }
}

impl Caller {
    /// Whether its key has `scope`.
    pub(super) fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        let scope = scope.as_str();
        tracing::info!(target: "wxsign::audit", client = self.client.name, scope, result = "scope_missing");
        Err(Problem::new(
            Code::ScopeMissing,
            format!("this needs the scope \"{scope}\": add it to the scopes of the [[client]]"),
        ))
    }

    /// Whether it may ask about the account, be that there or not.
    pub(super) fn reaches(&self, appid: &str) -> Result<AppId, Problem> {
        let parsed = appid.parse::<AppId>();
        match &parsed {
            Ok(appid) if self.client.accounts.allow(appid) => Ok(appid.clone()),
            Err(_) if self.client.accounts == Accounts::All => Err(unknown_account()),
            _ => {
                let client = &self.client.name;
                tracing::info!(target: "wxsign::audit", client, result = "account_not_allowed");
                Err(Problem::new(
                    Code::AccountNotAllowed,
                    "this key may not ask about this account: add the AppID to the accounts of \
                     the [[client]]",
                ))
            }
        }
    }
}

fn unknown_account() -> Problem {
    Problem::new(
        Code::UnknownAccount,
        "no account with this appid is configured: check the appid",
    )
}

/// The key in a header (RFC 6750, <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>); the
/// scheme is read in any case (RFC 9110, section 11.1).
fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, key) = header.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| key.trim_start_matches(' '))
}
