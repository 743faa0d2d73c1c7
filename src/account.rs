//! An account: an official account or a WeCom app, who it is and which pages it may sign for.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::credential::{Kind, Secret};
use crate::page_hosts::PageHosts;

/// Who an account is: the AppID of an official account, `wx` and 16 lower-case hexadecimal digits;
/// or the name of a WeCom app, `ww0123456789abcdef-1000002`: the CorpID of its corporation (`ww`,
/// of older ones `wx`) and its AgentId
/// (<https://developer.work.weixin.qq.com/document/path/90665>). Neither names an app alone: a
/// corporation has many, and each has its own secret and tokens.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId(Text);

/// There are very many of the one, and each takes room.
#[derive(Clone)]
enum Text {
    OfficialAccount([u8; LENGTH]),
    WeComApp(Box<str>),
}

/// How many characters an AppID or a CorpID has.
const LENGTH: usize = 18;

/// How many digits an AgentId has at most; today's have seven.
const MOST_DIGITS: usize = 9;

impl AppId {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::OfficialAccount(bytes) => {
                std::str::from_utf8(bytes).expect("only ASCII was taken")
            }
            Text::WeComApp(text) => text,
        }
    }

    /// What `wx.config` calls `appId`: the AppID itself, or the CorpID
    /// (<https://developer.work.weixin.qq.com/document/path/90514>).
    pub fn for_config(&self) -> &str {
        &self.as_str()[..LENGTH]
    }

    /// The CorpID and the AgentId of a WeCom app.
    pub fn wecom(&self) -> Option<(&str, &str)> {
        match &self.0 {
            Text::OfficialAccount(_) => None,
            Text::WeComApp(text) => Some((&text[..LENGTH], &text[LENGTH + 1..])),
        }
    }
}

impl PartialEq for AppId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for AppId {}

/// As their texts, by which they are looked up.
impl Ord for AppId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for AppId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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
        let Ok(bytes) = <[u8; LENGTH]>::try_from(text.as_bytes()) else {
            return of_wecom_app(text);
        };
        if has_digits(&bytes, b"wx") {
            Ok(Self(Text::OfficialAccount(bytes)))
        } else if has_digits(&bytes, b"ww") {
            Err(InvalidAppId::NoAgentId)
        } else {
            Err(InvalidAppId::Malformed)
        }
    }
}

fn of_wecom_app(text: &str) -> Result<AppId, InvalidAppId> {
    let named = text.split_once('-').filter(|(corpid, agentid)| {
        let corpid = corpid.as_bytes();
        let known = has_digits(corpid, b"ww") || has_digits(corpid, b"wx");
        // An app has one name: no zeros in front.
        let is_number = (1..=MOST_DIGITS).contains(&agentid.len())
            && agentid.bytes().all(|byte| byte.is_ascii_digit())
            && (*agentid == "0" || !agentid.starts_with('0'));
        known && is_number
    });
    match named {
        Some(_) => Ok(AppId(Text::WeComApp(text.into()))),
        None => Err(InvalidAppId::Malformed),
    }
}

/// Whether it is `prefix` and 16 hexadecimal digits.
fn has_digits(id: &[u8], prefix: &[u8; 2]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.len() == LENGTH
        && id
            .strip_prefix(prefix)
            .is_some_and(|d| d.iter().all(is_digit))
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

/// The text names no account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidAppId {
    /// It is neither kind of name.
    #[error(
        "an AppID is \"wx\" followed by 16 digits or letters a-f, all lower case; \
         WeChat's console shows it under 设置与开发 > 开发接口管理. A WeCom app (企业微信) is \
         named by its CorpID and AgentId, such as ww0123456789abcdef-1000002"
    )]
    Malformed,
    /// It is a CorpID alone.
    #[error(
        "this is the CorpID of WeCom (企业微信), whose apps have a secret each: write a minus \
         and the app's AgentId behind it, such as ww0123456789abcdef-1000002; WeCom's console \
         shows it under 应用管理"
    )]
    NoAgentId,
}

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
    /// `GET /cgi-bin/gettoken`, WeCom's only one: returns the same token until its end
    /// (<https://developer.work.weixin.qq.com/document/path/91039>; until 2024 the page said so).
    #[serde(rename = "wecom")]
    WeCom,
}

impl TokenApi {
    /// Its name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Stable => "stable",
            Self::WeCom => "wecom",
        }
    }

    /// The one of an account for which `chosen` was chosen, if any was. An official account may
    /// have either of two, a WeCom app has its own.
    ///
    /// # Errors
    /// The account cannot have that one.
    pub fn of(appid: &AppId, chosen: Option<Self>) -> Result<Self, InvalidTokenApi> {
        match (appid.wecom(), chosen) {
            (Some(_), None | Some(Self::WeCom)) => Ok(Self::WeCom),
            (Some(_), Some(_)) => Err(InvalidTokenApi::OfWeCom),
            (None, Some(Self::WeCom)) => Err(InvalidTokenApi::OfOfficialAccounts),
            (None, chosen) => Ok(chosen.unwrap_or_default()),
        }
    }

    /// The one by which an AppSecret is tried: its call supersedes no token.
    pub const fn on_trial(appid: &AppId) -> Self {
        match appid.0 {
            Text::OfficialAccount(_) => Self::Stable,
            Text::WeComApp(_) => Self::WeCom,
        }
    }
}

impl FromStr for TokenApi {
    type Err = InvalidTokenApi;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Classic, Self::Stable, Self::WeCom]
            .into_iter()
            .find(|api| api.as_str() == text)
            .ok_or(InvalidTokenApi::OfOfficialAccounts)
    }
}

/// The text names no token API that the account can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidTokenApi {
    /// It is none of an official account.
    #[error("must be \"classic\" or \"stable\"")]
    OfOfficialAccounts,
    /// It is none of WeCom.
    #[error("is not for a WeCom app, which has one token API: leave it out")]
    OfWeCom,
}

/// An official account or a WeCom app that this server holds the credentials of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Who it is.
    pub appid: AppId,
    /// What people call it; see [`parse_name`].
    pub name: Option<String>,
    /// Its AppSecret; WeCom calls it the app's Secret.
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
        match self.token_api {
            TokenApi::WeCom => Some(Kind::AgentTicket),
            TokenApi::Classic | TokenApi::Stable if self.wx_card => Some(Kind::CardTicket),
            TokenApi::Classic | TokenApi::Stable => None,
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
        assert_eq!((appid.for_config(), appid.wecom()), (appid.as_str(), None));
        for bad in [
            "",
            "wx",
            "wx0123456789ABCDEF",
            "wx0123456789abcde",
            "wx0123456789abcdef0",
            "gh_0123456789abcdef",
            " wx0123456789abcdef",
            "wx0123456789abcde微",
        ] {
            assert_eq!(
                bad.parse::<AppId>(),
                Err(InvalidAppId::Malformed),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_wecom_app_is_a_corpid_and_an_agentid() {
        for (text, corpid, agentid) in [
            (
                "ww0123456789abcdef-1000002",
                "ww0123456789abcdef",
                "1000002",
            ),
            ("wx0123456789abcdef-0", "wx0123456789abcdef", "0"),
            (
                "wwffffffffffffffff-999999999",
                "wwffffffffffffffff",
                "999999999",
            ),
        ] {
            let app: AppId = text.parse().unwrap();
            assert_eq!(app.as_str(), text);
            assert_eq!(app.wecom(), Some((corpid, agentid)));
            assert_eq!(app.for_config(), corpid);
        }
        for bad in [
            "ww0123456789abcdef-",
            "ww0123456789abcdef-01",
            "ww0123456789abcdef-+1",
            "ww0123456789abcdef--1",
            "ww0123456789abcdef-1000000000",
            "ww0123456789abcdef-1-1",
            "ww0123456789abcdef.1",
            "ww0123456789abcde-10",
            "wz0123456789abcdef-1",
        ] {
            assert_eq!(
                bad.parse::<AppId>(),
                Err(InvalidAppId::Malformed),
                "{bad:?}"
            );
        }
        let corpid = "ww0123456789abcdef".parse::<AppId>();
        assert_eq!(corpid, Err(InvalidAppId::NoAgentId));
    }

    #[test]
    fn names_are_in_the_order_of_their_texts_and_take_little_room() {
        let texts = [
            "ww0123456789abcdef-1000002",
            "wx0123456789abcdef",
            "wx0123456789abcdef-2",
            "wx1123456789abcdef",
        ];
        let names: std::collections::BTreeSet<AppId> = texts
            .iter()
            .rev()
            .map(|text| text.parse().unwrap())
            .collect();
        assert!(names.iter().map(AppId::as_str).eq(texts));
        assert!(texts.iter().all(|text| names.contains(*text)));
        assert_eq!(size_of::<AppId>(), 24);
        assert_eq!(size_of::<Option<AppId>>(), 24);
    }

    #[test]
    fn a_wecom_app_has_a_token_api_of_its_own() {
        let official: AppId = "wx0123456789abcdef".parse().unwrap();
        let app: AppId = "ww0123456789abcdef-1000002".parse().unwrap();
        let (classic, wecom) = (Some(TokenApi::Classic), Some(TokenApi::WeCom));
        assert_eq!(TokenApi::of(&official, None), Ok(TokenApi::Classic));
        assert_eq!(TokenApi::of(&app, None), Ok(TokenApi::WeCom));
        assert_eq!(TokenApi::of(&app, wecom), Ok(TokenApi::WeCom));
        assert_eq!(TokenApi::of(&app, classic), Err(InvalidTokenApi::OfWeCom));
        let wrong = TokenApi::of(&official, wecom);
        assert_eq!(wrong, Err(InvalidTokenApi::OfOfficialAccounts));
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
