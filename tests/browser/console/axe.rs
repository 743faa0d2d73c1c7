//! Every page of the console in every dress.

use serde_json::json;
use wxsign::credential::Secret;
use wxsign::roster::Draft;
use wxsign::simulator::{Fault, FaultRule};

use super::desk::{APPID, Desk, PASSWORD, SECRET, account, wechats};
use crate::dresses;

/// An account that WeChat refuses.
const REFUSED: &str = "wx00000000000000aa";

/// An account that was added at run time.
const ADDED: &str = "wx00000000000000bb";

const PAGES: [(&str, &str); 13] = [
    ("login", "/console/login"),
    ("overview", "/console"),
    ("account", "/console/accounts/wx0123456789abcdef"),
    ("account-refused", "/console/accounts/wx00000000000000aa"),
    ("new-account", "/console/accounts/new"),
    ("edit", "/console/accounts/wx00000000000000bb/edit"),
    ("try", "/console/try"),
    ("debugger", "/debug"),
    ("events", "/console/events"),
    ("keys", "/console/keys"),
    ("system", "/console/system"),
    ("not-found", "/console/nothing"),
    ("link-ended", "/console/setup?token=none"),
];

/// What forms are answered with: a name, where the form is, and what fills it in and sends it.
const FORMS: [(&str, &str, &str); 8] = [
    (
        "try-refused",
        "/console/try",
        "appid.value = 'wx00000000000000aa'; secret.value = 'x'; appid.form.submit()",
    ),
    (
        "try-accepted",
        "/console/try",
        "appid.value = 'wx00000000000000bb'; secret.value = '0123456789abcdef0123456789abcdef';
         appid.form.submit()",
    ),
    (
        "reveal-fault",
        "/console/accounts/wx0123456789abcdef",
        "password.value = 'not the password'; password.form.submit()",
    ),
    (
        "try-fault",
        "/console/try",
        "appid.value = 'none'; secret.value = 'x'; appid.form.submit()",
    ),
    (
        "new-account-faults",
        "/console/accounts/new",
        "appid.value = 'none'; document.querySelector('.stack').submit()",
    ),
    (
        "key-made",
        "/console/keys",
        "document.querySelector('.stack #name').value = 'shop-' + document.documentElement.lang;
         document.querySelector('.stack').submit()",
    ),
    (
        "doctor",
        "/console/system",
        "document.getElementById('doctor').form.submit()",
    ),
    (
        "revealed",
        "/console/accounts/wx0123456789abcdef",
        "password.value = 'four words and more'; password.form.submit()",
    ),
];

#[tokio::test]
async fn every_page_can_be_read_by_everyone() {
    let desk = Desk::set(true, |config, simulator| {
        let mut refused = account(REFUSED);
        refused.name = None;
        config.accounts.push(refused);
        let rule = FaultRule::new(Fault::Errcode(40164));
        let appid = Some(REFUSED.parse().unwrap());
        simulator.inject(FaultRule { appid, ..rule });
    })
    .await;
    desk.simulator.add_app(wechats(&ADDED.parse().unwrap()));
    let added = desk.app.roster.put(Draft {
        appid: ADDED.parse().unwrap(),
        name: Some("门店 Stores".to_owned()),
        token_api: None,
        page_hosts: "stores.example.com".parse().unwrap(),
        secret: Some(Secret::new(SECRET)),
        unchecked: true,
        wx_card: None,
    });
    added.await.unwrap();
    let mut findings = Vec::new();
    for (name, path) in PAGES {
        if name == "overview" {
            desk.fill("password", PASSWORD).await;
            desk.click("form.stack button").await;
            let tone = format!(
                "const card = document.querySelector('#card-{APPID}'); return card && card.dataset.tone === 'ok'"
            );
            desk.sees("a green card", &tone).await;
        }
        let joint = if path.contains('?') { '&' } else { '?' };
        let show = async |lang: &str| desk.go(&format!("{path}{joint}lang={lang}")).await;
        findings.extend(dresses::look(&desk.client, name, show).await);
    }
    for (name, path, script) in FORMS {
        let show = async |lang: &str| {
            desk.go(&format!("{path}?lang={lang}")).await;
            desk.run("window.former = true").await;
            desk.run(script).await;
            let answered = "return !window.former && document.readyState === 'complete'";
            desk.sees("an answer", answered).await;
        };
        findings.extend(dresses::look(&desk.client, name, show).await);
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[tokio::test]
async fn so_can_those_of_whoever_has_not_signed_in() {
    let desk = Desk::set(false, |config, _| config.console.password = None).await;
    let mut findings = Vec::new();
    let console = desk.app.console.as_ref().unwrap();
    let link = console.prepare().await.unwrap().unwrap();
    let setup = format!("/console/setup?token={}&", link.expose());
    for (name, path) in [("no-password", "/console/login?"), ("setup", &setup)] {
        let show = async |lang: &str| desk.go(&format!("{path}lang={lang}")).await;
        findings.extend(dresses::look(&desk.client, name, show).await);
    }
    console.reset(Secret::new(PASSWORD)).await.unwrap();
    let show = async |lang: &str| {
        desk.go(&format!("/console/login?lang={lang}")).await;
        desk.fill("password", "not the password").await;
        desk.click("form.stack button").await;
        let fault = "return document.getElementById('fault')";
        desk.sees("a fault", fault).await;
    };
    findings.extend(dresses::look(&desk.client, "login-fault", show).await);
    // A proxy that nobody knows may have carried it in the clear.
    let headers = json!({ "headers": { "X-Forwarded-For": "192.0.2.1" } });
    desk.devtools("Network.enable", json!({})).await;
    desk.devtools("Network.setExtraHTTPHeaders", headers).await;
    let show = async |lang: &str| {
        desk.go(&format!("/console/login?lang={lang}")).await;
        desk.reads("TLS").await;
    };
    findings.extend(dresses::look(&desk.client, "tls-needed", show).await);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
