//! Would WeChat accept this `wx.config`, or WeCom this `wx.agentConfig`? What the client asks when a
//! page calls it.
//!
//! The order is: all parameters there, the account known, the page's host bound, the signature
//! right (<https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>, appendices
//! 1 and 5).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::app::{Knobs, PageUrlRule};
use super::keys::keys;
use super::ledger::Ledger;
use super::sha1;
use super::state::{Account, Scene, State, TicketType};
use super::tickets::Tickets;
use crate::clock::Timestamp;
use crate::diagnosis::{
    self, Address, Case, Diagnosis, Evidence, Form, Mistake, Pages, without_fragment,
};

/// The most hints that are taken.
const MAX_HINTS: usize = 16;

/// The longest text that is taken.
const MAX_TEXT_BYTES: usize = 4096;

/// What the client sends: the parameters of `wx.config` and the addresses of the page.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Preverify {
    /// `appId`.
    pub app_id: String,
    /// `corpid`, of `wx.agentConfig`, in place of `appId`.
    pub corpid: String,
    /// `agentid`, of `wx.agentConfig`: a number or a text.
    #[serde(deserialize_with = "number_or_text")]
    pub agentid: String,
    /// `timestamp`, a number or a text.
    #[serde(deserialize_with = "number_or_text")]
    pub timestamp: String,
    /// `nonceStr`.
    pub nonce_str: String,
    /// `signature`.
    pub signature: String,
    /// `signType`; the client always says `sha1`.
    pub sign_type: Option<String>,
    /// `jsApiList`, by the names of the page or of the client.
    pub js_api_list: Vec<String>,
    /// `openTagList`.
    pub open_tag_list: Vec<String>,
    /// The page's current address and, if it is another one, that of its last navigation.
    pub urls: Vec<String>,
    /// Texts that may have been signed: addresses, nonces. They help the diagnosis only.
    pub hints: Vec<String>,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verdict {
    /// Whether WeChat would accept it.
    pub ok: bool,
    /// WeChat's word for it.
    pub errmsg: String,
    /// `err_msg` as the client's bridge gives it to the page's script.
    pub bridge_err_msg: String,
    /// The ticket and address that the signature fits.
    pub matched: Option<Matched>,
    /// The APIs of `jsApiList` that the account does not have.
    pub denied: Vec<String>,
    /// The two checks on their own.
    pub verdicts: Verdicts,
    /// What is wrong; nothing when nothing is.
    pub diagnosis: Vec<Diagnosis>,
    /// What the client adds when something is wrong: the addresses that it compared.
    #[serde(rename = "realAuthUrl", skip_serializing_if = "Vec::is_empty")]
    pub real_auth_url: Vec<String>,
}

/// The ticket and address that a signature fits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Matched {
    /// The number of the ticket.
    pub ticket_epoch: u64,
    /// The address.
    pub url: String,
}

/// The two checks on their own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Verdicts {
    /// The page's host is bound to the account.
    pub domain: bool,
    /// The signature is right.
    pub signature: bool,
}

/// Judges a `wx.config`.
pub(super) fn judge(state: &mut State, ask: &Preverify, now: Timestamp) -> Verdict {
    settle_all(state, now);
    let missing = [ask.id(), &ask.timestamp, &ask.nonce_str, &ask.signature]
        .into_iter()
        .any(|text| text.is_empty() || text == "undefined");
    if missing || ask.urls.is_empty() || ask.is_too_long() {
        return refused(ask, "invalid_args", Mistake::MissingArgument);
    }
    let Some(account) = find(state, ask, now) else {
        let errmsg = if ask.is_of_agent() {
            "invalid corpId"
        } else {
            "invalid appid"
        };
        return refused(ask, errmsg, Mistake::UnknownAppid);
    };
    if ask.js_api_list.is_empty() && ask.open_tag_list.is_empty() {
        return Verdict {
            bridge_err_msg: format!("{}:param is empty", ask.bridge_call()),
            ..refused(ask, "param is empty", Mistake::EmptyApiList)
        };
    }
    let pages = ask.pages(account.app.knobs.page_url_rule);
    let domain = domain_mistake(account, pages.counted[0]);
    let case = ask.case(&pages, &account.app.domains);
    let matched = match_signature(ask.tickets(account), &case, now);
    let verdicts = Verdicts {
        domain: domain.is_none(),
        signature: matched.is_some(),
    };
    let mut found: Vec<Evidence> = domain.into_iter().collect();
    if matched.is_none() {
        let unknown = || vec![Evidence(Mistake::Unknown, None)];
        let fits = diagnosis::find(&case, &keys(state, account, ask.is_of_agent(), now));
        found.extend(fits.map_or_else(unknown, |fits| fits.mistakes));
    }
    let mixed = found.iter().any(|found| found.0 == Mistake::TicketsMixed);
    let errmsg = match (verdicts.domain, verdicts.signature) {
        (true, true) => "ok",
        (false, _) => "invalid url domain",
        // WeCom's 42012.
        (true, false) if ask.is_of_agent() && mixed => "ticket no available",
        (true, false) => "invalid signature",
    };
    let fails = if errmsg == "ok" { "" } else { "fail_" };
    let bridge_err_msg = format!("{}:{fails}{errmsg}", ask.bridge_call());
    let ok = found.is_empty();
    Verdict {
        ok,
        errmsg: errmsg.to_owned(),
        bridge_err_msg,
        matched,
        denied: denied(&ask.js_api_list, &account.app.knobs),
        verdicts,
        diagnosis: found.into_iter().map(Diagnosis::from).collect(),
        real_auth_url: if ok { Vec::new() } else { ask.urls.clone() },
    }
}

/// The account: of a corporation any app will do, but of those one whose ticket it is.
fn find<'a>(state: &'a State, ask: &Preverify, now: Timestamp) -> Option<&'a Account> {
    let named = if ask.is_of_agent() {
        format!("{}-{}", ask.corpid, ask.agentid)
    } else {
        ask.app_id.clone()
    };
    let exact = state.accounts.get(named.as_str());
    if exact.is_some() || ask.is_of_agent() {
        return exact;
    }
    let apps = || {
        let apps = state.accounts.values();
        apps.filter(|account| account.is_of_corporation(&named))
    };
    let fits = |account: &&Account| {
        let pages = ask.pages(account.app.knobs.page_url_rule);
        let case = ask.case(&pages, &account.app.domains);
        match_signature(&account.jsapi, &case, now).is_some()
    };
    apps().find(fits).or_else(|| apps().next())
}

impl Preverify {
    const fn is_of_agent(&self) -> bool {
        !self.agentid.is_empty() || !self.corpid.is_empty()
    }

    fn id(&self) -> &String {
        if self.is_of_agent() {
            &self.corpid
        } else {
            &self.app_id
        }
    }

    /// What the client calls the question.
    const fn bridge_call(&self) -> &'static str {
        if self.is_of_agent() {
            "agentConfig"
        } else {
            "pre_verify_jsapi"
        }
    }

    const fn tickets<'a>(&self, account: &'a Account) -> &'a Tickets {
        if self.is_of_agent() {
            &account.agent
        } else {
            &account.jsapi
        }
    }

    /// Far beyond what any client sends: not worth the time of a diagnosis.
    fn is_too_long(&self) -> bool {
        self.hints.len() > MAX_HINTS
            || self
                .urls
                .iter()
                .chain(&self.hints)
                .chain([&self.nonce_str, &self.timestamp])
                .any(|text| text.len() > MAX_TEXT_BYTES)
    }

    fn pages(&self, rule: PageUrlRule) -> Pages<'_> {
        let mut urls = self.urls.iter().map(|url| without_fragment(url));
        let current = urls.next().unwrap_or_default();
        let landing = urls.next().unwrap_or(current);
        let (counted, others) = match rule {
            PageUrlRule::Either => (vec![current, landing], Vec::new()),
            PageUrlRule::Current => (vec![current], vec![(Mistake::LandingUrl, landing)]),
            PageUrlRule::Landing => (vec![landing], vec![(Mistake::CurrentUrl, current)]),
        };
        Pages { counted, others }
    }

    /// For the diagnosis, which hashes here by the simulator's own means.
    pub(super) fn case<'a>(&'a self, pages: &'a Pages<'a>, domains: &'a [String]) -> Case<'a> {
        Case {
            nonce: &self.nonce_str,
            timestamp: &self.timestamp,
            signature: &self.signature,
            pages,
            urls: &self.urls,
            hints: &self.hints,
            hosts: domains,
            sha1: sha1::hex,
        }
    }
}

fn settle_all(state: &mut State, now: Timestamp) {
    let (seed, ledger): (_, &mut Ledger) = (state.seed, &mut state.ledger);
    let mut scene = Scene { now, seed, ledger };
    for account in state.accounts.values_mut() {
        account.settle(TicketType::Jsapi, &mut scene);
        account.settle(TicketType::Card, &mut scene);
        account.settle(TicketType::Agent, &mut scene);
    }
}

fn match_signature(tickets: &Tickets, case: &Case<'_>, now: Timestamp) -> Option<Matched> {
    let pages = case.pages;
    let live = tickets.iter().filter(|ticket| ticket.lives(now));
    live.flat_map(|ticket| pages.counted.iter().map(move |page| (ticket, *page)))
        .find(|(ticket, page)| {
            Form::Right.signature(ticket.value.expose(), case, page) == case.signature
        })
        .map(|(ticket, page)| Matched {
            ticket_epoch: ticket.epoch,
            url: page.to_owned(),
        })
}

/// Why the page's host is not bound, if it is not. A domain covers all hosts below it.
fn domain_mistake(account: &Account, page: &str) -> Option<Evidence> {
    let evidence = |mistake, text: &str| Some(Evidence(mistake, Some(text.to_owned())));
    let Some(address) = Address::read(page) else {
        return evidence(Mistake::HostNotBound, page);
    };
    let host = address.host.to_ascii_lowercase();
    let bound = account.app.domains.iter().any(|domain| {
        host.strip_suffix(&domain.to_ascii_lowercase())
            .is_some_and(|below| below.is_empty() || below.ends_with('.'))
    });
    if !bound {
        return evidence(Mistake::HostNotBound, &host);
    }
    let usual = matches!(address.port, None | Some("80" | "443"));
    if !usual && !account.app.knobs.any_port {
        return evidence(Mistake::PortNotAllowed, address.port.unwrap_or_default());
    }
    None
}

fn refused(ask: &Preverify, errmsg: &str, mistake: Mistake) -> Verdict {
    Verdict {
        ok: false,
        errmsg: errmsg.to_owned(),
        bridge_err_msg: format!("{}:fail_{errmsg}", ask.bridge_call()),
        matched: None,
        denied: Vec::new(),
        verdicts: Verdicts::default(),
        diagnosis: vec![Diagnosis::from(Evidence(mistake, None))],
        real_auth_url: ask.urls.clone(),
    }
}

fn denied(asked: &[String], knobs: &Knobs) -> Vec<String> {
    asked
        .iter()
        .filter(|name| {
            let name = client_name(name);
            knobs.denied_apis.iter().any(|api| client_name(api) == name)
        })
        .cloned()
        .collect()
}

/// The client's name of a JS API: the SDK translates some before it asks.
fn client_name(name: &str) -> &str {
    match name {
        "onMenuShareTimeline" => "menu:share:timeline",
        "onMenuShareAppMessage" => "menu:share:appmessage",
        "onMenuShareQQ" => "menu:share:qq",
        "onMenuShareWeibo" => "menu:share:weiboApp",
        "onMenuShareQZone" => "menu:share:QZone",
        "previewImage" => "imagePreview",
        "getLocation" => "geoLocation",
        "openProductSpecificView" => "openProductViewWithPid",
        "addCard" => "batchAddCard",
        "openCard" => "batchViewCard",
        "chooseWXPay" => "getBrandWCPayRequest",
        "openEnterpriseRedPacket" => "getRecevieBizHongBaoRequest",
        "startSearchBeacons" => "startMonitoringBeacons",
        "stopSearchBeacons" => "stopMonitoringBeacons",
        "onSearchBeacons" => "onBeaconsInRange",
        "consumeAndShareCard" => "consumedShareCard",
        "openAddress" => "editAddress",
        other => other,
    }
}

fn number_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    })
}
