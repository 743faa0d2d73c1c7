//! Pages as everyone sees them: in both languages, light and dark, on a desk and on a phone. Each
//! is looked at by axe-core, and kept as a picture in `target/screenshots`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::Client;
use fantoccini::error::CmdError;
use serde_json::{Value, json};

use super::harness::DevTools;

const AXE: &str = "tests/.cache/axe-core-4.14.1/node_modules/axe-core/axe.min.js";

const SCHEMES: [&str; 2] = ["light", "dark"];

/// Of a desk and of a small phone.
const WIDTHS: [u32; 2] = [1280, 360];

/// What a page finds wrong with itself, if that is serious.
const LOOK: &str = "
    const done = arguments[arguments.length - 1];
    const wrong = [];
    if (document.documentElement.scrollWidth > innerWidth) wrong.push('it is wider than the screen');
    for (const image of document.images) if (!image.naturalWidth) wrong.push('there is no ' + image.src);
    axe.run(document, { resultTypes: ['violations'] }).then((found) => done(wrong.concat(
      found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))
        .map((one) => one.id + ': ' + one.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | ')))));";

/// Has `show` show a page in each language, looks at it in every dress, and says what is wrong.
pub(crate) async fn look(client: &Client, name: &str, show: impl AsyncFn(&str)) -> Vec<String> {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&pictures).expect("target/ can be written");
    let mut findings = Vec::new();
    for lang in ["zh", "en"] {
        show(lang).await;
        client
            .execute(&axe(), vec![])
            .await
            .expect("axe-core is a script");
        for (scheme, width) in SCHEMES
            .iter()
            .flat_map(|scheme| WIDTHS.map(|width| (scheme, width)))
        {
            put_on(client, scheme, width).await.expect("a dress");
            let found = client.execute_async(LOOK, vec![]).await;
            let found = found.expect("axe-core runs");
            let what = format!("{name}-{lang}-{scheme}-{width}");
            let found = found.as_array().expect("a list");
            findings.extend(found.iter().map(|one| format!("{what}: {one}")));
            let picture = picture(client).await.expect("a picture");
            std::fs::write(pictures.join(what + ".png"), picture).expect("target/ can be written");
        }
    }
    findings
}

/// axe-core, as a script that the page does not load itself, so that its policy has no say.
fn axe() -> String {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE);
    std::fs::read_to_string(&axe).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `tests/run` fetches it: npm install axe-core@4.14.1",
            axe.display()
        )
    })
}

async fn put_on(client: &Client, scheme: &str, width: u32) -> Result<(), CmdError> {
    let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    let screen = json!({
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
    });
    for (command, parameters) in [
        ("Emulation.setEmulatedMedia", scheme),
        ("Emulation.setDeviceMetricsOverride", screen),
    ] {
        client.issue_cmd(DevTools(command, parameters)).await?;
    }
    Ok(())
}

/// The whole page, also what one has to scroll to.
async fn picture(client: &Client) -> Result<Vec<u8>, CmdError> {
    let parameters = json!({ "format": "png", "captureBeyondViewport": true });
    let taken: Value = client
        .issue_cmd(DevTools("Page.captureScreenshot", parameters))
        .await?;
    let taken = taken["data"].as_str().expect("a text");
    Ok(STANDARD.decode(taken).expect("base64"))
}
