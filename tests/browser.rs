//! The product's main job: a real page, in a real browser, with Tencent's real JS-SDK, gets a
//! `wx.config` that an independent check accepts, and says why when it does not.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "browser/applications.rs"]
mod applications;
#[path = "browser/clients.rs"]
mod clients;
#[path = "browser/console.rs"]
mod console;
#[path = "browser/debugger.rs"]
mod debugger;
#[path = "browser/demo.rs"]
mod demo;
#[path = "browser/dresses.rs"]
mod dresses;
#[path = "browser/harness.rs"]
mod harness;
#[path = "browser/helper.rs"]
mod helper;
#[path = "browser/site.rs"]
mod site;

use harness::{Cdn, Outcome, Stage};
use serde_json::{Value, json};

const ALL_OK: &str = "sdk:ok signature:ok config:ok ready:ok share:ok";
const REFUSED: &str = "sdk:ok signature:ok config:failed ready:warning share:failed";

/// Each mistake of the demo page, and what the diagnosis calls it.
const MISTAKES: [(&str, &str); 9] = [
    ("fragment_kept", "fragment_kept"),
    ("other_page", "other_page"),
    ("query_cut", "query_cut"),
    ("html_escaped", "html_escaped"),
    ("url_encoded", "url_encoded"),
    ("stale_ticket", "stale_ticket"),
    ("foreign_host", "host_differs"),
    ("timestamp_milliseconds", "timestamp_milliseconds"),
    ("upper_case_hex", "upper_case_hex"),
];

#[tokio::test]
async fn the_right_page_is_accepted() {
    let stage = Stage::set(Cdn::Up).await;
    for client in ["android", "ios"] {
        let page = stage.demo(&format!("?lang=en&client={client}")).await;
        assert_eq!(
            (page.verdict.as_str(), page.steps.as_str()),
            ("ok", ALL_OK),
            "{page:#?}"
        );
        assert!(
            page.notes
                .starts_with("res.wx.qq.com/open/js/jweixin-1.6.0.js")
        );
        assert!(page.notes.contains("config:ok"));
        assert!(page.notes.contains("updateAppMessageShareData:ok"));
        assert_eq!(page.events, "wx.ready");
        assert_eq!(page.reports, 1, "the SDK's report stays in the page");
    }
}

#[tokio::test]
async fn a_hash_route_takes_no_part_in_the_signature() {
    let stage = Stage::set(Cdn::Up).await;
    let page = stage
        .demo("?from=singlemessage&isappinstalled=0#/cart/7?x=1&y=#2")
        .await;
    assert_eq!(page.steps, ALL_OK, "{page:#?}");
    let again = stage
        .settle(
            "(location.hash = '#/elsewhere', wxsign.config({ jsApiList: ['scanQRCode'] }))
             .then(({ url }) => url === location.href.split('#')[0])",
        )
        .await;
    assert_eq!(again, json!({ "resolved": true }));
}

#[tokio::test]
async fn each_mistake_is_refused_and_named() {
    let stage = Stage::set(Cdn::Up).await;
    for (mistake, code) in MISTAKES {
        let page = stage.demo(&mistaken(mistake, "android")).await;
        assert_refused(&page, code);
        assert_eq!(
            page.events, "wx.error wx.ready",
            "ready comes after an error too"
        );
        assert!(page.explanation.contains("how to mend it"), "{page:#?}");
        if mistake == "foreign_host" {
            assert!(
                page.explanation.contains("403 host_not_allowed"),
                "{page:#?}"
            );
        }
    }
}

#[tokio::test]
async fn wechat_10_is_understood_although_its_sdk_hides_errors() {
    let stage = Stage::set(Cdn::Up).await;
    let right = stage.demo("?lang=en&client=v10").await;
    assert_eq!(right.steps, ALL_OK, "{right:#?}");
    for mistake in ["stale_ticket", "other_page"] {
        let wrong = stage.demo(&mistaken(mistake, "v10")).await;
        assert_refused(&wrong, mistake);
        assert_eq!(
            wrong.events, "wx.ready",
            "the SDK compares \"10.0\" < \"6.0.2\" as texts"
        );
    }
}

#[tokio::test]
async fn a_bridge_that_cannot_be_overheard_is_asked_instead() {
    let stage = Stage::set(Cdn::Up).await;
    stage
        .before_every_page(
            "document.addEventListener('WeixinJSBridgeReady', () => Object.freeze(WeixinJSBridge), true);",
        )
        .await;
    for client in ["android", "v10"] {
        let right = stage.demo(&format!("?lang=en&client={client}")).await;
        assert_eq!(right.steps, ALL_OK, "{right:#?}");
        let wrong = stage.demo(&mistaken("stale_ticket", client)).await;
        assert_eq!(wrong.verdict, "failed", "{wrong:#?}");
    }
}

#[tokio::test]
async fn without_the_first_host_the_sdk_comes_from_the_second() {
    let stage = Stage::set(Cdn::OnlyRes2).await;
    let page = stage.demo("?lang=en").await;
    assert_eq!(page.steps, ALL_OK, "{page:#?}");
    assert!(page.notes.starts_with("res2.wx.qq.com/"), "{page:#?}");
}

#[tokio::test]
async fn without_the_cdn_the_page_says_so_and_a_stand_in_is_used() {
    let stage = Stage::set(Cdn::Down).await;
    let right = stage.demo("?lang=en").await;
    assert_eq!(
        right.steps, "sdk:warning signature:ok config:ok ready:ok share:ok",
        "{right:#?}"
    );
    assert!(right.notes.contains("cannot be reached"), "{right:#?}");
    let wrong = stage.demo(&mistaken("stale_ticket", "android")).await;
    assert_eq!(
        (wrong.verdict.as_str(), wrong.diagnosis.as_str()),
        ("failed", "stale_ticket")
    );
    assert_eq!(wrong.events, "wx.error wx.ready");
    let alone = stage.settle("wxsign.config({ jsApiList: [] })").await;
    assert_eq!(alone["rejected"]["code"], "sdk_unreachable");
}

#[tokio::test]
async fn outside_wechat_the_helper_says_so_at_once() {
    let stage = Stage::set(Cdn::Up).await;
    stage
        .client
        .goto(&format!("{}/page", stage.elsewhere))
        .await
        .expect("the page");
    let outcome = stage
        .settle("wxsign.config({ jsApiList: ['scanQRCode'] })")
        .await;
    assert_eq!(outcome["rejected"]["code"], "not_in_wechat");
    assert_eq!(outcome["rejected"]["errMsg"], "");
    let loaded = stage.run("return 'jWeixin' in window", Value::Null).await;
    assert_eq!(loaded, false, "nothing was loaded for nothing");
}

#[tokio::test]
async fn a_bridge_that_never_comes_is_a_timeout() {
    let stage = Stage::set(Cdn::Up).await;
    pretend_wechat(&stage).await;
    stage
        .client
        .goto(&format!("{}/page", stage.elsewhere))
        .await
        .expect("the page");
    let outcome = stage
        .settle("wxsign.config({ timeout: 2000, jsApiList: [], sign: () => ({ signature: 'x' }) })")
        .await;
    assert_eq!(outcome["rejected"]["code"], "timeout");
    assert_eq!(outcome["rejected"]["phase"], "bridge");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_network_error() {
    let stage = Stage::set(Cdn::Up).await;
    pretend_wechat(&stage).await;
    stage
        .client
        .goto(&format!("{}/page", stage.elsewhere))
        .await
        .expect("the page");
    let absent = stage
        .settle("wxsign.config({ endpoint: 'http://127.0.0.1:1/', jsApiList: [] })")
        .await;
    assert_eq!(absent["rejected"]["code"], "network");
    let another = stage
        .settle("wxsign.config({ endpoint: '/page', jsApiList: [] })")
        .await;
    assert_eq!(another["rejected"]["code"], "signature_refused");
    assert_eq!(another["rejected"]["problem"]["status"], 200);
}

#[tokio::test]
async fn a_refusal_of_the_server_reaches_the_page() {
    let stage = Stage::set(Cdn::Up).await;
    stage.demo("").await;
    let outcome = stage
        .settle("wxsign.config({ url: 'https://elsewhere.example/', jsApiList: [] })")
        .await;
    let error = &outcome["rejected"];
    assert_eq!(error["code"], "signature_refused");
    assert_eq!(error["problem"]["code"], "host_not_allowed");
    assert_eq!(error["problem"]["status"], 403);
}

#[tokio::test]
async fn configs_wait_for_each_other_and_a_failed_one_does_not_stop_the_next() {
    let stage = Stage::set(Cdn::Up).await;
    stage.demo("").await;
    let outcome = stage
        .settle(
            "(() => {
               const list = ['getLocation'];
               const wrong = { sign: () => ({ appId: 'wx', timestamp: 1, nonceStr: 'n', signature: 'x' }) };
               const one = wxsign.config({ jsApiList: list }).then(() => 'ok', (error) => error.code);
               const two = wxsign.config(Object.assign({ jsApiList: list }, wrong)).then(() => 'ok', (error) => error.code);
               const three = wxsign.config({ jsApiList: list }).then(() => 'ok', (error) => error.code);
               return Promise.all([one, two, three]).then((ends) => ends.concat(list));
             })()",
        )
        .await;
    let ends = outcome["resolved"].as_array().expect("all of them end");
    assert_eq!((&ends[0], &ends[2]), (&json!("ok"), &json!("ok")));
    assert_ne!(ends[1], "ok", "the second ended in its own way");
    assert_eq!(
        ends[3], "getLocation",
        "the caller's list is left as it was"
    );
}

#[tokio::test]
async fn an_amd_loader_on_the_page_does_not_get_in_the_way() {
    let stage = Stage::set(Cdn::Up).await;
    stage
        .before_every_page(
            "window.strays = 0; window.define = () => { strays += 1; }; define.amd = {}; window.loader = define;",
        )
        .await;
    let page = stage.demo("?lang=en").await;
    assert_eq!(page.steps, ALL_OK, "{page:#?}");
    let left = stage
        .run(
            "return [strays, window.define === loader, 'wx' in window]",
            Value::Null,
        )
        .await;
    assert_eq!(left, json!([0, true, true]));
}

#[tokio::test]
async fn the_real_wechat_is_told_that_this_is_a_simulator() {
    let stage = Stage::set(Cdn::Up).await;
    stage.demo("").await;
    let shown = "return !document.getElementById('real-wechat').hidden";
    assert_eq!(stage.run(shown, Value::Null).await, false);
    pretend_wechat(&stage).await;
    let page = stage.demo("?lang=en").await;
    assert_eq!(
        page.steps, ALL_OK,
        "the simulated client is used all the same: {page:#?}"
    );
    assert_eq!(stage.run(shown, Value::Null).await, true);
}

/// The demo page's link to a mistake.
fn mistaken(mistake: &str, client: &str) -> String {
    format!("?lang=en&client={client}&mistake={mistake}&from=singlemessage")
}

fn assert_refused(page: &Outcome, code: &str) {
    assert_eq!(
        (
            page.headline.as_str(),
            page.diagnosis.as_str(),
            page.steps.as_str()
        ),
        ("config:invalid signature", code, REFUSED),
        "{page:#?}"
    );
}

/// The user agent of a WeChat that has no bridge.
async fn pretend_wechat(stage: &Stage) {
    let agent = json!({ "userAgent": "Mozilla/5.0 (Linux; Android 13) MicroMessenger/8.0.47" });
    stage.devtools("Network.setUserAgentOverride", agent).await;
}
