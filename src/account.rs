//! An official account: who it is and which pages it may sign for.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::credential::{Kind, Secret};
use crate::page_hosts::PageHosts;

/// The AppID of an official account: `wx` and 16 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId([u8; LENGTH]);

/// How many characters an AppID has.
const LENGTH: usize = 18;

impl AppId {
    /// The AppID as WeChat writes it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII was taken")
    }
}

/// As that of its text, by which it is looked up.
impl Hash for AppId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl FromStr for AppId {
    type Err = InvalidAppId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidAppId)?;
        let digits = bytes.strip_prefix(b"wx").ok_or(InvalidAppId)?;
        if digits
            .iter()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            Ok(Self(bytes))
        } else {
            Err(InvalidAppId)
        }
    }
}

impl TryFrom<String> for AppId {
    type Error = InvalidAppId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AppId> for String {
    fn from(appid: AppId) -> Self {
        appid.as_str().to_owned()
    }
}

impl std::borrow::Borrow<str> for AppId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not an AppID.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "an AppID is \"wx\" followed by 16 digits or letters a-f, all lower case; \
     WeChat's console shows it under 设置与开发 > 开发接口管理"
)]
pub struct InvalidAppId;

/// Which API issues an account's access_token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenApi {
    /// `GET /cgi-bin/token`: each call makes a new token, the former one lives 5 minutes more
    /// (<https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken.html>).
    #[default]
    Classic,
    /// `POST /cgi-bin/stable_token`: returns the same token until its last 5 minutes
    /// (<https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html>).
    Stable,
}

impl TokenApi {
    /// Its name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Stable => "stable",
        }
    }
}

impl FromStr for TokenApi {
    type Err = InvalidTokenApi;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Classic, Self::Stable]
            .into_iter()
            .find(|api| api.as_str() == text)
            .ok_or(InvalidTokenApi)
    }
}

/// The text names no token API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be \"classic\" or \"stable\"")]
pub struct InvalidTokenApi;

/// An official account that this server holds the credentials of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Who it is.
    pub appid: AppId,
    /// What people call it; see [`parse_name`].
    pub name: Option<String>,
    /// Its AppSecret.
    pub secret: Secret,
    /// Which token API it uses.
    pub token_api: TokenApi,
    /// The hosts of the pages that it may sign for.
    pub page_hosts: PageHosts,
    /// Whether it hands out coupons: it has a [`Kind::CardTicket`] then.
    pub wx_card: bool,
}

impl Account {
    /// The kinds of credential that it has, in the order in which they are renewed.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + Clone + use<> {
        let always = [Kind::AccessToken, Kind::JsapiTicket];
        always.into_iter().chain(self.further_ticket())
    }

    /// The one ticket that it has beside its jsapi_ticket, if any.
    pub const fn further_ticket(&self) -> Option<Kind> {
        if self.wx_card {
            Some(Kind::CardTicket)
        } else {
            None
        }
    }
}

/// Reads what people are to call an account: up to 64 characters, none of which ends the line.
///
/// # Errors
/// It is empty, too long, or holds control characters.
pub fn parse_name(text: &str) -> Result<String, InvalidName> {
    let length = text.chars().count();
    if (1..=64).contains(&length) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(InvalidName)
    }
}

/// The text is not a name for an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a name has 1 to 64 characters, and no line breaks or other control characters")]
pub struct InvalidName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appid_is_wx_and_sixteen_hex_digits() {
        let appid: AppId = "wx0123456789abcdef".parse().unwrap();
        assert_eq!(appid.to_string(), "wx0123456789abcdef");
        for bad in [
            "",
            "wx",
            "wx0123456789ABCDEF",
            "wx0123456789abcde",
            "wx0123456789abcdef0",
            "ww0123456789abcdef",
            "gh_0123456789abcdef",
            " wx0123456789abcdef",
            "wx0123456789abcde微",
        ] {
            assert_eq!(bad.parse::<AppId>(), Err(InvalidAppId), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_one_short_line() {
        let longest = "微".repeat(64);
        for good in ["商城 · shop", &longest] {
            assert_eq!(parse_name(good).as_deref(), Ok(good));
        }
        let too_long = "微".repeat(65);
        for bad in ["", "a\nb", "a\u{1b}[1m", &too_long] {
            assert_eq!(parse_name(bad), Err(InvalidName), "{bad:?}");
        }
    }
}
