//! WeChat's errcodes as far as they bear on credentials: what each means and who can mend it.
//!
//! The codes are those of the error lists on the pages of the two token APIs and of getticket
//! (<https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken.html>,
//! <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html>,
//! <https://developers.weixin.qq.com/doc/service/en/api/webdev/jssdk/api_getticket.html>) and of
//! the general list (<https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html>).
//! WeCom has a list of its own, in which the same numbers can mean other things
//! (<https://developer.work.weixin.qq.com/document/path/90313>).

mod account;
mod calls;
mod limits;
mod silent;
mod wecom;

use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

use super::{Api, Class};
use crate::clock::Timestamp;

pub use silent::{FOREIGN_FETCHER, WITHOUT_ERRCODE};
pub(super) use silent::{lost, not_sent, status, unknown};

/// A failure for a human.
#[derive(PartialEq, Eq, Debug)]
pub struct Explanation {
    /// What happened.
    pub what: Text,
    /// Why it happens.
    pub why: Text,
    /// What to do. [`Explanation::remedy_for`] says it with the facts of one failure.
    pub remedy: Text,
    /// WeChat's page about it.
    pub link: &'static str,
}

/// Words in two languages, without a full stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    /// 简体中文
    pub zh: &'static str,
    /// English
    pub en: &'static str,
}

/// The same, made for one occasion.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Words {
    /// 简体中文
    pub zh: String,
    /// English
    pub en: String,
}

impl From<Text> for Words {
    fn from(Text { zh, en }: Text) -> Self {
        Self {
            zh: zh.to_owned(),
            en: en.to_owned(),
        }
    }
}

/// What a remedy calls the address that WeChat saw, until it is known.
const ADDRESS: Text = Text {
    zh: "errmsg 中的 IP",
    en: "the address named in errmsg",
};

/// What a remedy calls the time at which quotas are renewed, until the day is known.
const RESET: Text = Text {
    zh: "北京时间 00:00",
    en: "00:00 (UTC+8)",
};

impl Explanation {
    /// Whether it is WeCom that said so, and in whose console it is mended.
    pub fn is_wecoms(&self) -> bool {
        self.link
            .starts_with("https://developer.work.weixin.qq.com/")
    }

    /// What to do about a failure that came at `at`: names the address that `errmsg` names, and
    /// the day on which a quota is renewed.
    pub fn remedy_for(&self, errmsg: Option<&str>, at: Option<Timestamp>) -> Words {
        let mut words = Words::from(self.remedy);
        if let Some(address) = errmsg.and_then(address_in) {
            let address = address.to_string();
            words.zh = words.zh.replace(ADDRESS.zh, &address);
            words.en = words.en.replace(ADDRESS.en, &address);
        }
        if let Some(day) = at.and_then(day_after) {
            words.zh = words.zh.replace(RESET.zh, &format!("北京时间 {day} 00:00"));
            let reset = format!("{day} {}", RESET.en);
            words.en = words.en.replace(RESET.en, &reset);
        }
        words
    }
}

/// What an errcode in an answer of `api` is about, if it is known here.
pub fn explain(api: Api, errcode: i64) -> Option<&'static Explanation> {
    row(api, errcode).map(|row| &row.explanation)
}

/// What an errcode means in an answer of `api`.
pub(super) fn class(api: Api, errcode: i64) -> Class {
    row(api, errcode).map_or(Class::Unknown, |row| row.class)
}

/// The address that WeChat saw, out of the errmsg of 40164 or 61004, such as `invalid ip 1.2.3.4
/// ipv6 ::ffff:1.2.3.4, not in whitelist`. The white list takes IPv4, so that comes first.
pub fn address_in(errmsg: &str) -> Option<IpAddr> {
    let words = || errmsg.split([' ', ',', ';', '[', ']', '(', ')']);
    let v4 = words().find_map(|word| word.parse().ok()).map(IpAddr::V4);
    let v6 = || words().find_map(|word| word.parse::<Ipv6Addr>().ok());
    v4.or_else(|| Some(IpAddr::V6(v6()?).to_canonical()))
}

/// When quotas that were used up at `at` are renewed: at the next midnight in China.
pub fn quota_reset(at: Timestamp) -> Timestamp {
    const DAY: i64 = 24 * 3600;
    Timestamp::from_secs((china(at).div_euclid(DAY) + 1) * DAY - CHINA_AHEAD_OF_UTC)
}

const CHINA_AHEAD_OF_UTC: i64 = 8 * 3600;

const fn china(at: Timestamp) -> i64 {
    at.as_secs() + CHINA_AHEAD_OF_UTC
}

/// The day in China that follows the one of `at`.
fn day_after(at: Timestamp) -> Option<String> {
    let midnight = jiff::Timestamp::from_second(china(quota_reset(at))).ok()?;
    Some(
        midnight
            .to_string()
            .chars()
            .take("2026-01-01".len())
            .collect(),
    )
}

fn row(api: Api, errcode: i64) -> Option<&'static Row> {
    let of_wechat = account::ROWS.iter().chain(limits::ROWS).chain(calls::ROWS);
    let fits = |row: &&Row| row.errcode == errcode && row.seen.includes(api);
    if api.is_wecoms() {
        wecom::ROWS.iter().find(fits)
    } else {
        of_wechat.into_iter().find(fits)
    }
}

struct Row {
    errcode: i64,
    seen: Seen,
    class: Class,
    explanation: Explanation,
}

/// In the answers of which APIs a row holds, of those of WeChat or those of WeCom.
#[derive(PartialEq)]
enum Seen {
    Everywhere,
    WhereTokensAreIssued,
    WhereTokensAreUsed,
}

impl Seen {
    fn includes(&self, api: Api) -> bool {
        match self {
            Self::Everywhere => true,
            Self::WhereTokensAreIssued => api.issues_token(),
            Self::WhereTokensAreUsed => !api.issues_token(),
        }
    }
}

/// A row of the table; each text is given as zh, en.
const fn row_of(
    (errcode, seen, class): (i64, Seen, Class),
    what: [&'static str; 2],
    why: [&'static str; 2],
    remedy: [&'static str; 2],
    link: &'static str,
) -> Row {
    let explanation = explanation(what, why, remedy, link);
    Row {
        errcode,
        seen,
        class,
        explanation,
    }
}

const fn explanation(
    what: [&'static str; 2],
    why: [&'static str; 2],
    remedy: [&'static str; 2],
    link: &'static str,
) -> Explanation {
    Explanation {
        what: text(what),
        why: text(why),
        remedy: text(remedy),
        link,
    }
}

const fn text([zh, en]: [&'static str; 2]) -> Text {
    Text { zh, en }
}

/// WeChat's pages.
mod page {
    pub(super) const TOKEN: &str =
        "https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken.html";
    pub(super) const STABLE_TOKEN: &str =
        "https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html";
    pub(super) const TICKET: &str =
        "https://developers.weixin.qq.com/doc/service/en/api/webdev/jssdk/api_getticket.html";
    pub(super) const USE_OF_TOKENS: &str =
        "https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html";
    pub(super) const QUOTAS: &str =
        "https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html";
    pub(super) const TROUBLE: &str =
        "https://developers.weixin.qq.com/doc/oplatform/developers/troubleshooting";
    pub(super) const ERRCODES: &str =
        "https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html";
    pub(super) const HOSTS: &str = "https://developers.weixin.qq.com/doc/service/Basic_Information/Interface_field_description.html";
    pub(super) const WECOM_TOKEN: &str = "https://developer.work.weixin.qq.com/document/path/91039";
    pub(super) const WECOM_TICKETS: &str =
        "https://developer.work.weixin.qq.com/document/path/90506";
    pub(super) const WECOM_LIMITS: &str =
        "https://developer.work.weixin.qq.com/document/path/90312";
    pub(super) const WECOM_ERRCODES: &str =
        "https://developer.work.weixin.qq.com/document/path/90313";
    pub(super) const RIDS: &str =
        "https://developers.weixin.qq.com/doc/service/openApi/get_rid_info.html";
}

#[cfg(test)]
mod tests;
