//! One node of the demo: a process of its own, or a runtime in this one.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tokio::runtime::Runtime;

use super::store::SharedStore;
use crate::account::Account;
use crate::app::App;
use crate::cli::{Failure, adopt, answer, listen};
use crate::config::{Config, StoreUrl};
use crate::credential::Secret;
use crate::keeper;
use crate::server;
use crate::shutdown::Shutdown;

/// What all nodes are told.
pub(super) struct Plan {
    pub(super) account: Account,
    /// The key of a back end.
    pub(super) key: Secret,
    pub(super) upstream: String,
}

/// One node, running or not.
pub(super) struct Node {
    pub(super) number: usize,
    pub(super) address: SocketAddr,
    running: Option<Running>,
    /// Its name in leases.
    pub(super) name: String,
}

enum Running {
    Process(Child),
    /// All of its tasks die with it.
    Runtime(Runtime),
}

impl Node {
    /// Starts the node, which listens on `address`, port 0 for any free one.
    pub(super) fn start(
        number: usize,
        address: SocketAddr,
        plan: &Plan,
        store: &SharedStore,
    ) -> Result<Self, Failure> {
        let mut node = Self {
            number,
            address,
            running: None,
            name: format!("demo/{number}"),
        };
        node.run(plan, store)?;
        Ok(node)
    }

    fn run(&mut self, plan: &Plan, store: &SharedStore) -> Result<(), Failure> {
        self.running = Some(match store.url() {
            Some(url) => self.start_process(plan, &url)?,
            None => self.start_runtime(plan, store)?,
        });
        Ok(())
    }

    fn start_process(&mut self, plan: &Plan, store: &StoreUrl) -> Result<Running, Failure> {
        let failed = |why: std::io::Error| {
            Failure::Other(format!("node {} cannot be started: {why}", self.number))
        };
        let account = &plan.account;
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["serve", "--listen", &self.address.to_string()])
            .env_clear()
            .env("WXSIGN_APPID", account.appid.as_str())
            .env("WXSIGN_SECRET", account.secret.expose())
            .env("WXSIGN_PAGE_HOSTS", account.page_hosts.patterns().join(","))
            .env("WXSIGN_CLIENT_KEY", plan.key.expose())
            .env("WXSIGN_UPSTREAM", &plan.upstream)
            .env("WXSIGN_STORE", store.to_string())
            // Where there is no file that it would read.
            .env("WXSIGN_LOG", "off")
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut said)
                .map_err(failed)?;
        }
        let address = said
            .trim()
            .rsplit('/')
            .next()
            .and_then(|text| text.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            return Err(Failure::Other(format!(
                "node {} does not listen",
                self.number
            )));
        };
        self.address = address;
        self.name = keeper::Node::of_process(child.id()).name;
        Ok(Running::Process(child))
    }

    fn start_runtime(&mut self, plan: &Plan, store: &SharedStore) -> Result<Running, Failure> {
        let other = |why: String| Failure::Other(why);
        let runtime = Runtime::new().map_err(|why| other(why.to_string()))?;
        let _inside = runtime.enter();
        let (listener, address) = adopt(listen::bind(self.address)?)?;
        let mut config = Config::with_accounts(vec![plan.account.clone()]);
        config.clients = vec![super::super::client(&plan.key)];
        config.upstream.clone_from(&plan.upstream);
        let shutdown = Shutdown::default();
        let node = self.name.clone().into();
        let draining = shutdown.draining.clone();
        let (app, queue) = App::of_store(config, store.store.clone(), node, None, draining)
            .map_err(|error| other(error.to_string()))?;
        runtime.spawn(server::run(listener, app, queue, shutdown));
        self.address = address;
        Ok(Running::Runtime(runtime))
    }

    /// Kills it, in the middle of what it does, or starts it again where it was.
    pub(super) fn toggle(&mut self, plan: &Plan, store: &SharedStore) -> Result<(), Failure> {
        let number = self.number;
        let Some(running) = self.running.take() else {
            self.run(plan, store)?;
            return answer(&format!(
                "          node {number} is started: {}\n",
                self.describe()
            ));
        };
        match running {
            Running::Process(mut child) => {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
            }
            Running::Runtime(runtime) => runtime.shutdown_background(),
        }
        answer(&format!("          node {number} is killed\n"))
    }

    /// Why it does not run any more. Says so once.
    pub(super) fn has_ended(&mut self) -> Option<String> {
        let Some(Running::Process(child)) = &mut self.running else {
            return None;
        };
        let ended = child.try_wait().ok()??;
        self.running = None;
        Some(ended.to_string())
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Ends it for good.
    pub(super) fn stop(&mut self) {
        match self.running.take() {
            Some(Running::Process(mut child)) => {
                // After Ctrl-C it ends by itself; nothing of it is to stay.
                let _ = child.kill();
                let _ = child.wait();
            }
            Some(Running::Runtime(runtime)) => runtime.shutdown_background(),
            None => {}
        }
    }

    pub(super) fn describe(&self) -> String {
        let address = self.address;
        match &self.running {
            Some(Running::Process(child)) => {
                let pid = child.id();
                format!("http://{address}   kill -9 {pid}")
            }
            _ => format!("http://{address}"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}
