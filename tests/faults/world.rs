//! A machine with one node on it, its store, its line to WeChat, and WeChat.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wxsign::account::{Account, AppId, TokenApi};
use wxsign::clock::{Clock, Timestamp};
use wxsign::credential::{Kind, Secret};
use wxsign::keeper::{Keeper, Snapshot};
use wxsign::page_hosts::PageHosts;
use wxsign::page_url::PageUrl;
use wxsign::simulator::{App, Preverify, Simulator};
use wxsign::store::{Key, Store};
use wxsign::upstream::Api;

use super::parts::{Line, Reach, Shelf};

/// WeChat's ticket changes 4500 s later, so that in each state it has more than an hour to live.
const T0: Timestamp = Timestamp::from_secs(1_700_001_900);

/// WeChat takes its time, so that a fault can strike while a call is on its way.
pub(crate) const LATENCY: Duration = Duration::from_secs(4);

const PAGE: &str = "https://h5.example.com/page?id=1";

/// The machine, the node on it, and WeChat. WeChat's time is the true one.
pub(crate) struct World {
    pub(crate) token_api: TokenApi,
    pub(crate) simulator: Simulator,
    pub(crate) line: Arc<Line>,
    pub(crate) shelf: Arc<Shelf>,
    /// The machine's clock, which can be wrong.
    pub(crate) clock: Clock,
    node: Option<Node>,
}

struct Node {
    keeper: Keeper,
    queue: JoinHandle<()>,
    stop: CancellationToken,
}

impl World {
    /// Nothing runs yet.
    pub(crate) fn new(token_api: TokenApi) -> Self {
        let simulator = Simulator::new(Clock::following_tokio(T0), 7);
        let mut app = App::new(appid(), Secret::new("0123456789abcdef0123456789abcdef"));
        app.domains = vec!["h5.example.com".to_owned()];
        app.knobs.latency = LATENCY;
        simulator.add_app(app);
        Self {
            token_api,
            line: Arc::new(Line::new(simulator.clone())),
            simulator,
            shelf: Arc::default(),
            clock: Clock::following_tokio(T0),
            node: None,
        }
    }

    /// Starts a process on the machine. Readers come to it a second later.
    pub(crate) async fn restart(&mut self) {
        self.start();
        self.pass(1).await;
    }

    /// Starts a process on the machine.
    pub(crate) fn start(&mut self) {
        let mut page_hosts = PageHosts::default();
        page_hosts.add("h5.example.com").unwrap();
        let account = Account {
            appid: appid(),
            name: None,
            secret: Secret::new("0123456789abcdef0123456789abcdef"),
            token_api: self.token_api,
            page_hosts,
            wx_card: false,
        };
        let (keeper, queue) = Keeper::new(
            self.clock.clone(),
            Store::new(Reach(Arc::clone(&self.shelf))),
            Arc::new(Reach(Arc::clone(&self.line))),
            "node".to_owned(),
            vec![account],
        );
        let stop = CancellationToken::new();
        let queue = tokio::spawn(queue.run(stop.clone()));
        self.node = Some(Node {
            keeper,
            queue,
            stop,
        });
    }

    /// Ends the process in the middle of what it does.
    pub(crate) fn kill(&mut self) {
        if let Some(node) = self.node.take() {
            node.queue.abort();
        }
    }

    /// Asks the process to end.
    pub(crate) fn drain(&self) {
        if let Some(node) = &self.node {
            node.stop.cancel();
        }
    }

    /// Whether a process was asked to end, and if so, whether it has.
    pub(crate) fn has_ended(&self) -> Option<bool> {
        let node = self.node.as_ref().filter(|n| n.stop.is_cancelled())?;
        Some(node.queue.is_finished())
    }

    /// Lets true time pass.
    pub(crate) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Lets true time pass until so long after the beginning.
    pub(crate) async fn pass_until(&self, seconds: u64) {
        self.pass(seconds.saturating_sub(self.age())).await;
    }

    /// True seconds since the beginning.
    pub(crate) fn age(&self) -> u64 {
        self.simulator.now().since(T0).as_secs()
    }

    /// The path of the token API that the account uses.
    pub(crate) const fn token_path(&self) -> &'static str {
        Api::for_token(self.token_api).path()
    }

    /// What readers may use.
    pub(crate) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let keeper = &self.node.as_ref()?.keeper;
        let snapshot = Arc::clone(&keeper.accounts().only().unwrap().snapshot());
        Some(snapshot)
    }

    /// Seconds until the token that is served now ends.
    pub(crate) fn token_left(&self) -> Option<u64> {
        let now = self.clock.moment();
        let snapshot = self.snapshot()?;
        let served = snapshot.token(now)?;
        Some(served.credential.expires_at.since(now.wall).as_secs())
    }

    /// Whether WeChat accepts the token that is served; `None` if none is.
    pub(crate) fn token_is_accepted(&self) -> Option<bool> {
        let token = self.served_token()?;
        let accepted = self.simulator.token_is_accepted(&appid(), token.expose());
        Some(accepted)
    }

    fn served_token(&self) -> Option<Secret> {
        let snapshot = self.snapshot()?;
        let served = snapshot.token(self.clock.moment())?;
        Some(served.credential.value.clone())
    }

    /// Whether WeChat accepts the ticket that pages are signed with; `None` if none are.
    pub(crate) fn ticket_is_accepted(&self) -> Option<bool> {
        let now = self.clock.moment();
        let snapshot = self.snapshot()?;
        let ticket = snapshot.signer(now).and_then(|_| snapshot.ticket(now))?;
        let ticket = ticket.credential.value.expose();
        Some(self.simulator.ticket_is_accepted(&appid(), ticket))
    }

    /// Whether WeChat accepts a signature made now; `None` if none can be made.
    fn signature_is_accepted(&self) -> Option<bool> {
        let now = self.clock.moment();
        let url = PageUrl::parse(PAGE).unwrap();
        let (nonce, timestamp) = ("nonce0123456789a", now.wall.as_secs());
        let snapshot = self.snapshot()?;
        let signature = snapshot.signer(now)?.sign(nonce, timestamp, url);
        let verdict = self.simulator.preverify(&Preverify {
            app_id: appid().to_string(),
            timestamp: timestamp.to_string(),
            nonce_str: nonce.to_owned(),
            signature: signature.as_str().to_owned(),
            js_api_list: vec!["scanQRCode".to_owned()],
            urls: vec![PAGE.to_owned()],
            ..Preverify::default()
        });
        Some(verdict.ok)
    }

    /// What is not as it should be when nothing is wrong with the world.
    pub(crate) async fn ailments(&self) -> Vec<&'static str> {
        let mut ailments = Vec::new();
        let served = self.served_token();
        let newest = match self.token_api {
            TokenApi::Classic => self.simulator.newest_token(&appid()),
            TokenApi::Stable | TokenApi::WeCom => served.clone(),
        };
        if self.token_is_accepted() != Some(true) || served != newest {
            ailments.push("the newest token is not served");
        }
        if self.stored_token().await != served {
            ailments.push("what is served is not stored");
        }
        if self.signature_is_accepted() != Some(true) {
            ailments.push("nothing is signed");
        }
        if self.snapshot().is_none_or(|s| s.trouble().is_some()) {
            ailments.push("a trouble is told");
        }
        ailments
    }

    async fn stored_token(&self) -> Option<Secret> {
        let store = Store::new(Reach(Arc::clone(&self.shelf)));
        let (appid, kind) = (appid(), Kind::AccessToken);
        let (record, _) = store.load(&Key { appid, kind }).await.unwrap();
        record.credential.map(|credential| credential.value)
    }
}

pub(crate) fn appid() -> AppId {
    "wx0123456789abcdef".parse().unwrap()
}
