//! SDKs that take this server for WeChat's API make all their calls here, with the token that
//! they were given.

use wxsign::client::Scope;
use wxsign::clock::Timestamp;
use wxsign::simulator::{Action, Fault, FaultRule};

use crate::harness::{APPID, Server, Setup, is_problem, key};
use crate::wire::{Answer, Request};

const PROBE: &str = "/cgi-bin/get_api_domain_ip";
const SEND: &str = "/cgi-bin/message/custom/send";

/// A server whose back end "shop" has these scopes besides `token`.
fn setup(scopes: &[Scope]) -> Setup {
    let mut setup = Setup::new();
    let scopes: Vec<_> = scopes.iter().copied().chain([Scope::Token]).collect();
    setup.add_client("shop", &scopes);
    setup
}

/// The token as an SDK gets it.
async fn token(server: &Server) -> String {
    let secret = key("shop");
    let target =
        format!("/cgi-bin/token?grant_type=client_credential&appid={APPID}&secret={secret}");
    let answer = server.get(target).await.json();
    answer["access_token"].as_str().unwrap().to_owned()
}

async fn call(server: &Server, path: &str, token: &str) -> Answer {
    server.get(format!("{path}?access_token={token}")).await
}

fn errcode(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["errcode"].as_i64().unwrap_or_default()
}

#[tokio::test]
async fn a_call_with_the_token_reaches_wechat_and_a_dead_token_is_healed_on_the_way() {
    let mut setup = setup(&[Scope::Proxy]);
    setup.has_tokens().await;
    let server = setup.start_ready().await;
    let token = token(&server).await;
    let answer = call(&server, PROBE, &token).await;
    assert_eq!(errcode(&answer), 0);
    assert!(answer.json()["ip_list"].is_array(), "{answer:?}");
    server
        .simulator
        .act(&server.appid, Action::RevokeTokens)
        .unwrap();
    assert_eq!(errcode(&call(&server, PROBE, &token).await), 0);
    assert_eq!(server.calls("/cgi-bin/token"), 1);
    server.end().await;
}

#[tokio::test]
async fn calls_are_passed_on_only_for_an_account_that_has_a_client_for_it() {
    let server = setup(&[]).start_ready().await;
    let token = token(&server).await;
    assert_eq!(errcode(&call(&server, PROBE, &token).await), 48001);
    assert_eq!(
        errcode(&call(&server, PROBE, "not-one-of-ours").await),
        40001
    );
    assert_eq!(errcode(&server.get(PROBE).await), 41001);
    assert_eq!(server.calls(PROBE), 0);
    server.end().await;

    let mut setup = setup(&[]);
    setup.add_client("former", &[Scope::Proxy]).not_after = Some(Timestamp::from_secs(1));
    let server = setup.start_ready().await;
    let token = self::token(&server).await;
    assert_eq!(errcode(&call(&server, PROBE, &token).await), 48001);
    server.end().await;
}

#[tokio::test]
async fn what_is_not_for_back_ends_is_refused_in_wechats_shape() {
    let server = setup(&[Scope::Proxy]).start_ready().await;
    let token = token(&server).await;
    for path in [
        "/cgi-bin/clear_quota",
        "/sns/userinfo",
        "/cgi-bin/x/../token",
    ] {
        assert_eq!(errcode(&call(&server, path, &token).await), 48001, "{path}");
    }
    let target = format!("{PROBE}?access_token={token}");
    for method in ["TRACE", "BREW"] {
        let answer = server.ask(&Request::new(method, target.clone())).await;
        assert_eq!(errcode(&answer), 48001, "{method}");
    }
    assert_eq!(server.calls(PROBE), 0);
    server.end().await;
}

#[tokio::test]
async fn what_may_have_been_carried_out_is_not_called_a_system_error_that_sdks_repeat() {
    let server = setup(&[Scope::Proxy]).start_ready().await;
    let token = token(&server).await;
    server
        .simulator
        .inject(FaultRule::new(Fault::Reset).on(SEND).times(1));
    let target = format!("{SEND}?access_token={token}");
    let answer = server.ask(&Request::post(target, "{}")).await;
    is_problem(&answer, 502, "upstream_unreachable", "look before");
    server.end().await;
}

#[tokio::test]
async fn a_token_that_wechat_has_rejected_is_not_handed_out_again() {
    // It is so young that it is not replaced at once.
    let server = setup(&[]).start_ready().await;
    token(&server).await;
    server
        .simulator
        .act(&server.appid, Action::RevokeTokens)
        .unwrap();
    let secret = key("shop");
    let target =
        format!("/cgi-bin/token?grant_type=client_credential&appid={APPID}&secret={secret}");
    assert_eq!(errcode(&server.get(target).await), -1);
    server.end().await;
}

#[tokio::test]
async fn no_method_between_machines_is_passed_on_by_the_proxy() {
    let server = setup(&[Scope::Proxy]).start_ready().await;
    for method in ["CONNECT", "TRACE", "OPTIONS"] {
        let request = Request::new(method, format!("/proxy/{APPID}{PROBE}")).of("shop");
        let answer = server.ask(&request).await;
        is_problem(&answer, 405, "method_not_allowed", "GET and POST");
    }
    let ticket = format!("/proxy/{APPID}/cgi-bin/ticket/getticket?type=jsapi");
    let answer = server.ask(&Request::get(ticket).of("shop")).await;
    is_problem(&answer, 403, "path_not_allowed", "jsapi_ticket");
    assert_eq!(server.calls(PROBE), 0);
    server.end().await;
}
