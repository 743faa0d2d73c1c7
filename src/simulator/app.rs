//! An official account or a WeCom app as the other side sees it, and the knobs that bend WeChat's
//! behaviour for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::AppId;
use crate::credential::Secret;

/// An official account on WeChat's side, or an app on WeCom's.
#[derive(Clone, Debug)]
pub struct App {
    /// Who it is.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: Secret,
    /// Its JS接口安全域名: pages on these hosts and on hosts below them may call `wx.config`.
    pub domains: Vec<String>,
    /// How WeChat treats it.
    pub knobs: Knobs,
}

impl App {
    /// An account without domains that WeChat treats as documented.
    pub fn new(appid: AppId, secret: Secret) -> Self {
        let mut knobs = Knobs::default();
        if appid.wecom().is_some() {
            knobs.ticket_mode = TicketMode::Lasting;
        }
        Self {
            appid,
            secret,
            domains: Vec::new(),
            knobs,
        }
    }
}

/// How WeChat treats an account. Durations are seconds in JSON, fractions allowed.
///
/// The defaults are what WeChat documents
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>) or, where
/// it says nothing, what is observed most often.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Life of a token of `/cgi-bin/token`.
    #[serde(with = "seconds")]
    pub life_token: Duration,
    /// Life of a token of `/cgi-bin/stable_token`, or of WeCom's.
    #[serde(with = "seconds")]
    pub life_stable: Duration,
    /// What answers say for `expires_in`, as JSON text (`0`, `"abc"`); the empty text leaves the
    /// key out. `None`: the truth, as far as WeChat tells it.
    pub expires_in_reported: Option<String>,
    /// Whether WeCom says what is left of what it has given out before; else it always names the
    /// full life. Which it does is not documented.
    pub wecom_remaining: bool,
    /// How long a superseded token lives on.
    #[serde(with = "seconds")]
    pub overlap_token: Duration,
    /// How long a stable token lives on after `force_refresh`.
    #[serde(with = "seconds")]
    pub overlap_forced: Duration,
    /// A stable token with no more than this left is replaced by the next call.
    #[serde(with = "seconds")]
    pub renew_window: Duration,
    /// How long a new token is still unknown where it is used (eventual consistency).
    #[serde(with = "seconds")]
    pub token_visible_after: Duration,
    /// Length of a token; WeChat asks for room for at least 512.
    pub token_bytes: usize,
    /// How tickets change.
    pub ticket_mode: TicketMode,
    /// The ticket changes at multiples of this, counted from the Unix epoch.
    #[serde(with = "seconds")]
    pub ticket_period: Duration,
    /// How long a ticket is accepted after it changed, except in [`TicketMode::Hostile`].
    #[serde(with = "seconds")]
    pub ticket_overlap: Duration,
    /// How many calls are answered.
    pub quotas: Quotas,
    /// The IP white list, addresses or `address/prefix`; `None` accepts all. WeCom looks at it
    /// where its tickets are fetched (60020).
    pub ip_list: Option<Vec<String>>,
    /// What an address that is not listed gets: 40164, or 89501, 89503, 89506, 89507 where the
    /// administrator is asked.
    pub unlisted_ip_errcode: i64,
    /// Whether getticket looks at the list too (61004).
    pub ticket_checks_ip: bool,
    /// What getticket says to `type=wx_card` instead of a ticket: 48001 to an account that may not
    /// hand out coupons.
    pub card_errcode: Option<i64>,
    /// Whether the AppSecret is frozen (40243).
    pub secret_frozen: bool,
    /// How errmsg names the request.
    pub errmsg_dialect: Dialect,
    /// The content type of JSON answers.
    pub content_type: String,
    /// How long every answer takes.
    #[serde(with = "seconds")]
    pub latency: Duration,
    /// At most this much more, evenly distributed.
    #[serde(with = "seconds")]
    pub latency_jitter: Duration,
    /// JS APIs that the account does not have, by their names in `jsApiList`.
    pub denied_apis: Vec<String>,
    /// Whether pages may have other ports than 80 and 443.
    pub any_port: bool,
    /// Which of the page's addresses counts.
    pub page_url_rule: PageUrlRule,
}

impl Default for Knobs {
    fn default() -> Self {
        let two_hours = Duration::from_secs(7200);
        let five_minutes = Duration::from_secs(300);
        Self {
            life_token: two_hours,
            life_stable: two_hours,
            expires_in_reported: None,
            wecom_remaining: false,
            overlap_token: five_minutes,
            overlap_forced: Duration::ZERO,
            renew_window: five_minutes,
            token_visible_after: Duration::ZERO,
            token_bytes: 157,
            ticket_mode: TicketMode::default(),
            ticket_period: two_hours,
            ticket_overlap: two_hours,
            quotas: Quotas::default(),
            ip_list: None,
            unlisted_ip_errcode: 40164,
            ticket_checks_ip: false,
            card_errcode: None,
            secret_frozen: false,
            errmsg_dialect: Dialect::default(),
            content_type: "application/json; encoding=utf-8".to_owned(),
            latency: Duration::ZERO,
            latency_jitter: Duration::ZERO,
            denied_apis: Vec::new(),
            any_port: false,
            page_url_rule: PageUrlRule::default(),
        }
    }
}

impl Knobs {
    /// These knobs with those that `patch`, a JSON object, names set anew.
    ///
    /// # Errors
    /// A knob that does not exist, or a value that it cannot have.
    pub fn patched(&self, patch: &Value) -> Result<Self, String> {
        let mut knobs = serde_json::to_value(self).map_err(|error| error.to_string())?;
        merge(&mut knobs, patch);
        serde_json::from_value(knobs).map_err(|error| error.to_string())
    }
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, value) => *into = value.clone(),
    }
}

/// How many calls are answered, by account. Days begin at 00:00 in China (UTC+8).
///
/// Sources: <https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html>,
/// <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html>.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// `/cgi-bin/token`, a day.
    pub token_day: u64,
    /// `/cgi-bin/stable_token`, a day.
    pub stable_day: u64,
    /// `/cgi-bin/stable_token`, a minute.
    pub stable_minute: u64,
    /// `force_refresh`, a day.
    pub forced_day: u64,
    /// `/cgi-bin/ticket/getticket`, a day.
    pub ticket_day: u64,
    /// Each of the two tickets of a WeCom app, an hour
    /// (<https://developer.work.weixin.qq.com/document/path/90506>).
    pub wecom_ticket_hour: u64,
    /// Each of the two tickets of all apps of a WeCom corporation together, an hour.
    pub wecom_corporation_hour: u64,
    /// Any other API, a day.
    pub other_day: u64,
    /// The clearing of quotas, a month.
    pub clears_month: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            token_day: 2000,
            stable_day: 500_000,
            stable_minute: 10_000,
            forced_day: 20,
            ticket_day: 10_000,
            wecom_ticket_hour: 100,
            wecom_corporation_hour: 400,
            other_day: 10_000,
            clears_month: 10,
        }
    }
}

/// How the jsapi_ticket changes. WeChat documents a life of 7200 seconds and no more; users
/// report that repeated calls return the same ticket and say 7200 each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketMode {
    /// The same ticket for a whole period, `expires_in` always 7200, the former one accepted for
    /// the overlap.
    #[default]
    Rotate,
    /// As `Rotate`, but the former ticket dies at once: whoever believed 7200 is caught.
    Hostile,
    /// As `Rotate`, but `expires_in` is what remains.
    Remaining,
    /// Each call makes a new ticket.
    Fresh,
    /// As at WeCom: the same ticket for a period from its first call on, then it is dead.
    Lasting,
}

/// How errmsg names the request: WeChat's habits over the years.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `… rid: 64d5f9a9-63208b5d-00ed75a8`, since 2020.
    #[default]
    Rid,
    /// `… hint: [7c2Oya0303vr61!]`, before that.
    Hint,
    /// `…, hints: [ req_id: ItMTDA0250ns71 ]`, around 2015.
    ReqId,
    /// Not at all.
    None,
}

/// Which of the page's two addresses the signature must fit. Clients differ: the Android client
/// sends both, iOS is said to count the landing page only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageUrlRule {
    /// Either.
    #[default]
    Either,
    /// The current one, after `history.pushState`.
    Current,
    /// The one of the last real navigation.
    Landing,
}

/// A duration in JSON: seconds, fractions allowed.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::simulator) fn serialize<S: Serializer>(
        duration: &Duration,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    pub(in crate::simulator) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let knobs = Knobs::default()
            .patched(
                &json!({"latency": 0.25, "quotas": {"token_day": 1}, "ticket_mode": "hostile"}),
            )
            .unwrap();
        let expected = Knobs {
            latency: Duration::from_millis(250),
            quotas: Quotas {
                token_day: 1,
                ..Quotas::default()
            },
            ticket_mode: TicketMode::Hostile,
            ..Knobs::default()
        };
        assert_eq!(knobs, expected);
    }

    #[test]
    fn a_knob_that_does_not_exist_is_refused_by_name() {
        for patch in [json!({"latncy": 1}), json!({"quotas": {"latncy": 1}})] {
            let fault = Knobs::default().patched(&patch).unwrap_err();
            assert!(fault.contains("latncy"), "{fault}");
        }
        assert!(Knobs::default().patched(&json!({"latency": -1})).is_err());
        assert!(Knobs::default().patched(&json!(7)).is_err());
    }
}
