//! Errors of the routes of our own: `application/problem+json`
//! (RFC 9457, <https://www.rfc-editor.org/rfc/rfc9457>).

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::MAX_BODY_BYTES;
use super::request_id::RequestId;
use crate::app::LOOK_EVERY;
use crate::keeper::Unavailable;
use crate::page_url::PageUrl;
use crate::roster::Roster;
use crate::upstream::forward::NoAnswer;

/// What went wrong with a request, for the one who sent it.
///
/// Handlers return it; the front door writes it out, because it knows the request's id.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    code: Code,
    detail: String,
    errcode: Option<i64>,
    errmsg: Option<String>,
    link: Option<&'static str>,
    retry_after: Option<Duration>,
}

/// The stable names of problems.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    MissingUrl,
    InvalidUrl,
    InvalidQuery,
    InvalidBody,
    KeyInQuery,
    KeyRequired,
    KeyRefused,
    ScopeMissing,
    AccountNotAllowed,
    RightsExceeded,
    InvalidPath,
    InvalidHost,
    InvalidRequest,
    TooManyHeaders,
    HeadTooLong,
    InvalidAppid,
    InvalidClientName,
    HostNotAllowed,
    PathNotAllowed,
    UnknownAccount,
    UnknownClient,
    NoCardTicket,
    NotWecom,
    NotFound,
    MethodNotAllowed,
    BodyTooLarge,
    StillValid,
    UnknownToken,
    NotAboutTheToken,
    RateLimited,
    InternalError,
    CredentialUnavailable,
    TimedOut,
    UpstreamUnreachable,
    UpstreamTimedOut,
    NoMasterKey,
    AccountIsConfigured,
    ClientIsConfigured,
    ClientUnreadable,
    AccountsLocked,
    ChangedMeanwhile,
    WechatRefused,
    StoreUnavailable,
}

impl Code {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::MissingUrl
            | Self::InvalidUrl
            | Self::InvalidQuery
            | Self::InvalidBody
            | Self::InvalidPath
            | Self::InvalidHost
            | Self::InvalidRequest
            | Self::InvalidAppid
            | Self::InvalidClientName
            | Self::KeyInQuery => StatusCode::BAD_REQUEST,
            Self::TooManyHeaders | Self::HeadTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::KeyRequired | Self::KeyRefused => StatusCode::UNAUTHORIZED,
            Self::ScopeMissing
            | Self::AccountNotAllowed
            | Self::RightsExceeded
            | Self::HostNotAllowed
            | Self::PathNotAllowed => StatusCode::FORBIDDEN,
            Self::UnknownAccount
            | Self::UnknownClient
            | Self::NoCardTicket
            | Self::NotWecom
            | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::StillValid | Self::UnknownToken => StatusCode::CONFLICT,
            Self::NotAboutTheToken => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::CredentialUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::UpstreamUnreachable => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::NoMasterKey
            | Self::AccountIsConfigured
            | Self::ClientIsConfigured
            | Self::ClientUnreadable
            | Self::AccountsLocked
            | Self::ChangedMeanwhile => StatusCode::CONFLICT,
            Self::WechatRefused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::MissingUrl => "The url of the page is missing",
            Self::InvalidUrl => "The url of the page is not one that a browser reports",
            Self::InvalidQuery => "The query of the request cannot be read",
            Self::InvalidBody => "The body of the request cannot be read",
            Self::KeyInQuery => "A client key stands in the address",
            Self::KeyRequired => "A client key is needed",
            Self::KeyRefused => "The client key is not accepted",
            Self::ScopeMissing => "The client key lacks a scope",
            Self::AccountNotAllowed => "The client key is not for this account",
            Self::RightsExceeded => "This goes beyond what the client key itself may do",
            Self::InvalidPath => "The path is not one of WeChat's API",
            Self::InvalidHost => "The request does not say which host it is for",
            Self::InvalidRequest => "The request cannot be read",
            Self::TooManyHeaders => "The request has too many headers",
            Self::HeadTooLong => "The head of the request is too long",
            Self::InvalidAppid => "The AppID in the path is none",
            Self::InvalidClientName => "The name of the client in the path is none",
            Self::HostNotAllowed => "Pages of this host are not signed for",
            Self::PathNotAllowed => "Calls are not passed on to this path",
            Self::UnknownAccount => "The account is not known here",
            Self::UnknownClient => "The client is not known here",
            Self::NoCardTicket => "The account has no ticket for coupons",
            Self::NotWecom => "The account is no WeCom app",
            Self::NotFound => "There is nothing here",
            Self::MethodNotAllowed => "This method is not for this path",
            Self::BodyTooLarge => "The body of the request is too large",
            Self::StillValid => "The token is still valid",
            Self::UnknownToken => "The token is not known here",
            Self::NotAboutTheToken => "The errcode says nothing about the token",
            Self::RateLimited => "Too many requests",
            Self::InternalError => "Something went wrong in the server",
            Self::CredentialUnavailable => "There is no credential to serve",
            Self::TimedOut => "The request took too long",
            Self::UpstreamUnreachable => "WeChat could not be asked",
            Self::UpstreamTimedOut => "WeChat did not answer in time",
            Self::NoMasterKey => "There is no master key to keep AppSecrets with",
            Self::AccountIsConfigured => "The account is in the configuration",
            Self::ClientIsConfigured => "The client is in the configuration",
            Self::ClientUnreadable => "What is stored of the client cannot be read",
            Self::AccountsLocked => "The master key does not fit the stored accounts",
            Self::ChangedMeanwhile => "Somebody made another change at the same time",
            Self::WechatRefused => "WeChat does not accept this AppID with this AppSecret",
            Self::StoreUnavailable => "The store cannot be reached",
        }
    }

    /// Whether the answer has a `Retry-After`.
    pub(super) const fn says_when_to_come_again(self) -> bool {
        matches!(self, Self::RateLimited | Self::CredentialUnavailable)
    }
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errcode: None,
            errmsg: None,
            link: None,
            retry_after: None,
        }
    }

    /// The same, with what WeChat said.
    pub(super) fn said(mut self, errcode: i64, errmsg: String) -> Self {
        self.errcode = Some(errcode);
        self.errmsg = Some(errmsg);
        self
    }

    /// The same, with WeChat's page about it.
    pub(super) fn see(mut self, link: Option<&'static str>) -> Self {
        self.link = link;
        self
    }

    /// The host of `url` is not among the account's page hosts.
    pub(super) fn host_not_allowed(url: &PageUrl<'_>) -> Self {
        let listed = url.listed_as();
        Self::new(
            Code::HostNotAllowed,
            format!(
                "{listed} is not among the page_hosts of this account: if the page is yours, add \
                 \"{listed}\" there (or to WXSIGN_PAGE_HOSTS), and to the JS接口安全域名 in WeChat's \
                 console"
            ),
        )
    }

    /// There is no such account, as far as `roster` knows.
    pub(super) fn unknown_account(roster: &Roster) -> Self {
        if roster.has_read() {
            let detail = "no account with this appid is configured: check the appid";
            return Self::new(Code::UnknownAccount, detail);
        }
        let detail = "the account is not in the configuration, and the store, which knows those \
                      that were added at run time, could not be read since the server started: \
                      ask again";
        let mut problem = Self::new(Code::StoreUnavailable, detail);
        problem.retry_after = Some(LOOK_EVERY);
        problem
    }

    /// The caller asks for more than its share.
    pub(super) fn rate_limited(wait: Duration) -> Self {
        let detail = "a page needs one signature for each address it shows; ask again after the \
                      time in Retry-After";
        Self::too_many(detail, wait)
    }

    /// The caller has to wait.
    pub(super) fn too_many(detail: &str, wait: Duration) -> Self {
        let mut problem = Self::new(Code::RateLimited, detail);
        problem.retry_after = Some(wait);
        problem
    }

    /// The body of the request did not come whole.
    pub(super) fn unreadable(rejection: BytesRejection) -> Self {
        Self::unreadable_above(MAX_BODY_BYTES, rejection)
    }

    /// The same where it may have so many bytes.
    pub(super) fn unreadable_above(most: usize, rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::body_too_large(most),
            _ => Self::new(Code::InvalidBody, "it broke off: send it again"),
        }
    }

    /// The body of the request is larger than what is asked for.
    pub(super) fn body_too_large(most: usize) -> Self {
        let may = format!("it may have {most} bytes: send what this path asks for alone");
        Self::new(Code::BodyTooLarge, may)
    }

    /// There is no credential of the account.
    pub(super) fn unavailable(unavailable: Unavailable) -> Self {
        if unavailable.removed {
            return Self::new(Code::UnknownAccount, "the account was removed a moment ago");
        }
        let mut detail = match &unavailable.trouble {
            Some(trouble) => format!("the last try to fetch one failed: {}", trouble.what),
            None => "it is being fetched; ask again in a moment".to_owned(),
        };
        if let Some(trouble) = &unavailable.trouble {
            let what = trouble.explanation.what.en;
            detail = format!("{detail}; {what}: {}", trouble.remedy().en);
        }
        let mut problem = Self::new(Code::CredentialUnavailable, detail);
        problem.retry_after = Some(unavailable.retry_after);
        if let Some(trouble) = unavailable.trouble {
            problem.errcode = trouble.errcode;
            problem.errmsg = trouble.errmsg;
            problem.link = Some(trouble.explanation.link);
        }
        problem
    }

    /// A call was passed on and WeChat did not answer.
    pub(super) fn no_answer(failure: &NoAnswer) -> Self {
        let ambiguous = "WeChat may have carried the call out: look before you send it again";
        match failure {
            NoAnswer::NotSent(why) => Self::new(
                Code::UpstreamUnreachable,
                format!("the call was not sent ({why}): send it again in a moment"),
            ),
            NoAnswer::Lost(why) => Self::new(
                Code::UpstreamUnreachable,
                format!("no whole answer came ({why}); {ambiguous}"),
            ),
            NoAnswer::TimedOut => Self::new(Code::UpstreamTimedOut, ambiguous),
        }
    }

    pub(super) const fn code(&self) -> Code {
        self.code
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer to the request of `id`.
    pub(super) fn render(&self, id: &RequestId) -> Response<Vec<u8>> {
        let status = self.code.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(id = id.as_str(), code = ?self.code, "{}", self.detail);
        } else {
            tracing::debug!(id = id.as_str(), code = ?self.code, "{}", self.detail);
        }
        let body = serde_json::to_vec(&Document {
            title: self.code.title(),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code,
            errcode: self.errcode,
            errmsg: self.errmsg.as_deref(),
            link: self.link,
            request_id: id.as_str(),
        })
        .expect("it has only text keys");
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// `response` with the problem written into it if a handler returned one.
    pub(super) fn write_into(response: Response<Body>, id: &RequestId) -> Response<Body> {
        let Some(problem) = response.extensions().get::<Self>() else {
            return response;
        };
        let (rendered, body) = problem.render(id).into_parts();
        let (mut head, _) = response.into_parts();
        head.headers.remove(CONTENT_LENGTH);
        head.headers.extend(rendered.headers);
        Response::from_parts(head, Body::from(body))
    }
}

impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What went wrong, and what to do about it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// What `code` means, in words.
    title: &'a str,
    /// The HTTP status once more.
    status: u16,
    /// What happened here, and what to do about it.
    detail: &'a str,
    /// The stable name of the problem.
    code: Code,
    /// WeChat's word, where it said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errmsg: Option<&'a str>,
    /// WeChat's page about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    /// The log knows the request by it.
    request_id: &'a str,
}
