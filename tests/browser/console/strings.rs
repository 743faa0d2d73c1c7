//! Strings that would run as scripts if a page forgot to escape one of them: none does.

use std::sync::Arc;

use serde_json::json;
use wxsign::console::Console;
use wxsign::credential::Secret;
use wxsign::history::What;
use wxsign::simulator::{Fault, FaultRule};

use super::desk::{APPID, Desk, PASSWORD, account};

/// A string a line; each would set `window.__xss`.
const STRINGS: &str = include_str!("xss.txt");

const RAN: &str = "return String(window.__xss)";

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn no_string_from_outside_runs() {
    let strings: Vec<&str> = STRINGS.lines().collect();
    assert_eq!(strings.len(), 60);
    let appid = |number: usize| format!("wx{number:016x}");
    let desk = Desk::signed_in(|config, simulator| {
        for (number, string) in strings.iter().enumerate() {
            let mut account = account(&appid(number));
            account.name = Some((*string).to_owned());
            let body = json!({ "errcode": 40164, "errmsg": string }).to_string();
            simulator.inject(FaultRule {
                appid: Some(account.appid.clone()),
                ..FaultRule::new(Fault::Body(body))
            });
            config.accounts.push(account);
        }
    })
    .await;
    // Names, and what WeChat says.
    let refused = "return document.querySelectorAll('.card.bad').length >= 49";
    desk.sees("refused accounts", refused).await;
    let mut pages = vec![
        "/console".to_owned(),
        "/console?page=2".to_owned(),
        "/console/events".to_owned(),
        "/console/events?what=renewal.failed".to_owned(),
    ];
    for (number, string) in strings.iter().enumerate() {
        let string = encoded(string);
        pages.push(format!("/console/accounts/{}", appid(number)));
        pages.push(format!("/console?q={string}&page={string}&lang={string}"));
        pages.push(format!(
            "/console/events?text={string}&what={string}&appid={string}"
        ));
        pages.push(format!("/console/try?appid={string}"));
        pages.push(format!("/console/accounts/new?appid={string}"));
        pages.push(format!("/console/accounts/{string}"));
    }
    for page in pages {
        desk.go(&page).await;
        assert_eq!(desk.run(RAN).await, "undefined", "{page}");
    }
    what_pages_report(&desk, &strings).await;
    what_is_typed(&desk, &strings).await;
    user_agents(&desk, &strings).await;
}

/// Anybody can have a page report something, which stands among the events.
async fn what_pages_report(desk: &Desk, strings: &[&str]) {
    let appid = APPID.parse().unwrap();
    let (last, others) = strings.split_last().unwrap();
    for string in others.iter().chain([last]) {
        let what = What::PageReported {
            host: (*string).to_owned(),
            err_msg: (*string).to_owned(),
        };
        desk.app.history.record(what, Some(&appid), Some(string));
    }
    let shown = format!(
        "return document.body.innerText.includes({})",
        json!(format!("by {last}"))
    );
    desk.go("/console/events?what=page.reported&lang=en").await;
    desk.sees("the last report", &shown).await;
    assert_eq!(desk.run(RAN).await, "undefined");
    desk.click("a[rel=next]").await;
    desk.reads(strings[0]).await;
    assert_eq!(desk.run(RAN).await, "undefined");
    desk.go(&format!("/console/accounts/{APPID}")).await;
    assert_eq!(desk.run(RAN).await, "undefined");
}

/// Forms that come back with what was typed.
async fn what_is_typed(desk: &Desk, strings: &[&str]) {
    for string in strings {
        for (path, field) in [("/console/keys", "name"), ("/console/try", "appid")] {
            desk.go(path).await;
            let script = format!(
                "const form = document.querySelector('form.stack');
                 form.noValidate = true;
                 form.querySelector('#{field}').value = {};
                 form.querySelectorAll('[type=password]').forEach((field) => field.value = 'x');
                 form.requestSubmit()",
                json!(string)
            );
            desk.run(&script).await;
            desk.sees("a fault", "return document.getElementById('fault')")
                .await;
            assert_eq!(desk.run(RAN).await, "undefined", "{field} {string}");
        }
    }
}

/// What browsers call themselves stands in the list of those that have signed in.
async fn user_agents(desk: &Desk, strings: &[&str]) {
    let clock = desk.app.keeper.clock().clone();
    let console = Arc::new(Console::new(desk.app.store.clone(), clock, None));
    for some in strings.chunks(15) {
        for string in some {
            let password = Secret::new(PASSWORD);
            console.sign_in(password, 1, string).await.unwrap();
        }
        // The oldest session, which is this browser's, may have been ended.
        let key = console
            .sign_in(Secret::new(PASSWORD), 1, "mine")
            .await
            .unwrap();
        let port = desk.url.rsplit(':').next().unwrap();
        let cookie = json!({
            "url": desk.url, "name": format!("wxsign-{port}"), "value": key.expose(), "path": "/", "httpOnly": true,
        });
        desk.devtools("Network.setCookie", cookie).await;
        desk.go("/console/system").await;
        desk.reads("mine").await;
        assert_eq!(desk.run(RAN).await, "undefined");
        let shown = desk.run("return document.body.innerText").await;
        assert!(shown.as_str().unwrap().contains(some[0]), "{}", some[0]);
    }
}
