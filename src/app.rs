//! Where the parts meet: built once, read from top to bottom.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use ipnet::IpNet;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Limits, Setting, StoreUrl};
use crate::console::Console;
use crate::costly::Costly;
use crate::history::History;
use crate::keeper::{Keeper, Node, Overview, Queue};
use crate::rates::Rates;
use crate::roster::Roster;
use crate::simulator::Simulator;
use crate::store::{Engine, Hint, OpenError, Postgres, Redis, Sqlite, Store};
use crate::timings::Timings;
use crate::upstream::forward::Forwarder;
use crate::upstream::{Calls, Metered, Upstream, WeChat};
use crate::vault::Vault;

/// What the server works with.
#[derive(Debug)]
pub struct App {
    /// The credentials.
    pub keeper: Keeper,
    /// Passes calls of back ends on to WeChat.
    pub forwarder: Forwarder,
    /// WeChat's API, for whoever tries it out.
    pub wechat: WeChat,
    /// The accounts that the keeper is to keep, and the clients that are let in.
    pub roster: Roster,
    /// What processes share.
    pub store: Store,
    /// What happened, for people.
    pub history: History,
    /// How many signatures a minute were made.
    pub rates: Rates,
    /// The proxies whose word about a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// `MP_verify_….txt` files and what they hold.
    pub verify_files: BTreeMap<String, String>,
    /// The pages for operators, if there are to be any.
    pub console: Option<Console>,
    /// The configuration with the sources of its values, secrets masked, if it was read.
    pub settings: OnceLock<Vec<Setting>>,
    /// When this process was built.
    pub started_at: Timestamp,
    /// How often pages may ask.
    pub limits: Limits,
    /// The simulator, if WeChat is simulated; never beside a real account.
    pub simulator: Option<Simulator>,
    /// Where the demo page finds vConsole's script; only beside a simulator.
    pub vconsole: Option<String>,
    /// Cancelled once the program is stopping.
    pub draining: CancellationToken,
    /// How all accounts fare together.
    pub(crate) overview: Costly<Arc<Overview>>,
    /// The metrics as they were a moment ago.
    pub(crate) metrics: Costly<Bytes>,
    /// The calls to WeChat until now.
    pub(crate) calls: Arc<Calls>,
    /// How long requests took that passed the router.
    pub(crate) requests: Timings<RequestLabels>,
}

/// What requests are told apart by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct RequestLabels {
    /// As the router has it, with the names of its parts in braces.
    pub(crate) route: Arc<str>,
    pub(crate) method: &'static str,
    pub(crate) status: u16,
}

impl App {
    /// Builds the parts that `config` names, and the queue that renews credentials once it runs.
    ///
    /// # Errors
    /// The store cannot be opened or the upstream's address is none; the text says what to do.
    pub fn build(
        config: Config,
        simulator: Option<Simulator>,
        draining: CancellationToken,
    ) -> Result<(Arc<Self>, Queue), Box<dyn std::error::Error>> {
        let store = open_store(&config)?;
        let node = Node {
            solo: config.solo,
            ..Node::of_process(std::process::id())
        };
        Self::of_store(config, store, node, simulator, draining)
    }

    /// The same for one of several nodes in this process, which share a `store`.
    ///
    /// # Errors
    /// The upstream's address is none.
    pub fn of_store(
        config: Config,
        store: Store,
        node: Node,
        simulator: Option<Simulator>,
        draining: CancellationToken,
    ) -> Result<(Arc<Self>, Queue), Box<dyn std::error::Error>> {
        let wechat = WeChat::new(&config.upstream, &config.wecom_upstream)?;
        let forwarder = Forwarder::beside(&wechat);
        let (clock, calls) = (Clock::system(), Arc::<Calls>::default());
        let upstream = Metered::new(wechat.clone(), clock.clone(), Arc::clone(&calls));
        let upstream: Arc<dyn Upstream> = Arc::new(upstream);
        let (keeper, queue) = Keeper::new(
            clock,
            store.clone(),
            upstream,
            node,
            config.accounts.clone(),
        );
        let (clock, name) = (keeper.clock().clone(), keeper.node());
        let history = History::new(config.history, store.clone(), clock, name);
        keeper.record_into(history.clone());
        let vault = config.master_key.as_ref().map(Vault::new);
        let roster = Roster::new(
            config.accounts,
            config.clients,
            vault,
            store.clone(),
            // Not counted: whoever tries an AppSecret that is none has not made renewals fail.
            Arc::new(wechat.clone()),
            keeper.clone(),
        );
        let clock = keeper.clock().clone();
        let console = config.console;
        let app = Self {
            started_at: clock.now(),
            console: (console.enabled)
                .then(|| Console::new(store.clone(), clock, console.password)),
            settings: OnceLock::new(),
            keeper,
            roster,
            store,
            history,
            rates: Rates::default(),
            forwarder,
            wechat,
            vconsole: config.vconsole.filter(|_| simulator.is_some()),
            trusted_proxies: config.trusted_proxies,
            verify_files: config.verify_files,
            limits: config.limits,
            simulator,
            draining,
            overview: Costly::default(),
            metrics: Costly::default(),
            calls,
            requests: Timings::default(),
        };
        Ok((Arc::new(app), queue))
    }

    /// Follows what other processes change in the store, until `stop`.
    pub async fn follow_store(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&self) {
        let (store, clock) = (&self.store, self.keeper.clock());
        let mut hints = store.hints();
        let mut position = None;
        loop {
            self.roster.reload().await;
            if let Ok(news) = store.changes(position).await {
                position = Some(news.position);
                match news.accounts {
                    Some(accounts) => accounts.iter().for_each(|appid| self.keeper.look(appid)),
                    None => self.keeper.look_at_all(),
                }
            }
            let look = clock.sleep(LOOK_EVERY);
            tokio::pin!(look);
            loop {
                tokio::select! {
                    () = &mut look => break,
                    hint = next(&mut hints) => match hint {
                        Hint::Account(appid) => self.keeper.look(&appid),
                        Hint::Directory => self.roster.reload().await,
                    },
                }
            }
        }
    }
}

/// The next hint, for ever if there are none.
async fn next(hints: &mut Option<mpsc::UnboundedReceiver<Hint>>) -> Hint {
    if let Some(hints) = hints
        && let Some(hint) = hints.recv().await
    {
        return hint;
    }
    std::future::pending().await
}

/// What others change in the store is seen so much later, at most, also without hints.
pub const LOOK_EVERY: Duration = Duration::from_secs(4);

/// The store that `config` names, for its server.
pub(crate) fn open_store(config: &Config) -> Result<Store, Box<dyn std::error::Error>> {
    open_store_by(config, Sqlite::open)
}

/// The store that `config` names, for what is done beside its server: a file is not made, and
/// keeps its layout.
pub(crate) fn open_store_beside(config: &Config) -> Result<Store, Box<dyn std::error::Error>> {
    open_store_by(config, Sqlite::open_beside)
}

fn open_store_by(
    config: &Config,
    open: fn(&Path) -> Result<Sqlite, OpenError>,
) -> Result<Store, Box<dyn std::error::Error>> {
    let vault = config.master_key.as_ref().map(Vault::new);
    Ok(match &config.store {
        StoreUrl::Memory => Store::memory(),
        StoreUrl::Sqlite(path) => Store::sealed(open(path)?, vault),
        StoreUrl::Shared(url) if url.engine == Engine::Postgres => {
            Store::sealed(Postgres::new(url)?, vault)
        }
        StoreUrl::Shared(url) => Store::sealed(Redis::new(url)?, vault),
    })
}
