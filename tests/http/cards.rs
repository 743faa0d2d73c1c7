//! Coupons, from the back end that hands them out to WeChat, which takes each signature once; and
//! the ticket that they are signed with.

use serde_json::{Value, json};
use wxsign::client::Scope;
use wxsign::credential::Secret;
use wxsign::simulator::{AddCard, ChooseCard};

use crate::console;
use crate::dropin::{TICKET, fetch};
use crate::harness::{APPID, PAGE, Server, Setup, is_problem, members, until};
use crate::wire::{Answer, Request};

const CARD: &str = "pFS7Fjg8kV1IdDz01r4SQwMkuCKc";

/// A server whose account hands out coupons, and back ends.
fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.config.accounts[0].wx_card = true;
    setup.add_client("shop", &[Scope::Ticket]);
    setup.add_client("all", &Scope::ALL);
    setup
}

async fn start() -> Server {
    let server = setup().start_ready().await;
    until("the ticket for coupons", async || {
        let answer = server.ask(&choice("")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    server
}

fn hand_out(body: &Value) -> Request {
    let target = format!("/v1/accounts/{APPID}/card-ext");
    Request::post(target, body.to_string()).of("shop")
}

fn choice(query: &str) -> Request {
    Request::get(format!("/jsapi/card-sign?appid={APPID}{query}"))
}

fn choice_of(body: &Value) -> Request {
    let target = format!("/v1/accounts/{APPID}/card-sign");
    Request::post(target, body.to_string()).of("shop")
}

fn ticket(query: &str) -> Request {
    Request::get(format!("/v1/accounts/{APPID}/card-ticket{query}")).of("shop")
}

/// What a page hands on to the SDK, with the account of its `wx.config`.
fn to_the_sdk<T: serde::de::DeserializeOwned>(answer: &Answer) -> T {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let mut says = answer.json();
    says["appid"] = APPID.into();
    serde_json::from_value(says).unwrap()
}

#[tokio::test]
async fn a_coupon_goes_over_a_page_into_a_wallet_once() {
    let server = start().await;
    let cards = json!({"cards": [
        {"card_id": CARD, "code": "", "openid": null},
        {"card_id": CARD, "code": "1434008071", "openid": "oABCD-123"},
        {"card_id": CARD, "fixed_begintimestamp": 1_700_000_000, "outer_str": "海报 \"7\""},
    ]});
    let answer = server.ask(&hand_out(&cards)).await;
    assert_eq!(members(&answer.json()), ["cardList"]);
    let page: AddCard = to_the_sdk(&answer);
    let mut nonces = Vec::new();
    for (i, (card, wanted)) in (page.card_list.iter())
        .zip([
            &["code", "nonce_str", "signature", "timestamp"][..],
            &["code", "nonce_str", "openid", "signature", "timestamp"],
            &[
                "fixed_begintimestamp",
                "nonce_str",
                "outer_str",
                "signature",
                "timestamp",
            ],
        ])
        .enumerate()
    {
        assert_eq!(card.card_id, CARD);
        let ext: Value = serde_json::from_str(&card.card_ext).unwrap();
        assert_eq!(members(&ext), wanted);
        // Both as texts: the SDK hands them on as they are.
        assert!(ext["timestamp"].as_str().unwrap().parse::<u32>().is_ok());
        nonces.push(ext["nonce_str"].as_str().unwrap().to_owned());
        assert_eq!(nonces[i].len(), 16);
        for (name, value) in cards["cards"][i].as_object().unwrap() {
            assert!(name == "card_id" || ext[name] == *value, "{name}");
        }
    }
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 3);
    let taken = server.simulator.add_card(&page).unwrap();
    assert!(taken.ok, "{taken:?}");
    let again = server.simulator.add_card(&page).unwrap();
    assert_eq!(again.errmsg, "the nonce was used before");
    // What is not signed may be changed, and nothing else.
    let mut forged: AddCard = to_the_sdk(&server.ask(&hand_out(&cards)).await);
    forged.card_list[1].card_ext = forged.card_list[1].card_ext.replace("oABCD", "oEVIL");
    let refused = server.simulator.add_card(&forged).unwrap();
    assert_eq!(refused.errmsg, "invalid signature");
    server.end().await;
}

#[tokio::test]
async fn a_visitor_chooses_from_his_coupons_and_his_page_needs_no_key() {
    let server = start().await;
    for query in [
        "",
        "&cardType=GROUPON",
        "&cardType=GENERAL_COUPON&shopId=1024&cardId=",
    ] {
        let request = choice(query).with("Origin", "https://ok.example.com");
        let answer = server.ask(&request).await;
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(origin, "https://ok.example.com");
        let page: ChooseCard = to_the_sdk(&answer);
        assert_eq!(page.nonce_str.len(), 16);
        let taken = server.simulator.choose_card(&page).unwrap();
        assert!(taken.ok, "{query}: {taken:?}");
        let again = server.simulator.choose_card(&page).unwrap();
        assert!(!again.ok);
    }
    let other = choice("").with("Origin", "https://evil.example");
    let answer = server.ask(&other).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    // There is one account: it need not be named.
    let answer = server.get("/jsapi/card-sign").await;
    let said = answer.json();
    let wanted = [
        "cardId",
        "cardSign",
        "cardType",
        "nonceStr",
        "shopId",
        "signType",
        "timestamp",
    ];
    assert_eq!(members(&said), wanted);
    server.end().await;
}

#[tokio::test]
async fn only_a_back_end_may_say_which_kind_of_coupon_is_chosen_from() {
    let server = start().await;
    let refused = server.ask(&choice(&format!("&cardId={CARD}"))).await;
    is_problem(&refused, 400, "invalid_query", "/card-sign");
    // Nor may anything be told as a type or a shop of which a kind can be made.
    for query in [
        format!("&cardType={CARD}"),
        format!("&shopId={CARD}"),
        "&cardType=groupon".to_owned(),
        "&cardType=GROUP%4FN".to_owned(),
        "&shopId=123456789012345678901".to_owned(),
        "&cardType=A&cardType=B".to_owned(),
    ] {
        let refused = server.ask(&choice(&query)).await;
        is_problem(&refused, 400, "invalid_query", "");
    }
    // As it is called in WeChat's list of what is signed: else all types would be signed for.
    for (name, called) in [("card_type", "cardType"), ("location_id", "shopId")] {
        let mistaken = server.ask(&choice(&format!("&{name}=1"))).await;
        is_problem(&mistaken, 400, "invalid_query", called);
    }
    assert_eq!(server.ask(&choice("&_=1700000000")).await.status, 200);
    let asked = json!({"cardType": "GROUPON", "cardId": CARD});
    let page: ChooseCard = to_the_sdk(&server.ask(&choice_of(&asked)).await);
    assert_eq!((&*page.card_id, &*page.card_type), (CARD, "GROUPON"));
    assert!(server.simulator.choose_card(&page).unwrap().ok);
    server.end().await;
}

#[tokio::test]
async fn the_ticket_is_read_as_the_others_are() {
    let server = start().await;
    let read = server.ask(&ticket("")).await;
    assert_eq!(read.status, 200, "{read:?}");
    let said = read.json();
    let value = said["card_ticket"].as_str().unwrap();
    assert!(
        server
            .simulator
            .card_ticket_is_accepted(&server.appid, value)
    );
    assert!(!server.simulator.ticket_is_accepted(&server.appid, value));
    let wanted = [
        "cache_seconds",
        "card_ticket",
        "expires_at",
        "expires_in",
        "fingerprint",
    ];
    assert_eq!(members(&said)[..5], wanted);
    let known = ticket("").with("If-None-Match", read.header("etag"));
    assert_eq!(server.ask(&known).await.status, 304);
    let waiting = ticket("?wait=1&generation=7");
    assert_eq!(server.ask(&waiting).await.json()["generation"], 1);
    // An SDK that was pointed here finds it where it looks for it at WeChat.
    let token = server.ask(&fetch(APPID, "all")).await.json();
    let token = token["access_token"].as_str().unwrap();
    let query = format!("{TICKET}?access_token={token}&type=wx_card");
    let of_sdk = server.get(query).await.json();
    assert_eq!(
        (&of_sdk["errcode"], &of_sdk["ticket"]),
        (&json!(0), &json!(value))
    );
    server.end().await;
}

#[tokio::test]
async fn the_ticket_is_seen_wherever_the_others_are() {
    let mut setup = setup();
    setup.config.console.password = Some(Secret::new(console::PASSWORD));
    let server = setup.start_ready().await;
    until("the ticket for coupons", async || {
        (server.ask(&choice("")).await.status == 200).then_some(())
    })
    .await;
    let account = Request::get(format!("/v1/accounts/{APPID}")).of("all");
    let status = server.ask(&account).await.json();
    assert_eq!(status["wx_card"], true);
    assert_eq!(status["card_ticket"]["generation"], 1);
    assert_eq!(status["leases"]["card_ticket"], Value::Null);
    let metrics = server.get("/metrics").await.text().to_owned();
    let labels = format!("{{appid=\"{APPID}\",kind=\"card_ticket\"}} 1");
    for name in ["wxsign_credential_usable", "wxsign_credential_generation"] {
        assert!(metrics.contains(&format!("{name}{labels}")), "{metrics}");
    }
    assert!(!metrics.contains("agent_ticket"));
    let events = Request::get("/v1/events?what=renewal&text=card_ticket").of("all");
    until("the event", async || {
        let events = server.ask(&events).await.json();
        (events["events"].as_array()?.len() == 1).then_some(())
    })
    .await;
    let cookie = console::signed_in(&server).await;
    let path = format!("/console/accounts/{APPID}");
    let page = console::get(&path).with("Cookie", &cookie);
    let page = server.ask(&page).await.text().to_owned();
    assert!(page.contains("<h2>card_ticket</h2>"), "{page}");
    assert!(page.contains("<option value=\"card_ticket\">"), "{page}");
    let fields = [("kind", "card_ticket"), ("password", console::PASSWORD)];
    let shown = console::post(&format!("{path}/reveal"), &fields).with("Cookie", &cookie);
    let shown = server.ask(&shown).await.text().to_owned();
    let value = server.ask(&ticket("")).await.json();
    assert!(shown.contains(value["card_ticket"].as_str().unwrap()));
    server.end().await;
}

#[tokio::test]
async fn an_account_that_may_not_hand_out_coupons_signs_its_pages() {
    let setup = setup();
    setup
        .simulator
        .change_app(&APPID.parse().unwrap(), |app| {
            app.knobs.card_errcode = Some(48001);
        })
        .unwrap();
    let server = setup.start_ready().await;
    server.signs().await;
    let refused = until("WeChat's word", async || {
        let answer = server.ask(&choice("")).await;
        answer.json()["errcode"].is_number().then_some(answer)
    })
    .await;
    is_problem(&refused, 503, "credential_unavailable", "");
    assert_eq!(refused.json()["errcode"], 48001);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let reasons = ready.json()["reasons"].to_string();
    assert!(reasons.contains("48001"), "{reasons}");
    server.end().await;
}

#[tokio::test]
async fn coupons_need_a_key_with_its_scope_and_have_their_share_of_the_limits() {
    let mut setup = setup();
    setup.add_client("till", &[Scope::Token, Scope::Proxy]);
    setup.config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    setup.config.limits.signatures_per_address = 1;
    let server = setup.start_ready().await;
    let target = format!("/v1/accounts/{APPID}/card-ext");
    let body = json!({"cards": [{"card_id": CARD}]}).to_string();
    let without = server.ask(&Request::post(&*target, &*body)).await;
    is_problem(&without, 401, "key_required", "");
    let other = server
        .ask(&Request::post(&*target, &*body).of("till"))
        .await;
    is_problem(&other, 403, "scope_missing", "ticket");
    let greedy = choice("").with("X-Forwarded-For", "203.0.113.1");
    let refused = until("the limit", async || {
        let answer = server.ask(&greedy).await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    is_problem(&refused, 429, "rate_limited", "");
    // It is the limit of the page's signatures, too.
    let page = crate::harness::signature(PAGE).with("X-Forwarded-For", "203.0.113.1");
    assert_eq!(server.ask(&page).await.status, 429);
    server.end().await;
}

#[tokio::test]
async fn each_problem_with_coupons_reads_well() {
    let cards = |card: Value| hand_out(&json!({ "cards": [card] }));
    let mut asked = vec![
        ("no JSON", choice_of(&json!([]))),
        ("another member", choice_of(&json!({"card_id": CARD}))),
        ("no card", hand_out(&json!({"cards": []}))),
        (
            "too many",
            hand_out(&json!({"cards": vec![json!({"card_id": CARD}); 21]})),
        ),
        ("no card_id", cards(json!({}))),
        (
            "a blank behind it",
            cards(json!({"card_id": format!("{CARD} ")})),
        ),
        ("an empty card_id", cards(json!({"card_id": ""}))),
        (
            "a long channel",
            cards(json!({"card_id": CARD, "outer_str": "微".repeat(129)})),
        ),
        ("a page that names a cardId", choice("&cardId=p")),
        ("no type", choice("&cardType=none")),
        ("no shop", choice("&shopId=A")),
    ];
    let server = start().await;
    let mut shown = String::new();
    for (what, request) in asked.drain(..) {
        shown += &crate::problems::show(&server, what, &request).await;
    }
    server.end().await;

    let mut setup = Setup::new();
    setup.add_client("shop", &[Scope::Ticket]);
    let server = setup.start_ready().await;
    let card = json!({ "card_id": CARD });
    for (what, request) in [
        ("coupons without wx_card", cards(card)),
        ("a choice without it", choice("")),
        ("the ticket without it", ticket("")),
    ] {
        shown += &crate::problems::show(&server, what, &request).await;
    }
    server.end().await;
    insta::assert_snapshot!("cards", shown);
}
