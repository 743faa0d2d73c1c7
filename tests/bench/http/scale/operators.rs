//! What those do who watch over many accounts or change them, what it takes, and what it costs
//! pages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wxsign::clock::Clock;

use super::database::{Database, KEY, appid_of};
use crate::server::Server;

/// So many accounts are added one after the other.
const CHANGES: u32 = 20;

/// A figure in words.
pub(crate) type Line = (String, String);

struct Answer {
    status: u16,
    body: String,
}

/// Asks as an operator.
fn ask(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\
         Authorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: body.to_owned(),
    }
}

/// Whether it signs for all accounts.
pub(super) fn all_sign(server: &Server) -> bool {
    let answer = ask(server, "GET", "/readyz", "");
    answer.status == 200 && !answer.body.contains("reasons")
}

fn now() -> Duration {
    Clock::system().moment().boot
}

fn millis(of: Duration) -> String {
    format!("{:.1} ms", of.as_secs_f64() * 1e3)
}

/// How long the slowest signature takes while `work` is done.
fn slowest(server: &Server, work: impl FnOnce()) -> Duration {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let signing = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let since = now();
                assert!(server.ask().is_some(), "it does not sign");
                slowest = slowest.max(now() - since);
            }
            slowest
        });
        work();
        done.store(true, Ordering::Relaxed);
        signing.join().unwrap()
    })
}

/// Looks at all that there is to see.
pub(super) fn watched(server: &Server, accounts: usize) -> Vec<Line> {
    let calm = slowest(server, || std::thread::sleep(Duration::from_secs(1)));
    let mut lines = vec![(
        "slowest signature of a calm second".to_owned(),
        millis(calm),
    )];
    for path in ["/readyz", "/metrics", "/v1/accounts"] {
        let (mut took, mut bytes) = (Duration::ZERO, 0);
        let slowest = slowest(server, || {
            let since = now();
            let answer = ask(server, "GET", path, "");
            assert_eq!(answer.status, 200, "{}", answer.body);
            let count = format!("wxsign_accounts {accounts}\n");
            assert!(path != "/metrics" || answer.body.contains(&count));
            (took, bytes) = (now() - since, answer.body.len());
        });
        lines.push((format!("{path}, {} KiB", bytes >> 10), millis(took)));
        lines.push(("  slowest signature meanwhile".to_owned(), millis(slowest)));
    }
    let memory = format!("{:.1} MiB", server.memory() / 1048576.0);
    lines.push(("memory after that".to_owned(), memory));
    lines
}

/// Adds, changes and removes accounts while all others are there.
pub(super) fn changed(server: &Server, database: &Database) -> Vec<Line> {
    let (since, cpu) = (now(), server.cpu());
    let accounts = database.accounts;
    for appid in (accounts..).map(appid_of).take(CHANGES as usize) {
        let body = r#"{"secret":"0123456789abcdef0123456789abcdef","page_hosts":["a.example.com"],"unchecked":true}"#;
        let answer = ask(server, "PUT", &format!("/v1/accounts/{appid}"), body);
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let each = |of: Duration| millis(of / CHANGES);
    let mut lines = vec![
        ("PUT /v1/accounts/{appid}".to_owned(), each(now() - since)),
        ("  CPU".to_owned(), each(server.cpu() - cpu)),
    ];
    let appid = appid_of(accounts + CHANGES as usize).to_string();
    let verbs: [&[&str]; 3] = [
        &["add", &appid, "--page-host", "a.example.com", "--unchecked"],
        &["list"],
        &["remove", &appid],
    ];
    for verb in verbs {
        let since = now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wxsign"));
        command.env_clear().current_dir(server.directory());
        let said = run_with_secret(command.arg("account").args(verb));
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{error}");
        let what = format!("wxsign account {}", verb[0]);
        lines.push((what, millis(now() - since)));
    }
    let cpu = server.cpu();
    std::thread::sleep(Duration::from_secs(5));
    let took = millis(server.cpu() - cpu);
    lines.push(("CPU to take both changes up".to_owned(), took));
    lines
}

/// Runs a command that may read an AppSecret.
fn run_with_secret(command: &mut Command) -> Output {
    command.stdin(Stdio::piped());
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = output.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that wants none may have ended.
    let _ = stdin.write_all(b"0123456789abcdef0123456789abcdef");
    drop(stdin);
    child.wait_with_output().unwrap()
}
