//! WeChat's own paths, as an SDK meets them that takes this server for WeChat.

use std::fmt::Write;

use serde_json::{Value, json};
use wxsign::client::{Accounts, Scope};
use wxsign::clock::Timestamp;
use wxsign::simulator::{Fault, FaultRule};

use crate::harness::{APPID, Server, Setup, key, members};
use crate::wire::{Answer, Request};

const OTHER: &str = "wxfedcba9876543210";

pub(crate) const TOKEN: &str = "/cgi-bin/token";
pub(crate) const STABLE: &str = "/cgi-bin/stable_token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";

/// `GET /cgi-bin/token` with the key of this back end.
pub(crate) fn fetch(appid: &str, name: &str) -> Request {
    let grant = "grant_type=client_credential";
    let key = key(name);
    Request::get(format!("{TOKEN}?{grant}&appid={appid}&secret={key}"))
}

/// `POST /cgi-bin/stable_token` with the key of this back end.
pub(crate) fn fetch_stable(appid: &str, name: &str, force_refresh: bool) -> Request {
    let body = json!({
        "grant_type": "client_credential",
        "appid": appid,
        "secret": key(name),
        "force_refresh": force_refresh,
    });
    Request::post(STABLE, body.to_string())
}

/// What WeChat itself would have answered: status 200 and its content type.
pub(crate) fn as_wechat_does(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    let content_type = "application/json; encoding=utf-8";
    assert_eq!(answer.header("content-type"), content_type);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

/// The errcode and the errmsg without the id of the request, which it must end in.
fn refusal(answer: &Answer) -> (i64, String) {
    let body = as_wechat_does(answer);
    assert_eq!(members(&body), ["errcode", "errmsg"], "{body}");
    let errmsg = body["errmsg"].as_str().unwrap();
    let (errmsg, id) = errmsg.rsplit_once(" rid: ").unwrap();
    assert_eq!(id, answer.header("x-request-id"));
    (body["errcode"].as_i64().unwrap(), errmsg.to_owned())
}

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_account(OTHER);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    setup.add_client("all", &Scope::ALL);
    setup.add_client("expired", &Scope::ALL).not_after = Some(Timestamp::from_secs(1_700_000_000));
    let here = Accounts::Listed([APPID.parse().unwrap()].into());
    setup.add_client("here", &Scope::ALL).accounts = here;
    let others = [Scope::Ticket, Scope::Report, Scope::Status, Scope::Admin];
    setup.add_client("no-token", &others);
    setup
}

/// Requests that are refused, by what is wrong with them, and the errcode for it.
type Cases = Vec<(&'static str, i64, Request)>;

fn bad_queries() -> Cases {
    let secret = key("all");
    let query = |query: String| Request::get(format!("{TOKEN}?{query}"));
    let grant = "grant_type=client_credential";
    let good = format!("{grant}&appid={APPID}&secret=");
    vec![
        ("no query", 41002, Request::get(TOKEN)),
        ("no appid", 41002, query(format!("{grant}&secret={secret}"))),
        (
            "an empty appid",
            41002,
            query(format!("{grant}&appid=&secret={secret}")),
        ),
        (
            "no grant_type",
            40002,
            query(format!("appid={APPID}&secret={secret}")),
        ),
        (
            "another grant_type",
            40002,
            query(format!(
                "grant_type=authorization_code&appid={APPID}&secret={secret}"
            )),
        ),
        ("no secret", 41004, query(format!("{grant}&appid={APPID}"))),
        ("an empty secret", 41004, query(good.clone())),
        (
            "the AppSecret",
            40125,
            query(format!("{good}the%20AppSecret%20of%20{APPID}")),
        ),
        ("an unknown key", 40125, fetch(APPID, "nobody")),
        ("an expired key", 40125, fetch(APPID, "expired")),
        (
            "a key in capitals",
            40125,
            query(good + &secret.to_uppercase()),
        ),
        (
            "an unknown appid",
            40013,
            fetch("wx00000000000000ff", "all"),
        ),
        ("no appid at all", 40013, fetch("wx", "all")),
        ("an appid not for this key", 40013, fetch(OTHER, "here")),
        (
            "an unknown appid, not for this key",
            40013,
            fetch("wx00000000000000ff", "here"),
        ),
        (
            "the scope token is missing",
            48001,
            fetch(APPID, "no-token"),
        ),
        (
            "a bad key for an unknown appid",
            40125,
            fetch("wx00000000000000ff", "nobody"),
        ),
    ]
}

fn bad_bodies() -> Cases {
    let body = |body: Value| Request::post(STABLE, body.to_string());
    let (grant, secret) = ("client_credential", key("all"));
    vec![
        ("GET", 43002, Request::get(STABLE)),
        ("PUT", 43002, Request::new("PUT", STABLE)),
        ("an empty body", 44002, Request::post(STABLE, "")),
        (
            "not JSON",
            47001,
            Request::post(STABLE, "appid=wx&secret=x"),
        ),
        ("half of JSON", 47001, Request::post(STABLE, "{\"appid\": ")),
        (
            "not UTF-8",
            47001,
            Request::post(STABLE, b"{\"appid\": \"\xff\"}"),
        ),
        ("a list", 47001, body(json!([]))),
        ("null", 47001, body(json!(null))),
        ("nothing in it", 41002, body(json!({}))),
        (
            "a number for the appid",
            41002,
            body(json!({ "appid": 1, "secret": secret })),
        ),
        (
            "another spelling",
            41002,
            body(json!({ "AppId": APPID, "secret": secret })),
        ),
        (
            "no grant_type",
            40002,
            body(json!({ "appid": APPID, "secret": secret })),
        ),
        (
            "no secret",
            41004,
            body(json!({ "appid": APPID, "grant_type": grant })),
        ),
        (
            "null for the secret",
            41004,
            body(json!({ "appid": APPID, "grant_type": grant, "secret": null })),
        ),
        (
            "an unknown key",
            40125,
            fetch_stable(APPID, "nobody", false),
        ),
        (
            "an expired key",
            40125,
            fetch_stable(APPID, "expired", true),
        ),
        ("an unknown appid", 40013, fetch_stable("wx", "all", false)),
        (
            "an appid not for this key",
            40013,
            fetch_stable(OTHER, "here", true),
        ),
        (
            "the scope token is missing",
            48001,
            fetch_stable(APPID, "no-token", true),
        ),
        (
            "the query of the other path",
            44002,
            Request::post(format!("{STABLE}?appid={APPID}"), ""),
        ),
    ]
}

/// Those of getticket, where `token` is one that this server gave out.
fn bad_tickets(token: &str) -> Cases {
    let query = |query: String| Request::get(format!("{TICKET}?{query}"));
    vec![
        ("no query", 41001, Request::get(TICKET)),
        ("no access_token", 41001, query("type=jsapi".to_owned())),
        (
            "an empty access_token",
            41001,
            query("access_token=&type=jsapi".to_owned()),
        ),
        (
            "a foreign token",
            40001,
            query("access_token=82_abc&type=jsapi".to_owned()),
        ),
        (
            "a key for the token",
            40001,
            query(format!("access_token={}&type=jsapi", key("all"))),
        ),
        (
            "a token cut short",
            40001,
            query(format!(
                "access_token={}&type=jsapi",
                &token[..token.len() - 1]
            )),
        ),
        (
            "a foreign token and type",
            40001,
            query("access_token=a&type=x".to_owned()),
        ),
        ("no type", 40097, query(format!("access_token={token}"))),
        (
            "an empty type",
            40097,
            query(format!("access_token={token}&type=")),
        ),
        (
            "a card's ticket",
            48001,
            query(format!("access_token={token}&type=wx_card")),
        ),
        (
            "capitals",
            40097,
            query(format!("access_token={token}&type=JSAPI")),
        ),
    ]
}

/// What the cases are told, for people to read.
async fn show(server: &Server, path: &str, cases: Cases) -> String {
    let mut shown = format!("# {path}\n");
    for (i, (name, errcode, request)) in cases.into_iter().enumerate() {
        println!("{path}: {name}");
        // Each comes from another address, so that none waits for the faults of another.
        let address = format!("203.0.{}.{i}", path.len());
        let answer = server.ask(&request.with("X-Forwarded-For", &address)).await;
        let (told, errmsg) = refusal(&answer);
        assert_eq!(told, errcode, "{name}: {errmsg}");
        writeln!(shown, "{name}: {told} {errmsg}").unwrap();
    }
    shown + "\n"
}

#[tokio::test]
async fn each_refusal_is_one_that_an_sdk_knows_and_reads_well() {
    let server = setup().start_ready().await;
    let fetched = as_wechat_does(&server.ask(&fetch(APPID, "all")).await);
    assert_eq!(members(&fetched), ["access_token", "expires_in"]);
    let token = fetched["access_token"].as_str().unwrap();
    let mut shown = show(&server, TOKEN, bad_queries()).await;
    shown += &show(&server, STABLE, bad_bodies()).await;
    shown += &show(&server, TICKET, bad_tickets(token)).await;
    let guess = fetch(APPID, "nobody").with("X-Forwarded-For", "198.51.100.1");
    let too_often = loop {
        let told = refusal(&server.ask(&guess).await);
        if told.0 != 40125 {
            break told;
        }
    };
    writeln!(shown, "too often: {} {}", too_often.0, too_often.1).unwrap();
    let largest = " ".repeat(16_385);
    let answer = server.ask(&Request::post(STABLE, largest)).await;
    assert_eq!(refusal(&answer).0, 45002);
    server.end().await;
    insta::assert_snapshot!("refusals", shown);
}

#[tokio::test]
async fn without_a_credential_an_sdk_is_told_to_try_again() {
    let mut setup = setup();
    let (bad, path) = (Fault::Errcode(40164), TOKEN);
    setup.simulator.inject(FaultRule::new(bad).on(path));
    setup.config.accounts.truncate(1);
    let server = setup.start().await;
    for request in [fetch(APPID, "all"), fetch_stable(APPID, "all", true)] {
        let (errcode, errmsg) = refusal(&server.ask(&request).await);
        assert_eq!(errcode, -1, "{errmsg}");
        let why = "system error: wxsign: the last try to fetch one failed";
        assert!(errmsg.starts_with(why), "{errmsg}");
        assert!(errmsg.contains("40164"), "{errmsg}");
    }
    server.end().await;
}

#[tokio::test]
async fn the_token_and_the_ticket_come_in_the_shapes_of_wechat() {
    let server = setup().start_ready().await;
    let first = as_wechat_does(&server.ask(&fetch(APPID, "all")).await);
    let stable = as_wechat_does(&server.ask(&fetch_stable(APPID, "here", false)).await);
    for fetched in [&first, &stable] {
        assert_eq!(members(fetched), ["access_token", "expires_in"]);
        let expires_in = fetched["expires_in"].as_u64().unwrap();
        assert!((1..=7200).contains(&expires_in), "{expires_in}");
    }
    assert_eq!(first["access_token"], stable["access_token"]);
    let token = first["access_token"].as_str().unwrap();
    assert!(server.simulator.token_is_accepted(&server.appid, token));
    let target = format!("{TICKET}?access_token={token}&type=jsapi");
    for request in [
        Request::get(target.as_str()),
        Request::post(target.as_str(), ""),
    ] {
        let ticket = as_wechat_does(&server.ask(&request).await);
        assert_eq!(
            (&ticket["errcode"], &ticket["errmsg"]),
            (&0.into(), &"ok".into())
        );
        let value = ticket["ticket"].as_str().unwrap();
        assert!(server.simulator.ticket_is_accepted(&server.appid, value));
        assert!((1..=7200).contains(&ticket["expires_in"].as_u64().unwrap()));
    }
    assert_eq!((server.calls(TOKEN), server.calls(TICKET)), (1, 1));
    server.end().await;
}
