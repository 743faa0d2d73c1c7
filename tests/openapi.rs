//! The interface keeps to its own description, whatever is sent to it: schemathesis
//! (<https://schemathesis.readthedocs.io>) reads `/openapi.json` of the demo and asks what may be
//! asked and what may not.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "serve/canaries.rs"]
mod canaries;
#[path = "serve/harness.rs"]
#[expect(dead_code, reason = "what the tests of `serve` use besides")]
mod harness;

use std::fs::{File, read_to_string, write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use harness::{Place, nobody};

/// It takes a minute or two.
const DEADLINE: Duration = Duration::from_secs(400);

const INSTALL: &str = "tests/run installs it";

/// How many requests are made up for each operation, beside those at the edges of its schemas.
const EXAMPLES: &str = "200";

const HOOKS: &str = include_str!("openapi/hooks.py");

#[tokio::test]
async fn every_answer_is_one_that_the_document_tells_of() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let program = sources.join(".cache/schemathesis-4.32.5/bin/schemathesis");
    assert!(program.exists(), "schemathesis is missing: {INSTALL}");

    let place = Place::new(&nobody()).with("WXSIGN_LOG", "warn");
    let demo = place.demo().await;
    let said = demo.said();
    let (_, key) = said.split_once("Bearer ").unwrap();
    let (key, _) = key.split_once('\'').unwrap();
    let url = format!("http://{}", demo.address());

    let config = include_str!("openapi/schemathesis.toml")
        .replace("$KEY", key)
        .replace("$PAGE", &format!("{url}/demo"));
    write(place.path().join("schemathesis.toml"), config).unwrap();
    write(place.path().join("hooks.py"), HOOKS).unwrap();
    let summary = place.path().join("summary.txt");
    let written = File::create(&summary).unwrap();
    let child = Command::new(program)
        .args(["run", &format!("{url}/openapi.json"), "--no-color"])
        .args(["-H", &format!("Authorization: Bearer {key}")])
        .args(["--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", EXAMPLES, "--seed", "20260101"])
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stderr(written.try_clone().unwrap())
        .stdout(written)
        .spawn()
        .unwrap();
    let status = end_of(child).await;
    let summary = read_to_string(summary).unwrap();
    let ended_well = status.is_some_and(|status| status.success());
    // It hides what it sent and shows what it got.
    assert!(ended_well, "{}", summary.replace("SIMULATED-", "…-"));
}

/// How it ended; `None` if it had to be killed.
async fn end_of(mut child: Child) -> Option<ExitStatus> {
    let ending = async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, ending).await.ok();
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ended
}
