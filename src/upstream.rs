//! WeChat's API as this program uses it: who issues credentials.
//!
//! [`Upstream`] is one call, one answer. When to call, and what to do about a failure, is the
//! keeper's business; an [`UpstreamError`] only says what happened, and [`UpstreamError::class`]
//! what that means.

pub mod answer;
mod errcode;
mod error;
pub mod forward;
mod metered;
pub mod neighbour;
mod wechat;

use std::time::Duration;

pub use errcode::{
    Explanation, FOREIGN_FETCHER, Text, UNKNOWN, WITHOUT_ERRCODE, Words, address_in, explain,
    quota_reset,
};
pub(crate) use error::explain_line;
pub use error::{Class, Failure, UpstreamError};
pub use metered::{Calls, Metered};
pub(crate) use wechat::is_loopback;
pub use wechat::{InvalidUpstream, Reached, WeChat};

use futures_core::future::BoxFuture;

use crate::account::Account;
use crate::credential::{Kind, Secret};

/// A call is given up after this.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Who issues credentials. Every call is one request; nothing is repeated or remembered here.
pub trait Upstream: Send + Sync + 'static {
    /// Asks for an access_token by the account's [`crate::account::TokenApi`].
    fn fetch_token<'a>(
        &'a self,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>>;

    /// Asks for the ticket of `kind`, which is one of the account's [`Account::kinds`].
    fn fetch_ticket<'a>(
        &'a self,
        account: &'a Account,
        kind: Kind,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>>;

    /// Asks whether `token` is still accepted, by a call that changes nothing.
    fn verify_token<'a>(
        &'a self,
        account: &'a Account,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<(), UpstreamError>>;
}

/// A credential as WeChat answered it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// The access_token or the ticket.
    pub value: Secret,
    /// `expires_in`, at most [`answer::MAX_LIFETIME`].
    pub lifetime: Duration,
}

/// WeChat's word for the `type` of a ticket
/// (<https://developers.weixin.qq.com/doc/service/en/api/webdev/jssdk/api_getticket.html>).
pub(crate) const fn ticket_type(kind: Kind) -> &'static str {
    match kind {
        Kind::AccessToken | Kind::JsapiTicket => "jsapi",
        Kind::CardTicket => "wx_card",
        Kind::AgentTicket => "agent_config",
    }
}

/// The APIs that are called; the same errcode can mean different things in them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Api {
    /// `GET /cgi-bin/token`
    Token,
    /// `POST /cgi-bin/stable_token`
    StableToken,
    /// `GET /cgi-bin/ticket/getticket`
    GetTicket,
    /// `GET /cgi-bin/get_api_domain_ip`, the cheap probe
    GetApiDomainIp,
}

impl Api {
    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Token => "/cgi-bin/token",
            Self::StableToken => "/cgi-bin/stable_token",
            Self::GetTicket => "/cgi-bin/ticket/getticket",
            Self::GetApiDomainIp => "/cgi-bin/get_api_domain_ip",
        }
    }

    /// Whether it takes the AppSecret and issues a token.
    pub const fn issues_token(self) -> bool {
        matches!(self, Self::Token | Self::StableToken)
    }
}
