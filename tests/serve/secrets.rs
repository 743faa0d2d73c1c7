//! Whatever happens, nobody is shown an AppSecret, a token or a ticket. The harness looks for
//! them in all that a server of these tests prints and answers; here more happens than elsewhere.

use axum::Router;
use axum::extract::Request;
use rustix::process::Signal;
use wxsign::credential::Secret;
use wxsign::simulator::{Fault, FaultRule};

use crate::canaries;
use crate::harness::{APPID, Place, TICKET_PATH, WeChat, Wxsign, eventually, nobody};

#[tokio::test]
async fn a_server_that_works_shows_no_secret_in_text_or_json() {
    for format in ["text", "json"] {
        for token_api in ["classic", "stable"] {
            let wechat = WeChat::start().await;
            let place = Place::new(&wechat.url)
                .with_database()
                .with("WXSIGN_LOG_FORMAT", format)
                .with("WXSIGN_TOKEN_API", token_api);
            let wxsign = place.serve().await;
            wxsign.signs().await;
            assert!(wxsign.log().contains("renewed"), "{}", wxsign.log());
            if format == "json" {
                for line in wxsign.log().lines() {
                    serde_json::from_str::<serde_json::Value>(line).unwrap();
                }
            }
            // A back end that takes it for WeChat sends it the AppSecret.
            let secret = canaries::APP_SECRET;
            let query = format!("grant_type=client_credential&appid={APPID}&secret={secret}");
            wxsign.get(&format!("/cgi-bin/token?{query}")).await;
            wxsign.get(&format!("/jsapi/signature?{query}")).await;
            wxsign.get(&format!("/nowhere?{query}")).await;
            ends(wxsign).await;
        }
    }
}

#[tokio::test]
async fn each_failure_on_the_wire_is_told_by_its_class_and_shows_no_secret() {
    let moved = Fault::Status {
        status: 302,
        body: String::new(),
    };
    let failures = [
        (Fault::Errcode(40125), "Credentials"),
        (Fault::Errcode(40164), "Address"),
        (Fault::Errcode(45009), "Quota"),
        (Fault::Errcode(-1), "Transient"),
        (Fault::Errcode(98765), "Unknown"),
        (Fault::BadGateway, "Transient"),
        (moved, "Ambiguous"),
        (Fault::EmptyBody, "Ambiguous"),
        (Fault::TruncatedJson, "Ambiguous"),
        (Fault::CutOff, "Ambiguous"),
        (Fault::Reset, "Ambiguous"),
        (Fault::ExpiresIn("0".to_owned()), "Ambiguous"),
        (Fault::ExpiresIn("\"abc\"".to_owned()), "Ambiguous"),
    ];
    for (index, (fault, class)) in failures.into_iter().enumerate() {
        let token_api = ["classic", "stable"][index % 2];
        let (format, class) = match index / 2 % 2 {
            0 => ("text", format!(" class={class} ")),
            _ => ("json", format!("\"class\":\"{class}\"")),
        };
        let everywhere = FaultRule::new(fault);
        let tickets = everywhere.clone().on(TICKET_PATH);
        for rule in [everywhere, tickets] {
            let wechat = WeChat::start().await;
            wechat.simulator.inject(rule.clone());
            let place = Place::new(&wechat.url)
                .with("WXSIGN_LOG_FORMAT", format)
                .with("WXSIGN_TOKEN_API", token_api);
            let wxsign = place.serve().await;
            let answer = wxsign.sign().await;
            assert_eq!(answer.status, 503, "{rule:?} {answer:?}");
            wxsign.get("/readyz").await;
            wxsign.logs("renewal failed").await;
            let log = wxsign.log();
            let told = log.lines().find(|line| line.contains("renewal failed"));
            assert!(
                told.is_some_and(|line| line.contains(&class)),
                "{rule:?}: {log}"
            );
            ends(wxsign).await;
        }
    }
}

#[tokio::test]
async fn an_appsecret_that_was_changed_shows_neither_the_old_one_nor_the_new() {
    let wechat = WeChat::start().await;
    let wxsign = Place::new(&wechat.url).serve().await;
    wxsign.signs().await;
    wechat.change(|app| app.secret = Secret::new("0123456789abcdef0123456789abcdef"));
    let second = Place::new(&wechat.url).serve().await;
    let answer = second.sign().await;
    assert_eq!(
        (answer.status, &answer.json["errcode"]),
        (503, &40125.into())
    );
    ends(second).await;
    ends(wxsign).await;
}

#[tokio::test]
async fn a_server_that_says_the_secret_back_is_not_repeated() {
    let say_back = async |request: Request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if request.uri().path() == TICKET_PATH {
            return format!(r#"{{"errcode":40097,"errmsg":"bad query: {query}"}}"#);
        }
        // The first call brings a token, so that the second one has something to say back.
        let token = "said-back";
        format!(r#"{{"errmsg":"{query}","access_token":"{token}","expires_in":7200}}"#)
    };
    let refuse = async |request: Request| {
        let query = request.uri().query().unwrap_or_default();
        format!(r#"{{"errcode":40125,"errmsg":"invalid appsecret in {query}, rid: 1-2-3"}}"#)
    };
    let html = async |request: Request| {
        let query = request.uri().query().unwrap_or_default();
        format!("<html><title>{query}</title></html>")
    };
    let routers = [
        Router::new().fallback(say_back),
        Router::new().fallback(refuse),
        Router::new().fallback(html),
    ];
    for router in routers {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await });
        let wxsign = Place::new(&upstream).serve().await;
        let answer = wxsign.sign().await;
        assert_eq!(answer.status, 503, "{answer:?}");
        wxsign.get("/readyz").await;
        let said = format!("{answer:?} {}", wxsign.log());
        assert!(!said.contains("said-back"), "{said}");
        ends(wxsign).await;
    }
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_named_without_the_secret() {
    let wxsign = Place::new(&nobody()).serve().await;
    let answer = wxsign.sign().await;
    assert_eq!(answer.status, 503);
    let detail = answer.json["detail"].as_str().unwrap();
    assert!(detail.to_lowercase().contains("refused"), "{detail}");
    wxsign.logs(" class=Transient ").await;
    ends(wxsign).await;
}

#[tokio::test]
async fn the_demo_shows_its_ticket_only_where_one_asks_for_it() {
    let mut demo = Place::new(&nobody()).demo().await;
    let page = format!("http://{}/demo", demo.address());
    let signature = format!("/jsapi/signature?url={page}");
    eventually("a page is signed", async || {
        (demo.get(&signature).await.status == 200).then_some(())
    })
    .await;
    for target in [
        "/demo",
        "/readyz",
        "/simulator/control",
        "/simulator/control/events",
    ] {
        demo.get(target).await;
    }
    let before = demo.said();
    let target = format!("/simulator/control/tickets?appid={APPID}");
    let answer = demo.get(&target).await;
    let ticket = answer.json["ticket"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer:?}"));
    assert!(!before.contains(&ticket[22..]), "{before}");
    assert!(!demo.log().contains(&ticket[22..]), "{}", demo.log());
    demo.signal(Signal::INT);
    assert_eq!(demo.exit_code().await, Some(0));
}

/// Ends in good order, so that the end is searched too.
async fn ends(mut wxsign: Wxsign) {
    wxsign.signal(Signal::INT);
    assert_eq!(wxsign.exit_code().await, Some(0));
    eventually("the end is logged", async || {
        wxsign.log().contains("stopped").then_some(())
    })
    .await;
}
