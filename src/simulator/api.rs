//! WeChat's API: from a request to its outcome.
//!
//! Each call checks in the order that WeChat seems to: appid, grant_type, secret, whether the
//! secret is frozen, the address, the quota.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::answer::{self, Answer, Letterhead, Refusal};
use super::app::Knobs;
use super::endpoint::Endpoint;
use super::ledger::{By, What};
use super::state::{Account, Scene, State, TicketType};
use super::tokens::Standing;
use super::{Reply, Request, wecom};
use crate::account::AppId;
use crate::clock::Timestamp;
use crate::diagnosis::percent::parameter;

pub(super) type Outcome = Result<Answer, Refusal>;

/// Answers one request, and writes down that it did.
pub(super) fn call(state: &mut State, request: &Request<'_>, now: Timestamp) -> Reply {
    state.requests += 1;
    let Some(endpoint) = Endpoint::at(request.path) else {
        state.ledger.count(None, request.path, false, None);
        return Reply::not_found();
    };
    let rid = answer::rid(state.seed, now, state.requests);
    let caller = caller(state, request);
    let coin = state.seed.fraction(&format!("coin/{}", state.requests));
    let strike = state.faults.strike(request.path, caller.as_ref(), coin);
    let carried_out = strike.as_ref().is_none_or(|strike| strike.carried_out);
    let outcome = if carried_out {
        Call {
            request,
            scene: Scene {
                now,
                seed: state.seed,
                ledger: &mut state.ledger,
            },
        }
        .outcome(endpoint, &mut state.accounts)
    } else {
        Err(Refusal(-1))
    };

    let knobs = caller
        .as_ref()
        .and_then(|appid| state.accounts.get(appid))
        .map_or_else(Knobs::default, |account| account.app.knobs.clone());
    let letterhead = Letterhead {
        knobs: &knobs,
        is_wecoms: endpoint.is_wecoms()
            || (caller.as_ref()).is_some_and(|appid| appid.wecom().is_some()),
        rid: &rid,
        client_ip: request.client_ip,
    };
    let mut reply = match &strike {
        Some(strike) => strike.fault.reply(&outcome, &letterhead),
        None => Reply::json(&knobs.content_type, letterhead.body(&outcome, None)),
    };
    let jitter = state.seed.fraction(&format!("jitter/{}", state.requests));
    reply.delay = reply
        .delay
        .saturating_add(knobs.latency)
        .saturating_add(knobs.latency_jitter.mul_f64(jitter));

    let errcode = reply.errcode();
    let issued = matches!(outcome, Ok(Answer::Token(..) | Answer::Ticket(..)));
    state
        .ledger
        .count(caller.as_ref(), request.path, issued, errcode);
    let what = What::Request {
        path: request.path.to_owned(),
        rid,
        client_ip: request.client_ip,
        errcode,
        fault: strike.map(|strike| strike.fault.name().to_owned()),
    };
    state.ledger.write(now, caller.as_ref(), what);
    reply
}

/// The account that a request is about, if it exists.
fn caller(state: &State, request: &Request<'_>) -> Option<AppId> {
    if let Some(token) = parameter(request.query, "access_token") {
        return state
            .accounts
            .values()
            .find(|account| account.knows(&token))
            .map(|account| account.app.appid.clone());
    }
    if let Some(corpid) = parameter(request.query, "corpid") {
        let secret = parameter(request.query, "corpsecret")?;
        let found = wecom::find(&state.accounts, &corpid, &secret);
        return found.map(|account| account.app.appid.clone());
    }
    let named = parameter(request.query, "appid").or_else(|| request.field("appid"))?;
    state
        .accounts
        .get(named.as_str())
        .map(|account| account.app.appid.clone())
}

impl Account {
    fn knows(&self, token: &str) -> bool {
        self.classic.find(token).is_some() || self.stable.find(token).is_some()
    }
}

impl Request<'_> {
    /// A text in the body, which is JSON or a form.
    fn field(&self, name: &str) -> Option<String> {
        match serde_json::from_slice::<Value>(self.body) {
            Ok(body) => body.get(name)?.as_str().map(str::to_owned),
            Err(_) => parameter(std::str::from_utf8(self.body).ok()?, name),
        }
    }

    fn json_body(&self) -> Result<Value, Refusal> {
        if self.body.is_empty() {
            return Err(Refusal(44002));
        }
        serde_json::from_slice(self.body)
            .ok()
            .filter(Value::is_object)
            .ok_or(Refusal(47001))
    }
}

pub(super) type Accounts = std::collections::BTreeMap<AppId, Account>;

/// A call that is being carried out.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) scene: Scene<'a>,
}

impl Call<'_> {
    fn outcome(mut self, endpoint: Endpoint, accounts: &mut Accounts) -> Outcome {
        if endpoint.wants_post() && self.request.method != "POST" {
            return Err(Refusal(43002));
        }
        match endpoint {
            Endpoint::Token => self.token(accounts),
            Endpoint::StableToken => self.stable_token(accounts),
            Endpoint::ClearQuotaV2 => self.clear_quota_v2(accounts),
            Endpoint::GetToken => self.wecom_token(accounts),
            Endpoint::GetJsapiTicket | Endpoint::TicketGet => self.wecom_ticket(endpoint, accounts),
            _ => self.with_token(endpoint, accounts),
        }
    }

    fn token(&mut self, accounts: &mut Accounts) -> Outcome {
        let query = self.request.query;
        let account = authenticate(
            accounts,
            parameter(query, "appid"),
            Some(parameter(query, "grant_type").unwrap_or_default()),
            parameter(query, "secret"),
            Some(self.request.client_ip),
        )?;
        let quotas = account.app.knobs.quotas;
        account
            .usage
            .spend(Endpoint::Token, &quotas, self.scene.now)?;
        Ok(account.fetch_classic(By::Caller, &mut self.scene))
    }

    fn stable_token(&mut self, accounts: &mut Accounts) -> Outcome {
        let body = self.request.json_body()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let account = authenticate(
            accounts,
            text("appid"),
            Some(text("grant_type").unwrap_or_default()),
            text("secret"),
            Some(self.request.client_ip),
        )?;
        let quotas = account.app.knobs.quotas;
        account
            .usage
            .spend(Endpoint::StableToken, &quotas, self.scene.now)?;
        let force = body.get("force_refresh").and_then(Value::as_bool) == Some(true);
        account.fetch_stable(force, &mut self.scene)
    }

    /// Needs no token: the way out when the quota of the token API itself is used up.
    fn clear_quota_v2(&mut self, accounts: &mut Accounts) -> Outcome {
        let given =
            |name: &str| parameter(self.request.query, name).or_else(|| self.request.field(name));
        let account = authenticate(accounts, given("appid"), None, given("appsecret"), None)?;
        let quotas = account.app.knobs.quotas;
        account.usage.clear(None, &quotas, self.scene.now)?;
        Ok(done())
    }

    fn with_token(&mut self, endpoint: Endpoint, accounts: &mut Accounts) -> Outcome {
        let account = self.holder(accounts)?;
        if account.is_wecoms() && !endpoint.is_at_wecom() {
            return Err(Refusal(48002));
        }
        let (quotas, now) = (account.app.knobs.quotas, self.scene.now);
        match endpoint {
            Endpoint::ClearQuota => {
                let named = self.request.json_body()?;
                if named["appid"] != account.app.appid.as_str() {
                    return Err(Refusal(40013));
                }
                account.usage.clear(None, &quotas, now)?;
                return Ok(done());
            }
            Endpoint::QuotaClear => {
                let of = self.named_endpoint()?;
                account.usage.clear(Some(of), &quotas, now)?;
                return Ok(done());
            }
            Endpoint::GetTicket => return self.ticket(account),
            _ => account.usage.spend(endpoint, &quotas, now)?,
        }
        match endpoint {
            Endpoint::MenuGet => Err(Refusal(46003)),
            Endpoint::CallbackCheck => Ok(Answer::Json(json!({
                "dns": [{"ip": ADDRESS, "real_operator": "UNICOM"}],
                "ping": [{
                    "ip": ADDRESS, "from_operator": "UNICOM",
                    "package_loss": "0%", "time": "12.300ms",
                }],
            }))),
            Endpoint::QuotaGet => {
                let (limit, used) = account.usage.of(self.named_endpoint()?, &quotas, now);
                Ok(Answer::Json(
                    json!({"errcode": 0, "errmsg": "ok", "quota": {
                        "daily_limit": limit, "used": used, "remain": limit.saturating_sub(used),
                    }}),
                ))
            }
            Endpoint::RidGet => {
                let appid = account.app.appid.clone();
                self.request_by_rid(&appid)
            }
            Endpoint::MediaUpload => self.upload(account),
            Endpoint::CustomSend => self.request.json_body().map(|_| done()),
            _ if account.is_wecoms() => Ok(Answer::Json(
                json!({"errcode": 0, "errmsg": "ok", "ip_list": [ADDRESS]}),
            )),
            _ => Ok(Answer::Json(json!({"ip_list": [ADDRESS]}))),
        }
    }

    fn ticket(&mut self, account: &mut Account) -> Outcome {
        let knobs = &account.app.knobs;
        let of = match parameter(self.request.query, "type").as_deref() {
            Some("jsapi") => TicketType::Jsapi,
            Some("wx_card") => TicketType::Card,
            _ => return Err(Refusal(40097)),
        };
        if knobs.ticket_checks_ip && !knobs.lists(self.request.client_ip) {
            return Err(Refusal(61004));
        }
        if of == TicketType::Card
            && let Some(errcode) = knobs.card_errcode
        {
            return Err(Refusal(errcode));
        }
        let quotas = knobs.quotas;
        account
            .usage
            .spend(Endpoint::GetTicket, &quotas, self.scene.now)?;
        Ok(account.fetch_ticket(of, &mut self.scene))
    }

    /// <https://developers.weixin.qq.com/doc/offiaccount/Asset_Management/New_temporary_materials.html>
    fn upload(&self, account: &Account) -> Outcome {
        let media_type = parameter(self.request.query, "type").unwrap_or_default();
        if !["image", "voice", "video", "thumb"].contains(&media_type.as_str()) {
            return Err(Refusal(40004));
        }
        if self.request.body.is_empty() {
            return Err(Refusal(41005));
        }
        let (now, appid) = (self.scene.now, &account.app.appid);
        let label = format!("media/{appid}/{}", now.as_millis());
        Ok(Answer::Json(json!({
            "type": media_type,
            "media_id": self.scene.seed.unmarked_text(&label, 64),
            "created_at": now.as_secs(),
        })))
    }

    /// The account whose access_token came with the request.
    pub(super) fn holder<'b>(
        &self,
        accounts: &'b mut Accounts,
    ) -> Result<&'b mut Account, Refusal> {
        let token = parameter(self.request.query, "access_token")
            .filter(|token| !token.is_empty())
            .ok_or(Refusal(41001))?;
        // A forged token that looks like one gets 40001, as at WeChat.
        if !token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            return Err(Refusal(40014));
        }
        let account = accounts
            .values_mut()
            .find(|account| account.knows(&token))
            .ok_or(Refusal(40001))?;
        match account.standing(&token, self.scene.now) {
            Some(Standing::Accepted) => Ok(account),
            Some(Standing::Expired) => Err(Refusal(42001)),
            Some(Standing::NotLatest) | None if account.is_wecoms() => Err(Refusal(40014)),
            Some(Standing::NotLatest) | None => Err(Refusal(40001)),
        }
    }

    /// The API that the body names.
    fn named_endpoint(&self) -> Result<Endpoint, Refusal> {
        let path = self.request.json_body()?;
        Endpoint::at(path["cgi_path"].as_str().unwrap_or_default()).ok_or(Refusal(76003))
    }

    fn request_by_rid(&self, appid: &AppId) -> Outcome {
        let body = self.request.json_body()?;
        let wanted = body["rid"].as_str().unwrap_or_default();
        if wanted.split('-').count() != 3 {
            return Err(Refusal(76002));
        }
        let found = self.scene.ledger.events.iter().rev().find_map(|event| {
            let What::Request {
                path,
                rid,
                client_ip,
                ..
            } = &event.what
            else {
                return None;
            };
            (rid == wanted && event.appid.as_ref() == Some(appid)).then(|| {
                json!({"errcode": 0, "errmsg": "ok", "request": {
                    "invoke_time": event.at.as_secs(),
                    "cost_in_ms": 30,
                    "request_url": path,
                    "request_body": "",
                    "response_body": "",
                    "client_ip": client_ip,
                }})
            })
        });
        found.map(Answer::Json).ok_or(Refusal(76001))
    }
}

/// An address that belongs to nobody (<https://www.rfc-editor.org/rfc/rfc5737>).
const ADDRESS: &str = "203.0.113.1";

fn done() -> Answer {
    Answer::Json(json!({"errcode": 0, "errmsg": "ok"}))
}

/// The account that AppID and AppSecret name; `grant_type` and the address are checked where
/// they are given.
fn authenticate(
    accounts: &mut Accounts,
    appid: Option<String>,
    grant_type: Option<String>,
    secret: Option<String>,
    client_ip: Option<IpAddr>,
) -> Result<&mut Account, Refusal> {
    let present = |text: Option<String>, errcode| {
        text.filter(|text| !text.is_empty()).ok_or(Refusal(errcode))
    };
    let appid = present(appid, 41002)?;
    let account = accounts.get_mut(appid.as_str()).ok_or(Refusal(40013))?;
    if grant_type.is_some_and(|grant_type| grant_type != "client_credential") {
        return Err(Refusal(40002));
    }
    if present(secret, 41004)? != account.app.secret.expose() {
        return Err(Refusal(40125));
    }
    let knobs = &account.app.knobs;
    if knobs.secret_frozen {
        return Err(Refusal(40243));
    }
    if client_ip.is_some_and(|ip| !knobs.lists(ip)) {
        return Err(Refusal(knobs.unlisted_ip_errcode));
    }
    Ok(account)
}
