//! The simulated WeChat and its accounts.

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};
use wxsign::account::AppId;
use wxsign::clock::{Clock, Timestamp};
use wxsign::credential::{Fingerprint, Secret};
use wxsign::server;
use wxsign::simulator::{App, By, Knobs, Minted, Preverify, Simulator, What, wechat_router};

/// What the simulator marks its values with is searched for in all that the tests print; so is
/// this.
pub(crate) const APP_SECRET: &str = "c4n4ry00c4n4ry00c4n4ry00c4n4ry00";

const HOST: &str = "h5.example.com";

/// How WeChat treats an account, so that a story has many periods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Temper {
    /// A classic token that lives a minute.
    Minute,
    /// A classic token that lives two minutes.
    Short,
    /// A classic token that outlives what a later one leaves it, and a ticket that changes each
    /// five minutes and leaves the old one seven: it is asked for each five minutes too.
    Full,
    /// A stable token.
    Stable,
    /// As WeChat treats accounts.
    Quiet,
}

impl Temper {
    const fn token_api(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Minute | Self::Short | Self::Full | Self::Quiet => "classic",
        }
    }

    fn knobs(self) -> Knobs {
        let seconds = Duration::from_secs;
        // An answer takes its time, so that a trouble may strike while one is on its way.
        let knobs = Knobs {
            latency: Duration::from_millis(100),
            latency_jitter: Duration::from_millis(900),
            ..Knobs::default()
        };
        match self {
            Self::Minute => Knobs {
                life_token: seconds(60),
                ..Knobs::default()
            },
            Self::Short => Knobs {
                life_token: seconds(120),
                ..knobs
            },
            Self::Full => Knobs {
                life_token: seconds(900),
                ticket_period: seconds(300),
                ticket_overlap: seconds(420),
                ..knobs
            },
            Self::Quiet => Knobs::default(),
            Self::Stable => Knobs {
                life_stable: seconds(600),
                ..knobs
            },
        }
    }
}

/// The simulated WeChat, served over HTTP.
pub(crate) struct WeChat {
    pub(crate) simulator: Simulator,
    pub(crate) url: String,
    pub(crate) accounts: Vec<(AppId, Temper)>,
    _ends_it: DropGuard,
}

impl WeChat {
    /// WeChat with an account for each temper.
    pub(crate) async fn start(tempers: impl IntoIterator<Item = Temper>) -> Self {
        let simulator = Simulator::new(Clock::system(), 20_261_126);
        let mut accounts = Vec::new();
        for (number, temper) in tempers.into_iter().enumerate() {
            let appid: AppId = format!("wx{number:016x}").parse().unwrap();
            let mut app = App::new(appid.clone(), Secret::new(APP_SECRET));
            app.domains = vec![HOST.to_owned()];
            app.knobs = temper.knobs();
            simulator.add_app(app);
            accounts.push((appid, temper));
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let router = wechat_router(simulator.clone());
        tokio::spawn(server::serve(listener, router, stop.clone()));
        Self {
            simulator,
            url,
            accounts,
            _ends_it: stop.drop_guard(),
        }
    }

    /// The same accounts where servers are told that WeChat is at `url`.
    pub(crate) fn reached_at(self, url: &str) -> Self {
        let url = url.to_owned();
        Self { url, ..self }
    }

    /// The accounts as they stand in a configuration.
    pub(crate) fn configuration(&self) -> String {
        let accounts = self.accounts.iter().map(|(appid, temper)| {
            let token_api = temper.token_api();
            format!(
                "[[account]]\nappid = \"{appid}\"\nsecret = \"{APP_SECRET}\"\n\
                 token_api = \"{token_api}\"\npage_hosts = [\"{HOST}\"]\n"
            )
        });
        accounts.collect()
    }

    /// The page of an account.
    pub(crate) fn page(appid: &AppId) -> String {
        format!("https://{HOST}/{appid}")
    }

    /// Whether WeChat accepts `config` on the page of the account.
    pub(crate) fn accepts(&self, appid: &AppId, config: &Value) -> bool {
        let mut ask: Preverify = serde_json::from_value(config.clone()).unwrap();
        ask.js_api_list = vec!["scanQRCode".to_owned()];
        ask.urls = vec![Self::page(appid)];
        self.simulator.preverify(&ask).ok
    }

    /// When which tokens were fetched for the account, the oldest first.
    pub(crate) fn fetches(&self, appid: &AppId) -> Vec<(Timestamp, Fingerprint)> {
        let events = self.simulator.events();
        let minted = events.into_iter().filter_map(|event| match event.what {
            What::Minted {
                kind: Minted::ClassicToken | Minted::StableToken,
                fingerprint,
                by: By::Caller,
            } if event.appid.as_ref() == Some(appid) => Some((event.at, fingerprint)),
            _ => None,
        });
        minted.collect()
    }
}
