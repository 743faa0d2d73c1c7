//! Every page of the console in both languages, light and dark, on a desk and on a phone: looked at
//! by axe-core, and kept as a picture in `target/screenshots`.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wxsign::credential::Secret;
use wxsign::roster::Draft;
use wxsign::simulator::{Fault, FaultRule};

use super::desk::{APPID, Desk, PASSWORD, SECRET, account, wechats};

const AXE: &str = "tests/.cache/axe-core-4.14.1/node_modules/axe-core/axe.min.js";

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

/// What a page finds wrong with itself, if that is serious.
pub(crate) const LOOK: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then((found) => done(
      found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))
        .map((one) => one.id + ': ' + one.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | '))));";

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
    let pictures = prepare(&desk).await;
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
        for lang in ["zh", "en"] {
            let joint = if path.contains('?') { '&' } else { '?' };
            desk.go(&format!("{path}{joint}lang={lang}")).await;
            look(&desk, &format!("{name}-{lang}"), &pictures, &mut findings).await;
        }
    }
    for (name, path, script) in FORMS {
        for lang in ["zh", "en"] {
            desk.go(&format!("{path}?lang={lang}")).await;
            desk.run("window.former = true").await;
            desk.run(script).await;
            desk.sees(
                "an answer",
                "return !window.former && document.readyState === 'complete'",
            )
            .await;
            look(&desk, &format!("{name}-{lang}"), &pictures, &mut findings).await;
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[tokio::test]
async fn so_can_those_of_whoever_has_not_signed_in() {
    let desk = Desk::set(false, |config, _| config.console.password = None).await;
    let pictures = prepare(&desk).await;
    let mut findings = Vec::new();
    let console = desk.app.console.as_ref().unwrap();
    let link = console.prepare().await.unwrap().unwrap();
    let setup = format!("/console/setup?token={}&", link.expose());
    for lang in ["zh", "en"] {
        for (name, path) in [("no-password", "/console/login?"), ("setup", &setup)] {
            desk.go(&format!("{path}lang={lang}")).await;
            look(&desk, &format!("{name}-{lang}"), &pictures, &mut findings).await;
        }
    }
    console.reset(Secret::new(PASSWORD)).await.unwrap();
    for lang in ["zh", "en"] {
        desk.go(&format!("/console/login?lang={lang}")).await;
        desk.fill("password", "not the password").await;
        desk.click("form.stack button").await;
        desk.sees("a fault", "return document.getElementById('fault')")
            .await;
        look(
            &desk,
            &format!("login-fault-{lang}"),
            &pictures,
            &mut findings,
        )
        .await;
    }
    // A proxy that nobody knows may have carried it in the clear.
    let headers = json!({ "headers": { "X-Forwarded-For": "192.0.2.1" } });
    desk.devtools("Network.enable", json!({})).await;
    desk.devtools("Network.setExtraHTTPHeaders", headers).await;
    for lang in ["zh", "en"] {
        desk.go(&format!("/console/login?lang={lang}")).await;
        desk.reads("TLS").await;
        look(
            &desk,
            &format!("tls-needed-{lang}"),
            &pictures,
            &mut findings,
        )
        .await;
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// Lets every page have axe-core; returns where pictures are kept.
async fn prepare(desk: &Desk) -> PathBuf {
    let parameters = json!({ "source": source() });
    desk.devtools("Page.addScriptToEvaluateOnNewDocument", parameters)
        .await;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&pictures).unwrap();
    pictures
}

/// Looks at the page that is shown, in each dress.
async fn look(desk: &Desk, name: &str, pictures: &Path, findings: &mut Vec<String>) {
    for scheme in ["light", "dark"] {
        for width in [1280, 390] {
            dress(desk, scheme, width).await;
            let found = desk.client.execute_async(LOOK, vec![]).await.unwrap();
            let what = format!("{name}-{scheme}-{width}");
            let overflows = "return document.documentElement.scrollWidth > innerWidth";
            if desk.run(overflows).await == true {
                findings.push(format!("{what}: it is wider than the screen"));
            }
            for one in found.as_array().unwrap() {
                findings.push(format!("{what}: {one}"));
            }
            std::fs::write(pictures.join(what + ".png"), picture(desk).await).unwrap();
        }
    }
}

/// axe-core, as a script.
pub(crate) fn source() -> String {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE);
    std::fs::read_to_string(&axe).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `tests/run` fetches it: npm install axe-core@4.14.1",
            axe.display()
        )
    })
}

async fn dress(desk: &Desk, scheme: &str, width: u32) {
    let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    desk.devtools("Emulation.setEmulatedMedia", scheme).await;
    let screen = json!({
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
    });
    desk.devtools("Emulation.setDeviceMetricsOverride", screen)
        .await;
}

/// The whole page, also what one has to scroll to.
async fn picture(desk: &Desk) -> Vec<u8> {
    let parameters = json!({ "format": "png", "captureBeyondViewport": true });
    let taken: Value = desk.devtools("Page.captureScreenshot", parameters).await;
    let taken = taken["data"].as_str().unwrap();
    STANDARD.decode(taken).unwrap()
}
