//! The debugger: who may ask it, and what it says.

use serde_json::{Value, json};
use wxsign::account::AppId;
use wxsign::client::Scope;
use wxsign::credential::Secret;
use wxsign::simulator::{Action, Mistake, MistakenSigning};

use crate::harness::{APPID, Server, Setup, is_problem, posted_signature, signature, until};
use crate::wire::{Answer, Request, encode_uri_component};

const URL: &str = "https://ok.example.com/page?id=1&from=singlemessage&name=%E5%BE%AE";

async fn demo() -> Server {
    let mut setup = Setup::new();
    setup.demo = true;
    setup.start_ready().await
}

fn check(question: &Value) -> Request {
    Request::post("/debug/check", question.to_string())
}

fn codes(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mistakes = answer.json()["mistakes"].as_array().unwrap().clone();
    let codes = mistakes.iter().map(|found| found["code"].as_str().unwrap());
    codes.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_wxsign_signs_is_right() {
    let server = demo().await;
    let config = server.ask(&signature(URL)).await.json();
    let answer = server
        .ask(&check(&json!({ "url": URL, "config": config })))
        .await;
    assert_eq!(codes(&answer), [""; 0]);
    assert_eq!(answer.json()["verdict"], "right");
    assert_eq!(answer.header("cache-control"), "no-store");
    server.end().await;
}

/// Two apps of one corporation at WeCom.
const APPS: [&str; 2] = ["ww0123456789abcdef-1000002", "ww0123456789abcdef-1000003"];

/// What a back end is told of an account, once that kind of ticket is there.
async fn has(server: &Server, appid: &str, ticket: &str) {
    until("the ticket", async || {
        let status = Request::get(format!("/v1/accounts/{appid}")).of("seeing");
        let status = server.ask(&status).await.json();
        status[ticket].is_object().then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_wxsign_signs_for_wecom_is_right() {
    for demo in [true, false] {
        let mut setup = Setup::new();
        setup.demo = demo;
        APPS.iter().for_each(|appid| setup.add_account(appid));
        setup.add_client("seeing", &[Scope::Status]);
        let server = setup.start_ready().await;
        let ask = async |config: &Value| {
            let question = json!({ "url": URL, "config": config });
            server.ask(&check(&question).of("seeing")).await
        };
        let mut configs = Vec::new();
        for appid in APPS {
            has(&server, appid, "jsapi_ticket").await;
            has(&server, appid, "agent_ticket").await;
            for what in ["signature", "agent-signature"] {
                let url = encode_uri_component(URL);
                let target = format!("/jsapi/{what}?appid={appid}&url={url}");
                let config = server.get(target).await.json();
                let answer = ask(&config).await;
                assert_eq!(codes(&answer), [""; 0], "{config}");
                assert_eq!(answer.json()["verdict"], "right");
                configs.push(config);
            }
        }
        let signed = |named: &Value, signed: &Value| {
            let mut config = named.clone();
            for name in ["timestamp", "nonceStr", "signature"] {
                config[name] = signed[name].clone();
            }
            config
        };
        let [page, agent, page_of_other, agent_of_other] = &configs[..] else {
            panic!("{configs:?}");
        };
        for (config, mistake) in [
            (signed(page, agent), "tickets_mixed"),
            (signed(page, agent_of_other), "tickets_mixed"),
            (signed(agent, page), "tickets_mixed"),
            (signed(agent, page_of_other), "tickets_mixed"),
            (signed(agent, agent_of_other), "other_app_ticket"),
        ] {
            let answer = ask(&config).await;
            assert_eq!(codes(&answer), [mistake], "{config}");
            assert_eq!(answer.json()["verdict"], "wrong");
        }
        // So wxsign calls it, and WeCom does not.
        let mut named = page.clone();
        named["appId"] = json!(APPS[0]);
        let answer = ask(&named).await;
        assert_eq!(codes(&answer)[0], "unknown_appid");
        assert_ne!(answer.json()["verdict"], "right");
        server.end().await;
    }
}

#[tokio::test]
async fn a_client_that_may_see_one_app_is_told_about_its_tickets_alone() {
    let mut setup = Setup::new();
    APPS.iter().for_each(|appid| setup.add_account(appid));
    setup.add_client("seeing", &[Scope::Status]);
    let one = setup.add_client("one", &[Scope::Status]);
    one.accounts = vec![APPS[0].to_owned()].try_into().unwrap();
    let server = setup.start_ready().await;
    let mut verdicts = Vec::new();
    for appid in APPS {
        has(&server, appid, "jsapi_ticket").await;
        let url = encode_uri_component(URL);
        let target = format!("/jsapi/signature?appid={appid}&url={url}");
        let config = server.get(target).await.json();
        let question = json!({ "url": URL, "config": config });
        let answer = server.ask(&check(&question).of("one")).await;
        verdicts.push(answer.json()["verdict"].clone());
    }
    assert_eq!(verdicts, ["right", "unknown"]);
    server.end().await;
}

#[tokio::test]
async fn the_ticket_for_coupons_is_known_where_wechat_is_real() {
    let mut setup = Setup::new();
    setup.config.accounts[0].wx_card = true;
    setup.add_client("seeing", &[Scope::Status]);
    let server = setup.start_ready().await;
    has(&server, APPID, "card_ticket").await;
    let asked = MistakenSigning {
        appid: APPID.parse().unwrap(),
        url: URL.to_owned(),
        mistake: Some(Mistake::CardTicket),
    };
    let config = server.simulator.sign(&asked).unwrap().unwrap();
    let question = json!({ "url": URL, "config": config });
    let answer = server.ask(&check(&question).of("seeing")).await;
    assert_eq!(codes(&answer), ["card_ticket"]);
    assert_eq!(answer.json()["verdict"], "wrong");
    server.end().await;
}

#[tokio::test]
async fn what_a_home_made_signer_does_wrong_is_named() {
    let mut setup = Setup::new();
    setup.demo = true;
    let appid: AppId = APPID.parse().unwrap();
    setup.simulator.act(&appid, Action::ExpireTicket).unwrap();
    let server = setup.start_ready().await;
    use Mistake::*;
    for mistake in [
        FragmentKept,
        QueryCut,
        UrlEncoded,
        HtmlEscaped,
        SchemeDiffers,
        TrailingSlash,
        StaleTicket,
        CardTicket,
        TimestampMilliseconds,
        NonceDiffers,
        UpperCaseHex,
        Sha256,
        WrongKeyOrder,
        WrongKeyName,
    ] {
        let asked = MistakenSigning {
            appid: appid.clone(),
            url: URL.to_owned(),
            mistake: Some(mistake),
        };
        let config = server.simulator.sign(&asked).unwrap().unwrap();
        let config = serde_json::to_string(&config).unwrap();
        let question =
            json!({ "url": URL, "config": config, "errMsg": "config:invalid signature" });
        assert_eq!(
            codes(&server.ask(&check(&question)).await),
            [mistake.as_str()]
        );
    }
    server.end().await;
}

#[tokio::test]
async fn the_form_works_without_a_script_and_shows_what_differs() {
    let server = demo().await;
    let config = server
        .ask(&signature("https://ok.example.com/page"))
        .await
        .text()
        .to_owned();
    let form = Request::new("POST", "/debug?lang=zh").with_form(&[
        ("url", "https://ok.example.com/page?id=<1>"),
        ("config", &config),
        ("realAuthUrl", ""),
    ]);
    let page = server.ask(&form).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("<html lang=\"zh-CN\">"));
    assert!(text.contains("<code>query_cut</code>"), "{text}");
    assert!(text.contains("<ins>?id=&#60;1&#62;</ins>"), "{text}");
    assert!(!text.contains("<1>"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"));
    for file in ["debug.js", "debug.css"] {
        assert!(text.contains(file));
        assert_eq!(server.get(format!("/static/{file}")).await.status, 200);
    }
    server.end().await;
}

#[tokio::test]
async fn for_a_real_account_a_key_is_needed_and_pages_have_no_debugger() {
    let mut setup = Setup::new();
    setup.admin = true;
    setup.add_client("seeing", &[Scope::Status]);
    setup.add_client("blind", &[Scope::Token]);
    let elsewhere = setup.add_client("elsewhere", &[Scope::Status]);
    elsewhere.accounts = vec!["wxffffffffffffffff".to_owned()].try_into().unwrap();
    let server = setup.start_ready().await;
    let config = server.ask(&signature(URL)).await.json();
    let question = check(&json!({ "url": URL, "config": config }));
    is_problem(&server.ask(&question).await, 404, "not_found", "");
    let ask = async |request: &Request| {
        let mut connection = crate::wire::Connection::open(server.back_ends).await;
        connection.ask(request).await
    };
    is_problem(&ask(&question).await, 401, "key_required", "wxk_");
    let blind = ask(&question.clone().of("blind")).await;
    is_problem(&blind, 403, "scope_missing", "status");
    let answer = ask(&question.clone().of("seeing")).await;
    assert_eq!(answer.json()["verdict"], "right");
    let answer = ask(&question.clone().of("elsewhere")).await;
    assert_eq!(codes(&answer), ["unknown_appid"]);
    assert_eq!(ask(&Request::get("/debug")).await.status, 200);
    server.end().await;
}

#[tokio::test]
async fn who_is_signed_in_at_the_console_needs_no_key() {
    let mut setup = Setup::new();
    setup.config.console.password = Some(Secret::new("four words and more"));
    let server = setup.start_ready().await;
    let config = server.ask(&signature(URL)).await.text().to_owned();
    let here = |method: &'static str, path: &str| {
        let request = Request::new(method, path).at_host("localhost:8080");
        request.with("Sec-Fetch-Site", "same-origin")
    };
    let question = [("url", URL), ("config", &config)];
    let stranger = server
        .ask(&here("POST", "/debug").with_form(&question))
        .await;
    assert_eq!(stranger.status, 401);
    assert!(stranger.text().contains("/console/login?next=/debug"));
    assert!(!stranger.text().contains("data-state=\"ok\""));
    let login = [("password", "four words and more"), ("next", "/debug")];
    let answer = server
        .ask(&here("POST", "/console/login").with_form(&login))
        .await;
    assert_eq!(answer.header("location"), "/debug");
    let cookie = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let asked = here("POST", "/debug").with("Cookie", &cookie);
    let page = server.ask(&asked.with_form(&question)).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("data-state=\"ok\""));
    assert!(!page.text().contains("name=\"key\""));
    server.end().await;
}

#[tokio::test]
async fn what_is_odd_about_a_page_is_told_with_its_signature_where_wechat_is_simulated() {
    for demo in [true, false] {
        let mut setup = Setup::new();
        setup.demo = demo;
        let server = setup.start_ready().await;
        for (page, referer, expected) in [
            (URL, "https://ok.example.com/other", vec![]),
            (URL, "http://ok.example.com/other", vec!["other_scheme"]),
            (URL, "https://www.example.com/", vec!["other_host"]),
            (
                "https://ok.example.com/a?b=1&amp;c=2",
                "",
                vec!["html_escaped"],
            ),
            (
                "https://ok.example.com/jsapi/signature",
                "",
                vec!["interface"],
            ),
            (
                "https://ok.example.com#/a",
                "",
                vec!["missing_slash", "fragment"],
            ),
        ] {
            for request in [signature(page), posted_signature(page)] {
                let answer = server.ask(&request.with("Referer", referer)).await;
                assert_eq!(answer.status, 200);
                let json = answer.json();
                assert_eq!(json["url"], page.split('#').next().unwrap());
                let lints = json["lint"].as_array().cloned().unwrap_or_default();
                let codes: Vec<&str> = lints
                    .iter()
                    .map(|lint| lint["code"].as_str().unwrap())
                    .collect();
                assert_eq!(
                    codes,
                    if demo { expected.clone() } else { vec![] },
                    "{page}"
                );
                assert_eq!(
                    json.as_object().unwrap().len(),
                    if codes.is_empty() { 5 } else { 6 }
                );
            }
        }
        server.end().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_place() {
    let server = demo().await;
    let question = json!({ "url": URL, "config": "{ appId: 'wx\n}" });
    is_problem(
        &server.ask(&check(&question)).await,
        400,
        "invalid_body",
        "line 1, column 10",
    );
    let question = json!({ "url": URL, "config": "{ appId: a.b }" });
    is_problem(
        &server.ask(&check(&question)).await,
        400,
        "invalid_body",
        "JSON.stringify",
    );
    let question = json!({ "url": URL.repeat(100), "config": "{}" });
    let answer = server.ask(&check(&question)).await;
    is_problem(&answer, 400, "invalid_body", "longer than 4096 bytes");
    let question = json!({ "config": "{}" });
    is_problem(
        &server.ask(&check(&question)).await,
        400,
        "invalid_body",
        "url",
    );
    server.end().await;
}

#[tokio::test]
async fn a_whole_script_may_be_pasted_and_is_told_what_of_it_is_wanted() {
    let server = demo().await;
    let long = "x".repeat(100_000);
    let asked = check(&json!({ "url": URL, "config": long }));
    is_problem(&server.ask(&asked).await, 400, "invalid_body", "16 KiB");
    let form = Request::new("POST", "/debug").with_form(&[("url", URL), ("config", &long)]);
    let page = server.ask(&form).await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains("longer than 16 KiB"), "{page:?}");
    let longer = check(&json!({ "url": URL, "config": long.repeat(2) }));
    let refused = server.ask(&longer).await;
    is_problem(&refused, 413, "body_too_large", "131072 bytes");
    server.end().await;
}

#[tokio::test]
async fn beside_pages_a_link_to_the_debugger_says_where_to_look() {
    let mut setup = Setup::new();
    setup.admin = true;
    let server = setup.start_ready().await;
    let page = server.get("/debug?lang=en").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("The debugger is at the console"), "{text}");
    // What is behind the # would be lost.
    assert!(!text.contains("href=\"/debug"), "{text}");
    // Where that is, strangers are not told.
    let admin = server.back_ends.to_string();
    assert!(!text.contains(&admin) && !text.contains("<form"), "{text}");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self';"), "{policy}");
    for file in text.split("\"/static/").skip(1) {
        let file = file.split('"').next().unwrap();
        assert_eq!(server.get(format!("/static/{file}")).await.status, 200);
    }
    let form = Request::new("POST", "/debug").with_form(&[("url", URL)]);
    is_problem(&server.ask(&form).await, 405, "method_not_allowed", "");
    server.end().await;
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits() {
    let mut setup = Setup::new();
    setup.demo = true;
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = setup.start_ready().await;
    let config = server.ask(&signature(URL)).await.json();
    let question = check(&json!({ "url": URL, "config": config }));
    let question = question.with("X-Forwarded-For", "203.0.113.1");
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(server.ask(&question).await.status.as_u16());
    }
    assert!(
        statuses.starts_with(&[200; 5]) && statuses.contains(&429),
        "{statuses:?}"
    );
    server.end().await;
}
