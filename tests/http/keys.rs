//! Who is let in to `/v1`: each route against each key that does not fit.
//!
//! Each case comes from an address of its own, so that none waits for the faults of another.

use serde_json::Value;
use wxsign::client::{Accounts, KeyHash, Scope};
use wxsign::clock::Timestamp;
use wxsign::simulator::Action;

use crate::harness::{APPID, Server, Setup, is_problem, key};
use crate::wire::{Answer, Request};

/// An account that the back end "elsewhere" may ask about, and no other.
const OTHER: &str = "wxfedcba9876543210";

/// A route for back ends, the scope that it needs, and the body that it takes.
#[derive(Clone, Copy)]
struct Route {
    method: &'static str,
    path: &'static str,
    scope: Scope,
    body: &'static str,
}

const fn get(path: &'static str, scope: Scope) -> Route {
    Route {
        method: "GET",
        path,
        scope,
        body: "",
    }
}

const TOKEN: Route = get("/v1/accounts/{appid}/access-token", Scope::Token);
const TICKET: Route = get("/v1/accounts/{appid}/jsapi-ticket", Scope::Ticket);
const REPORT: Route = Route {
    method: "POST",
    path: "/v1/accounts/{appid}/access-token/report",
    scope: Scope::Report,
    body: r#"{"fingerprint": "ba7816bf8f01cfea", "errcode": 40001}"#,
};
const CHECK: Route = Route {
    method: "POST",
    path: "/v1/accounts/{appid}/access-token/check",
    scope: Scope::Status,
    body: "",
};
const ACCOUNT: Route = get("/v1/accounts/{appid}", Scope::Status);
const LIST: Route = get("/v1/accounts", Scope::Status);
const CLIENTS: Route = get("/v1/clients", Scope::Admin);

impl Route {
    /// The request about `appid`, with nothing that says whose it is; `query` begins with `?`.
    fn about(self, appid: &str, query: &str) -> Request {
        let target = self.path.replace("{appid}", appid) + query;
        match self.method {
            "GET" => Request::get(target),
            _ => Request::post(target, self.body),
        }
    }

    fn is_about_one_account(self) -> bool {
        self.path.contains("{appid}")
    }
}

/// A client for each way in which a good key does not fit.
fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_account(OTHER);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    setup.add_client("all", &Scope::ALL);
    setup.add_client("expired", &Scope::ALL).not_after = Some(Timestamp::from_secs(1_700_000_000));
    let elsewhere = [OTHER.parse().unwrap()].into();
    setup.add_client("elsewhere", &Scope::ALL).accounts = Accounts::Listed(elsewhere);
    for missing in Scope::ALL {
        let others = Scope::ALL.into_iter().filter(|scope| *scope != missing);
        let others: Vec<_> = others.collect();
        setup.add_client(&format!("not-{}", missing.as_str()), &others);
    }
    setup
}

/// A request that is refused, with what it is told.
struct Case {
    name: &'static str,
    request: Request,
    status: u16,
    code: &'static str,
    advice: &'static str,
}

/// The keys that nobody accepts.
fn bad_keys(route: Route) -> Vec<Case> {
    let bare = || route.about(APPID, "");
    let bearer = |key: &str| bare().with("Authorization", &format!("Bearer {key}"));
    let required = |name, request| Case {
        name,
        request,
        status: 401,
        code: "key_required",
        advice: "send one header \"Authorization: Bearer wxk_…\"",
    };
    let refused = |name, request| Case {
        code: "key_refused",
        advice: "no client has this key, or it has expired",
        ..required(name, request)
    };
    let in_query = |name, request| Case {
        name,
        request,
        status: 400,
        code: "key_in_query",
        advice: "take a new one",
    };
    let good = key("all");
    let basic = format!("Basic {good}");
    let query = format!("?key={good}");
    vec![
        required("no key", bare()),
        required("two keys", bare().of("all").of("all")),
        required("a good key and a bad one", bare().of("all").of("nobody")),
        required("another header", bare().with("X-Api-Key", &good)),
        refused("an unknown key", bare().of("nobody")),
        refused("a key cut short", bearer(&good[..good.len() - 1])),
        refused("a key with a letter more", bearer(&format!("{good}a"))),
        refused("a key in capitals", bearer(&good.to_uppercase())),
        refused(
            "the hash of the key",
            bearer(&KeyHash::of(&good).to_string()),
        ),
        refused("the name of the client", bearer("all")),
        refused("an expired key", bare().of("expired")),
        refused("10 KiB", bearer(&"k".repeat(10 * 1024))),
        refused("an empty key", bearer("")),
        refused("another scheme", bare().with("Authorization", &basic)),
        refused("no scheme", bare().with("Authorization", &good)),
        refused("not ASCII", bearer("wxk_微信")),
        in_query("a key in the query", route.about(APPID, &query)),
        in_query("a key in both places", route.about(APPID, &query).of("all")),
    ]
}

/// Good keys for something else.
fn unfit_keys(route: Route) -> Vec<Case> {
    let lacking = format!("not-{}", route.scope.as_str());
    let mut cases = vec![Case {
        name: "another scope",
        request: route.about(APPID, "").of(&lacking),
        status: 403,
        code: "scope_missing",
        advice: "add it to the scopes of the client",
    }];
    if !route.is_about_one_account() {
        return cases;
    }
    let forbidden = |name, request| Case {
        name,
        request,
        status: 403,
        code: "account_not_allowed",
        advice: "add the AppID to the accounts of the client",
    };
    let unknown = |name, request| Case {
        name,
        request,
        status: 404,
        code: "unknown_account",
        advice: "check the appid",
    };
    let (there, not_there) = (|| route.about(APPID, ""), "wx00000000000000ff");
    cases.extend([
        forbidden("another account", there().of("elsewhere")),
        // Who may not ask about an account does not learn whether it is there.
        forbidden("unknown to it", route.about(not_there, "").of("elsewhere")),
        forbidden("no appid to it", route.about("wx", "").of("elsewhere")),
        unknown("an unknown account", route.about(not_there, "").of("all")),
        unknown("no appid", route.about("wx", "").of("all")),
        unknown("a longer one", route.about(&"a".repeat(4096), "").of("all")),
        unknown("a slash", route.about("wx%2F..%2Fwx", "").of("all")),
        unknown("not UTF-8", route.about("%ff", "").of("all")),
    ]);
    cases
}

/// Sends what each of `routes` must refuse, and then what it must not.
async fn lets_nobody_else_in(routes: &[Route]) {
    let server = setup().start_ready().await;
    let mut addresses = (1..).map(|i| format!("198.51.{}.{}", i / 250, i % 250));
    for route in routes {
        let mut refusals = Vec::new();
        for case in bad_keys(*route).into_iter().chain(unfit_keys(*route)) {
            println!("{} {}: {}", route.method, route.path, case.name);
            let address = addresses.next().unwrap();
            let request = case.request.with("X-Forwarded-For", &address);
            let answer = server.ask(&request).await;
            is_problem(&answer, case.status, case.code, case.advice);
            let challenge = if case.status == 401 { "Bearer" } else { "" };
            assert_eq!(answer.header("www-authenticate"), challenge);
            if case.code == "key_refused" {
                refusals.push(without_id(&answer));
            }
        }
        // Nobody learns what is wrong with a key.
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        let answer = server.ask(&route.about(APPID, "").of("all")).await;
        let code = if route.path == REPORT.path { 409 } else { 200 };
        assert_eq!(answer.status, code, "{answer:?}");
    }
    server.end().await;
}

fn without_id(answer: &Answer) -> Value {
    let mut problem = answer.json();
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

#[tokio::test]
async fn the_credentials_are_for_those_who_have_the_key() {
    lets_nobody_else_in(&[TOKEN, TICKET]).await;
}

#[tokio::test]
async fn reports_and_checks_are_for_those_who_have_the_key() {
    lets_nobody_else_in(&[REPORT, CHECK]).await;
}

#[tokio::test]
async fn the_state_of_accounts_and_clients_is_for_those_who_have_the_key() {
    lets_nobody_else_in(&[ACCOUNT, LIST, CLIENTS]).await;
}

#[tokio::test]
async fn a_list_shows_what_its_reader_may_ask_about() {
    let server = setup().start_ready().await;
    for (name, expected) in [("all", [APPID, OTHER].as_slice()), ("elsewhere", &[OTHER])] {
        let list = server.ask(&LIST.about("", "").of(name)).await.json();
        let accounts = list["accounts"].as_array().unwrap();
        let appids: Vec<_> = accounts.iter().map(|account| &account["appid"]).collect();
        assert_eq!(appids, expected, "{name}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_client_that_is_taken_out_of_the_configuration_is_a_stranger() {
    let mut before = Setup::new();
    before.add_client("shop", &Scope::ALL);
    let server = before.start_ready().await;
    let request = TOKEN.about(APPID, "").of("shop");
    assert_eq!(server.ask(&request).await.status, 200);
    server.end().await;

    let mut after = Setup::new();
    after.add_client("another", &Scope::ALL);
    let server = after.start_ready().await;
    let revoked = server.ask(&request).await;
    is_problem(&revoked, 401, "key_refused", "no client has this key");
    let unknown = TOKEN.about(APPID, "").of("nobody");
    let unknown = server.ask(&unknown).await;
    assert_eq!(without_id(&revoked), without_id(&unknown));
    server.end().await;
}

#[tokio::test]
async fn while_one_key_takes_the_place_of_another_both_are_good() {
    let mut setup = Setup::new();
    let keys = [KeyHash::of(&key("old")), KeyHash::of(&key("new"))];
    setup.add_client("shop", &[Scope::Token]).key_sha256 = keys.to_vec();
    let server = setup.start_ready().await;
    for key in ["old", "new"] {
        let answer = server.ask(&TOKEN.about(APPID, "").of(key)).await;
        assert_eq!(answer.status, 200, "{key}");
    }
    let replaced = server.ask(&TOKEN.about(APPID, "").of("shop")).await;
    is_problem(&replaced, 401, "key_refused", "no client has this key");
    server.end().await;
}

#[tokio::test]
async fn the_scheme_may_be_in_any_case_and_more_than_one_space_away() {
    let server = setup().start_ready().await;
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        let header = format!("{scheme} {}", key("all"));
        let request = TOKEN.about(APPID, "").with("Authorization", &header);
        assert_eq!(server.ask(&request).await.status, 200, "{scheme:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn who_tries_keys_waits_while_a_good_key_from_there_goes_on() {
    let server = setup().start_ready().await;
    let from = |request: Request, address| request.with("X-Forwarded-For", address);
    let guess = from(TOKEN.about(APPID, "").of("nobody"), "203.0.113.1");
    let refused = async |request| is_too_many(&server.ask(request).await);
    let mut guesses = 0;
    while !refused(&guess).await {
        guesses += 1;
        assert!(guesses < 60, "nobody stops them");
    }
    let good = |address| from(TOKEN.about(APPID, "").of("all"), address);
    assert_eq!(server.ask(&good("203.0.113.1")).await.status, 200);
    assert_eq!(server.ask(&good("203.0.113.2")).await.status, 200);
    let elsewhere = from(TOKEN.about(APPID, "").of("nobody"), "203.0.113.2");
    assert_eq!(server.ask(&elsewhere).await.status, 401);

    // WeChat's own paths count along, and so does each route.
    let fetch = format!("/cgi-bin/token?grant_type=client_credential&appid={APPID}&secret=wrong");
    let fetch = from(Request::get(fetch), "203.0.113.1");
    assert_eq!(server.ask(&fetch).await.json()["errcode"], 45011);
    let list = from(LIST.about("", "").of("nobody"), "203.0.113.1");
    assert!(refused(&list).await);
    server.end().await;
}

/// Whether the one who asked has to wait; and if so, for how long it is told.
fn is_too_many(answer: &Answer) -> bool {
    if answer.status == 401 {
        return false;
    }
    is_problem(answer, 429, "rate_limited", "too many wrong keys");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    true
}

#[tokio::test]
async fn who_may_report_but_not_read_is_not_shown_the_token() {
    let mut setup = Setup::new();
    setup.add_client("reader", &[Scope::Token]);
    setup.add_client("reporter", &[Scope::Report]);
    setup.add_client("both", &[Scope::Token, Scope::Report]);
    setup.has_tokens().await;
    let server = setup.start_ready().await;
    let dead = read(&server).await;
    server
        .simulator
        .act(&server.appid, Action::RevokeTokens)
        .unwrap();
    let body = serde_json::json!({ "fingerprint": dead["fingerprint"], "errcode": 40001 });
    let report = Request::post(format!("/v1/accounts/{APPID}/access-token/report"), {
        body.to_string()
    });
    for (name, result, is_shown) in [("reporter", "renewed", false), ("both", "outdated", true)] {
        let answer = server.ask(&report.clone().of(name)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let (told, current) = (answer.json(), read(&server).await);
        assert_eq!(told["result"], result, "{name}");
        assert_eq!(told["fingerprint"], current["fingerprint"], "{name}");
        let token = current["access_token"].as_str().unwrap();
        assert_eq!(answer.text().contains(token), is_shown, "{name}");
        assert_eq!(told.get("access_token").is_some(), is_shown, "{name}");
    }
    server.end().await;
}

async fn read(server: &Server) -> Value {
    let answer = server.ask(&TOKEN.about(APPID, "").of("reader")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}
