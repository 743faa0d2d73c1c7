//! A page in a real browser, and everything that it talks to.
//!
//! [`Stage::set`] starts, on free ports of 127.0.0.1: `wxsign demo`, a server for Tencent's real
//! `jweixin-1.6.0.js`, chromedriver, and headless Chromium. The browser finds the SDK under its
//! real host names and nothing else outside this machine. Dropping the stage, also in a panic,
//! ends all of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::applications;
use super::site::Site;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The official file as npm carries it (`weixin-js-sdk@1.6.0`, `index.original.js`), without its
/// first line, a comment on where it came from.
const SDK_SHA256: &str = "e55662dc8c011c02ffc492e7140a8651ef0a4de6b907b69c4bb5e2982961da28";

/// Which of the SDK's two hosts the browser can reach.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cdn {
    Up,
    OnlyRes2,
    Down,
}

/// The servers and the browser of one test.
pub(crate) struct Stage {
    /// The browser.
    pub(crate) client: Client,
    /// `http://127.0.0.1:PORT` of `wxsign demo`.
    pub(crate) wxsign: String,
    /// `http://127.0.0.1:PORT` of the SDK's server; `/page` is an empty page with the helper.
    pub(crate) elsewhere: String,
    /// A site with the applications of `tests/pages`, where the test wants it.
    pub(crate) site: Option<Site>,
    // Dropped in this order: the driver ends the browser, whose profile goes last.
    _driver: Driver,
    _server: Process,
    _profile: TempDir,
}

impl Stage {
    pub(crate) async fn set(cdn: Cdn) -> Self {
        let (server, wxsign) = start_demo(&[]);
        Self::raise(cdn, server, wxsign, None).await
    }

    /// The same with more arguments for `wxsign demo`.
    pub(crate) async fn of_demo(arguments: &[&str]) -> Self {
        let (server, wxsign) = start_demo(arguments);
        Self::raise(Cdn::Up, server, wxsign, None).await
    }

    /// The same with [`Self::site`], which has these applications.
    pub(crate) async fn with(names: &[&str]) -> Self {
        let (server, wxsign) = start_demo(&[]);
        let applications = applications::built(&wxsign, names).await;
        let site = Site::open(&wxsign, applications).await;
        Self::raise(Cdn::Up, server, wxsign, Some(site)).await
    }

    async fn raise(cdn: Cdn, server: Process, wxsign: String, site: Option<Site>) -> Self {
        let elsewhere = serve_sdk(&wxsign).await;
        let profile = tempfile::tempdir().expect("a temporary directory");
        let driver = Driver::start();
        let sdk_server = elsewhere.trim_start_matches("http://");
        let hosts: &[&str] = match cdn {
            Cdn::Up => &["res.wx.qq.com", "res2.wx.qq.com"],
            Cdn::OnlyRes2 => &["res2.wx.qq.com"],
            Cdn::Down => &[],
        };
        let mut rules: Vec<String> = hosts
            .iter()
            .map(|host| format!("MAP {host}:80 {sdk_server}"))
            .collect();
        if let Some(site) = &site {
            let host = site.origin.trim_start_matches("http://");
            rules.push(format!("MAP {host} {}", site.address));
        }
        let client = driver.open(&rules, profile.path()).await;
        Self {
            client,
            wxsign,
            elsewhere,
            site,
            _driver: driver,
            _server: server,
            _profile: profile,
        }
    }

    /// Opens the demo page with `query` and waits until its run has ended.
    pub(crate) async fn demo(&self, query: &str) -> Outcome {
        // An address that differs in its fragment alone would not be loaded anew.
        self.client.goto("about:blank").await.expect("a blank page");
        let address = format!("{}/demo{query}", self.wxsign);
        self.client.goto(&address).await.expect("the demo page");
        self.client
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css("body[data-done]"))
            .await
            .unwrap_or_else(|error| panic!("the run of {address} did not end: {error}"));
        let seen = self.run(READ_PAGE, json!(null)).await;
        serde_json::from_value(seen).expect("what READ_PAGE returns")
    }

    /// Opens the debugger at an address that asks a question, and waits for its answer.
    pub(crate) async fn debugger(&self, address: &str) -> Value {
        self.client.goto("about:blank").await.expect("a blank page");
        self.client.goto(address).await.expect("the debugger");
        self.client
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css("body[data-done]"))
            .await
            .unwrap_or_else(|error| panic!("{address} was not answered: {error}"));
        self.run(READ_DEBUGGER, json!(null)).await
    }

    /// What the JavaScript expression `promise` settles to: `{"resolved"}` or `{"rejected"}`.
    pub(crate) async fn settle(&self, promise: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const plain = (value) => JSON.parse(JSON.stringify(value === undefined ? null : value));
             Promise.resolve({promise}).then(
               (value) => done({{ resolved: plain(value) }}),
               (error) => done({{ rejected: plain(Object.assign({{}}, error)) }}));"
        );
        self.client
            .execute_async(&script, vec![])
            .await
            .expect("the script runs")
    }

    /// Runs JavaScript in the page.
    pub(crate) async fn run(&self, script: &str, argument: Value) -> Value {
        self.client
            .execute(script, vec![argument])
            .await
            .expect("the script runs")
    }

    /// Runs `script` in every page from now on, before the page's own scripts.
    pub(crate) async fn before_every_page(&self, script: &str) {
        self.devtools(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": script }),
        )
        .await;
    }

    /// A command of the DevTools protocol (<https://chromedevtools.github.io/devtools-protocol/>).
    pub(crate) async fn devtools(&self, command: &'static str, parameters: Value) {
        self.client
            .issue_cmd(DevTools(command, parameters))
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

/// What the demo page shows when its run has ended.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Outcome {
    /// `ok` or `failed`.
    pub(crate) verdict: String,
    pub(crate) headline: String,
    /// The code of the diagnosis, when there is one.
    pub(crate) diagnosis: String,
    /// What a reader sees of the explanation.
    pub(crate) explanation: String,
    /// The steps' states in their order: `sdk:ok signature:ok …`.
    pub(crate) steps: String,
    /// The steps' notes, a line each.
    pub(crate) notes: String,
    /// The events that the SDK fired: `wx.error wx.ready`.
    pub(crate) events: String,
    /// How many reports the SDK wanted to send to Tencent, all kept in the page.
    pub(crate) reports: usize,
}

const READ_PAGE: &str = "
    const all = (selector) => Array.from(document.querySelectorAll(selector));
    const steps = all('.steps > li');
    const fired = document.querySelector('#step-ready pre').textContent || '[]';
    return {
      verdict: document.getElementById('verdict').dataset.state,
      headline: document.getElementById('headline').innerText,
      diagnosis: all('#finding-what dt code').map((code) => code.textContent).join(),
      explanation: document.getElementById('findings').innerText,
      steps: steps.map((step) => step.id.replace('step-', '') + ':' + step.dataset.state).join(' '),
      notes: steps.map((step) => step.querySelector('.note').innerText).join('\\n'),
      events: JSON.parse(fired).map((entry) => entry.event).join(' '),
      reports: window.simulatedWeChat ? simulatedWeChat.reports.length : 0,
    };";

fn start_demo(arguments: &[&str]) -> (Process, String) {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_wxsign"));
    demo.args(["demo", "--listen", "127.0.0.1:0"]);
    Process::start(demo.args(arguments), |line| {
        let start = line.find("http://127.0.0.1:")?;
        let address = &line[start..];
        Some(address[..address.find("/demo")?].to_owned())
    })
}

const READ_DEBUGGER: &str = "
    const all = (selector) => Array.from(document.querySelectorAll(selector));
    return {
      state: document.querySelector('#report .verdict').dataset.state,
      codes: all('#report .mistake dt code').map((code) => code.textContent).join(' '),
      config: document.getElementById('config').value,
      differs: all('#report del, #report ins').length > 0,
      text: document.getElementById('report').innerText,
    };";

/// Serves the SDK's file, and an empty page that holds nothing but the helper.
async fn serve_sdk(wxsign: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/jweixin-1.6.0.js");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}. `tests/run` fetches it: npm pack weixin-js-sdk@1.6.0, from which \
             package/index.original.js is that file",
            file.display()
        )
    });
    let sdk = match text.split_once('\n') {
        Some((comment, rest)) if comment.starts_with("//") => rest.to_owned(),
        _ => text,
    };
    let digest = Sha256::digest(&sdk);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, SDK_SHA256, "{} is not the SDK", file.display());
    let page = format!(
        "<!doctype html><title>page</title><script crossorigin src=\"{wxsign}/static/wxsign.js\"></script>"
    );
    let router = Router::new()
        .route("/page", get(|| async { Html(page) }))
        .route(
            "/open/js/jweixin-1.6.0.js",
            get(|| async { ([(CONTENT_TYPE, "application/javascript")], sdk) }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(async { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// chromedriver, and through it the browser.
pub(crate) struct Driver {
    port: u16,
    _process: Process,
}

impl Driver {
    pub(crate) fn start() -> Self {
        let (process, port) = Process::start(
            Command::new("chromedriver").args(["--port=0", "--allowed-ips=127.0.0.1"]),
            |line| {
                line.split_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .parse()
                    .ok()
            },
        );
        Self {
            port,
            _process: process,
        }
    }

    /// Starts a browser that reaches this machine alone, and what `rules` of Chromium's
    /// `--host-resolver-rules` lead to it.
    pub(crate) async fn open(&self, rules: &[String], profile: &Path) -> Client {
        let rules: String = rules.iter().map(|rule| format!("{rule}, ")).collect();
        let capabilities = json!({ "goog:chromeOptions": { "args": [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--lang=en-US",
            format!("--user-data-dir={}", profile.display()),
            format!(
                "--host-resolver-rules={rules}MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            ),
        ] } });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("the literal above is an object")
        };
        ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .expect("chromium starts; `tests/run` installs it: apt-get install chromium chromium-driver")
    }
}

impl Drop for Driver {
    /// Asks chromedriver to end, which ends the browser first; killed, it would leave it behind.
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            // What fails here is then killed.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.write_all(
                b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            );
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

/// A child process that is killed on drop.
pub(crate) struct Process {
    child: Child,
    // Closed, it would fail the child's next line.
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts `command` and reads its output up to the line in which `find` finds something.
    pub(crate) fn start<T>(command: &mut Command, find: impl Fn(&str) -> Option<T>) -> (Self, T) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{command:?}: {error}. `tests/run` installs what is missing: \
                     apt-get install chromium chromium-driver"
                )
            });
        let stdout = child.stdout.take().expect("it was piped above");
        let mut process = Self {
            child,
            _stdout: BufReader::new(stdout),
        };
        let mut heard = String::new();
        loop {
            let start = heard.len();
            let read = process._stdout.read_line(&mut heard).expect("its output");
            assert!(read > 0, "{command:?} ended early; it said: {heard}");
            if let Some(found) = find(heard[start..].trim_end()) {
                return (process, found);
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// chromedriver's own way to the DevTools protocol.
#[derive(Debug)]
pub(crate) struct DevTools(pub(crate) &'static str, pub(crate) Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({ "cmd": self.0, "params": self.1 });
        (http::Method::POST, Some(body.to_string()))
    }
}
