//! WeCom apps beside an official account: pages, back ends and WeCom's own paths.

use serde_json::{Value, json};
use wxsign::client::{Accounts, Scope};
use wxsign::credential::Secret;
use wxsign::simulator::{Mistake, Preverify};

use crate::console;
use crate::dropin::as_wechat_does;
use crate::harness::{APPID, PAGE, Server, Setup, app, is_problem, key, members, secret, until};
use crate::wire::{Answer, Request, encode_uri_component};

const APP: &str = "ww0123456789abcdef-1000002";
const OTHER: &str = "ww0123456789abcdef-1000003";
const CORPID: &str = "ww0123456789abcdef";
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_account(APP);
    setup.add_client("desk", &[Scope::Token, Scope::Ticket, Scope::Status]);
    setup
}

/// Starts it and waits until both tickets of the app are there.
async fn start(setup: Setup) -> Server {
    let server = setup.start_ready().await;
    until("the tickets of the app", async || {
        let status = server.ask(&read(APP, "")).await.json();
        (status["agent_ticket"].is_object() && status["jsapi_ticket"].is_object()).then_some(())
    })
    .await;
    server
}

fn read(appid: &str, what: &str) -> Request {
    Request::get(format!("/v1/accounts/{appid}{what}")).of("desk")
}

/// The request of a page of the app.
fn signed(what: &str, appid: &str, page: &str) -> Request {
    let url = encode_uri_component(page);
    Request::get(format!("/jsapi/{what}?appid={appid}&url={url}"))
}

/// Whether the client of WeCom takes it, and what it says.
fn verdict(server: &Server, config: &Value) -> (bool, String, Option<Mistake>) {
    let mut ask = config.clone();
    ask["jsApiList"] = json!(["selectExternalContact"]);
    ask["urls"] = json!([PAGE]);
    let ask: Preverify = serde_json::from_value(ask).unwrap();
    let verdict = server.simulator.preverify(&ask);
    let mistake = verdict.diagnosis.first().map(|found| found.code);
    (verdict.ok, verdict.errmsg, mistake)
}

#[tokio::test]
async fn a_page_of_wecom_gets_a_signature_for_each_of_its_two_configs() {
    let server = start(setup()).await;
    let config = server.ask(&signed("signature", APP, PAGE)).await.json();
    assert_eq!(config["appId"], CORPID);
    assert_eq!(verdict(&server, &config), (true, "ok".to_owned(), None));

    let answer = server.ask(&signed("agent-signature", APP, PAGE)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let agent = answer.json();
    let expected = [
        "agentid",
        "corpid",
        "nonceStr",
        "signature",
        "timestamp",
        "url",
    ];
    let mut names = members(&agent);
    names.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!([&agent["corpid"], &agent["agentid"]], [CORPID, "1000002"]);
    assert_eq!(agent["url"], PAGE);
    assert_eq!(verdict(&server, &agent), (true, "ok".to_owned(), None));

    // One does not do for the other.
    let mut mixed = agent.clone();
    for name in ["timestamp", "nonceStr", "signature"] {
        mixed[name] = config[name].clone();
    }
    let found = Some(Mistake::TicketsMixed);
    assert_eq!(
        verdict(&server, &mixed),
        (false, "ticket no available".to_owned(), found)
    );
    server.end().await;
}

#[tokio::test]
async fn the_rules_for_pages_hold_for_the_second_signature_too() {
    let server = start(setup()).await;
    let ask = async |appid, page| server.ask(&signed("agent-signature", appid, page)).await;
    let foreign = ask(APP, "https://evil.example.net/").await;
    is_problem(&foreign, 403, "host_not_allowed", "evil.example.net");
    is_problem(
        &ask(APPID, PAGE).await,
        404,
        "not_wecom",
        "ww0123456789abcdef-1000002",
    );
    is_problem(&ask(OTHER, PAGE).await, 404, "unknown_account", "");
    is_problem(&ask(APP, "").await, 400, "missing_url", "");
    let crossed = signed("agent-signature", APP, PAGE).with("Origin", "https://ok.example.com");
    let crossed = server.ask(&crossed).await;
    assert_eq!(
        crossed.header("access-control-allow-origin"),
        "https://ok.example.com"
    );
    server.end().await;
}

#[tokio::test]
async fn a_back_end_reads_both_tickets_and_how_the_app_fares() {
    let server = start(setup()).await;
    let status = server.ask(&read(APP, "")).await.json();
    assert_eq!([&status["appid"], &status["token_api"]], [APP, "wecom"]);
    let ticket = server.ask(&read(APP, "/agent-ticket")).await.json();
    let app = APP.parse().unwrap();
    let newest = server.simulator.newest_agent_ticket(&app).unwrap();
    assert_eq!(ticket["agent_ticket"], newest.expose());
    assert_eq!(ticket["fingerprint"], status["agent_ticket"]["fingerprint"]);
    let ticket = server.ask(&read(APP, "/jsapi-ticket")).await.json();
    assert_eq!(
        ticket["jsapi_ticket"],
        server.simulator.newest_ticket(&app).unwrap().expose()
    );
    let none = server.ask(&read(APPID, "/agent-ticket")).await;
    is_problem(&none, 404, "not_wecom", "WeCom");
    let status = server.ask(&read(APPID, "")).await.json();
    assert!(status.get("agent_ticket").is_none(), "{status}");
    server.end().await;
}

/// `GET /cgi-bin/gettoken` with the key of this back end.
async fn gettoken(server: &Server, corpid: &str, name: &str) -> Value {
    let target = format!("/cgi-bin/gettoken?corpid={corpid}&corpsecret={}", key(name));
    as_wechat_does(&server.get(target).await)
}

#[tokio::test]
async fn an_sdk_of_wecom_gets_its_token_and_tickets_here() {
    let mut setup = setup();
    setup.add_account(OTHER);
    let one = setup.add_client("one", &[Scope::Token]);
    one.accounts = Accounts::Listed([APP.parse().unwrap()].into());
    let server = start(setup).await;
    // A key for one app says which; with another one the name of the app does.
    let token = gettoken(&server, CORPID, "one").await;
    assert_eq!(
        members(&token),
        ["access_token", "errcode", "errmsg", "expires_in"]
    );
    assert_eq!(
        (&token["errcode"], &token["errmsg"]),
        (&json!(0), &json!("ok"))
    );
    // WeCom is asked about it every quarter of an hour, but an SDK may keep it to its end.
    assert!(
        token["expires_in"].as_u64().unwrap() > 7000,
        "{}",
        token["expires_in"]
    );
    let named = gettoken(&server, APP, "desk").await;
    assert_eq!(token["access_token"], named["access_token"]);
    let other = gettoken(&server, OTHER, "desk").await;
    assert_ne!(token["access_token"], other["access_token"]);

    let token = token["access_token"].as_str().unwrap();
    let app = APP.parse().unwrap();
    let corp = server.simulator.newest_ticket(&app).unwrap();
    let agent = server.simulator.newest_agent_ticket(&app).unwrap();
    for (path, ticket) in [
        ("get_jsapi_ticket?", corp),
        ("ticket/get?type=agent_config&", agent),
    ] {
        let answer = server
            .get(format!("/cgi-bin/{path}access_token={token}"))
            .await;
        let answer = as_wechat_does(&answer);
        assert_eq!(
            members(&answer),
            ["errcode", "errmsg", "expires_in", "ticket"]
        );
        assert_eq!(answer["ticket"], ticket.expose(), "{path}");
    }
    server.end().await;
}

#[tokio::test]
async fn what_an_sdk_of_wecom_does_wrong_it_is_told_in_wecoms_shape() {
    let mut setup = setup();
    setup.add_account(OTHER);
    setup.add_client("pages", &[Scope::Ticket]);
    let server = start(setup).await;
    let real = secret(APP);
    let (desk, pages) = (key("desk"), key("pages"));
    for (target, errcode, advice) in [
        ("gettoken".to_owned(), 41002, "corpid missing"),
        (
            format!("gettoken?corpid={CORPID}"),
            41004,
            "the client key of wxsign",
        ),
        (
            format!("gettoken?corpid={CORPID}&corpsecret={}", real.expose()),
            40001,
            "never the Secret",
        ),
        (
            format!("gettoken?corpid={CORPID}&corpsecret={desk}"),
            40013,
            "CorpID-AgentId",
        ),
        (
            format!("gettoken?corpid={APPID}&corpsecret={desk}"),
            40013,
            "no such WeCom app",
        ),
        (
            format!("gettoken?corpid={APP}&corpsecret={pages}"),
            48002,
            "the scope token",
        ),
        (
            "get_jsapi_ticket?access_token=x".to_owned(),
            40014,
            "fetch the token",
        ),
        (
            "ticket/get?access_token=x".to_owned(),
            40005,
            "agent_config",
        ),
    ] {
        let answer = server.get(format!("/cgi-bin/{target}")).await;
        let (said, id) = refusal(&answer);
        assert_eq!(said["errcode"], errcode, "{target}");
        let errmsg = said["errmsg"].as_str().unwrap();
        assert!(errmsg.contains(advice) && errmsg.ends_with(&id), "{errmsg}");
        assert!(!errmsg.contains(real.expose()));
    }
    server.end().await;
}

fn refusal(answer: &Answer) -> (Value, String) {
    let id = answer.header("x-request-id");
    (as_wechat_does(answer), format!(", hint: [{id}]"))
}

#[tokio::test]
async fn the_page_for_developers_shows_the_code_for_wecom() {
    let server = start(setup()).await;
    let page = server
        .get(format!("/docs/frontend?lang=en&appid={APP}"))
        .await;
    let page = page.text();
    for part in [
        "jwxwork-1.0.0.js",
        "wx.agentConfig",
        "agent-signature",
        "@wecom/jssdk",
        "可信域名",
        APP,
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<h2>JS接口安全域名"));
    // Where none is named it is an official account.
    for path in ["/demo?lang=en", "/docs/frontend?lang=en"] {
        let page = server.get(path).await;
        assert!(page.text().contains(APPID), "{path}");
        assert!(!page.text().contains("agentConfig"), "{path}");
    }
    let official = server
        .get(format!("/docs/frontend?lang=en&appid={APPID}"))
        .await;
    assert!(!official.text().contains("agentConfig"));
    server.end().await;
}

#[tokio::test]
async fn a_wecom_app_is_added_at_run_time_once_wecom_has_accepted_its_secret() {
    let mut setup = Setup::new();
    setup.config.master_key = Some(MASTER_KEY.parse().unwrap());
    setup.add_client("chief", &[Scope::Admin]);
    setup.simulator.add_app(app(APP));
    let server = setup.start_ready().await;
    let put = async |appid, change: Value| {
        let mut body = json!({ "secret": secret(APP).expose(), "page_hosts": ["ok.example.com"] });
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let request = Request::new("PUT", format!("/v1/accounts/{appid}"));
        server
            .ask(&request.with_json(body.to_string()).of("chief"))
            .await
    };
    let refused = put(APP, json!({ "secret": "wrong" })).await;
    is_problem(&refused, 422, "wechat_refused", "应用管理");
    let refused = refused.json();
    assert_eq!(refused["errcode"], 40001);
    let link = refused["link"].as_str().unwrap();
    assert!(
        link.starts_with("https://developer.work.weixin.qq.com/"),
        "{refused}"
    );
    let chosen = put(APP, json!({ "token_api": "stable" })).await;
    is_problem(&chosen, 400, "invalid_body", "leave it out");
    let coupons = put(APP, json!({ "wx_card": true })).await;
    is_problem(&coupons, 400, "invalid_body", "hands out no coupons");
    is_problem(
        &put(CORPID, json!({})).await,
        400,
        "invalid_appid",
        "AgentId behind it",
    );
    let added = put(APP, json!({})).await;
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!(added.json()["token_api"], "wecom");
    let signed = server.ask(&signed("agent-signature", APP, PAGE)).await;
    assert_eq!(verdict(&server, &signed.json()).1, "ok");
    server.end().await;
}

#[tokio::test]
async fn the_console_names_a_quota_where_wechat_does() {
    let mut setup = setup();
    setup.config.console.password = Some(Secret::new(console::PASSWORD));
    let server = start(setup).await;
    let cookie = console::signed_in(&server).await;
    for (appid, is_named) in [(APPID, true), (APP, false)] {
        let page = console::get(&format!("/console/accounts/{appid}?lang=en"));
        let page = server.ask(&page.with("Cookie", &cookie)).await;
        let (_, quotas) = page.text().split_once("Calls today").unwrap();
        let (calls, _) = quotas.split_once("</dl>").unwrap();
        assert_eq!(calls.contains(" / "), is_named, "{calls}");
    }
    server.end().await;
}

#[tokio::test]
async fn calls_are_passed_on_for_a_wecom_app_but_not_those_for_credentials() {
    let mut setup = setup();
    setup.add_client("caller", &[Scope::Proxy]);
    let server = start(setup).await;
    let call = async |path| {
        let request = Request::get(format!("/proxy/{APP}/cgi-bin/{path}"));
        server.ask(&request.of("caller")).await
    };
    let answer = call("get_api_domain_ip").await.json();
    assert_eq!(answer["errcode"], 0, "{answer}");
    assert!(answer["ip_list"].is_array(), "{answer}");
    for path in [
        "gettoken",
        "get_jsapi_ticket",
        "ticket/get?type=agent_config",
    ] {
        is_problem(&call(path).await, 403, "path_not_allowed", "");
    }
    server.end().await;
}
