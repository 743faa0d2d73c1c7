//! Where the parts meet: built once, read from top to bottom.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Client, Config, Limits, StoreUrl};
use crate::keeper::{Keeper, Queue};
use crate::roster::Roster;
use crate::simulator::Simulator;
use crate::store::{Sqlite, Store};
use crate::upstream::forward::Forwarder;
use crate::upstream::{Upstream, WeChat};
use crate::vault::Vault;

/// What the server works with.
#[derive(Debug)]
pub struct App {
    /// The credentials.
    pub keeper: Keeper,
    /// The back ends that may ask for them.
    pub clients: Vec<Client>,
    /// Passes calls of back ends on to WeChat.
    pub forwarder: Forwarder,
    /// The accounts that the keeper is to keep.
    pub roster: Roster,
    /// The proxies whose word about a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// `MP_verify_….txt` files and what they hold.
    pub verify_files: BTreeMap<String, String>,
    /// How often pages may ask.
    pub limits: Limits,
    /// The simulator, if WeChat is simulated; never beside a real account.
    pub simulator: Option<Simulator>,
    /// Cancelled once the program is stopping.
    pub draining: CancellationToken,
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
        let store = match &config.store {
            StoreUrl::Memory => Store::memory(),
            StoreUrl::Sqlite(path) => Store::new(Sqlite::open(path)?),
        };
        let forwarder = Forwarder::new(&config.upstream)?;
        let upstream: Arc<dyn Upstream> = Arc::new(WeChat::new(&config.upstream)?);
        let (keeper, queue) = Keeper::new(
            Clock::system(),
            store.clone(),
            Arc::clone(&upstream),
            node(),
            config.accounts.clone(),
        );
        let vault = config.master_key.as_ref().map(Vault::new);
        let roster = Roster::new(config.accounts, vault, store, upstream, keeper.clone());
        let app = Self {
            keeper,
            roster,
            clients: config.clients,
            forwarder,
            trusted_proxies: config.trusted_proxies,
            verify_files: config.verify_files,
            limits: config.limits,
            simulator,
            draining,
        };
        Ok((Arc::new(app), queue))
    }
}

/// A name for this process in leases and logs.
fn node() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}
