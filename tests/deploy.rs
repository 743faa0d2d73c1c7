//! What `wxsign print` prints, read by the programs that it is for.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "serve/canaries.rs"]
mod canaries;
#[path = "serve/harness.rs"]
#[expect(dead_code, reason = "not all of it is needed here")]
mod harness;
#[path = "deploy/manifests.rs"]
mod manifests;
#[path = "deploy/prometheus.rs"]
mod prometheus;
#[path = "deploy/proxies.rs"]
mod proxies;
#[path = "deploy/systemd.rs"]
mod systemd;

use std::process::{Command, Output};

/// What `wxsign print KIND` prints.
fn printed(kind: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wxsign"));
    let printed = output(command.args(["print", kind]), "");
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(!text.contains("{version}"), "{text}");
    text
}

/// Runs a program to its end; `package` has it.
fn output(command: &mut Command, package: &str) -> Output {
    let ran = command.output();
    ran.unwrap_or_else(|why| panic!("{command:?}: {why}: apt-get install {package}"))
}
