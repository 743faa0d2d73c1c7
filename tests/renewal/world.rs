//! A keeper or two, a store in memory and the simulated WeChat as their upstream, in one thread
//! under paused time: a day passes in milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use wxsign::account::{Account, AppId, TokenApi};
use wxsign::clock::{Clock, Timestamp};
use wxsign::credential::{Kind, Secret};
use wxsign::keeper::{Keeper, Kept, Node, Snapshot};
use wxsign::page_hosts::PageHosts;
use wxsign::page_url::PageUrl;
use wxsign::simulator::{App, Counter, Knobs, Preverify, Simulator};
use wxsign::store::{
    Backend, EncodedChanges, Entries, Key, Memory, Store, StoreError, Stored, Version, Write,
};
use wxsign::upstream::Api;

/// In China this is 06:13:20.
pub(crate) const T0: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const TICKET_PATH: &str = "/cgi-bin/ticket/getticket";

const PAGE: &str = "https://h5.example.com/page?id=1";

/// WeChat and those who keep its credentials.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) simulator: Simulator,
    pub(crate) token_api: TokenApi,
    pub(crate) store: Arc<Shared>,
    nodes: Vec<Keeper>,
    running: Vec<AbortHandle>,
    stop: DropGuard,
}

impl World {
    /// One node. Its first step runs as soon as time passes.
    pub(crate) fn new(token_api: TokenApi) -> Self {
        Self::of_nodes(1, token_api)
    }

    /// So many nodes that share a store.
    pub(crate) fn of_nodes(count: usize, token_api: TokenApi) -> Self {
        let clock = Clock::following_tokio(T0);
        let simulator = Simulator::new(clock.clone(), 7);
        let mut app = App::new(account(token_api).appid, Secret::new(SECRET));
        app.domains = vec!["h5.example.com".to_owned()];
        simulator.add_app(app);
        let mut world = Self {
            clock,
            simulator,
            token_api,
            store: Arc::default(),
            nodes: Vec::new(),
            running: Vec::new(),
            stop: CancellationToken::new().drop_guard(),
        };
        for _ in 0..count {
            world.add_node();
        }
        world
    }

    /// Starts one more node on the same store.
    pub(crate) fn add_node(&mut self) {
        self.add(false);
    }

    /// Starts one that may renew while the store is lost.
    pub(crate) fn add_solo_node(&mut self) {
        self.add(true);
    }

    fn add(&mut self, solo: bool) {
        let store = Store::new(Reach(Arc::clone(&self.store)));
        let upstream = Arc::new(self.simulator.clone());
        let node = Node {
            name: format!("node {}", self.nodes.len()),
            solo,
        };
        let accounts = vec![account(self.token_api)];
        let (keeper, queue) = Keeper::new(self.clock.clone(), store, upstream, node, accounts);
        let stop = self.stop.token().clone();
        self.running
            .push(tokio::spawn(queue.run(stop)).abort_handle());
        self.nodes.push(keeper);
    }

    /// Ends the first node in the middle of what it does.
    pub(crate) fn kill_node(&mut self) {
        self.running.remove(0).abort();
        self.nodes.remove(0);
    }

    /// The first node.
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.nodes[0]
    }

    pub(crate) fn nodes(&self) -> &[Keeper] {
        &self.nodes
    }

    /// What readers of the first node may use now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&kept(self.keeper()).snapshot())
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// Lets time pass until so long after [`T0`].
    pub(crate) async fn pass_until(&self, seconds: u64) {
        let then = T0 + Duration::from_secs(seconds);
        self.clock.sleep(then.since(self.clock.now())).await;
    }

    /// Seconds since [`T0`].
    pub(crate) fn age(&self) -> u64 {
        self.clock.now().since(T0).as_secs()
    }

    /// The path of the token API that the account uses.
    pub(crate) const fn token_path(&self) -> &'static str {
        Api::for_token(self.token_api).path()
    }

    pub(crate) fn token_calls(&self) -> u64 {
        self.counter(self.token_path()).requests
    }

    pub(crate) fn ticket_calls(&self) -> u64 {
        self.counter(Api::for_ticket(self.token_api, Kind::JsapiTicket).path())
            .requests
    }

    fn counter(&self, path: &str) -> Counter {
        self.simulator.counter(&self.appid(), path)
    }

    /// The account.
    pub(crate) fn appid(&self) -> AppId {
        account(self.token_api).appid
    }

    /// Bends WeChat's behaviour.
    pub(crate) fn turn(&self, change: impl FnOnce(&mut Knobs)) {
        self.change(|app| change(&mut app.knobs));
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut App)) {
        self.simulator.change_app(&self.appid(), change).unwrap();
    }

    /// Makes WeChat as it was in the beginning.
    pub(crate) fn mend(&self) {
        self.simulator.clear_faults();
        self.change(|app| {
            app.secret = Secret::new(SECRET);
            app.knobs = App::new(app.appid.clone(), app.secret.clone()).knobs;
        });
    }

    /// Whether readers have a token; one that WeChat does not accept must not be served.
    pub(crate) fn serves_a_token(&self) -> bool {
        let snapshot = self.snapshot();
        let Some(token) = snapshot.token(self.clock.moment()) else {
            return false;
        };
        let value = token.credential.value.expose();
        assert!(
            self.simulator.token_is_accepted(&self.appid(), value),
            "{} s after the start a dead token is served",
            self.age()
        );
        true
    }

    /// Whether readers have a token, dead or not.
    pub(crate) fn serves_some_token(&self) -> bool {
        self.snapshot().token(self.clock.moment()).is_some()
    }

    /// Whether readers have a token and no fetch whose answer was lost has superseded it.
    pub(crate) fn serves_the_newest_token(&self) -> bool {
        let snapshot = self.snapshot();
        let served = snapshot.token(self.clock.moment());
        let served = served.map(|served| served.credential.value.clone());
        let classic = self.token_api == TokenApi::Classic;
        self.serves_a_token() && (!classic || served == self.simulator.newest_token(&self.appid()))
    }

    /// Whether WeChat accepts what the first node signs now; `None` if it signs nothing.
    pub(crate) fn signature_is_accepted(&self) -> Option<bool> {
        self.signature_of(self.keeper())
    }

    /// Whether WeChat accepts what `node` signs now; `None` if it signs nothing.
    pub(crate) fn signature_of(&self, node: &Keeper) -> Option<bool> {
        let now = self.clock.moment();
        let snapshot = Arc::clone(&kept(node).snapshot());
        let url = PageUrl::parse(PAGE).unwrap();
        let (nonce, timestamp) = ("nonce0123456789a", now.wall.as_secs());
        let signature = snapshot.signer(now)?.sign(nonce, timestamp, url);
        let verdict = self.simulator.preverify(&Preverify {
            app_id: self.appid().for_config().to_owned(),
            timestamp: timestamp.to_string(),
            nonce_str: nonce.to_owned(),
            signature: signature.as_str().to_owned(),
            js_api_list: vec!["scanQRCode".to_owned()],
            urls: vec![PAGE.to_owned()],
            ..Preverify::default()
        });
        Some(verdict.ok)
    }
}

pub(crate) fn appid() -> AppId {
    "wx0123456789abcdef".parse().unwrap()
}

pub(crate) fn kept(keeper: &Keeper) -> Arc<Kept> {
    Arc::clone(keeper.accounts().only().unwrap())
}

pub(crate) fn account(token_api: TokenApi) -> Account {
    let mut page_hosts = PageHosts::default();
    page_hosts.add("h5.example.com").unwrap();
    let appid = match token_api {
        TokenApi::Classic | TokenApi::Stable => appid(),
        TokenApi::WeCom => "ww0123456789abcdef-1000002".parse().unwrap(),
    };
    Account {
        appid,
        name: None,
        secret: Secret::new(SECRET),
        token_api,
        page_hosts,
        wx_card: false,
    }
}

/// One memory that several nodes reach, and what is wrong with it.
#[derive(Default)]
pub(crate) struct Shared {
    memory: Memory,
    /// Nothing can be read.
    pub(crate) unreadable: AtomicBool,
    /// Nothing can be written.
    pub(crate) unwritable: AtomicBool,
    /// It belongs to one process alone.
    pub(crate) embedded: AtomicBool,
    /// How often it was read.
    pub(crate) loads: AtomicU64,
}

/// A node's way to the memory.
struct Reach(Arc<Shared>);

impl Backend for Reach {
    fn load<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Stored>, StoreError>> {
        self.0.loads.fetch_add(1, Ordering::Relaxed);
        if self.0.unreadable.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError("it cannot be read".to_owned())) });
        }
        self.0.memory.load(key)
    }

    fn swap<'a>(&'a self, key: &'a Key, write: Write) -> BoxFuture<'a, Result<bool, StoreError>> {
        if self.0.unwritable.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError("it cannot be written".to_owned())) });
        }
        self.0.memory.swap(key, write)
    }

    fn is_embedded(&self) -> bool {
        self.0.embedded.load(Ordering::Relaxed)
    }

    fn directory(
        &self,
        known: Option<Version>,
    ) -> BoxFuture<'_, Result<Option<Entries>, StoreError>> {
        self.0.memory.directory(known)
    }

    fn swap_directory(
        &self,
        from: Version,
        to: Version,
        changes: EncodedChanges,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.memory.swap_directory(from, to, changes)
    }
}
