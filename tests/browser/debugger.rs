//! The debugger: what a failed run of the demo page leads to.

use serde_json::Value;

use super::harness::{Cdn, Stage};
use super::{MISTAKES, dresses, mistaken};

#[tokio::test]
async fn a_failed_run_opens_the_debugger_filled_in_and_it_names_the_mistake() {
    let stage = Stage::set(Cdn::Up).await;
    for (mistake, code) in MISTAKES {
        stage.demo(&mistaken(mistake, "android")).await;
        let link = "return document.getElementById('debug-link').href";
        let link = stage.run(link, Value::Null).await;
        let seen = stage.debugger(link.as_str().expect("an address")).await;
        assert_eq!(
            (seen["state"].as_str(), seen["codes"].as_str()),
            (Some("failed"), Some(code)),
            "{seen:#}"
        );
        assert!(
            seen["config"]
                .as_str()
                .expect("it is filled in")
                .contains("nonceStr")
        );
        assert_eq!(seen["differs"], mistake != "upper_case_hex", "{seen:#}");
    }
    let address = format!("{}/debug#d=bm90IEpTT04", stage.wxsign);
    stage.client.goto(&address).await.expect("the page");
    let config = "return document.getElementById('config').value";
    assert_eq!(
        stage.run(config, Value::Null).await,
        "",
        "what is no question is left alone"
    );
}

#[tokio::test]
async fn it_is_filled_in_where_storage_is_blocked() {
    let stage = Stage::set(Cdn::Up).await;
    let blocked = "Object.defineProperty(window, 'sessionStorage', {
        get() { throw new DOMException('blocked', 'SecurityError'); },
    });";
    stage.before_every_page(blocked).await;
    // {"url":"https://h5.example.com/"}
    let question = "eyJ1cmwiOiJodHRwczovL2g1LmV4YW1wbGUuY29tLyJ9";
    let address = format!("{}/debug?lang=en#d={question}", stage.wxsign);
    stage.client.goto(&address).await.expect("the page");
    let url = "return document.getElementById('url').value";
    assert_eq!(stage.run(url, Value::Null).await, "https://h5.example.com/");
}

#[tokio::test]
async fn the_debugger_can_be_read_by_everyone() {
    let stage = Stage::set(Cdn::Up).await;
    let show = async |lang: &str| {
        let query = format!("?lang={lang}&mistake=html_escaped&from=singlemessage&id=1");
        stage.demo(&query).await;
        let link = "return document.getElementById('debug-link').href";
        let link = stage.run(link, Value::Null).await;
        stage.debugger(link.as_str().expect("an address")).await;
    };
    let findings = dresses::look(&stage.client, "debug", show).await;
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// The page's own limits are above what anyone pastes; the server's are told in words.
#[tokio::test]
async fn what_is_too_long_is_told_in_the_page() {
    let stage = Stage::set(Cdn::Up).await;
    for (letters, words) in [(100_000, "longer than 16 KiB"), (150_000, "131072 bytes")] {
        let address = format!("{}/debug?lang=en", stage.wxsign);
        stage.client.goto(&address).await.expect("the page");
        let seen = stage
            .settle(&format!(
                "new Promise((resolve) => {{
                   url.value = 'https://h5.example.com/';
                   config.value = 'x'.repeat({letters});
                   new MutationObserver(() => resolve(report.innerText)).observe(report, {{ childList: true }});
                   question.requestSubmit();
                 }})"
            ))
            .await;
        let told = seen["resolved"].as_str().expect("a text");
        assert!(told.contains("This cannot be checked yet"), "{told}");
        assert!(told.contains(words), "{told}");
    }
}
