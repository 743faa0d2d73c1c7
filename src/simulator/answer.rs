//! WeChat's answers as it writes them: compact JSON in its own key order, with status 200 for
//! errors too, and its texts for each errcode.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::app::{Dialect, Knobs};
use super::seed::Seed;
use super::wecom;
use crate::clock::Timestamp;
use crate::credential::Secret;

/// What a call came to.
pub(super) enum Answer {
    /// `access_token` and its `expires_in`.
    Token(Secret, Duration),
    /// `ticket` and its `expires_in`.
    Ticket(Secret, Duration),
    /// Any other answer.
    Json(Value),
}

/// The errcode of a refused call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refusal(pub(super) i64);

/// What an answer shows of the request that it belongs to.
pub(super) struct Letterhead<'a> {
    pub(super) knobs: &'a Knobs,
    /// The letter is WeCom's.
    pub(super) is_wecoms: bool,
    pub(super) rid: &'a str,
    pub(super) client_ip: IpAddr,
}

impl Letterhead<'_> {
    /// The body of an answer; `expires_in` replaces the number by other JSON text.
    pub(super) fn body(
        &self,
        outcome: &Result<Answer, Refusal>,
        expires_in: Option<&str>,
    ) -> String {
        let expires_in = expires_in.or(self.knobs.expires_in_reported.as_deref());
        match outcome {
            Ok(Answer::Token(value, life)) if self.is_wecoms => object(&[
                ("errcode", "0".to_owned()),
                ("errmsg", quoted("ok")),
                ("access_token", quoted(value.expose())),
                ("expires_in", reported(*life, expires_in)),
            ]),
            Ok(Answer::Token(value, life)) => object(&[
                ("access_token", quoted(value.expose())),
                ("expires_in", reported(*life, expires_in)),
            ]),
            Ok(Answer::Ticket(value, life)) => object(&[
                ("errcode", "0".to_owned()),
                ("errmsg", quoted("ok")),
                ("ticket", quoted(value.expose())),
                ("expires_in", reported(*life, expires_in)),
            ]),
            Ok(Answer::Json(answer)) => answer.to_string(),
            Err(Refusal(errcode)) => object(&[
                ("errcode", errcode.to_string()),
                ("errmsg", quoted(&self.errmsg(*errcode))),
            ]),
        }
    }

    /// WeChat's words for an errcode, ending in the name of the request.
    pub(super) fn errmsg(&self, errcode: i64) -> String {
        if self.is_wecoms {
            return wecom::errmsg(errcode, self.rid, self.client_ip);
        }
        let text = self.text(errcode);
        let plain = text.trim_end_matches(',');
        match self.knobs.errmsg_dialect {
            Dialect::Rid => format!("{text} rid: {}", self.rid),
            Dialect::Hint => format!("{text} hint: [{}!]", self.short_name()),
            Dialect::ReqId => format!("{plain}, hints: [ req_id: {} ]", self.short_name()),
            Dialect::None => plain.to_owned(),
        }
    }

    fn text(&self, errcode: i64) -> String {
        match (errcode, self.client_ip) {
            (40164, IpAddr::V4(ip)) if self.knobs.errmsg_dialect == Dialect::Rid => {
                format!("invalid ip {ip} ipv6 ::ffff:{ip}, not in whitelist")
            }
            (40164, IpAddr::V6(ip)) if self.knobs.errmsg_dialect == Dialect::Rid => {
                format!("invalid ip {ip} ipv6 {ip}, not in whitelist")
            }
            (40164, ip) => format!("invalid ip {ip}, not in whitelist"),
            (61004, IpAddr::V4(ip)) => {
                let [a, b, ..] = ip.octets();
                format!("access clientip is not registered requestIP: {a}.{b}.*.*")
            }
            _ => text(errcode).to_owned(),
        }
    }

    fn short_name(&self) -> String {
        self.rid.replace('-', "").chars().take(14).collect()
    }
}

/// A request's name: its Unix time and two random groups, in hexadecimal.
pub(super) fn rid(seed: Seed, now: Timestamp, request: u64) -> String {
    let random = seed.number(&format!("rid/{request}"));
    let seconds = now.as_secs() & 0xffff_ffff;
    format!(
        "{seconds:08x}-{:08x}-{:08x}",
        random >> 32,
        random & 0xffff_ffff
    )
}

/// WeChat's words for an errcode, as seen in real answers where there are any, else as
/// documented
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html>).
/// Some end in a comma before the name of the request.
const fn text(errcode: i64) -> &'static str {
    match errcode {
        -1 => "system error",
        0 => "ok",
        40001 => {
            "invalid credential, access_token is invalid or not latest, could get access_token \
             by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
        }
        40002 => "invalid grant_type",
        40004 => "invalid media type",
        40013 => "invalid appid",
        40014 => "invalid access_token",
        40097 => "invalid args",
        40125 => "invalid appsecret,",
        40243 => "appsecret is frozen",
        41001 => "access_token missing",
        41002 => "appid missing",
        41004 => "appsecret missing",
        41005 => "media data missing",
        42001 => "access_token expired",
        42007 => "access_token and refresh_token exception",
        43002 => "require POST method",
        43003 => "require https",
        44002 => "empty post data",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit mustslower retry next minute",
        46003 => "menu no exist",
        47001 => "data format error",
        48001 => "api unauthorized,",
        48004 => "api forbidden for irregularities, view detail on mp.weixin.qq.com",
        48006 => "forbid to clear quota because of reaching the limit",
        50004 => "user not allow to use accesstoken, maybe for punishment",
        50007 => "account is frozen",
        61004 => "access clientip is not registered",
        61024 => "must use component access_token",
        76001 => "rid not found",
        76002 => "rid is error",
        76003 => "no permission to get the request or cgi_path is error",
        89501 => "ip is waiting for the confirmation of the administrator",
        89503 => "the call from this ip needs the confirmation of the administrator",
        89506 => "the administrator has refused this ip twice, retry in 24 hours",
        89507 => "the administrator has refused this ip, retry in 1 hour",
        _ => "unknown error",
    }
}

fn reported(life: Duration, instead: Option<&str>) -> String {
    instead.map_or_else(|| life.as_secs().to_string(), str::to_owned)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Compact JSON in the given order; a member whose text is empty is left out.
fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .filter(|(_, json)| !json.is_empty())
        .map(|(name, json)| format!("\"{name}\":{json}"))
        .collect();
    format!("{{{}}}", members.join(","))
}
