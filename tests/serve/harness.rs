//! The real binary as users run it, and WeChat beside it.
//!
//! [`WeChat::start`] serves the simulator from this process, so that a test reads its counters
//! and injects faults directly. [`Place::new`] is a directory of its own with an environment that
//! fits; [`Place::serve`] starts `wxsign serve` in it and reads the address that it prints.
//!
//! Everything that a server printed or answered is kept. When it is dropped, also by a failing
//! test, it is killed; then nothing of what it said may hold the AppSecret, a token or a ticket.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use wxsign::account::AppId;
use wxsign::client::KeyHash;
use wxsign::clock::Clock;
use wxsign::credential::Kind;
use wxsign::server;
use wxsign::simulator::{App, Knobs, Preverify, Simulator, wechat_router};
use wxsign::store::{Key, Record, Sqlite, Store};

use crate::canaries;

pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const PAGE: &str = "https://h5.example.com/page?id=1";
pub(crate) const TOKEN_PATH: &str = "/cgi-bin/token";
pub(crate) const TICKET_PATH: &str = "/cgi-bin/ticket/getticket";

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("it did not happen: {what}"))
}

/// The simulated WeChat, served over HTTP.
pub(crate) struct WeChat {
    pub(crate) simulator: Simulator,
    pub(crate) url: String,
    _ends_it: DropGuard,
}

impl WeChat {
    pub(crate) async fn start() -> Self {
        let simulator = canaries::simulator(Clock::system());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let router = wechat_router(simulator.clone());
        tokio::spawn(server::serve(listener, router, stop.clone()));
        Self {
            simulator,
            url,
            _ends_it: stop.drop_guard(),
        }
    }

    /// Bends WeChat's behaviour.
    pub(crate) fn turn(&self, change: impl FnOnce(&mut Knobs)) {
        self.change(|app| change(&mut app.knobs));
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut App)) {
        self.simulator.change_app(&appid(), change).unwrap();
    }

    pub(crate) fn calls(&self, path: &str) -> u64 {
        self.simulator.counter(&appid(), path).requests
    }

    /// The calls for a token and for a ticket.
    pub(crate) fn fetches(&self) -> (u64, u64) {
        (self.calls(TOKEN_PATH), self.calls(TICKET_PATH))
    }

    /// Whether WeChat accepts `config` on [`PAGE`].
    pub(crate) fn accepts(&self, config: &Value) -> bool {
        let mut ask: Preverify = serde_json::from_value(config.clone()).unwrap();
        ask.js_api_list = vec!["scanQRCode".to_owned()];
        ask.urls = vec![PAGE.to_owned()];
        self.simulator.preverify(&ask).ok
    }
}

pub(crate) fn appid() -> AppId {
    APPID.parse().unwrap()
}

/// A directory and an environment for one server after the other.
pub(crate) struct Place {
    directory: TempDir,
    env: Vec<(String, String)>,
}

impl Place {
    /// One account in the environment, everything in memory.
    pub(crate) fn new(upstream: &str) -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
            env: Vec::new(),
        };
        place
            .with("WXSIGN_APPID", APPID)
            .with("WXSIGN_SECRET", canaries::APP_SECRET)
            .with("WXSIGN_PAGE_HOSTS", "h5.example.com")
            .with("WXSIGN_UPSTREAM", upstream)
            .with("WXSIGN_STORE", "memory:")
            .with("WXSIGN_LOG", "trace")
    }

    /// The same with a variable set.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a variable for the servers that are started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The same with everything in a file.
    pub(crate) fn with_database(self) -> Self {
        self.with("WXSIGN_STORE", "sqlite:wxsign.db")
    }

    /// The same where a server has run before.
    pub(crate) fn with_former_server(self) -> Self {
        let place = self.with_database();
        drop(Sqlite::open(&place.path().join("wxsign.db")).unwrap());
        place
    }

    /// What the file holds of a credential.
    pub(crate) async fn stored(&self, kind: Kind) -> Record {
        let store = Store::new(Sqlite::open(&self.path().join("wxsign.db")).unwrap());
        let appid = appid();
        store.load(&Key { appid, kind }).await.unwrap().0
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        self.command_by(env!("CARGO_BIN_EXE_wxsign"), args)
    }

    fn command_by(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a verb that ends by itself, with `input` on its stdin; what it said holds no secret.
    pub(crate) async fn run(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without having read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        // WeChat is served by this thread.
        let ending = tokio::task::spawn_blocking(|| child.wait_with_output());
        let output = tokio::time::timeout(PATIENCE, ending).await;
        let output = output.expect("an end in time").unwrap().unwrap();
        let ran = Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        canaries::assert_none_in(&ran.stdout);
        canaries::assert_none_in(&ran.stderr);
        ran
    }

    /// Lets one back end in, with this key, for all accounts.
    pub(crate) fn admit(&self, key: &str, scope: &str) {
        let hash = KeyHash::of(key);
        let client = format!(
            "[[client]]\nname = \"shop\"\nkey_sha256 = \"{hash}\"\naccounts = [\"*\"]\n\
             scopes = [\"{scope}\"]\n"
        );
        std::fs::write(self.path().join("wxsign.toml"), client).unwrap();
    }

    /// Starts `verb`, listening on `address`; it may fail.
    pub(crate) fn start(&self, verb: &str, address: &str) -> Wxsign {
        Self::begin(self.command(&[verb, "--listen", address]))
    }

    /// Starts a verb that does not end by itself.
    pub(crate) fn start_verb(&self, args: &[&str]) -> Wxsign {
        Self::begin(self.command(args))
    }

    /// The same by another program, which gets `args` and then the command line.
    pub(crate) fn start_by(&self, by: &str, args: &[&str], verb: &str, address: &str) -> Wxsign {
        let line = [env!("CARGO_BIN_EXE_wxsign"), verb, "--listen", address];
        let path = std::env::var("PATH").unwrap();
        let mut command = self.command_by(by, &[args, &line].concat());
        command.env("PATH", path);
        Self::begin(command)
    }

    fn begin(mut command: Command) -> Wxsign {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Wxsign {
            stdout: Output::of(child.stdout.take().unwrap()),
            stderr: Output::of(child.stderr.take().unwrap()),
            address: None,
            answers: Mutex::default(),
            child,
        }
    }

    /// Starts a server and waits until it listens.
    pub(crate) async fn serve(&self) -> Wxsign {
        self.listening("serve", "listening on http://", "\n").await
    }

    /// Starts the demo and waits until it listens.
    pub(crate) async fn demo(&self) -> Wxsign {
        self.listening("demo", "http://", "/demo").await
    }

    /// Starts `verb` and reads its address, which it prints between `before` and `behind`.
    async fn listening(&self, verb: &str, before: &str, behind: &str) -> Wxsign {
        let mut wxsign = self.start(verb, "127.0.0.1:0");
        let address = eventually("it says where it listens", async || {
            let stdout = wxsign.stdout.text();
            let (address, _) = stdout.split_once(before)?.1.split_once(behind)?;
            Some(address.parse().unwrap())
        })
        .await;
        wxsign.address = Some(address);
        wxsign
    }
}

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running server.
pub(crate) struct Wxsign {
    child: Child,
    address: Option<SocketAddr>,
    stdout: Output,
    stderr: Output,
    /// Every answer, head and body.
    answers: Mutex<String>,
}

impl Wxsign {
    /// Asks for `target`, on a connection of its own.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.answer(self.ask(target).await).await
    }

    /// Sends a request as it is and reads the answer.
    pub(crate) async fn exchange(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        self.answer(stream).await
    }

    /// Sends `body` to `target` and reads the answer.
    pub(crate) async fn put(&self, target: &str, key: &str, body: &str) -> Answer {
        self.answer(self.send(&format!("PUT {target}"), key, body).await)
            .await
    }

    /// Asks with a key for what may well hold a token or another key: the answer is not kept.
    pub(crate) async fn confide(&self, line: &str, key: &str, body: &str) -> Answer {
        Answer::parse(&whole(self.send(line, key, body).await).await)
    }

    async fn send(&self, line: &str, key: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: wxsign\r\nConnection: close\r\n\
             Authorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(&self, stream: TcpStream) -> Answer {
        let text = whole(stream).await;
        self.answers.lock().unwrap().push_str(&text);
        Answer::parse(&text)
    }

    /// Sends the request for `target` and does not read the answer.
    pub(crate) async fn ask(&self, target: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: wxsign\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Asks for the signature of [`PAGE`].
    pub(crate) async fn sign(&self) -> Answer {
        self.get(&signature_target()).await
    }

    /// Waits until pages are signed.
    pub(crate) async fn signs(&self) -> Value {
        eventually("a page is signed", async || {
            let answer = self.sign().await;
            (answer.status == 200).then_some(answer.json)
        })
        .await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("it listens")
    }

    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has printed `text`.
    pub(crate) async fn prints(&self, text: &str) {
        eventually(text, async || {
            self.stdout.text().contains(text).then_some(())
        })
        .await;
    }

    /// Waits until the log holds `text`.
    pub(crate) async fn logs(&self, text: &str) {
        eventually(text, async || self.log().contains(text).then_some(())).await;
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end and returns the exit code; `None` after a signal.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let status = eventually("the server ends", async || child.try_wait().unwrap()).await;
        ExitStatus::code(&status)
    }

    /// Everything that it said so far, to anyone.
    pub(crate) fn said(&self) -> String {
        let answers = self.answers.lock().unwrap();
        format!("{}\n{}\n{answers}", self.stdout.text(), self.stderr.text())
    }
}

impl Drop for Wxsign {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.close();
        self.stderr.close();
        let said = self.said();
        if std::thread::panicking() {
            eprintln!("{said}");
        } else {
            canaries::assert_none_in(&said);
            assert!(!said.contains("panic:"), "{said}");
        }
    }
}

/// All that comes until the end.
async fn whole(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("an answer in time").unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn signature_target() -> String {
    let encoded: String = form_urlencoded::byte_serialize(PAGE.as_bytes()).collect();
    format!("/jsapi/signature?url={encoded}")
}

/// An answer of a server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its head, in lower case.
    head: String,
    /// Its body, if that is JSON.
    pub(crate) json: Value,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
        let status = head.split(' ').nth(1).expect("a status line");
        Self {
            status: status.parse().unwrap(),
            head: head.to_lowercase(),
            json: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|field| field.0 == name).map(|field| field.1)
    }
}

/// What a process writes, read to its end by a thread.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let to = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Waits for the rest, once the process has ended.
    fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

/// An address that refuses connections.
pub(crate) fn nobody() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", free.local_addr().unwrap())
}
