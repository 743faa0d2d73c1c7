//! One account: how it fares, what it may do, and its credentials.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::body::Bytes;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::events::{Row, of_account};
use super::health::{Card, troubles};
use super::login::{status, words};
use super::visit::{Audited, Form, Operator, Visit};
use super::{Shell, not_found, show};
use crate::console::Refused;
use crate::credential::{Kind, Secret};
use crate::history::What;
use crate::keeper::{Kept, Outcome, Trouble};
use crate::roster::KeptIn;
use crate::server::PATIENCE;
use crate::server::segment::Segment;

/// An account is tried again by hand no more often.
const TRIED_AGAIN_EVERY: Duration = Duration::from_secs(10);

#[derive(Template)]
#[template(path = "console/account.html")]
struct Page {
    shell: Shell,
    troubles: Vec<String>,
    card: Card,
    token_api: &'static str,
    page_hosts: Vec<String>,
    /// The credentials that it has.
    kinds: Vec<Kind>,
    /// It was added at run time, so that it can be changed here.
    is_stored: bool,
    quotas: Vec<Quota>,
    /// What happened lately.
    rows: Vec<Row>,
    notice: Option<Notice>,
    revealed: Option<Revealed>,
    reveal_fault: Option<String>,
}

/// How many calls of today's quota are used.
struct Quota {
    kind: &'static str,
    calls: u32,
    quota: Option<u32>,
}

struct Notice {
    tone: &'static str,
    text: &'static str,
}

/// A credential in the clear, shown once.
struct Revealed {
    kind: &'static str,
    value: Secret,
}

impl Revealed {
    fn exposed(&self) -> &str {
        self.value.expose()
    }
}

/// `GET /console/accounts/{appid}`
pub(super) async fn page(Operator(visit): Operator, Segment(appid): Segment) -> Response {
    let Some(kept) = find(&visit, &appid) else {
        return not_found(&visit);
    };
    let notice = notice(&visit, &visit.argument("done"));
    answer(&visit, &kept, StatusCode::OK, notice, None, None).await
}

pub(super) fn find(visit: &Visit, appid: &str) -> Option<Arc<Kept>> {
    let accounts = visit.gate.app.keeper.accounts();
    accounts.get(appid).map(Arc::clone)
}

async fn answer(
    visit: &Visit,
    kept: &Kept,
    status: StatusCode,
    notice: Option<Notice>,
    revealed: Option<Revealed>,
    reveal_fault: Option<String>,
) -> Response {
    let keeper = &visit.gate.app.keeper;
    let account = &kept.account;
    let quotas = keeper.calls_today(kept).await.unwrap_or_default();
    let quotas = quotas.into_iter().map(|(kind, calls, quota)| Quota {
        kind: kind.as_str(),
        calls,
        quota,
    });
    let address = format!("/console/accounts/{}", account.appid);
    let page = Page {
        shell: Shell::at(visit, "overview", &address, ""),
        troubles: troubles(&visit.gate.app, visit.lang),
        card: Card::of(&visit.gate.app, kept, visit.lang),
        rows: of_account(visit, &account.appid).await,
        token_api: account.token_api.as_str(),
        page_hosts: account.page_hosts.patterns(),
        kinds: account.kinds().collect(),
        is_stored: visit.gate.app.roster.kept_in(&account.appid) == KeptIn::Database,
        quotas: quotas.collect(),
        notice,
        revealed,
        reveal_fault,
    };
    show(status, &page)
}

/// What was done, by the word for it in the address.
fn notice(visit: &Visit, done: &str) -> Option<Notice> {
    let (tone, zh, en) = match done {
        "valid" => (
            "ok",
            "已向微信核实：access_token 有效，无需续期；jsapi_ticket 也会一并核对。",
            "WeChat was asked: the access_token works and need not be renewed. The jsapi_ticket is looked at, too.",
        ),
        "renewed" => (
            "ok",
            "旧的 access_token 已失效，现已换新。",
            "WeChat no longer took the old access_token: there is a new one now.",
        ),
        "rejected" => (
            "note",
            "当前的 access_token 已失效，正在获取新的。",
            "WeChat does not take the current access_token: a new one is being fetched.",
        ),
        "unreachable" => (
            "note",
            "微信没有及时响应；当前凭证继续使用。",
            "WeChat gave no answer in time; the credentials at hand go on being used.",
        ),
        "tried" => (
            "busy",
            "正在重试，结果马上会显示在这里。",
            "It is being tried again; what comes of it shows up here in a moment.",
        ),
        "wait" => (
            "note",
            "刚刚试过：10 秒后可再试一次。",
            "It was tried a moment ago: once more after 10 seconds.",
        ),
        "quota" => (
            "note",
            "微信的调用额度已用完，现在重试没有用；额度恢复后会自动重试。",
            "WeChat's quota is used up, so that trying now is of no use; it is tried again by itself.",
        ),
        "added" => (
            "ok",
            "账号已添加，正在获取凭证。",
            "The account was added; its credentials are being fetched.",
        ),
        "changed" => ("ok", "修改已保存。", "The change was stored."),
        _ => return None,
    };
    Some(Notice {
        tone,
        text: visit.t(zh, en),
    })
}

/// `POST /console/accounts/{appid}/renew`: asks WeChat about the credentials, and renews those that
/// it does not take; what failed is tried again.
pub(super) async fn renew(
    Operator(visit): Operator,
    Segment(appid): Segment,
    body: Bytes,
) -> Response {
    let Some(kept) = find(&visit, &appid) else {
        return not_found(&visit);
    };
    let done = ask_wechat(&visit, &kept).await;
    visit.audit("renew now", done, &Audited::account(&kept.account.appid));
    // A card of the overview leads back there.
    let address = match Form::parse(&body).get("back") {
        "overview" => "/console".to_owned(),
        _ => format!("/console/accounts/{appid}?done={done}"),
    };
    Redirect::to(&address).into_response()
}

async fn ask_wechat(visit: &Visit, kept: &Kept) -> &'static str {
    let keeper = &visit.gate.app.keeper;
    let now = keeper.clock().moment().boot;
    let is_early = {
        let tried = visit.gate.desk.tried_again.lock();
        let mut tried = tried.unwrap_or_else(PoisonError::into_inner);
        tried.retain(|_, at| now.saturating_sub(*at) < TRIED_AGAIN_EVERY);
        tried.contains_key(&kept.account.appid)
            || tried.insert(kept.account.appid.clone(), now).is_some()
    };
    if is_early {
        return "wait";
    }
    let can = kept.snapshot().trouble().map(Trouble::can_be_tried_again);
    match can {
        Some(false) => "quota",
        Some(true) => {
            keeper.try_again(kept);
            "tried"
        }
        None => {
            keeper.report_ticket(kept);
            let former = generation(visit, kept);
            match keeper.check_token(kept, PATIENCE).await {
                Some(check) if former != Some(check.generation) => "renewed",
                Some(check) if check.outcome == Outcome::Valid => "valid",
                Some(check) if check.outcome == Outcome::Rejected => "rejected",
                _ => "unreachable",
            }
        }
    }
}

fn generation(visit: &Visit, kept: &Kept) -> Option<u64> {
    let now = visit.gate.app.keeper.clock().moment();
    let snapshot = kept.snapshot();
    snapshot.token(now).map(|token| token.credential.generation)
}

/// `POST /console/accounts/{appid}/reveal`: shows a credential to whoever shows the password again.
pub(super) async fn reveal(
    Operator(visit): Operator,
    Segment(appid): Segment,
    body: Bytes,
) -> Response {
    let Some(kept) = find(&visit, &appid) else {
        return not_found(&visit);
    };
    let form = Form::parse(&body);
    let mut kinds = kept.account.kinds();
    let kind = kinds.find(|kind| kind.as_str() == form.get("kind"));
    let kind = kind.unwrap_or(Kind::AccessToken);
    let password = Secret::new(form.get("password"));
    let confirmed = visit.console().confirm(password, visit.address_key()).await;
    let did = format!("reveal the {kind}");
    if let Err(refused) = confirmed {
        visit.audit(&did, "refused", &Audited::account(&kept.account.appid));
        if refused == Refused::Wrong {
            let address = visit.address.to_string();
            let what = What::LoginRefused { address };
            visit.record(what, Some(&kept.account.appid));
        }
        let fault = Some(words(&visit, &refused));
        return answer(&visit, &kept, status(&refused), None, None, fault).await;
    }
    let credential = {
        let (snapshot, now) = (kept.snapshot(), visit.gate.app.keeper.clock().moment());
        snapshot.served(kind, now).map(|of| of.credential.clone())
    };
    let audited = Audited {
        credential: credential.as_ref(),
        ..Audited::account(&kept.account.appid)
    };
    visit.audit(&did, "ok", &audited);
    if let Some(credential) = &credential {
        let fingerprint = credential.value.fingerprint();
        visit.record(
            What::Revealed { kind, fingerprint },
            Some(&kept.account.appid),
        );
    }
    let revealed = credential.map(|credential| Revealed {
        kind: kind.as_str(),
        value: credential.value,
    });
    let fault = revealed.is_none().then(|| {
        let text = visit.t("目前没有可用的凭证", "There is none at the moment");
        text.to_owned()
    });
    answer(&visit, &kept, StatusCode::OK, None, revealed, fault).await
}
