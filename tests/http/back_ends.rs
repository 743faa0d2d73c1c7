//! Many back ends share one token: they read it, have it checked, and report it once a stranger
//! has taken it from them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use wxsign::client::Scope;
use wxsign::simulator::{Action, Fault, FaultRule, Simulator};

use crate::harness::{APPID, PAGE, Server, Setup, is_problem, signature, until, uptime};
use crate::wire::{Answer, Connection, Request};

pub(crate) const PROBE: &str = "/cgi-bin/get_api_domain_ip";
pub(crate) const TOKEN: &str = "/cgi-bin/token";

/// A server with a token of some age, and a back end that may do all there is.
pub(crate) async fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.add_client("shop", &Scope::ALL);
    setup.has_tokens().await;
    setup
}

/// Reads the token of the account; `query` begins with `?`.
pub(crate) fn read(appid: &str, query: &str) -> Request {
    Request::get(format!("/v1/accounts/{appid}/access-token{query}"))
}

/// Says that WeChat refused the token that was read.
pub(crate) fn report(appid: &str, token: &Value) -> Request {
    let body = json!({ "fingerprint": token["fingerprint"], "errcode": 40001 });
    let target = format!("/v1/accounts/{appid}/access-token/report");
    Request::post(target, body.to_string())
}

fn check() -> Request {
    Request::post(format!("/v1/accounts/{APPID}/access-token/check"), "").of("shop")
}

/// A back end with its own key and its own connection, and the token that it holds.
struct BackEnd {
    name: String,
    connection: Connection,
    wechat: Simulator,
    token: Value,
}

impl BackEnd {
    async fn new(server: &Server, name: String) -> Self {
        let mut back_end = Self {
            name,
            connection: server.connect().await,
            wechat: server.simulator.clone(),
            token: Value::Null,
        };
        back_end.asks(read(APPID, "")).await;
        back_end
    }

    /// Holds what it is answered.
    async fn asks(&mut self, request: Request) {
        let answer = self.connection.ask(&request.of(&self.name)).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", self.name);
        self.token = answer.json();
    }

    /// Reads the token again and again, and reports it when WeChat refuses it, until there is
    /// another one that works.
    async fn goes_on_until_it_has_a_newer_one(&mut self) {
        let appid = APPID.parse().unwrap();
        let first = self.token["generation"].clone();
        loop {
            let token = self.token["access_token"].as_str().unwrap();
            if !self.wechat.token_is_accepted(&appid, token) {
                let report = report(APPID, &self.token);
                self.asks(report).await;
            } else if self.token["generation"] == first {
                self.asks(read(APPID, "")).await;
            } else {
                return;
            }
        }
    }
}

#[tokio::test]
async fn fifty_back_ends_are_over_a_theft_in_two_seconds_for_one_question_and_one_fetch() {
    let mut setup = Setup::new();
    let names: Vec<_> = (0..50).map(|i| format!("shop-{i}")).collect();
    for name in &names {
        setup.add_client(name, &[Scope::Token, Scope::Report]);
    }
    setup.has_tokens().await;
    let server = setup.start_ready().await;
    // Otherwise the stolen token would work for five minutes more.
    let change = server.simulator.change_app(&server.appid, |app| {
        app.knobs.overlap_token = Duration::ZERO
    });
    change.unwrap();
    let ready = Arc::new(Barrier::new(names.len() + 1));
    let mut working = JoinSet::new();
    for name in names {
        let (mut back_end, ready) = (BackEnd::new(&server, name).await, Arc::clone(&ready));
        working.spawn(async move {
            ready.wait().await;
            back_end.goes_on_until_it_has_a_newer_one().await;
            back_end.token
        });
    }
    ready.wait().await;
    let (simulator, appid) = (&server.simulator, &server.appid);
    simulator.act(appid, Action::StealToken).unwrap();
    let stolen = uptime();
    let tokens = working.join_all().await;
    let healed = uptime() - stolen;
    let newest = simulator.newest_token(appid).unwrap();
    for token in tokens {
        assert_eq!(token["access_token"], newest.expose());
    }
    assert_eq!((server.calls(PROBE), server.calls(TOKEN)), (1, 1));
    assert!(healed < Duration::from_secs(2), "{healed:?}");
    server.end().await;
}

#[tokio::test]
async fn who_knows_the_token_is_not_sent_it_again() {
    let server = setup().await.start_ready().await;
    for kind in ["access-token", "jsapi-ticket"] {
        let target = format!("/v1/accounts/{APPID}/{kind}");
        let request = Request::get(target.as_str()).of("shop");
        let first = server.ask(&request).await;
        assert_eq!(first.header("cache-control"), "no-store");
        let (body, etag) = (first.json(), first.header("etag"));
        let (generation, fingerprint) = (&body["generation"], &body["fingerprint"]);
        let expected = format!("\"{generation}-{}\"", fingerprint.as_str().unwrap());
        assert_eq!(etag, expected);
        for (known, status) in [
            (etag.to_owned(), 304),
            (format!("W/{etag}"), 304),
            (format!("\"0-0\", {etag}"), 304),
            ("*".to_owned(), 304),
            ("\"0-0\"".to_owned(), 200),
            (String::new(), 200),
            (etag.trim_matches('"').to_owned(), 200),
        ] {
            let answer = server
                .ask(&request.clone().with("If-None-Match", &known))
                .await;
            assert_eq!(answer.status, status, "{kind}, {known}");
            assert_eq!(answer.body.is_empty(), status == 304);
            assert_eq!(answer.header("etag"), etag);
        }
        let head = Request::new("HEAD", target.as_str()).of("shop");
        let head = server.ask(&head).await;
        assert_eq!((head.status.as_u16(), head.header("etag")), (200, etag));
    }
    let token = server.ask(&read(APPID, "").of("shop")).await;
    revoke(&server);
    let renewed = server.ask(&report(APPID, &token.json()).of("shop")).await;
    assert_eq!(renewed.json()["result"], "renewed");
    let known = read(APPID, "")
        .of("shop")
        .with("If-None-Match", token.header("etag"));
    let newer = server.ask(&known).await;
    assert_eq!(
        (newer.status.as_u16(), &newer.json()["generation"]),
        (200, &2.into())
    );
    server.end().await;
}

pub(crate) fn revoke(server: &Server) {
    let (simulator, appid) = (&server.simulator, &server.appid);
    simulator.act(appid, Action::RevokeTokens).unwrap();
}

/// Checks the token twenty times at once.
async fn twenty_checks(server: &Server) -> Vec<Answer> {
    let mut checks = JoinSet::new();
    for _ in 0..20 {
        let mut connection = server.connect().await;
        checks.spawn(async move { connection.ask(&check()).await });
    }
    checks.join_all().await
}

#[tokio::test]
async fn all_who_check_a_token_within_ten_seconds_share_one_question() {
    let server = setup().await.start_ready().await;
    for _ in 0..3 {
        for answer in twenty_checks(&server).await {
            let checked = answer.json();
            assert_eq!(answer.status, 200, "{checked}");
            assert_eq!(
                (&checked["valid"], &checked["generation"]),
                (&true.into(), &1.into())
            );
            assert!(checked["checked_ago"].as_u64().unwrap() < 10, "{checked}");
        }
    }
    assert_eq!((server.calls(PROBE), server.calls(TOKEN)), (1, 0));
    server.end().await;
}

#[tokio::test]
async fn a_check_tells_of_a_dead_token_and_has_it_replaced() {
    let server = setup().await.start_ready().await;
    revoke(&server);
    // So that those who check hear of the dead token before there is a new one.
    let slow = FaultRule::new(Fault::Delay(Duration::from_secs(1)));
    server.simulator.inject(slow.on(TOKEN));
    for answer in twenty_checks(&server).await {
        let checked = answer.json();
        assert_eq!(answer.status, 200, "{checked}");
        assert_eq!(
            (&checked["valid"], &checked["generation"]),
            (&false.into(), &1.into())
        );
    }
    let healed = until("a new token", async || {
        let token = server.ask(&read(APPID, "").of("shop")).await.json();
        (token["generation"] == 2).then_some(token)
    });
    let healed = healed.await;
    let token = healed["access_token"].as_str().unwrap();
    assert!(server.simulator.token_is_accepted(&server.appid, token));
    assert_eq!((server.calls(PROBE), server.calls(TOKEN)), (1, 1));
    server.end().await;
}

#[tokio::test]
async fn a_check_that_wechat_does_not_answer_says_so_and_reads_go_on() {
    let server = setup().await.start_ready().await;
    server.simulator.inject(FaultRule::new(Fault::BadGateway));
    let answer = server.ask(&check()).await;
    is_problem(
        &answer,
        502,
        "upstream_unreachable",
        "it goes on being served",
    );
    let answer = server.ask(&read(APPID, "").of("shop")).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["generation"]),
        (200, &1.into())
    );
    server.end().await;
}

#[tokio::test]
async fn with_an_address_of_their_own_back_ends_and_pages_do_not_meet() {
    let mut setup = setup().await;
    setup.admin = true;
    let file = "MP_verify_abcdefghijklmnop.txt".to_owned();
    setup
        .config
        .verify_files
        .insert(file, "abcdefghijklmnop".to_owned());
    let server = setup.start_ready().await;
    let at_back_ends = async |request: &Request| {
        let mut connection = Connection::open(server.back_ends).await;
        connection.ask(request).await
    };
    let nothing = |answer: &Answer| is_problem(answer, 404, "not_found", "/jsapi/signature");
    let token = at_back_ends(&read(APPID, "").of("shop")).await.json();
    for request in [
        Request::get("/v1/accounts"),
        Request::get(format!("/v1/accounts/{APPID}")),
        read(APPID, ""),
        Request::get(format!("/v1/accounts/{APPID}/jsapi-ticket")),
        report(APPID, &token),
        Request::post(format!("/v1/accounts/{APPID}/access-token/check"), ""),
        Request::get("/v1/clients"),
        Request::get("/metrics"),
        Request::get("/cgi-bin/token"),
        Request::post("/cgi-bin/stable_token", "{}"),
        Request::get("/cgi-bin/ticket/getticket"),
    ] {
        let request = request.of("shop");
        nothing(&server.ask(&request).await);
        let answer = at_back_ends(&request).await;
        assert!([200, 409].contains(&answer.status.as_u16()), "{answer:?}");
    }
    for request in [
        signature(PAGE),
        Request::post("/jsapi/report", json!({ "url": PAGE }).to_string()),
        Request::get("/"),
        Request::get("/demo"),
        Request::get("/MP_verify_abcdefghijklmnop.txt"),
    ] {
        nothing(&at_back_ends(&request).await);
        let answer = server.ask(&request).await;
        assert!(
            [200, 204, 307].contains(&answer.status.as_u16()),
            "{answer:?}"
        );
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(server.get(path).await.status, 200);
        assert_eq!(at_back_ends(&Request::get(path)).await.status, 200);
    }
    server.end().await;
}
