//! The console in a real browser, before a server in this process and a simulated WeChat.
//!
//! [`Desk::set`] starts all of it on free ports; [`Desk::sign_in`] lets the browser in. A test
//! turns the simulator as it likes, and waits with [`Desk::sees`] for what the page shows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use wxsign::account::{Account, AppId, TokenApi};
use wxsign::app::App;
use wxsign::clock::Clock;
use wxsign::config::{Config, StoreUrl};
use wxsign::credential::{Credential, Kind, Secret};
use wxsign::server::Listeners;
use wxsign::shutdown::Shutdown;
use wxsign::simulator::{self, Action, Simulator, wechat_router};
use wxsign::store::{Key, Record, Sqlite, Store, Tell, Version};

use crate::harness::{DevTools, Driver, PATIENCE};

pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PASSWORD: &str = "four words and more";

pub(crate) struct Desk {
    pub(crate) client: Client,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    pub(crate) app: Arc<App>,
    pub(crate) simulator: Simulator,
    // Dropped in this order: the driver ends the browser, whose profile goes last.
    _driver: Driver,
    _stops: [DropGuard; 3],
    _files: [TempDir; 2],
}

impl Desk {
    /// A server with one account, whose token is ten minutes old: one that is just born is not
    /// replaced, whatever happens. `change` may change the configuration before the start. It is
    /// a demo if it knows that WeChat is simulated.
    pub(crate) async fn set(is_demo: bool, change: impl FnOnce(&mut Config, &Simulator)) -> Self {
        let simulator = Simulator::new(Clock::system(), 1);
        let mut config = Config::with_accounts(vec![account(APPID)]);
        config.console.password = Some(Secret::new(PASSWORD));
        config.master_key = Some("07".repeat(32).parse().unwrap());
        let files = [(); 2].map(|()| tempfile::tempdir().unwrap());
        config.store = StoreUrl::Sqlite(files[0].path().join("wxsign.db"));
        change(&mut config, &simulator);
        for account in &config.accounts {
            simulator.add_app(wechats(&account.appid));
        }
        age_token(&config, &simulator).await;
        let (wechat, wechat_address) = listen().await;
        let (listener, address) = listen().await;
        config.upstream = format!("http://{wechat_address}");
        let (shutdown, wechat_stop) = (Shutdown::default(), CancellationToken::new());
        let router = wechat_router(simulator.clone());
        tokio::spawn(wxsign::server::serve(wechat, router, wechat_stop.clone()));
        let known = is_demo.then(|| simulator.clone());
        let (app, queue) = App::build(config, known, shutdown.draining.clone()).unwrap();
        let listeners = Listeners {
            pages: listener.into(),
            admin: None,
        };
        let serving = wxsign::server::run(listeners, Arc::clone(&app), queue, shutdown.clone());
        tokio::spawn(serving);
        let driver = Driver::start();
        let client = driver.open(&[], files[1].path()).await;
        Self {
            client,
            url: format!("http://{address}"),
            app,
            simulator,
            _driver: driver,
            _stops: [shutdown.draining, shutdown.closing, wechat_stop]
                .map(CancellationToken::drop_guard),
            _files: files,
        }
    }

    /// The same, with the browser let in and all accounts at work.
    pub(crate) async fn signed_in(change: impl FnOnce(&mut Config, &Simulator)) -> Self {
        let desk = Self::set(false, change).await;
        desk.go("/console/login?lang=en").await;
        desk.fill("password", PASSWORD).await;
        desk.click("form.stack button").await;
        desk.sees("the overview", "return location.pathname === '/console'")
            .await;
        desk
    }

    pub(crate) async fn go(&self, path: &str) {
        self.client
            .goto(&format!("{}{path}", self.url))
            .await
            .unwrap();
    }

    /// Types into the field of this id, in place of what is there.
    pub(crate) async fn fill(&self, id: &str, text: &str) {
        let field = self.client.find(Locator::Id(id)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks on what the CSS selector finds.
    pub(crate) async fn click(&self, selector: &str) {
        let found = self.client.find(Locator::Css(selector)).await;
        let found = found.unwrap_or_else(|error| panic!("{selector}: {error}"));
        found
            .click()
            .await
            .unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        let ran = self.client.execute(script, vec![]).await;
        ran.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until the script returns something.
    pub(crate) async fn sees(&self, what: &str, script: &str) -> Value {
        let looking = async {
            loop {
                // A page that is just being left has nothing to say.
                if let Ok(seen) = self.client.execute(script, vec![]).await
                    && ![json!(null), json!(false), json!("")].contains(&seen)
                {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(seen) => seen,
            Err(_) => {
                let page = self
                    .run("return location.href + '\\n' + document.body.innerText")
                    .await;
                panic!(
                    "{what} was not seen, but {}",
                    page.as_str().unwrap_or_default()
                )
            }
        }
    }

    /// Waits for the text somewhere in the page.
    pub(crate) async fn reads(&self, text: &str) {
        let script = format!("return document.body.innerText.includes({})", json!(text));
        self.sees(text, &script).await;
    }

    pub(crate) async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        let done = self.client.issue_cmd(DevTools(command, parameters)).await;
        done.unwrap_or_else(|error| panic!("{command}: {error}"))
    }
}

pub(crate) fn account(appid: &str) -> Account {
    Account {
        appid: appid.parse().unwrap(),
        name: Some("商城 Shop".to_owned()),
        secret: Secret::new(SECRET),
        token_api: TokenApi::Classic,
        page_hosts: "h5.example.com, *.shop.example.com".parse().unwrap(),
        wx_card: false,
    }
}

/// The account as WeChat knows it.
pub(crate) fn wechats(appid: &AppId) -> simulator::App {
    let mut app = simulator::App::new(appid.clone(), Secret::new(SECRET));
    app.domains = vec!["example.com".to_owned()];
    app
}

async fn age_token(config: &Config, simulator: &Simulator) {
    let StoreUrl::Sqlite(path) = &config.store else {
        return;
    };
    let vault = config.master_key.as_ref().map(wxsign::vault::Vault::new);
    let store = Store::sealed(Sqlite::open(path).unwrap(), vault);
    let appid: AppId = APPID.parse().unwrap();
    simulator.act(&appid, Action::StealToken).unwrap();
    let born = simulator.now().before(Duration::from_secs(600));
    let credential = Credential {
        value: simulator.newest_token(&appid).unwrap(),
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
    let kind = Kind::AccessToken;
    let key = Key { appid, kind };
    let swapped = store.swap(&key, Version::ABSENT, &record, Tell::Nobody);
    assert!(swapped.await.unwrap().is_some());
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}
