//! What is different at WeCom (企业微信): an app is named by its corporation and its secret, its
//! token stays the same until its end, there are two tickets, and refusals are worded otherwise.

use std::net::IpAddr;

use super::answer::Refusal;
use super::api::{Accounts, Call, Outcome};
use super::endpoint::Endpoint;
use super::state::{Account, TicketType};
use crate::diagnosis::percent::parameter;

impl Account {
    pub(super) fn is_wecoms(&self) -> bool {
        self.app.appid.wecom().is_some()
    }

    /// Whether it is an app of the corporation.
    pub(super) fn is_of_corporation(&self, corpid: &str) -> bool {
        self.is_wecoms() && self.app.appid.for_config() == corpid
    }
}

/// The app of a corporation that has this secret.
pub(super) fn find<'a>(accounts: &'a Accounts, corpid: &str, secret: &str) -> Option<&'a Account> {
    let mut apps = accounts.values();
    apps.find(|account| account.is_of_corporation(corpid) && account.app.secret.expose() == secret)
}

impl Call<'_> {
    /// <https://developer.work.weixin.qq.com/document/path/91039>
    pub(super) fn wecom_token(&mut self, accounts: &mut Accounts) -> Outcome {
        let given = |name: &str, errcode| {
            parameter(self.request.query, name)
                .filter(|text| !text.is_empty())
                .ok_or(Refusal(errcode))
        };
        let corpid = given("corpid", 41002)?;
        let secret = given("corpsecret", 41004)?;
        if !accounts.values().any(|app| app.is_of_corporation(&corpid)) {
            return Err(Refusal(40013));
        }
        let appid = find(accounts, &corpid, &secret).map(|account| account.app.appid.clone());
        let account = appid.and_then(|appid| accounts.get_mut(&appid));
        let account = account.ok_or(Refusal(40001))?;
        let quotas = account.app.knobs.quotas;
        account
            .usage
            .spend(Endpoint::GetToken, &quotas, self.scene.now)?;
        Ok(account.fetch_wecom(&mut self.scene))
    }

    /// <https://developer.work.weixin.qq.com/document/path/90506>
    pub(super) fn wecom_ticket(&mut self, endpoint: Endpoint, accounts: &mut Accounts) -> Outcome {
        let (query, now) = (self.request.query, self.scene.now);
        let account = self.holder(accounts).map_err(|refusal| match refusal {
            // WeCom does not say this of tokens.
            Refusal(40001) => Refusal(40014),
            refusal => refusal,
        })?;
        if !account.is_wecoms() {
            return Err(Refusal(40014));
        }
        let of = match endpoint {
            Endpoint::TicketGet if parameter(query, "type").as_deref() != Some("agent_config") => {
                return Err(Refusal(40005));
            }
            Endpoint::TicketGet => TicketType::Agent,
            _ => TicketType::Jsapi,
        };
        let knobs = &account.app.knobs;
        if !knobs.lists(self.request.client_ip) {
            return Err(Refusal(60020));
        }
        let (quotas, appid) = (knobs.quotas, account.app.appid.clone());
        let of_corporation = (accounts.values_mut())
            .filter(|app| app.is_of_corporation(appid.for_config()))
            .map(|app| app.usage.in_this_hour(endpoint, now));
        if of_corporation.sum::<u64>() >= quotas.wecom_corporation_hour {
            return Err(Refusal(45009));
        }
        let account = accounts.get_mut(&appid).expect("it holds the token");
        account.usage.spend(endpoint, &quotas, now)?;
        Ok(account.fetch_ticket(of, &mut self.scene))
    }
}

/// WeCom's words for an errcode, with the name of the request and the address that it came from,
/// as in real answers.
pub(super) fn errmsg(errcode: i64, rid: &str, client_ip: IpAddr) -> String {
    let text = match errcode {
        -1 => "system error",
        40001 => "invalid credential",
        40005 => "invalid file type",
        40013 => "invalid corpid",
        40014 => "invalid access_token",
        40056 => "invalid agentid",
        40091 => "secret is invalid",
        41001 => "access_token missing",
        41002 => "corpid missing",
        41004 => "corpsecret missing",
        42001 => "access_token expired",
        43003 => "require https",
        45009 => "api freq out of limit",
        45033 => "api concurrent out of limit",
        48002 => "api forbidden",
        60020 => "not allow to access from your ip",
        301_002 => "not allow operate another agent with this accesstoken",
        _ => "unknown error",
    };
    // Its numbers are longer than WeChat's.
    let digits = rid.bytes().map(|byte| char::from(b'0' + byte % 10));
    let hint: String = digits.take(25).collect();
    format!(
        "{text}, hint: [{hint}], from ip: {client_ip}, more info at \
         https://open.work.weixin.qq.com/devtool/query?e={errcode}"
    )
}
