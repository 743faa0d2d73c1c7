//! What can go wrong with a call to WeChat.

use std::fmt;

use super::Api;
use super::errcode::{self, Explanation, WITHOUT_ERRCODE, Words, explain};
use crate::credential::Secret;

/// A call to WeChat that failed.
///
/// It never holds a URL, a secret or the body of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamError {
    /// The call that failed.
    pub api: Api,
    /// What happened to it.
    pub failure: Failure,
}

/// What happened to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// WeChat answered with an errcode.
    Refused {
        /// WeChat's errcode.
        errcode: i64,
        /// WeChat's errmsg, at most [`super::answer::MAX_ERRMSG_CHARS`] characters of it.
        errmsg: String,
    },
    /// The request did not leave: name look-up, connection or TLS.
    NotSent(String),
    /// The request may have been carried out, but no usable answer came.
    Lost(String),
    /// An HTTP status that is not WeChat's own 200, without an errcode.
    Status(u16),
}

/// What a failure means for the next try.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It will pass by itself.
    Transient,
    /// It will pass, but the call may have taken effect: WeChat may have issued a token that
    /// nobody holds.
    Ambiguous,
    /// AppID, AppSecret or the account's rights: a human must mend it.
    Credentials,
    /// WeChat does not accept calls from this machine's address.
    Address,
    /// A quota is used up.
    Quota,
    /// The access_token that was sent is not valid (any more).
    TokenRejected,
    /// An errcode that this program does not know.
    Unknown,
}

impl UpstreamError {
    /// A call whose answer did not come in time.
    pub fn timed_out(api: Api) -> Self {
        Self {
            api,
            failure: Failure::Lost("no answer in time".to_owned()),
        }
    }

    /// This error with every one of `secrets` cut out: a server may say back what it was sent.
    pub(super) fn without(mut self, secrets: &[&Secret]) -> Self {
        if let Failure::Refused { errmsg, .. } = &mut self.failure {
            for secret in secrets {
                *errmsg = errmsg.replace(secret.expose(), "…");
            }
        }
        self
    }

    /// What this failure means for the next try.
    pub fn class(&self) -> Class {
        match self.failure {
            Failure::Refused { errcode, .. } => errcode::class(self.api, errcode),
            Failure::NotSent(_) => Class::Transient,
            Failure::Lost(_) => Class::Ambiguous,
            Failure::Status(429) => Class::Quota,
            // A gateway that waited in vain had passed the request on.
            Failure::Status(504) => Class::Ambiguous,
            Failure::Status(500..) => Class::Transient,
            Failure::Status(_) => Class::Ambiguous,
        }
    }

    /// WeChat's errcode, if it gave one.
    pub const fn errcode(&self) -> Option<i64> {
        match self.failure {
            Failure::Refused { errcode, .. } => Some(errcode),
            _ => None,
        }
    }

    /// WeChat's errmsg, if it gave one.
    pub fn errmsg(&self) -> Option<&str> {
        match &self.failure {
            Failure::Refused { errmsg, .. } => Some(errmsg),
            _ => None,
        }
    }

    /// What happened, why, and what to do.
    pub fn explanation(&self) -> &'static Explanation {
        match &self.failure {
            Failure::Refused { errcode, .. } => known_or_not(self.api, *errcode),
            Failure::NotSent(reason) => errcode::not_sent(reason),
            Failure::Lost(_) => errcode::lost(),
            Failure::Status(_) => errcode::status(),
        }
    }

    /// What to do, with the address that WeChat named.
    pub fn remedy(&self) -> Words {
        self.explanation().remedy_for(self.errmsg(), None)
    }
}

fn known_or_not(api: Api, errcode: i64) -> &'static Explanation {
    explain(api, errcode).unwrap_or_else(|| errcode::unknown(api))
}

/// What a failure of `api` is about of which only the errcode and the line that told of it are
/// kept.
pub(crate) fn explain_line(api: Api, errcode: Option<i64>, line: &str) -> &'static Explanation {
    if let Some(errcode) = errcode {
        return known_or_not(api, errcode);
    }
    let said = line.split_once(": ").map_or(line, |(_, said)| said);
    let Some(reason) = said.strip_prefix(NOT_SENT) else {
        return match said {
            _ if said.starts_with(LOST) => errcode::lost(),
            _ if said.starts_with(STATUS) => errcode::status(),
            _ => &WITHOUT_ERRCODE,
        };
    };
    errcode::not_sent(reason)
}

const NOT_SENT: &str = "not sent: ";
const LOST: &str = "no usable answer: ";
const STATUS: &str = "HTTP status ";

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.api.path())?;
        match &self.failure {
            Failure::Refused { errcode, errmsg } => write!(f, "errcode {errcode}, {errmsg}"),
            Failure::NotSent(reason) => write!(f, "{NOT_SENT}{reason}"),
            Failure::Lost(reason) => write!(f, "{LOST}{reason}"),
            Failure::Status(status) => write!(f, "{STATUS}{status}"),
        }
    }
}

impl std::error::Error for UpstreamError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_explained_the_same_from_its_line() {
        let not_sent = |why: &str| Failure::NotSent(why.to_owned());
        for (failure, what) in [
            (not_sent("failed to lookup address information"), "name"),
            (
                not_sent("invalid peer certificate: UnknownIssuer"),
                "certificate",
            ),
            (not_sent("Connection refused (os error 111)"), "connected"),
            (
                Failure::Lost("no answer in time".to_owned()),
                "no whole answer",
            ),
            (Failure::Status(502), "HTTP error"),
        ] {
            let api = Api::Token;
            let error = UpstreamError { api, failure };
            let explained = error.explanation();
            assert!(explained.what.en.contains(what), "{error}");
            assert_eq!(explain_line(api, None, &error.to_string()), explained);
        }
        let line = explain_line(Api::Token, None, "something else");
        assert_eq!(line, &WITHOUT_ERRCODE);
    }

    #[test]
    fn what_an_http_status_means_depends_on_whether_wechat_may_have_done_it() {
        let class = |status| {
            let failure = Failure::Status(status);
            UpstreamError {
                api: Api::Token,
                failure,
            }
            .class()
        };
        assert_eq!(class(429), Class::Quota);
        assert_eq!(class(504), Class::Ambiguous);
        assert_eq!(class(404), Class::Ambiguous);
        for status in [500, 502, 503] {
            assert_eq!(class(status), Class::Transient, "{status}");
        }
    }
}
