//! The console as an operator uses it: from the first link to a red card and back to green.

#[path = "console/axe.rs"]
mod axe;
#[path = "console/desk.rs"]
mod desk;
#[path = "console/strings.rs"]
mod strings;

use std::process::{Command, Stdio};
use std::time::Duration;

use desk::{APPID, Desk, PASSWORD, SECRET};
use wxsign::clock::Clock;
use wxsign::credential::Secret;
use wxsign::history::What;
use wxsign::simulator::{self, Action, Fault, FaultRule};

use crate::harness::{Driver, PATIENCE, Process};

const CARD: &str = "#card-wx0123456789abcdef";

/// The colour of the account's card.
const TONE: &str = "return document.querySelector('#card-wx0123456789abcdef').dataset.tone";

#[tokio::test]
async fn the_first_visitor_comes_by_the_link_and_wrong_passwords_lock_out() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_wxsign"));
    demo.args(["demo", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::null());
    let (_server, link) = Process::start(&mut demo, |line| {
        let start = line.find("http://localhost:")?;
        line[start..]
            .contains("/console/setup?token=")
            .then(|| line[start..].to_owned())
    });
    let (profile, driver) = (tempfile::tempdir().unwrap(), Driver::start());
    let local = "MAP localhost 127.0.0.1".to_owned();
    let client = driver.open(&[local], profile.path()).await;
    let page = async || {
        let text = client
            .execute("return document.body.innerText", vec![])
            .await;
        text.unwrap().as_str().unwrap().to_owned()
    };
    let answered = async || {
        let script = "return !window.former && document.readyState === 'complete'";
        // Between two pages there is none to ask.
        let waiting = async {
            while client.execute(script, vec![]).await.ok() != Some(true.into()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let answer = tokio::time::timeout(PATIENCE, waiting).await;
        answer.expect("the form is answered");
    };
    let submit = async |fields: &[(&str, &str)]| {
        for (id, text) in fields {
            let field = client.find(fantoccini::Locator::Id(id)).await.unwrap();
            field.send_keys(text).await.unwrap();
        }
        let button = fantoccini::Locator::Css("form.stack button");
        client
            .execute("window.former = true", vec![])
            .await
            .unwrap();
        client.find(button).await.unwrap().click().await.unwrap();
        answered().await;
    };
    client.goto(&format!("{link}&lang=en")).await.unwrap();
    submit(&[("password", PASSWORD), ("again", "another one or two")]).await;
    assert!(page().await.contains("The two passwords differ"));
    submit(&[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert!(page().await.contains("Demo shop"), "{}", page().await);
    let out = client.find(fantoccini::Locator::Id("logout")).await;
    let marks = client.execute("window.former = true", vec![]).await;
    marks.unwrap();
    out.unwrap().click().await.unwrap();
    answered().await;
    client.goto(&link).await.unwrap();
    assert!(page().await.contains("does not hold any more"));
    let base = &link[..link.find("/console").unwrap()];
    client.goto(&format!("{base}/console")).await.unwrap();
    for _ in 0..5 {
        submit(&[("password", "not the password")]).await;
        assert!(page().await.contains("This is not the password"));
    }
    submit(&[("password", PASSWORD)]).await;
    assert!(page().await.contains("Too many wrong passwords"));
}

#[tokio::test]
async fn a_card_turns_red_within_two_seconds_and_green_again_without_a_reload() {
    let desk = Desk::signed_in(|_, _| {}).await;
    desk.sees("a green card", &format!("{TONE} === 'ok'")).await;
    desk.run("window.same = true").await;
    let appid = APPID.parse().unwrap();
    let path = "/cgi-bin/token";
    let calls = || desk.simulator.counter(&appid, path).requests;
    let before = calls();
    desk.simulator.act(&appid, Action::RevokeTokens).unwrap();
    desk.simulator
        .inject(FaultRule::new(Fault::Errcode(40164)).on(path));
    let accounts = desk.app.keeper.accounts();
    let kept = accounts.get(APPID).unwrap();
    let patience = Duration::from_millis(1);
    desk.app.keeper.check_token(kept, patience).await;
    while calls() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let clock = Clock::system();
    let refused = clock.moment().boot;
    desk.sees("a red card", &format!("{TONE} === 'bad'")).await;
    let took = clock.moment().boot - refused;
    assert!(took < Duration::from_secs(2), "{took:?}");
    desk.reads("Address for the white list").await;
    let script = format!("return document.querySelector('{CARD} .address code').innerText");
    assert_eq!(desk.run(&script).await, "127.0.0.1");
    // What can be signed still is.
    desk.reads("still signing").await;
    desk.simulator.clear_faults();
    desk.app.keeper.try_again(kept);
    desk.sees("a green card", &format!("{TONE} === 'ok'")).await;
    assert_eq!(desk.run("return window.same").await, true);
}

#[tokio::test]
async fn whoever_reads_or_types_keeps_his_place_when_something_changes() {
    let other = "wx00000000000000aa";
    let desk = Desk::signed_in(|config, _| {
        let mut account = desk::account(other);
        account.name = None;
        config.accounts.push(account);
    })
    .await;
    let tone = |appid: &str| format!("return document.querySelector('#card-{appid}').dataset.tone");
    desk.sees("a green card", &format!("{} === 'ok'", tone(other)))
        .await;
    // It is the last card, and becomes the first: it moves, with the focus in it.
    let link = format!("document.getElementById('open-{APPID}')");
    desk.run(&format!("{link}.focus(); window.link = {link}"))
        .await;
    desk.simulator
        .inject(FaultRule::new(Fault::Errcode(40164)).on("/cgi-bin/token"));
    let appid = APPID.parse().unwrap();
    desk.simulator.act(&appid, Action::RevokeTokens).unwrap();
    let accounts = desk.app.keeper.accounts();
    let kept = accounts.get(APPID).unwrap();
    let patience = Duration::from_millis(1);
    desk.app.keeper.check_token(kept, patience).await;
    desk.sees("a red card", &format!("{TONE} === 'bad'")).await;
    let first = "return document.querySelector('.card').id";
    assert_eq!(desk.run(first).await, format!("card-{APPID}"));
    let same = format!("return document.activeElement === window.link && {link} === window.link");
    assert_eq!(desk.run(&same).await, true);
}

#[tokio::test]
async fn a_red_card_is_mended_by_its_button() {
    let desk = Desk::signed_in(|_, simulator| {
        simulator.inject(FaultRule::new(Fault::Errcode(40164)));
    })
    .await;
    desk.sees("a red card", &format!("{TONE} === 'bad'")).await;
    desk.reads("Cannot sign").await;
    desk.simulator.clear_faults();
    desk.click(&format!("{CARD} button.main")).await;
    desk.sees("a green card", &format!("{TONE} === 'ok'")).await;
    desk.go(&format!("/console/accounts/{APPID}")).await;
    desk.reads("renewals work again").await;
}

#[tokio::test]
async fn credentials_are_tried_and_the_answer_is_explained() {
    let listed = "wx00000000000000aa";
    let unlisted = "wx00000000000000bb";
    let desk = Desk::signed_in(|_, simulator| {
        for appid in [listed, unlisted] {
            let mut app = simulator::App::new(appid.parse().unwrap(), Secret::new(SECRET));
            app.knobs.ip_list = (appid == unlisted).then(Vec::new);
            simulator.add_app(app);
        }
    })
    .await;
    for (appid, secret, errcode, text) in [
        (listed, SECRET, "", "WeChat accepts them"),
        ("wx00000000000000cc", SECRET, "40013", "AppID"),
        (
            listed,
            "ffffffffffffffffffffffffffffffff",
            "40125",
            "AppSecret",
        ),
        (unlisted, SECRET, "40164", "127.0.0.1"),
        (APPID, SECRET, "", "See this account"),
    ] {
        desk.go("/console/try").await;
        desk.fill("appid", appid).await;
        desk.fill("secret", secret).await;
        desk.click("form.stack button").await;
        desk.sees("a verdict", "return document.getElementById('verdict')")
            .await;
        let said = desk.run("return document.getElementById('verdict').dataset.errcode");
        assert_eq!(said.await, errcode, "{appid}");
        desk.reads(text).await;
    }
    // Nothing was stored, and nothing in use was touched.
    assert_eq!(desk.app.keeper.accounts().len(), 1);
    let calls = desk
        .simulator
        .counter(&APPID.parse().unwrap(), "/cgi-bin/token");
    assert_eq!(calls.requests, 0);
}

#[tokio::test]
async fn an_account_is_checked_and_another_one_added() {
    let added = "wx00000000000000aa";
    let desk = Desk::signed_in(|_, simulator| {
        simulator.add_app(desk::wechats(&added.parse().unwrap()));
    })
    .await;
    desk.sees("a green card", &format!("{TONE} === 'ok'")).await;
    desk.go(&format!("/console/accounts/{APPID}")).await;
    desk.click("#renew").await;
    desk.reads("the access_token works").await;
    desk.reads("Calls today").await;
    desk.go("/console/accounts/new").await;
    desk.fill("appid", added).await;
    desk.fill("secret", "ffffffffffffffffffffffffffffffff")
        .await;
    desk.fill("name", "门店 Stores").await;
    desk.fill("page_hosts", "stores.example.com").await;
    desk.click("form.stack button").await;
    desk.reads("40125").await;
    desk.fill("secret", SECRET).await;
    desk.click("form.stack button").await;
    desk.reads("The account was added").await;
    let tone = format!("return document.querySelector('#card-{added}').dataset.tone === 'ok'");
    desk.sees("a green card", &tone).await;
    desk.go(&format!("/console/accounts/{added}/edit")).await;
    desk.fill("page_hosts", "new.example.com").await;
    desk.click("form.stack button").await;
    desk.reads("new.example.com").await;
    desk.click("input[name=sure]").await;
    desk.click("button.danger").await;
    desk.sees(
        "one card",
        "return document.querySelectorAll('.card').length === 1",
    )
    .await;
}

#[tokio::test]
async fn a_key_is_made_and_a_new_one_takes_its_place() {
    let desk = Desk::signed_in(|_, _| {}).await;
    desk.sees("a green card", &format!("{TONE} === 'ok'")).await;
    desk.go("/console/keys").await;
    desk.fill("name", "shop").await;
    desk.click("form.stack button").await;
    let made = "const made = document.querySelector('#made code'); return made && made.innerText";
    let first = desk.sees("a key", made).await;
    desk.click("#client-shop button[value=rotate]").await;
    let other = format!(
        "const made = document.querySelector('#made code'); return made && made.innerText !== {first} && made.innerText"
    );
    let second = desk.sees("another key", &other).await;
    let lets_in = async |key: &serde_json::Value| {
        let clients = desk.app.roster.clients();
        clients
            .find(key.as_str().unwrap(), Clock::system().now())
            .is_some()
    };
    assert!(lets_in(&first).await && lets_in(&second).await);
    desk.click("#client-shop button[value=drop_former]").await;
    desk.sees(
        "one key",
        "return !document.querySelector('#client-shop button[value=drop_former]')",
    )
    .await;
    assert!(!lets_in(&first).await && lets_in(&second).await);
    desk.click("#client-shop summary").await;
    desk.click("#client-shop input[name=sure]").await;
    desk.click("#client-shop button[value=revoke]").await;
    desk.sees(
        "no client",
        "return !document.querySelector('#client-shop')",
    )
    .await;
    assert!(!lets_in(&second).await);
}

#[tokio::test]
async fn what_happens_shows_up_among_the_events_and_is_found() {
    let desk = Desk::signed_in(|_, _| {}).await;
    desk.go("/console/events").await;
    desk.run("window.same = true").await;
    let appid = APPID.parse().unwrap();
    let history = &desk.app.history;
    let reported = |errcode| What::TokenReported {
        errcode,
        outcome: "outdated".to_owned(),
    };
    history.record(reported(42001), Some(&appid), Some("shop"));
    desk.reads("errcode 42001").await;
    assert_eq!(desk.run("return window.same").await, true);
    history.record(reported(40014), Some(&appid), Some("other"));
    desk.reads("errcode 40014").await;
    desk.fill("text", "42001").await;
    desk.click("form.search button").await;
    desk.sees(
        "one event",
        "return document.querySelectorAll('.events li').length === 1",
    )
    .await;
    desk.reads("by shop").await;
}

#[tokio::test]
async fn who_signs_in_from_the_debugger_finds_all_as_it_was() {
    let desk = Desk::set(false, |_, _| {}).await;
    let question = r#"{"url":"https://h5.example.com/?a=微","config":"{appId: 'wx1'}"}"#;
    let address = format!(
        "const bytes = new TextEncoder().encode({});
         return '/debug?lang=en#d=' + encodeURIComponent(btoa(String.fromCharCode(...bytes)))",
        serde_json::json!(question)
    );
    let address = desk.run(&address).await;
    desk.go(address.as_str().unwrap()).await;
    desk.reads("Sign in at the console").await;
    desk.click("a[href^='/console/login']").await;
    desk.sees("the login", "return location.pathname === '/console/login'")
        .await;
    desk.fill("password", "not the password").await;
    desk.click("form.stack button").await;
    desk.sees("a fault", "return document.getElementById('fault')")
        .await;
    desk.fill("password", PASSWORD).await;
    desk.click("form.stack button").await;
    // And it is asked at once.
    desk.reads("nonceStr").await;
    let fields =
        "return [location.pathname, url.value, config.value, Object.keys(sessionStorage).length]";
    let seen = desk.run(fields).await;
    let expected = serde_json::json!([
        "/debug",
        "https://h5.example.com/?a=微",
        "{appId: 'wx1'}",
        0
    ]);
    assert_eq!(seen, expected);
}
