//! Adds, changes and removes accounts at run time, by the rules of `PUT /v1/accounts/{appid}`.

use askama::Template;
use axum::body::Bytes;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::account::find;
use super::visit::{Audited, Form, Operator, Visit};
use super::{Lang, Shell, message, not_found, show};
use crate::account::{AppId, InvalidTokenApi, TokenApi, parse_name};
use crate::config::parse_secret;
use crate::history::What;
use crate::page_hosts::PageHosts;
use crate::roster::{Draft, KeptIn, RosterError};
use crate::server::accounts::to_its_end;
use crate::server::problem::Problem;
use crate::server::segment::Segment;

#[derive(Template)]
#[template(path = "console/edit.html")]
struct Edit {
    shell: Shell,
    is_new: bool,
    appid: String,
    name: String,
    token_api: String,
    page_hosts: String,
    wx_card: bool,
    faults: Vec<String>,
    /// WeChat could not be asked: it may be stored all the same.
    offers_unchecked: bool,
    has_master_key: bool,
}

impl Edit {
    fn blank(visit: &Visit) -> Self {
        Self {
            shell: Shell::at(visit, "overview", "/console/accounts/new", ""),
            is_new: true,
            appid: String::new(),
            name: String::new(),
            token_api: "classic".to_owned(),
            page_hosts: String::new(),
            wx_card: false,
            faults: Vec::new(),
            offers_unchecked: false,
            has_master_key: visit.gate.app.roster.has_vault(),
        }
    }

    /// What was typed, to be mended.
    fn again(visit: &Visit, appid: Option<&AppId>, form: &Form) -> Self {
        let typed = |field: &str| form.trimmed(field).to_owned();
        let mut edit = Self {
            is_new: appid.is_none(),
            appid: appid.map_or_else(|| typed("appid"), AppId::to_string),
            name: typed("name"),
            token_api: typed("token_api"),
            page_hosts: typed("page_hosts"),
            wx_card: form.has("wx_card"),
            ..Self::blank(visit)
        };
        if let Some(appid) = appid {
            let address = format!("/console/accounts/{appid}/edit");
            edit.shell = Shell::at(visit, "overview", &address, "");
        }
        edit
    }
}

/// `GET /console/accounts/new`
pub(super) async fn new(Operator(visit): Operator) -> Response {
    let appid = visit.argument("appid");
    let blank = Edit::blank(&visit);
    show(StatusCode::OK, &Edit { appid, ..blank })
}

/// `GET /console/accounts/{appid}/edit`
pub(super) async fn edit(Operator(visit): Operator, Segment(appid): Segment) -> Response {
    let Some(kept) = find(&visit, &appid) else {
        return not_found(&visit);
    };
    let account = &kept.account;
    if visit.gate.app.roster.kept_in(&account.appid) == KeptIn::Configuration {
        let error = RosterError::Configured(account.appid.clone());
        let what = visit.t("不能在这里修改", "This cannot be changed here");
        return message(
            &visit,
            StatusCode::CONFLICT,
            what,
            &words(visit.lang, &error),
        );
    }
    let address = format!("/console/accounts/{appid}/edit");
    let page = Edit {
        shell: Shell::at(&visit, "overview", &address, ""),
        is_new: false,
        appid,
        name: account.name.clone().unwrap_or_default(),
        token_api: account.token_api.as_str().to_owned(),
        page_hosts: account.page_hosts.patterns().join("\n"),
        wx_card: account.wx_card,
        ..Edit::blank(&visit)
    };
    show(StatusCode::OK, &page)
}

/// `POST /console/accounts/new`
pub(super) async fn add(Operator(visit): Operator, body: Bytes) -> Response {
    put(visit, None, body).await
}

/// `POST /console/accounts/{appid}/edit`
pub(super) async fn change(
    Operator(visit): Operator,
    Segment(appid): Segment,
    body: Bytes,
) -> Response {
    match appid.parse() {
        Ok(appid) => put(visit, Some(appid), body).await,
        Err(_) => not_found(&visit),
    }
}

async fn put(visit: Visit, appid: Option<AppId>, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let again = |faults: Vec<String>, offers_unchecked: bool| {
        let edit = Edit {
            faults,
            offers_unchecked,
            ..Edit::again(&visit, appid.as_ref(), &form)
        };
        show(StatusCode::UNPROCESSABLE_ENTITY, &edit)
    };
    let draft = match draft(visit.lang, appid.clone(), &form) {
        Ok(draft) => draft,
        Err(faults) => return again(faults, false),
    };
    let added = draft.appid.clone();
    if appid.is_none() && find(&visit, added.as_str()).is_some() {
        let fault = visit.t("这个 AppID 已添加过", "This AppID is here already");
        return again(vec![fault.to_owned()], false);
    }
    let gate = std::sync::Arc::clone(&visit.gate);
    let done = to_its_end(async move { Ok::<_, Problem>(gate.app.roster.put(draft).await) }).await;
    let Ok(done) = done else {
        let fault = visit.t(
            "修改被中断，请先查看当前状态，再重试",
            "The change broke off: look at what is there",
        );
        return again(vec![fault.to_owned()], false);
    };
    let result = if done.is_ok() { "ok" } else { "refused" };
    visit.audit("put the account", result, &Audited::account(&added));
    match done {
        Ok(put) => {
            visit.record(What::account_put(put.is_new), Some(&added));
            let done = if put.is_new { "added" } else { "changed" };
            Redirect::to(&format!("/console/accounts/{added}?done={done}")).into_response()
        }
        Err(error) => {
            let offers = matches!(error, RosterError::NotChecked(_));
            again(vec![words(visit.lang, &error)], offers)
        }
    }
}

/// What a form asks for.
fn draft(lang: Lang, appid: Option<AppId>, form: &Form) -> Result<Draft, Vec<String>> {
    let mut faults = Vec::new();
    let is_new = appid.is_none();
    let appid = appid.or_else(|| form.trimmed("appid").parse().ok());
    if appid.is_none() {
        faults.push(lang.t(
            "AppID 是 wx 加 16 个小写字母 a-f 或数字：在微信公众平台「设置与开发 > 开发接口管理」中查看；企业微信应用写成「企业ID-AgentId」，例如 ww0123456789abcdef-1000002",
            "An AppID is wx and 16 digits or letters a-f: WeChat's console shows it under 设置与开发 > 开发接口管理; a WeCom app is named by its CorpID and AgentId, such as ww0123456789abcdef-1000002",
        ).to_owned());
    }
    let name = Some(form.trimmed("name")).filter(|name| !name.is_empty());
    let clears_name = name.is_none() && !is_new;
    let name = name.map(parse_name).transpose().unwrap_or_else(|_| {
        faults.push(
            lang.t("名称最多 64 个字符", "A name has at most 64 characters")
                .to_owned(),
        );
        None
    });
    let secret = Some(form.trimmed("secret")).filter(|secret| !secret.is_empty());
    if is_new && secret.is_none() {
        faults.push(
            lang.t("请填写 AppSecret", "The AppSecret is missing")
                .to_owned(),
        );
    }
    let secret = secret.map(parse_secret).transpose().unwrap_or_else(|_| {
        faults.push(
            lang.t(
                "AppSecret 含有无效字符，请重新复制",
                "The AppSecret holds characters that none has: copy it again",
            )
            .to_owned(),
        );
        None
    });
    let mut page_hosts = PageHosts::default();
    let hosts = form
        .get("page_hosts")
        .split([',', '\n', '\r', ' ', '，', '、']);
    for host in hosts.filter(|host| !host.is_empty()) {
        if let Err(why) = page_hosts.add(host) {
            faults.push(match lang {
                Lang::Zh => format!("{host:?} 不是网页域名：不要写 http:// 和路径"),
                Lang::En => why.to_string(),
            });
        }
    }
    if page_hosts.is_empty() && faults.is_empty() {
        faults.push(
            lang.t("请至少填写一个网页域名", "Name at least one host of pages")
                .to_owned(),
        );
    }
    match appid {
        Some(appid) if faults.is_empty() => Ok(Draft {
            name: name.or_else(|| clears_name.then(String::new)),
            // What the form has chosen is for official accounts.
            token_api: form
                .get("token_api")
                .parse()
                .ok()
                .filter(|api| TokenApi::of(&appid, Some(*api)).is_ok()),
            page_hosts,
            wx_card: Some(form.has("wx_card") && appid.wecom().is_none()),
            secret,
            unchecked: form.has("unchecked"),
            appid,
        }),
        _ => Err(faults),
    }
}

/// `POST /console/accounts/{appid}/remove`
pub(super) async fn remove(
    Operator(visit): Operator,
    Segment(appid): Segment,
    body: Bytes,
) -> Response {
    let Ok(appid) = appid.parse::<AppId>() else {
        return not_found(&visit);
    };
    if !Form::parse(&body).has("sure") {
        return Redirect::to(&format!("/console/accounts/{appid}")).into_response();
    }
    let removed = visit.gate.app.roster.remove(&appid).await;
    let result = if removed.is_ok() { "ok" } else { "refused" };
    visit.audit("remove the account", result, &Audited::account(&appid));
    match removed {
        Ok(()) => {
            visit.record(What::AccountRemoved, Some(&appid));
            Redirect::to("/console").into_response()
        }
        Err(error) => {
            let what = visit.t("移除失败", "It was not removed");
            message(
                &visit,
                StatusCode::CONFLICT,
                what,
                &words(visit.lang, &error),
            )
        }
    }
}

/// Why an account or a client is as it was, and what to do.
pub(super) fn words(lang: Lang, error: &RosterError) -> String {
    if lang == Lang::En {
        return error.to_string();
    }
    match error {
        RosterError::NoMasterKey => "没有主密钥，无法加密保存 AppSecret：请设置 WXSIGN_MASTER_KEY 或 WXSIGN_MASTER_KEY_FILE（openssl rand -hex 32 可生成），或把账号写进配置文件".to_owned(),
        RosterError::Configured(appid) => format!("{appid} 写在配置文件中：请在那里修改或移除，然后重启"),
        RosterError::Unknown(appid) => format!("{appid} 不是在运行时添加的"),
        RosterError::TokenApi(InvalidTokenApi::OfWeCom) => "企业微信应用只有一种 Token 接口：请不要选择 classic 或 stable".to_owned(),
        RosterError::TokenApi(InvalidTokenApi::OfOfficialAccounts) => "公众号的 Token 接口是 classic 或 stable".to_owned(),
        RosterError::CouponsOfWeCom => "企业微信应用没有卡券：请不要勾选「使用卡券」".to_owned(),
        RosterError::NoSecret => "缺少 AppSecret：这个账号还没有保存过".to_owned(),
        RosterError::Locked(appids) => format!("{appids} 的 AppSecret 无法解密，很可能是用另一个 WXSIGN_MASTER_KEY 加密的：请设置原来的主密钥，或移除后重新添加"),
        RosterError::NoKeyFor(appids) => format!("{appids} 的 AppSecret 无法解密，因为没有设置 WXSIGN_MASTER_KEY：请设置添加时所用的主密钥"),
        RosterError::Refused { errcode, errmsg, .. } => format!("微信不接受这个 AppID 与 AppSecret（errcode {errcode}，{errmsg}）；没有保存。请在微信公众平台（企业微信应用则在企业微信管理后台）重新复制"),
        RosterError::NotChecked(why) => format!("无法核对 AppSecret（{why}）；没有保存。{}", why.remedy().zh),
        RosterError::ClientConfigured(name) => format!("客户端 {name} 写在配置文件中：请在那里修改或移除，然后重启"),
        RosterError::ClientUnknown(name) => format!("客户端 {name} 不是在运行时添加的"),
        RosterError::ClientIncomplete(name) => format!("客户端 {name} 缺少权限或账号"),
        RosterError::ClientUnreadable(name) => format!("客户端 {name} 的记录无法读取，可能由更新的版本写入：请用那个版本修改，或移除后重新添加"),
        RosterError::ClientBeyond(name) | RosterError::GrantBeyond(name) => format!("客户端 {name} 超出了您的权限"),
        RosterError::ChangedMeanwhile => "另有人同时作了修改，本次修改未执行，请再试一次".to_owned(),
        RosterError::MayBeRekeyed(why) | RosterError::Store(why) => format!("存储出错（{why}）：请检查它是否在运行，再试一次"),
    }
}
