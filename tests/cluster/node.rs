//! One server among several.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wxsign::account::AppId;
use wxsign::client::KeyHash;

use crate::engines::eventually;
use crate::wechat::WeChat;

/// The key of the one back end.
pub(crate) const KEY: &str = "c4n4ry_key_0123456789abcdefghijklmnop";

/// A place where a server runs again and again; killed when it is dropped.
pub(crate) struct Node {
    pub(crate) number: usize,
    directory: TempDir,
    env: Vec<(String, String)>,
    child: Option<Child>,
    address: Option<SocketAddr>,
    /// How often it was started.
    pub(crate) life: usize,
}

impl Node {
    /// A node with the accounts of `wechat` and its records at `store`, not started yet.
    pub(crate) fn new(number: usize, wechat: &WeChat, store: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let configuration = format!(
            "upstream = \"{}\"\nstore = \"{store}\"\n[limits]\nsignatures_per_address = 0\n\
             [[client]]\nname = \"shop\"\nkey_sha256 = \"{}\"\naccounts = [\"*\"]\n\
             scopes = [\"token\", \"ticket\", \"status\", \"report\", \"admin\"]\n{}",
            wechat.url,
            KeyHash::of(KEY),
            wechat.configuration(),
        );
        std::fs::write(directory.path().join("wxsign.toml"), configuration).unwrap();
        Self {
            number,
            directory,
            env: Vec::new(),
            child: None,
            address: None,
            life: 0,
        }
    }

    /// The same with a variable set.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn output(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts it and waits until it listens.
    pub(crate) async fn start(&mut self) {
        self.launch();
        self.listens().await;
    }

    /// Starts it.
    pub(crate) fn launch(&mut self) {
        self.life += 1;
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.output("log"));
        let child = Command::new(env!("CARGO_BIN_EXE_wxsign"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("WXSIGN_LOG", "info,wxsign=debug")
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(File::create(self.output("stdout")).unwrap())
            .stderr(log.unwrap())
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Waits until it listens.
    pub(crate) async fn listens(&mut self) {
        let address = eventually("it says where it listens", async || {
            let said = std::fs::read_to_string(self.output("stdout")).unwrap();
            let (address, _) = said.split_once("http://")?.1.split_once('\n')?;
            Some(address.parse().unwrap())
        });
        self.address = Some(address.await);
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("it runs"))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Where it listens while it runs.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address.filter(|_| self.is_running())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends it in the middle of what it does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let child = self.child.as_mut().unwrap();
        let ended = eventually("it ends", async || child.try_wait().unwrap());
        assert!(ended.await.success());
        self.child = None;
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.output("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            // One that stands still would not be ended otherwise.
            let _ = kill_process(Pid::from_child(child), Signal::CONT);
        }
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- node {}, its last lines first", self.number);
            eprintln!("{}", last.join("\n"));
        }
        let log = self.log();
        assert!(!log.contains("c4n4ry"), "a secret is in the log");
        assert!(!log.contains("this is a bug"), "{log}");
    }
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Asks the server at `address` for `target`; `None` if it does not answer in time.
pub(crate) async fn get(address: SocketAddr, target: &str, patience: Duration) -> Option<Answer> {
    ask(address, "GET", target, "", patience).await
}

/// Sends a request with the key of the back end.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    body: &str,
    patience: Duration,
) -> Option<Answer> {
    ask_with(address, method, target, KEY, body, patience).await
}

/// Sends a request with a key.
pub(crate) async fn ask_with(
    address: SocketAddr,
    method: &str,
    target: &str,
    key: &str,
    body: &str,
    patience: Duration,
) -> Option<Answer> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: wxsign\r\nConnection: close\r\n\
             Authorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer {
            status,
            body: body.to_owned(),
        })
    };
    tokio::time::timeout(patience, asking).await.ok()?
}

/// What is asked for to sign the page of an account.
pub(crate) fn signature(appid: &AppId) -> String {
    let page: String = form_urlencoded::byte_serialize(WeChat::page(appid).as_bytes()).collect();
    format!("/jsapi/signature?appid={appid}&url={page}")
}

pub(crate) fn token(appid: &AppId) -> String {
    format!("/v1/accounts/{appid}/access-token")
}
