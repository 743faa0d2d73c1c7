//! The servers that are compared. All sign the same page, with tickets of the same length.

use std::fs;
use std::time::Duration;

use tokio::runtime::Runtime;
use wxsign::account::AppId;
use wxsign::simulator::TicketMode;

use crate::bare::bare;
use crate::engines::redis::Redis;
use crate::peers::{APPID, TICKET, peer};
use crate::server::Server;
use crate::situation::{COMMON, Situation, USUAL};
use crate::wechat::{Temper, WeChat};

pub(crate) const BARE: &str = "bare hyper";
pub(crate) const BARE_AGAIN: &str = "bare hyper, once more";
pub(crate) const WXSIGN: &str = "wxsign";
pub(crate) const RENEWING: &str = "wxsign, renewing";
pub(crate) const WITH_REDIS: &str = "wxsign, Redis there";
pub(crate) const WITHOUT_REDIS: &str = "wxsign, Redis gone";
pub(crate) const TLS: &str = "wxsign, TLS";
pub(crate) const GO: &str = "Go net/http";
pub(crate) const NGINX: &str = "nginx + Lua";
pub(crate) const FASTIFY: &str = "fastify";
pub(crate) const EXPRESS: &str = "express + co-wechat-api";
pub(crate) const FASTAPI: &str = "FastAPI + wechatpy";

/// Those that stand for what others do.
pub(crate) const PEERS: [&str; 5] = [GO, NGINX, FASTIFY, EXPRESS, FASTAPI];

/// How many accounts renew their credentials all the time at one of the servers. A ticket is
/// fetched twice a minute, which is as often as wxsign ever does, and a token each minute: so
/// there are one or two in each second.
const RESTLESS: usize = 30;

/// A server and what it is asked.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) server: Server,
    pub(crate) situations: Vec<Situation>,
    /// What it needs while it runs.
    wechat: Option<WeChat>,
    redis: Option<Redis>,
}

impl Subject {
    fn new(name: &'static str, server: Server) -> Self {
        Self {
            name,
            server,
            situations: COMMON.to_vec(),
            wechat: None,
            redis: None,
        }
    }

    fn asked(self, situations: &[Situation]) -> Self {
        Self {
            situations: situations.to_vec(),
            ..self
        }
    }

    /// Whether its slowest requests there are compared with those of another.
    pub(crate) fn is_close(&self, situation: Situation) -> bool {
        Situation::CLOSE.contains(&situation) && !PEERS.contains(&self.name)
    }

    /// Starts it, and ends what it has to do without.
    pub(crate) fn start(&mut self) {
        self.server.start();
        if self.name == WITHOUT_REDIS {
            self.redis.as_mut().unwrap().kill();
        }
    }
}

/// The servers whose memory and starts are compared as well: a bare one, wxsign, and the peers
/// that are installed.
pub(crate) fn compared(runtime: &Runtime) -> Vec<Subject> {
    let mut wxsign = wxsign_with(runtime, WXSIGN, &[Temper::Quiet], None);
    wxsign.server.start();
    let answer = wxsign.server.ask().unwrap();
    wxsign.server.stop();
    let mut bare = Subject::new(BARE, bare(&page_of_first(), &answer));
    bare.situations.push(Situation::Browser);
    wxsign.situations.push(Situation::Browser);
    let mut subjects = vec![bare, wxsign];
    let peers = PEERS.into_iter().filter_map(|name| {
        let server = peer(name, &page_of_first())?;
        Some(Subject::new(name, server))
    });
    subjects.extend(peers);
    subjects
}

/// The servers that are compared with one of those above: the bare one once more, for how far any
/// figure can be trusted, and wxsign in trouble.
pub(crate) fn controls(runtime: &Runtime, answered: &Server) -> Vec<Subject> {
    let answer = answered.ask().unwrap();
    let again = Subject::new(BARE_AGAIN, bare(&page_of_first(), &answer)).asked(&[
        USUAL,
        Situation::KeepAlive(256),
        Situation::Pipelined,
    ]);
    let mut subjects = vec![again, renewing(runtime)];
    for name in [WITH_REDIS, WITHOUT_REDIS] {
        let redis = runtime.block_on(Redis::start());
        subjects.push(wxsign_with(runtime, name, &[Temper::Quiet], Some(redis)).asked(&[USUAL]));
    }
    subjects.push(tls(runtime));
    subjects
}

fn wxsign_with(
    runtime: &Runtime,
    name: &'static str,
    tempers: &[Temper],
    redis: Option<Redis>,
) -> Subject {
    let wechat = runtime.block_on(WeChat::start(tempers.iter().copied()));
    let store = match &redis {
        Some(redis) => redis.url(),
        None => "sqlite:wxsign.db".to_owned(),
    };
    let store = format!("store = \"{store}\"\n");
    let server = wxsign(&wechat.url, &store, &wechat.configuration());
    Subject {
        wechat: Some(wechat),
        redis,
        ..Subject::new(name, server)
    }
}

/// wxsign while it renews credentials all the time, also those of the account that is asked for.
fn renewing(runtime: &Runtime) -> Subject {
    let subject = wxsign_with(runtime, RENEWING, &[Temper::Quiet; RESTLESS], None);
    let wechat = subject.wechat.as_ref().unwrap();
    for (number, (appid, _)) in (0..).zip(&wechat.accounts) {
        let changed = wechat.simulator.change_app(appid, |app| {
            let knobs = &mut app.knobs;
            // They must not go on as they begin, all at once.
            let life = Duration::from_secs(60 + 2 * number);
            (knobs.life_token, knobs.ticket_period) = (life, life);
            knobs.ticket_mode = TicketMode::Fresh;
        });
        changed.unwrap();
    }
    subject.asked(&[USUAL])
}

/// wxsign with a certificate of its own.
fn tls(runtime: &Runtime) -> Subject {
    let mut subject = wxsign_with(runtime, TLS, &[Temper::Quiet], None).asked(&[USUAL]);
    let directory = subject.server.directory().to_owned();
    runtime.block_on(crate::engines::certificates::Certificates::make(&directory));
    let file = directory.join("wxsign.toml");
    let plain = fs::read_to_string(&file).unwrap();
    let certificate = "tls_certificate = \"server.pem\"\ntls_key = \"server.key\"\n";
    fs::write(file, certificate.to_owned() + &plain).unwrap();
    subject.server = subject.server.with_tls();
    subject
}

/// wxsign with all that it can do on the way of a signature: limits and a proxy that is trusted.
/// `settings`, among them the store, and `accounts` stand as in a configuration.
pub(crate) fn wxsign(upstream: &str, settings: &str, accounts: &str) -> Server {
    let configuration = format!(
        "upstream = \"{upstream}\"\n{settings}trusted_proxies = [\"127.0.0.1/32\"]\n\
         [limits]\nsignatures_per_address = 1000000\nsignatures_per_account = 1000000\n{accounts}"
    );
    let program = env!("CARGO_BIN_EXE_wxsign");
    Server::new(
        "none",
        program,
        &page_of_first(),
        |command, directory, address| {
            fs::write(directory.join("wxsign.toml"), configuration).unwrap();
            command
                .args(["serve", "--listen", &address.to_string()])
                .env_clear()
                .env("WXSIGN_LOG", "info");
        },
    )
}

/// How long the text is that is signed.
const SIGNED: usize = 252;

/// What is asked for: a page of the first account, as long as it has to be.
fn page_of_first() -> String {
    let appid: AppId = APPID.parse().unwrap();
    let values = [TICKET, "ABCDEFGHIJKLMNOP", "1795000000"].concat();
    let rest = SIGNED - values.len() - "jsapi_ticket=&noncestr=&timestamp=&url=".len();
    let page = format!("{:x<rest$}", "https://h5.example.com/campaign?from=");
    let page: String = form_urlencoded::byte_serialize(page.as_bytes()).collect();
    format!("/jsapi/signature?appid={appid}&url={page}")
}
