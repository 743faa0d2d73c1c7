//! The keys of back ends: made, changed for new ones, ended.

use std::collections::BTreeSet;

use askama::Template;
use axum::body::Bytes;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::editing::words;
use super::visit::{Audited, Form, Operator, Visit};
use super::{Lang, Shell, show};
use crate::account::AppId;
use crate::client::{Accounts, Scope, join, parse_name, parse_not_after};
use crate::clock::Timestamp;
use crate::credential::Secret;
use crate::history::What;
use crate::roster::{ClientDraft, KeptIn, RosterError, State};
use crate::server::segment::Segment;

#[derive(Template)]
#[template(path = "console/keys.html")]
struct Page {
    shell: Shell,
    clients: Vec<Row>,
    scopes: Vec<ScopeBox>,
    /// A new key, shown once.
    made: Option<Made>,
    faults: Vec<String>,
    name: String,
    accounts: String,
    not_after: String,
}

struct Row {
    name: String,
    scopes: String,
    accounts: String,
    is_stored: bool,
    state: Option<&'static str>,
    /// The newest first.
    fingerprints: Vec<String>,
    last_used: Option<String>,
    not_after: Option<String>,
    is_over: bool,
}

struct ScopeBox {
    name: &'static str,
    what: &'static str,
    is_on: bool,
}

struct Made {
    client: String,
    key: Secret,
}

impl Made {
    fn exposed(&self) -> &str {
        self.key.expose()
    }
}

/// `GET /console/keys`
pub(super) async fn page(Operator(visit): Operator) -> Response {
    answer(&visit, StatusCode::OK, None, Vec::new(), None).await
}

async fn answer(
    visit: &Visit,
    status: StatusCode,
    made: Option<Made>,
    mut faults: Vec<String>,
    typed: Option<&Form>,
) -> Response {
    let clients = match rows(visit).await {
        Ok(clients) => clients,
        Err(error) => {
            faults.push(words(visit.lang, &error));
            Vec::new()
        }
    };
    let text = |field: &str| {
        typed
            .map(|form| form.trimmed(field).to_owned())
            .unwrap_or_default()
    };
    let is_on = |scope: Scope| match typed {
        Some(form) => form.all("scope").any(|name| name == scope.as_str()),
        None => Scope::USUAL.contains(&scope),
    };
    let scopes = Scope::ALL.map(|scope| ScopeBox {
        name: scope.as_str(),
        what: meaning(visit.lang, scope),
        is_on: is_on(scope),
    });
    let page = Page {
        shell: Shell::at(visit, "keys", "/console/keys", ""),
        clients,
        scopes: scopes.into(),
        made,
        faults,
        name: text("name"),
        accounts: text("accounts"),
        not_after: text("not_after"),
    };
    show(status, &page)
}

async fn rows(visit: &Visit) -> Result<Vec<Row>, RosterError> {
    let (roster, lang) = (&visit.gate.app.roster, visit.lang);
    let now = visit.gate.app.keeper.clock().now();
    let listed = roster.list_clients().await?;
    let callers = roster.clients();
    let rows = listed.into_iter().map(|listed| {
        let caller = callers
            .iter()
            .find(|caller| caller.client.name == listed.name && caller.kept_in == listed.kept_in);
        let keys = caller.map(|caller| caller.client.key_sha256.iter());
        let used = caller.and_then(|caller| caller.last_used());
        let end = listed.not_after.map(Timestamp::from_secs);
        Row {
            scopes: join(&listed.scopes),
            accounts: match &listed.accounts {
                Accounts::All => lang.t("全部账号", "all accounts").to_owned(),
                some @ Accounts::Listed(_) => some.to_string(),
            },
            is_stored: listed.kept_in == KeptIn::Database,
            state: match listed.state {
                State::Served => None,
                State::Overridden => Some(lang.t(
                    "被配置文件中的同名客户端取代",
                    "overridden by the configuration",
                )),
                State::Locked | State::Unreadable => Some(lang.t("无法读取", "unreadable")),
            },
            fingerprints: keys
                .into_iter()
                .flatten()
                .map(|key| key.fingerprint().to_string())
                .collect(),
            last_used: used.map(|at| lang.ago(Timestamp::from_secs(at), now)),
            not_after: end.map(super::words::in_china),
            is_over: end.is_some_and(|end| end <= now),
            name: listed.name,
        }
    });
    Ok(rows.collect())
}

const fn meaning(lang: Lang, scope: Scope) -> &'static str {
    match scope {
        Scope::Token => lang.t("读取 access_token", "read the access_token"),
        Scope::Ticket => lang.t(
            "读取 jsapi_ticket，签发卡券",
            "read the tickets, sign coupons",
        ),
        Scope::Report => lang.t("报告失效的 token", "report a token that failed"),
        Scope::Status => lang.t("查看账号状态", "see how accounts fare"),
        Scope::Proxy => lang.t("经 wxsign 调用微信接口", "call WeChat through wxsign"),
        Scope::Admin => lang.t("增改账号和密钥", "change accounts and keys"),
    }
}

/// `POST /console/keys`
pub(super) async fn create(Operator(visit): Operator, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    let draft = match draft(visit.lang, &form) {
        Ok(draft) => draft,
        Err(faults) => return answer(&visit, unfit, None, faults, Some(&form)).await,
    };
    let is_there = match visit.gate.app.roster.list_clients().await {
        Ok(listed) => listed.iter().any(|listed| listed.name == draft.name),
        Err(error) => {
            let fault = words(visit.lang, &error);
            return answer(&visit, unfit, None, vec![fault], Some(&form)).await;
        }
    };
    if is_there {
        let fault = visit.t(
            "已有这个名称的客户端",
            "There is a client of this name already",
        );
        return answer(&visit, unfit, None, vec![fault.to_owned()], Some(&form)).await;
    }
    put(&visit, &draft, "add the client").await
}

fn draft(lang: Lang, form: &Form) -> Result<ClientDraft, Vec<String>> {
    let mut faults = Vec::new();
    let name = parse_name(form.trimmed("name")).unwrap_or_else(|_| {
        faults.push(
            lang.t(
                "名称由 1 到 64 个字母、数字、点、- 或 _ 组成，不以点开头",
                "A name has 1 to 64 letters, digits, dots, - or _, and begins with no dot",
            )
            .to_owned(),
        );
        String::new()
    });
    let scopes: BTreeSet<Scope> = form
        .all("scope")
        .filter_map(|name| name.parse().ok())
        .collect();
    if scopes.is_empty() {
        faults.push(
            lang.t(
                "请至少选择一项权限",
                "Choose at least one thing that it may do",
            )
            .to_owned(),
        );
    }
    let listed = form.get("accounts").split([',', '\n', '\r', ' ', '，']);
    let listed: Vec<_> = listed
        .filter(|appid| !appid.is_empty() && *appid != "*")
        .collect();
    let parsed: Result<BTreeSet<AppId>, _> = listed.iter().map(|appid| appid.parse()).collect();
    let accounts = match parsed {
        Ok(appids) if appids.is_empty() => Accounts::All,
        Ok(appids) => Accounts::Listed(appids),
        Err(_) => {
            faults.push(
                lang.t("账号一栏只能填 AppID", "List AppIDs alone as accounts")
                    .to_owned(),
            );
            Accounts::All
        }
    };
    let end = Some(form.trimmed("not_after")).filter(|end| !end.is_empty());
    // A date alone: to its end in China.
    let end = end.map(|end| {
        parse_not_after(&format!("{end}T23:59:59+08:00")).or_else(|_| parse_not_after(end))
    });
    let not_after = end.transpose().unwrap_or_else(|_| {
        faults.push(
            lang.t("到期日写作 2027-12-31", "Write the last day as 2027-12-31")
                .to_owned(),
        );
        None
    });
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(ClientDraft {
        scopes: Some(scopes),
        accounts: Some(accounts),
        not_after: Some(not_after),
        ..ClientDraft::of(name)
    })
}

/// `POST /console/keys/{name}`: what the button says.
pub(super) async fn change(
    Operator(visit): Operator,
    Segment(name): Segment,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    let stored = ClientDraft::of(name.clone());
    match form.get("do") {
        // A page that is sent twice must not end the key that it has just shown.
        "rotate" if !is_newest(&visit, &name, form.get("newest")) => {
            let fault = visit.t(
                "这个密钥刚刚被换过：请看下面的现状",
                "This key was changed a moment ago: see below how it is now",
            );
            answer(
                &visit,
                StatusCode::CONFLICT,
                None,
                vec![fault.to_owned()],
                None,
            )
            .await
        }
        "rotate" => {
            put(
                &visit,
                &ClientDraft {
                    rotate: true,
                    ..stored
                },
                "rotate the key",
            )
            .await
        }
        "drop_former" => {
            let draft = ClientDraft {
                drop_former: true,
                ..stored
            };
            put(&visit, &draft, "drop the former key").await
        }
        "revoke" if form.has("sure") => {
            let removed = visit.gate.app.roster.remove_client(&name, None).await;
            let result = if removed.is_ok() { "ok" } else { "refused" };
            visit.audit("remove the client", result, &Audited::client(&name));
            match removed {
                Ok(()) => {
                    visit.record(What::ClientRemoved { client: name }, None);
                    Redirect::to("/console/keys").into_response()
                }
                Err(error) => {
                    let fault = words(visit.lang, &error);
                    answer(&visit, StatusCode::CONFLICT, None, vec![fault], None).await
                }
            }
        }
        _ => Redirect::to("/console/keys").into_response(),
    }
}

fn is_newest(visit: &Visit, name: &str, fingerprint: &str) -> bool {
    let callers = visit.gate.app.roster.clients();
    let caller = callers.iter().find(|caller| caller.client.name == name);
    let newest = caller.and_then(|caller| caller.client.key_sha256.first());
    newest.is_none_or(|newest| newest.fingerprint().to_string() == fingerprint)
}

async fn put(visit: &Visit, draft: &ClientDraft, did: &str) -> Response {
    let put = visit.gate.app.roster.put_client(draft, None).await;
    let result = if put.is_ok() { "ok" } else { "refused" };
    visit.audit(did, result, &Audited::client(&draft.name));
    match put {
        Ok(put) => {
            let what = What::client_put(&draft.name, put.is_new, put.key.is_some());
            visit.record(what, None);
            match put.key {
                Some(key) => {
                    let client = draft.name.clone();
                    let made = Some(Made { client, key });
                    answer(visit, StatusCode::OK, made, Vec::new(), None).await
                }
                None => Redirect::to("/console/keys").into_response(),
            }
        }
        Err(error) => {
            let fault = words(visit.lang, &error);
            answer(visit, StatusCode::CONFLICT, None, vec![fault], None).await
        }
    }
}
