//! The browser helper beyond a first `wx.config`: which addresses it tries, what it does when the
//! route changes, what it says when all was in vain; its files and their types.

use serde_json::{Value, json};

use super::applications;
use super::harness::{Cdn, Stage};

/// What a page was told of each of its configurations.
const ANSWERS: &str =
    "simulatedWeChat.answers.map((answer) => answer.replace('pre_verify_jsapi:', ''))";

#[tokio::test]
async fn the_addresses_that_the_client_names_are_tried() {
    // Android names the addresses that it compared, computers do not.
    for client in ["v10", "mac"] {
        let stage = plain(client).await;
        let outcome = stage
            .settle(&format!(
                "wxsign.ready().then(() => {{
                   history.pushState(null, '', '/plain/cart');
                   return wxsign.ready();
                 }}).then(() => {{
                   simulatedWeChat.answers = [];
                   return wxsign.config({{ url: wxsign.landing }});
                 }}).then(({{ url }}) => [url === location.href, ...{ANSWERS}.slice(0, 2)])"
            ))
            .await;
        assert_eq!(
            outcome["resolved"],
            json!([true, "fail_invalid signature", "ok"]),
            "{client}"
        );
    }
}

#[tokio::test]
async fn when_no_address_helps_the_ticket_is_doubted_once() {
    let stage = plain("ios").await;
    // Signatures are wrong until wxsign is told so, or for good.
    for (heals, expected) in [(true, "ok"), (false, "invalid_signature")] {
        let outcome = stage
            .settle(&format!(
                "wxsign.ready().then(() => {{
                   const fetched = window.fetch;
                   const reports = [];
                   simulatedWeChat.answers = [];
                   window.fetch = async (address, options) => {{
                     const answer = await fetched(address, options);
                     if (/report/.test(address)) reports.push(JSON.parse(options.body), answer.status);
                     if (!/signature/.test(address) || (reports.length && {heals})) return answer;
                     const fields = await answer.json();
                     return new Response(JSON.stringify({{ ...fields, signature: 'of a dead ticket' }}));
                   }};
                   return wxsign.config().then(() => 'ok', ({{ code }}) => code).then((end) => {{
                     window.fetch = fetched;
                     return [end, {ANSWERS}.length, ...reports];
                   }});
                 }})"
            ))
            .await;
        let page = stage.client.current_url().await.expect("an address");
        let report = json!({ "url": page.as_str(), "errMsg": "config:invalid signature" });
        assert_eq!(
            outcome["resolved"],
            json!([expected, 2, report, 204]),
            "{outcome}"
        );
    }
}

#[tokio::test]
async fn a_refusal_links_to_its_explanation() {
    let stage = plain("android").await;
    let outcome = stage
        .settle(
            "wxsign.config({
               jsApiList: ['scanQRCode', 'updateTimelineShareData'],
               sign: () => ({ appId: 'wx0123456789abcdef', timestamp: 1, nonceStr: '~é文', signature: 'x' }),
             }).catch(({ code, debug }) => {
               const [address, data] = debug.split('#d=');
               const bytes = atob(decodeURIComponent(data));
               const json = new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
               return [code, address.replace(location.origin, ''), JSON.parse(json), location.href];
             })",
        )
        .await;
    let found = &outcome["resolved"];
    let (filled, page) = (&found[2], &found[3]);
    assert_eq!(
        (&found[0], &found[1]),
        (&json!("invalid_signature"), &json!("/debug"))
    );
    assert_eq!(
        (&filled["url"], &filled["realAuthUrl"]),
        (page, &json!([page, page]))
    );
    assert_eq!(filled["errMsg"], "config:invalid signature");
    assert_eq!(filled["config"]["nonceStr"], "~é文");
    // The page shares something, so that is asked for too, each once.
    let apis = filled["config"]["jsApiList"].as_array().expect("a list");
    assert_eq!((&apis[0], apis.len()), (&json!("scanQRCode"), 5));
    assert!(
        filled["ua"]
            .as_str()
            .expect("a text")
            .contains("MicroMessenger")
    );
}

#[tokio::test]
async fn routes_that_pass_quickly_cost_one_signature() {
    let stage = plain("android").await;
    let outcome = stage
        .settle(&format!(
            "wxsign.ready().then(() => {{
               for (let n = 0; n < 20; n += 1) history.pushState(null, '', '/plain/product/' + n);
               return wxsign.ready();
             }}).then(({{ url }}) => [url === location.href, ...{ANSWERS}])"
        ))
        .await;
    assert_eq!(outcome["resolved"], json!([true, "ok", "ok"]));
}

#[tokio::test]
async fn routes_are_noticed_without_the_navigation_api_too() {
    let stage = plain("mac").await;
    stage
        .before_every_page(
            "Object.defineProperty(window, 'navigation', { value: document.createElement('nav') });",
        )
        .await;
    stage.client.refresh().await.expect("a reload");
    let right = "then(({ url }) => seen.push(url === location.href.split('#')[0]))";
    let outcome = stage
        .settle(&format!(
            "(() => {{
               const seen = [];
               const fired = (name) => new Promise((resolve) => addEventListener(name, resolve, {{ once: true }}));
               return wxsign.ready()
                 .then(() => (history.pushState(null, '', '/plain/cart'), wxsign.ready())).{right}
                 .then(() => (history.replaceState(null, '', '/plain/orders'), wxsign.ready())).{right}
                 .then(() => (history.back(), fired('popstate'))).then(() => wxsign.ready()).{right}
                 .then(() => (location.hash = '#/cart', fired('hashchange'))).then(() => wxsign.ready()).{right}
                 .then(() => [...seen, ...{ANSWERS}]);
             }})()"
        ))
        .await;
    let expected = json!([true, true, true, true, "ok", "ok", "ok", "ok"]);
    assert_eq!(outcome["resolved"], expected, "{outcome}");
}

/// The manual of the open tags wants a new config with the new address.
#[tokio::test]
async fn open_tags_get_the_present_address_signed_on_ios_too_and_an_end_is_one() {
    for (client, refusals) in [("ios", 1), ("devtools", 0)] {
        let stage = plain(client).await;
        let outcome = stage
            .settle(
                "wxsign.ready().then(() => {
                   window.told = [];
                   simulatedWeChat.answers = [];
                   const onConfig = ({ url }) => told.push(url);
                   window.end = wxsign.watch({ openTagList: ['wx-open-launch-weapp'], onConfig });
                   return wxsign.ready();
                 }).then(() => {
                   history.pushState(null, '', '/plain/cart');
                   return wxsign.ready();
                 }).then(() => {
                   history.pushState(null, '', '/plain/orders');
                   return wxsign.ready();
                 }).then(({ url }) => {
                   history.pushState(null, '', '/plain/product');
                   end();
                   history.pushState(null, '', '/plain/');
                   return wxsign.ready().then((last) => [last.url === url, told, simulatedWeChat.answers]);
                 })",
            )
            .await;
        let found = &outcome["resolved"];
        assert_eq!(found[0], true, "{client}: {outcome}");
        let site = stage.site.as_ref().expect("it was asked for");
        let at = |path: &str| json!(format!("{}/plain/{path}", site.origin));
        let expected = match client {
            "ios" => [at(""), at(""), at("")],
            _ => [at(""), at("cart"), at("orders")],
        };
        assert_eq!(found[1], json!(expected), "{client}: {outcome}");
        let answers = found[2].as_array().expect("a list");
        let refused = answers.iter().filter(|answer| !is_ok(answer)).count();
        assert_eq!(
            (refused, answers.len()),
            (refusals, 3 + refusals),
            "{client}: {outcome}"
        );
    }
}

fn is_ok(answer: &Value) -> bool {
    answer
        .as_str()
        .is_some_and(|answer| answer.ends_with(":ok"))
}

#[tokio::test]
async fn a_second_watch_ends_the_first() {
    let stage = plain("android").await;
    let outcome = stage
        .settle(&format!(
            "wxsign.ready().then(() => {{
               window.told = [];
               const end = wxsign.watch({{ onConfig: () => told.push('first') }});
               wxsign.watch({{ onConfig: () => told.push('second') }});
               // That one has ended already.
               end();
               return wxsign.ready();
             }}).then(() => {{
               history.pushState(null, '', '/plain/cart');
               return wxsign.ready();
             }}).then(() => [...told, ...{ANSWERS}])"
        ))
        .await;
    let expected = json!(["second", "second", "ok", "ok", "ok"]);
    assert_eq!(outcome["resolved"], expected, "{outcome}");
}

#[tokio::test]
async fn a_watch_that_is_ended_at_once_asks_wechat_nothing() {
    let stage = plain("android").await;
    let outcome = stage
        .settle(&format!(
            "wxsign.ready().then(({{ url }}) => {{
               simulatedWeChat.answers = [];
               window.told = [];
               wxsign.watch({{ onConfig: () => told.push('it'), onError: () => told.push('it') }})();
               return wxsign.ready().then((last) => [url === last.url, ...told, ...{ANSWERS}]);
             }}).then((seen) => wxsign.config().then(() => [...seen, ...{ANSWERS}]))"
        ))
        .await;
    assert_eq!(outcome["resolved"], json!([true, "ok"]), "{outcome}");
}

/// The address is the landing one: a new config would bring no new permission.
#[tokio::test]
async fn an_account_that_may_not_share_costs_ios_no_config_for_each_route() {
    let stage = plain("ios").await;
    let names = "['updateAppMessageShareData', 'updateTimelineShareData', 'onMenuShareAppMessage', 'onMenuShareTimeline']";
    let denying = format!(
        "const fetched = window.fetch;
         window.fetch = async (address, options) => {{
           const answer = await fetched(address, options);
           if (!/preverify/.test(address)) return answer;
           return new Response(JSON.stringify({{ ...await answer.json(), denied: {names} }}));
         }};"
    );
    stage.before_every_page(&denying).await;
    stage.client.refresh().await.expect("a reload");
    // The helper looks when a route has rested for 50 ms: timers end in their order.
    let outcome = stage
        .settle(&format!(
            "(async () => {{
               await wxsign.ready();
               const ends = [];
               for (const name of ['cart', 'orders', 'product', '']) {{
                 history.pushState(null, '', '/plain/' + name);
                 const card = {{ title: name, imgUrl: 'I' }};
                 await wxsign.share(card).catch(({{ errMsg }}) => ends.push(errMsg));
                 await new Promise((resolve) => setTimeout(resolve, 60));
                 await wxsign.ready();
               }}
               return [ends, {ANSWERS}];
             }})()"
        ))
        .await;
    let found = &outcome["resolved"];
    assert_eq!(found[0].as_array().map(Vec::len), Some(4), "{outcome}");
    let answers = found[1].as_array().expect("a list");
    assert!(answers.len() <= 2, "{outcome}");
}

#[tokio::test]
async fn a_component_that_comes_late_may_share_whatever_was_listed() {
    for client in ["android", "ios"] {
        let stage = Stage::with(&["vue"]).await;
        let site = stage.site.as_ref().expect("it was asked for");
        site.opened_by(client);
        let address = format!("{}/vue/", site.origin);
        stage.client.goto(&address).await.expect("the application");
        let outcome = stage
            .settle(
                "new Promise((resolve) => {
                   const until = performance.now() + 10000;
                   const look = () => {
                     const { shares } = simulatedWeChat;
                     if (shares.length || performance.now() > until) resolve(shares);
                     else setTimeout(look, 10);
                   };
                   look();
                 })",
            )
            .await;
        assert_eq!(outcome["resolved"][0]["ok"], true, "{client}: {outcome}");
    }
}

/// Every browser but WeChat's would report it.
#[tokio::test]
async fn outside_wechat_the_plain_snippet_leaves_no_rejection_behind() {
    let stage = Stage::set(Cdn::Down).await;
    let docs = format!("{}/docs/frontend", stage.wxsign);
    stage.client.goto(&docs).await.expect("the page");
    let code = "return document.querySelector('#classic pre').textContent";
    let code = stage.run(code, Value::Null).await;
    let code = code.as_str().expect("a snippet");
    let (_, script) = code.rsplit_once("<script>").expect("a script");
    let script = script.split_once("</script>").expect("its end").0;
    let script = format!("{script}; setTimeout(() => Promise.reject('the last'), 0);");
    let page = format!("{}/page", stage.elsewhere);
    stage.client.goto(&page).await.expect("the page");
    let outcome = stage
        .settle(&format!(
            "new Promise((resolve) => {{
               const seen = [];
               addEventListener('unhandledrejection', ({{ reason }}) => {{
                 if (reason === 'the last') resolve(seen);
                 else seen.push(String(reason));
               }});
               const script = document.createElement('script');
               script.textContent = {};
               document.head.append(script);
             }})",
            json!(script)
        ))
        .await;
    assert_eq!(outcome["resolved"], json!([]), "{outcome}");
}

#[tokio::test]
async fn clients_without_the_new_share_calls_get_the_old_ones() {
    let stage = plain("android").await;
    let outcome = stage
        .settle(
            "(() => {
               const given = [];
               const { config, ready, error } = simulatedWeChat.wx;
               const tooOld = ({ fail }) => fail({ errMsg: 'updateTimelineShareData:function not exist' });
               const onMenuShareAppMessage = (card) => given.push(['chat', card]);
               const onMenuShareTimeline = (card) => given.push(['moments', card]);
               const sdk = { config, ready, error, updateTimelineShareData: tooOld, onMenuShareAppMessage, onMenuShareTimeline };
               return wxsign.ready()
                 .then(() => (wxsign.config({ sdk }), wxsign.share({ title: 'T', imgUrl: 'I', link: 'L' })))
                 .then((answers) => answers.map(({ errMsg }) => errMsg).concat(given.slice(-2)));
             })()",
        )
        .await;
    let card = json!({ "title": "T", "imgUrl": "I", "link": "L" });
    let expected = json!([
        "onMenuShareAppMessage:ok",
        "onMenuShareTimeline:ok",
        ["chat", card],
        ["moments", card],
    ]);
    assert_eq!(outcome["resolved"], expected, "{outcome}");
}

#[tokio::test]
async fn a_page_of_another_origin_imports_the_module() {
    let stage = Stage::set(Cdn::Down).await;
    let page = format!("{}/page", stage.elsewhere);
    stage.client.goto(&page).await.expect("the page");
    let module = format!("{}/static/wxsign.mjs", stage.wxsign);
    let outcome = stage
        .settle(&format!(
            "(history.pushState(null, '', '/later'), import('{module}'))
             .then((module) => [module.landing, Object.keys(module), Object.keys(wxsign).sort()])"
        ))
        .await;
    let names = json!(["config", "landing", "ready", "share", "watch"]);
    // Where the classic script was first, the module knows the landing address from it.
    assert_eq!(
        outcome["resolved"],
        json!([page, names, names]),
        "{outcome}"
    );
}

/// The types are right, and every application uses the helper rightly by them.
#[tokio::test]
async fn typescript_accepts_the_types_and_the_applications() {
    let stage = Stage::set(Cdn::Down).await;
    let source = applications::source(&stage.wxsign).await;
    applications::node(
        "typescript/bin/tsc",
        &["--project", "."],
        &[],
        source.path(),
    );
}

#[tokio::test]
async fn each_file_is_small_and_does_nothing_on_a_server() {
    const MOST_BYTES: u64 = 4096;
    let stage = Stage::set(Cdn::Down).await;
    let source = applications::source(&stage.wxsign).await;
    let script = source.path().join("measure.mjs");
    let lines = [
        "import { gzipSync } from 'node:zlib';",
        "const before = Object.getOwnPropertyNames(globalThis).join();",
        "const { config, landing } = await import('./vue/wxsign.mjs');",
        "const classic = await (await fetch(process.argv[2] + '/static/wxsign.js')).text();",
        "(0, eval)(classic);",
        "const changed = before !== Object.getOwnPropertyNames(globalThis).join();",
        "const code = await config().catch((error) => error.code);",
        "const sizes = {};",
        "for (const name of ['wxsign.js', 'wxsign.mjs', 'wxsign.d.ts']) {",
        "  const file = await (await fetch(process.argv[2] + '/static/' + name)).text();",
        "  sizes[name] = gzipSync(file).length;",
        "}",
        "console.log(JSON.stringify({ changed, landing, code, sizes }));",
    ];
    std::fs::write(&script, lines.join("\n")).expect("the cache can be written");
    let printed = applications::run_node(&script, &[&stage.wxsign], &[], source.path());
    let mut found: Value = serde_json::from_str(&printed).expect("what it prints");
    let sizes = found["sizes"].take();
    println!("{sizes}");
    for (name, size) in sizes.as_object().expect("the sizes") {
        assert!(
            size.as_u64().is_some_and(|size| size < MOST_BYTES),
            "{name}: {size}"
        );
    }
    let expected =
        json!({ "changed": false, "landing": "", "code": "not_in_wechat", "sizes": null });
    assert_eq!(found, expected);
}

/// The plain application, opened by `client`; it watches its route.
async fn plain(client: &str) -> Stage {
    let stage = Stage::with(&["plain"]).await;
    let site = stage.site.as_ref().expect("it was asked for");
    site.opened_by(client);
    let address = format!("{}/plain/", site.origin);
    stage.client.goto(&address).await.expect("the application");
    stage
}
