//! Client keys: which back end asks, and what it may do.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use super::client_address::client_address;
use super::limits::client_key;
use super::problem::{Code, Problem};
use super::{Gate, Peer};
use crate::account::AppId;
use crate::client::{Accounts, KEY_PREFIX, Scope};
use crate::credential::Credential;
use crate::keeper::Kept;
use crate::roster::Caller;

/// So many refused keys a second come from one address before it has to wait.
pub(super) const FAILURES_PER_SECOND: u32 = 1;

/// Why a key is refused; who sent it is told no more than that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Unknown, wrong or expired.
    Key,
    /// The address has sent too many of those.
    TooMany(Duration),
}

impl Caller {
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
    ) -> Result<Arc<Caller>, Refused> {
        let now = self.app.keeper.clock().moment();
        if let Some(caller) = self.app.roster.clients().find(key, now.wall) {
            return Ok(Arc::clone(caller));
        }
        let from = client_address(peer, headers, &self.app.trusted_proxies);
        if let Some(limit) = &self.failures
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
    ) -> Result<Arc<Caller>, Problem> {
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
                "send one header \"Authorization: Bearer wxk_…\" with the key of a client; \
                 \"wxsign client add NAME\" makes one",
            ));
        };
        let key = bearer(header).unwrap_or_default();
        self.recognise(key, headers, peer)
            .map_err(|refused| match refused {
                Refused::Key => Problem::new(
                    Code::KeyRefused,
                    "no client has this key, or it has expired: compare the header \
                     \"Authorization: Bearer wxk_…\" with the key that wxsign printed",
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
        let kept = accounts.get(parsed.as_str());
        let unknown = || Problem::unknown_account(&self.app.roster);
        kept.map(Arc::clone).ok_or_else(unknown)
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
    pub(super) fn caller(&self) -> Result<Arc<Caller>, Problem> {
        self.gate
            .authenticate(&self.headers, &self.query, self.peer)
    }

    /// The back end that asks, if it may do `scope` with the account, and the account.
    pub(super) fn admit(
        &self,
        scope: Scope,
        appid: &str,
    ) -> Result<(Arc<Caller>, Arc<Kept>), Problem> {
        let caller = self.caller()?;
        let kept = self.gate.let_through(&caller, scope, appid)?;
        Ok((caller, kept))
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
            format!("this needs the scope \"{scope}\": add it to the scopes of the client"),
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
                     the client",
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
pub(super) fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, key) = header.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| key.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::laws;

    proptest! {
        #[test]
        fn a_key_is_the_end_of_its_header(
            header in "([Bb][Ee][Aa][Rr]{1,2}[Ee][Rr]|Basic)?[ \\t]{0,3}[!-~ ]{0,40}",
            anything in any::<Vec<u8>>(),
        ) {
            laws::authorization(header.as_bytes());
            laws::authorization(&anything);
        }
    }
}
