//! Where the parts meet: built once, read from top to bottom.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, Limits, StoreUrl};
use crate::keeper::{Keeper, Queue};
use crate::server::{self, Front};
use crate::shutdown::Shutdown;
use crate::simulator::Simulator;
use crate::store::{Sqlite, Store};
use crate::upstream::WeChat;

/// What the server's routes work with.
#[derive(Debug)]
pub struct App {
    /// The credentials.
    pub keeper: Keeper,
    /// The proxies whose word about a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// `MP_verify_….txt` files and what they hold.
    pub verify_files: BTreeMap<String, String>,
    /// How often pages may ask.
    pub limits: Limits,
    /// The simulator, if WeChat is simulated; never beside a real account.
    pub simulator: Option<Simulator>,
    /// Cancelled once the server is stopping.
    pub draining: CancellationToken,
}

/// The parts of a server, ready to run.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    queue: Queue,
    shutdown: Shutdown,
}

impl Server {
    /// Builds a server from its configuration.
    ///
    /// # Errors
    /// The store cannot be opened or the upstream's address is none; the text says what to do.
    pub fn build(
        config: Config,
        simulator: Option<Simulator>,
        shutdown: Shutdown,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let clock = Clock::system();
        let store = match &config.store {
            StoreUrl::Memory => Store::memory(),
            StoreUrl::Sqlite(path) => Store::new(Sqlite::open(path)?),
        };
        let upstream = Arc::new(WeChat::new(&config.upstream)?);
        let (keeper, queue) = Keeper::new(clock, store, upstream, node(), config.accounts);
        let app = App {
            keeper,
            trusted_proxies: config.trusted_proxies,
            verify_files: config.verify_files,
            limits: config.limits,
            simulator,
            draining: shutdown.draining.clone(),
        };
        Ok(Self {
            app: Arc::new(app),
            queue,
            shutdown,
        })
    }

    /// Serves `listener` until the shutdown, then ends in good order: no request is broken off
    /// and a fetch that runs is stored.
    pub async fn run(self, listener: TcpListener) {
        let renewing = tokio::spawn(self.queue.run(self.shutdown.draining.clone()));
        server::serve(listener, Front::new(self.app), self.shutdown.closing).await;
        if renewing.await.is_err() {
            tracing::error!("the keeper ended in a panic");
        }
    }
}

/// A name for this process in leases and logs.
fn node() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}
