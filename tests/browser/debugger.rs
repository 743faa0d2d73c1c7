//! The debugger: what a failed run of the demo page leads to.

use std::path::Path;

use serde_json::{Value, json};

use super::console::axe;
use super::harness::{Cdn, Stage};
use super::{MISTAKES, mistaken};

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

/// Looked at by axe-core; leaves target/screenshots/ to be looked at by others.
#[tokio::test]
async fn the_debugger_fits_phones_and_desktops_in_both_languages() {
    let stage = Stage::set(Cdn::Up).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&folder).expect("target/ can be written");
    stage.before_every_page(&axe::source()).await;
    for (device, width, height) in [("phone", 390, 2300), ("desktop", 1280, 1700)] {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        stage
            .devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        for (scheme, lang) in [
            ("light", "en"),
            ("light", "zh"),
            ("dark", "en"),
            ("dark", "zh"),
        ] {
            let feature =
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            stage.devtools("Emulation.setEmulatedMedia", feature).await;
            stage
                .demo(&format!(
                    "?lang={lang}&mistake=html_escaped&from=singlemessage&id=1"
                ))
                .await;
            let link = "return document.getElementById('debug-link').href";
            let link = stage.run(link, Value::Null).await;
            stage.debugger(link.as_str().expect("an address")).await;
            let sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(
                stage.run(sideways, Value::Null).await,
                0,
                "{device} scrolls sideways"
            );
            let found = stage.client.execute_async(axe::LOOK, vec![]).await;
            assert_eq!(
                found.expect("axe-core runs"),
                json!([]),
                "{device} {scheme} {lang}"
            );
            let picture = stage.client.screenshot().await.expect("a picture");
            let name = format!("debug-{device}-{scheme}-{lang}.png");
            std::fs::write(folder.join(name), picture).expect("target/ can be written");
        }
    }
}
