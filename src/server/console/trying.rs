//! Tries an AppID with an AppSecret against WeChat, stores nothing, and explains the answer.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;

use super::visit::{Audited, Form, Operator, Visit};
use super::{Lang, Shell, show};
use crate::account::AppId;
use crate::config::parse_secret;
use crate::upstream::{UpstreamError, address_in};

/// So many may be tried within a minute: WeChat counts them, too.
const TRIALS: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// When credentials were tried lately, on the boot clock.
#[derive(Default)]
pub(super) struct Trials(Mutex<VecDeque<Duration>>);

impl Trials {
    /// Counts one at `now`.
    ///
    /// # Errors
    /// It is one too many; the time after which the next may come.
    fn admit(&self, now: Duration) -> Result<(), Duration> {
        let mut trials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trials.retain(|at| now.saturating_sub(*at) < MINUTE);
        match trials.front() {
            Some(first) if trials.len() >= TRIALS => Err((*first + MINUTE).saturating_sub(now)),
            _ => {
                trials.push_back(now);
                Ok(())
            }
        }
    }
}

/// Counts a trial.
///
/// # Errors
/// What to tell whoever tries too much.
pub(super) fn admit(visit: &Visit) -> Result<(), String> {
    let now = visit.gate.app.keeper.clock().moment().boot;
    visit.gate.desk.trials.admit(now).map_err(|wait| {
        let wait = visit.lang.lasting(wait);
        match visit.lang {
            Lang::Zh => format!("操作太频繁，请 {wait}后再试"),
            Lang::En => format!("Too many were tried: once more in {wait}"),
        }
    })
}

#[derive(Template)]
#[template(path = "console/try.html")]
struct Try {
    shell: Shell,
    appid: String,
    fault: Option<String>,
    verdict: Option<Verdict>,
}

/// What WeChat says.
struct Verdict {
    accepted: bool,
    /// It is one of the accounts here.
    is_ours: bool,
    what: String,
    why: String,
    remedy: String,
    link: Option<&'static str>,
    errcode: Option<i64>,
    errmsg: Option<String>,
    address: Option<String>,
}

/// `GET /console/try`
pub(super) async fn page(Operator(visit): Operator) -> Response {
    let appid = visit.argument("appid");
    answer(&visit, StatusCode::OK, appid, None, None)
}

fn answer(
    visit: &Visit,
    status: StatusCode,
    appid: String,
    fault: Option<&str>,
    verdict: Option<Verdict>,
) -> Response {
    let page = Try {
        shell: Shell::at(visit, "try", "/console/try", ""),
        appid,
        fault: fault.map(str::to_owned),
        verdict,
    };
    show(status, &page)
}

/// `POST /console/try`
pub(super) async fn ask(Operator(visit): Operator, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let typed = form.trimmed("appid").to_owned();
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    let Ok(appid) = typed.parse::<AppId>() else {
        let fault = visit.t(
            "AppID 是 wx 加 16 个小写字母 a-f 或数字；企业微信应用写成「企业ID-AgentId」",
            "An AppID is wx and 16 digits or letters a-f, all lower case; of a WeCom app write CorpID-AgentId",
        );
        return answer(&visit, unfit, typed, Some(fault), None);
    };
    let Ok(secret) = parse_secret(form.trimmed("secret")) else {
        let fault = visit.t(
            "请填写 AppSecret：不含空格的一串字符",
            "Write the AppSecret: one word without blanks",
        );
        return answer(&visit, unfit, typed, Some(fault), None);
    };
    if let Err(fault) = admit(&visit) {
        return answer(
            &visit,
            StatusCode::TOO_MANY_REQUESTS,
            typed,
            Some(&fault),
            None,
        );
    }
    let said = visit.gate.app.roster.ask_about(&appid, &secret).await;
    let result = if said.is_ok() { "accepted" } else { "refused" };
    visit.audit("try credentials", result, &Audited::account(&appid));
    let is_ours = visit
        .gate
        .app
        .keeper
        .accounts()
        .get(appid.as_str())
        .is_some();
    let verdict = match said {
        Ok(()) => accepted(&visit, is_ours, appid.wecom().is_some()),
        Err(error) => refused(&visit, is_ours, &error),
    };
    answer(&visit, StatusCode::OK, typed, None, Some(verdict))
}

fn accepted(visit: &Visit, is_ours: bool, is_wecom: bool) -> Verdict {
    let why = if is_wecom {
        visit.t(
            "企业ID 与应用的 Secret 匹配。这次校验不保存任何内容，也不影响正在使用的凭证。",
            "The CorpID and the Secret belong together. Nothing was stored, and no credential in use was touched.",
        )
    } else {
        visit.t(
            "AppID 与 AppSecret 匹配，本机 IP 在白名单中。这次校验不保存任何内容，也不影响正在使用的凭证。",
            "The AppID and the AppSecret belong together, and this machine's address is listed. Nothing was stored, and no credential in use was touched.",
        )
    };
    let remedy = if is_ours {
        visit.t("这个账号已添加过。", "This account is here already.")
    } else {
        visit.t("现在可以把它加入 wxsign。", "You can add it to wxsign now.")
    };
    Verdict {
        accepted: true,
        is_ours,
        what: visit.t("校验通过", "WeChat accepts them").to_owned(),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
        link: None,
        errcode: None,
        errmsg: None,
        address: None,
    }
}

fn refused(visit: &Visit, is_ours: bool, error: &UpstreamError) -> Verdict {
    let (lang, explanation) = (visit.lang, error.explanation());
    let address = error.errmsg().and_then(address_in);
    Verdict {
        accepted: false,
        is_ours,
        what: lang.sentence(&explanation.what),
        why: lang.sentence(&explanation.why),
        remedy: lang.words(error.remedy()),
        link: Some(explanation.link),
        errcode: error.errcode(),
        errmsg: error.errmsg().map(str::to_owned),
        address: address.map(|address| address.to_string()),
    }
}
