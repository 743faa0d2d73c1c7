//! Starts a whole server for one test: the real one, in this process, on a port of its own, with
//! a simulated WeChat on another.
//!
//! A test makes a [`Setup`], changes what it cares about and starts it; it asks the [`Server`] by
//! [`Request`]s and in the end calls [`Server::end`], which sees to it that all of it stops in
//! good order. A server that was not ended fails its test.
//!
//! The account [`APPID`] may sign for pages such as [`PAGE`]. Time is real, so nothing here waits
//! for it to pass: [`until`] looks for a state again and again.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wxsign::account::{Account, AppId, TokenApi};
use wxsign::client::{Accounts, Client, KeyHash, Scope};
use wxsign::clock::Clock;
use wxsign::config::{Config, StoreUrl};
use wxsign::credential::{Credential, Kind, Secret};
use wxsign::server::Listeners;
use wxsign::shutdown::Shutdown;
use wxsign::simulator::{Action, App, Simulator, wechat_router};
use wxsign::store::{Key, Record, Sqlite, Store, Tell, Version};

use crate::wire::{Answer, Connection, PATIENCE, Request, encode_uri_component};

/// The account of every test.
pub(crate) const APPID: &str = "wx0123456789abcdef";

/// A page that can be signed at any time.
pub(crate) const PAGE: &str = "https://ok.example.com/page";

/// A server before its start.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) simulator: Simulator,
    /// Whether the server knows that WeChat is simulated, as that of `wxsign demo` does.
    pub(crate) demo: bool,
    /// A WeChat of the test's own instead of the simulator.
    pub(crate) upstream: Option<SocketAddr>,
    /// Whether back ends are served at an address of their own.
    pub(crate) admin: bool,
    store: Option<TempDir>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let mut config = Config::with_accounts(vec![account(APPID)]);
        config.store = StoreUrl::Memory;
        let simulator = Simulator::new(Clock::system(), 1);
        simulator.add_app(app(APPID));
        Self {
            config,
            simulator,
            demo: false,
            upstream: None,
            admin: false,
            store: None,
        }
    }

    /// Adds a second account for the same pages.
    pub(crate) fn add_account(&mut self, appid: &str) {
        self.config.accounts.push(account(appid));
        self.simulator.add_app(app(appid));
    }

    /// Lets a back end in to ask about all accounts; its [`key`] follows from its name.
    pub(crate) fn add_client(&mut self, name: &str, scopes: &[Scope]) -> &mut Client {
        self.config.clients.push(Client {
            name: name.to_owned(),
            key_sha256: vec![KeyHash::of(&key(name))],
            not_after: None,
            accounts: Accounts::All,
            scopes: scopes.iter().copied().collect(),
        });
        self.config.clients.last_mut().unwrap()
    }

    /// Lets each account have a token of ten minutes in the store: one that is just born is not
    /// replaced, whoever says that it is dead.
    pub(crate) async fn has_tokens(&mut self) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wxsign.db");
        let store = Store::new(Sqlite::open(&path).unwrap());
        for Account { appid, .. } in &self.config.accounts {
            self.simulator.act(appid, Action::StealToken).unwrap();
            let born = self.simulator.now().before(Duration::from_secs(600));
            let credential = Credential {
                value: self.simulator.newest_token(appid).unwrap(),
                generation: 1,
                first_seen: born,
                confirmed_at: born,
                expires_at: born + Duration::from_secs(7200),
                claimed_until: born + Duration::from_secs(7200),
            };
            let record = Record {
                credential: Some(credential),
                ..Record::default()
            };
            let key = Key {
                appid: appid.clone(),
                kind: Kind::AccessToken,
            };
            let stored = store
                .swap(&key, Version::ABSENT, &record, Tell::Nobody)
                .await
                .unwrap();
            assert!(stored.is_some());
        }
        self.config.store = StoreUrl::Sqlite(path);
        self.store = Some(directory);
    }

    /// Starts the server.
    pub(crate) async fn start(mut self) -> Server {
        let (wechat, wechat_address) = listen().await;
        let (pages, address) = listen().await;
        let (mut admin, mut back_ends) = (None, address);
        if self.admin {
            let (listener, address) = listen().await;
            (admin, back_ends) = (Some(listener), address);
        }
        let shutdown = Shutdown::default();
        let wechat_stop = CancellationToken::new();
        let upstream = self.upstream.unwrap_or(wechat_address);
        self.config.upstream = format!("http://{upstream}");
        self.config.wecom_upstream.clone_from(&self.config.upstream);
        let router = wechat_router(self.simulator.clone());
        let wechat = wxsign::server::serve(wechat, router, wechat_stop.clone());
        let demo = self.demo.then(|| self.simulator.clone());
        let draining = shutdown.draining.clone();
        let (app, queue) = wxsign::app::App::build(self.config, demo, draining).unwrap();
        let running = wxsign::server::run(
            Listeners {
                pages: pages.into(),
                admin: admin.map(Into::into),
            },
            app,
            queue,
            shutdown.clone(),
        );
        Server {
            address,
            back_ends,
            shutdown,
            simulator: self.simulator,
            appid: APPID.parse().unwrap(),
            running: Some(tokio::spawn(running)),
            wechat: tokio::spawn(wechat),
            wechat_stop,
            _store: self.store,
        }
    }

    /// Starts the server and waits until it can sign.
    pub(crate) async fn start_ready(self) -> Server {
        let server = self.start().await;
        server.becomes_ready().await;
        server
    }
}

fn account(appid: &str) -> Account {
    let named: AppId = appid.parse().unwrap();
    Account {
        name: None,
        secret: secret(appid),
        token_api: TokenApi::of(&named, None).unwrap(),
        appid: named,
        page_hosts: "ok.example.com, ok.example.com:8443, *.shop.example.com"
            .parse()
            .unwrap(),
        wx_card: false,
    }
}

pub(crate) fn app(appid: &str) -> App {
    let mut app = App::new(appid.parse().unwrap(), secret(appid));
    app.domains = vec!["example.com".to_owned()];
    app.knobs.any_port = true;
    app
}

pub(crate) fn secret(appid: &str) -> Secret {
    Secret::new(format!("the-AppSecret-of-{appid}"))
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Where back ends are served: at `address`, unless [`Setup::admin`] says otherwise.
    pub(crate) back_ends: SocketAddr,
    pub(crate) shutdown: Shutdown,
    /// Its WeChat.
    pub(crate) simulator: Simulator,
    /// [`APPID`].
    pub(crate) appid: AppId,
    running: Option<JoinHandle<()>>,
    wechat: JoinHandle<()>,
    wechat_stop: CancellationToken,
    _store: Option<TempDir>,
}

impl Server {
    /// Sends a request over a connection of its own.
    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        self.connect().await.ask(request).await
    }

    pub(crate) async fn get(&self, target: impl Into<Vec<u8>>) -> Answer {
        self.ask(&Request::get(target)).await
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Waits until `/readyz` says that pages can be signed.
    pub(crate) async fn becomes_ready(&self) {
        until("readiness", async || {
            (self.get("/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    /// Asks for what a good page asks for, and gets it.
    pub(crate) async fn signs(&self) {
        let answer = self.ask(&signature(PAGE)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["url"], PAGE);
    }

    /// How many requests the simulated WeChat has had for `path`.
    pub(crate) fn calls(&self, path: &str) -> u64 {
        self.simulator.counter(&self.appid, path).requests
    }

    /// Stops everything, and fails if anything does not stop.
    pub(crate) async fn end(mut self) {
        self.shutdown.draining.cancel();
        self.shutdown.closing.cancel();
        let running = self.running.take().unwrap();
        let ended = timeout(PATIENCE, running).await;
        ended.expect("the server ends").unwrap();
        self.wechat_stop.cancel();
        let ended = timeout(PATIENCE, &mut self.wechat).await;
        ended.expect("the simulated WeChat ends").unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.running.is_none();
        assert!(ended || std::thread::panicking(), "call `end` on a server");
    }
}

/// The request of a page that wants to be signed.
pub(crate) fn signature(page: &str) -> Request {
    Request::get(format!(
        "/jsapi/signature?url={}",
        encode_uri_component(page)
    ))
}

/// The same, as a `POST`.
pub(crate) fn posted_signature(page: &str) -> Request {
    let body = serde_json::json!({ "url": page });
    Request::post("/jsapi/signature", body.to_string())
}

/// The key of the back end of this name.
pub(crate) fn key(name: &str) -> String {
    format!("wxk_{name}_0123456789abcdefghijklmnop")
}

impl Request {
    /// The request as the back end of this name sends it.
    pub(crate) fn of(self, name: &str) -> Self {
        self.with("Authorization", &format!("Bearer {}", key(name)))
    }
}

/// Checks a problem: each of them names itself, says what to do, and can be found in the log.
pub(crate) fn is_problem(answer: &Answer, status: u16, code: &str, advice: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(problem["request_id"], answer.header("x-request-id"));
    assert!(!answer.header("x-request-id").is_empty());
    assert!(problem["title"].is_string(), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(advice), "{advice:?} is not in {detail:?}");
}

/// The time on a clock that nobody sets, to measure with.
pub(crate) fn uptime() -> Duration {
    Clock::system().moment().boot
}

/// Looks again and again until `probe` finds something.
pub(crate) async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("{what} did not come about"))
}

/// The members of a JSON object, in their order.
pub(crate) fn members(value: &Value) -> Vec<&str> {
    let members = value.as_object().unwrap().keys();
    members.map(String::as_str).collect()
}
