mod cluster;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tokio_util::sync::CancellationToken;

use super::{Failure, answer, console, listen};
use crate::account::{Account, AppId, TokenApi};
use crate::app::App;
use crate::client::{Accounts, Client, KeyHash, Scope, new_key};
use crate::clock::Clock;
use crate::config::{Config, StoreUrl};
use crate::credential::Secret;
use crate::page_hosts::PageHosts;
use crate::page_url::PageUrl;
use crate::server;
use crate::simulator::{self, Simulator};
use crate::vault::MasterKey;

/// Run the server together with a simulated WeChat
///
/// Nothing is configured and nothing is kept: open the printed address in a browser, or run the
/// printed curl.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  wxsign demo --listen 127.0.0.1:9000
  wxsign demo --lan        # its page shows a QR code for a phone
  wxsign demo --nodes 3    # three nodes that share a store; kill one and see another renew
  wxsign demo --lan --vconsole https://unpkg.com/vconsole@3.15.1/dist/vconsole.min.js")]
pub(super) struct DemoArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080, or any free port if that is taken]
    #[arg(long, value_name = "ADDR", value_parser = crate::config::parse_address)]
    pub(super) listen: Option<SocketAddr>,
    /// Listen in the local network too, for a phone: everyone there can use the demo
    #[arg(long, conflicts_with_all = ["listen", "nodes"])]
    pub(super) lan: bool,
    /// Run so many nodes that share a store, a redis-server if one is installed: each can be killed
    /// while one looks on [default: 1]
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        hide_default_value = true,
        value_parser = clap::value_parser!(u8).range(1..=9)
    )]
    pub(super) nodes: u8,
    /// Address of vConsole's script, which its page then loads when asked to: a console on a phone
    #[arg(long, value_name = "URL", value_parser = parse_script, conflicts_with = "nodes")]
    pub(super) vconsole: Option<String>,
}

/// The page's policy names it, where some characters would end it.
fn parse_script(text: &str) -> Result<String, String> {
    let url = PageUrl::parse(text).map_err(|fault| fault.to_string())?;
    if url.as_str().contains([';', ',', '\'', '"', '*']) {
        return Err("it may hold none of ; , ' \" *".to_owned());
    }
    Ok(url.as_str().to_owned())
}

/// The account that the simulated WeChat knows.
const APPID: &str = "wx0123456789abcdef";

pub(super) fn run(args: &DemoArgs) -> Result<(), Failure> {
    if args.nodes > 1 {
        // It tells what happens in its own words.
        return super::block_on(cluster::run(args, args.nodes.into()));
    }
    super::start_logging()?;
    let listener = match args.listen {
        Some(address) => listen::bind(address)?,
        None if args.lan => listen_in_network()?,
        None => listen::bind_or_any_port(crate::config::DEFAULT_LISTEN)?,
    };
    let wechat = listen::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
    super::block_on(demo(listener, wechat, args))
}

/// Listens on all addresses: the console is for this machine alone, a phone needs another one.
fn listen_in_network() -> Result<std::net::TcpListener, Failure> {
    if outward_address().is_none() {
        let what =
            "--lan: this machine has no address in a network; connect it, or leave --lan out";
        return Err(Failure::Other(what.to_owned()));
    }
    let port = crate::config::DEFAULT_LISTEN.port();
    listen::bind_or_any_port(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
}

async fn demo(
    listener: std::net::TcpListener,
    wechat: std::net::TcpListener,
    args: &DemoArgs,
) -> Result<(), Failure> {
    let (listener, address) = super::adopt(listener)?;
    let (wechat, wechat_address) = super::adopt(wechat)?;
    let shutdown = super::shutdown(std::time::Duration::ZERO)?;
    let hosts = hosts(address);
    let account = account(&hosts, address)?;
    let simulator = simulator(&account, &hosts);

    let mut config = Config::with_accounts(vec![account]);
    let key = new_key();
    config.clients = vec![client(&key)];
    config.store = StoreUrl::Memory;
    // So that accounts can be added in the console.
    config.master_key = Some(master_key());
    config.vconsole.clone_from(&args.vconsole);
    config.upstream = format!("http://{wechat_address}");
    config.wecom_upstream.clone_from(&config.upstream);
    let draining = shutdown.draining.clone();
    let (app, queue) = App::build(config, Some(simulator.clone()), draining)
        .map_err(|error| Failure::Other(error.to_string()))?;

    let local = format!("http://localhost:{}", address.port());
    let console = console::invitation(&app, &local).await;
    answer(&welcome(
        SocketAddr::new(hosts[0], address.port()),
        wechat_address,
        key.expose(),
        console.as_deref().unwrap_or("/console"),
    ))?;
    if args.lan {
        answer(
            "Everyone in this network can use the demo. Its page shows a QR code for a phone.\n",
        )?;
    }
    // The simulated WeChat stays until the server, which may be in the middle of a call, is gone.
    let served = CancellationToken::new();
    let ends_wechat = served.clone().drop_guard();
    let simulating = tokio::spawn(server::serve(
        wechat,
        simulator::wechat_router(simulator),
        served,
    ));
    server::run(listener, app, queue, shutdown).await;
    drop(ends_wechat);
    simulating
        .await
        .map_err(|error| Failure::Other(error.to_string()))
}

/// The addresses under which the demo can be reached, the best first.
fn hosts(address: SocketAddr) -> Vec<IpAddr> {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    if !address.ip().is_unspecified() {
        return vec![address.ip()];
    }
    outward_address().into_iter().chain([loopback]).collect()
}

/// The address of this machine in its network.
fn outward_address() -> Option<IpAddr> {
    // No packet is sent: this only asks which address leads out of the machine.
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    let outward = outward.ok().map(|address| address.ip());
    outward.filter(|address| !address.is_loopback())
}

fn account(hosts: &[IpAddr], address: SocketAddr) -> Result<Account, Failure> {
    let mut page_hosts = PageHosts::default();
    let named = hosts
        .iter()
        .map(|host| SocketAddr::new(*host, address.port()).to_string())
        .chain([format!("localhost:{}", address.port())]);
    for host in named {
        page_hosts
            .add(&host)
            .map_err(|error| Failure::Other(error.to_string()))?;
    }
    Ok(Account {
        appid: appid(),
        name: Some("示例商城 Demo shop".to_owned()),
        // Nobody else has it, because nobody needs it: the simulator is told below.
        secret: Secret::new(format!("{:032x}", rand::random::<u128>())),
        token_api: TokenApi::Classic,
        page_hosts,
        // All that is documented can be tried.
        wx_card: true,
    })
}

/// A back end that may do everything.
fn client(key: &Secret) -> Client {
    Client {
        name: "demo".to_owned(),
        key_sha256: vec![KeyHash::of(key.expose())],
        not_after: None,
        accounts: Accounts::All,
        scopes: Scope::ALL.into(),
    }
}

fn simulator(account: &Account, hosts: &[IpAddr]) -> Simulator {
    let simulator = Simulator::new(Clock::system(), rand::random());
    let mut app = simulator::App::new(account.appid.clone(), account.secret.clone());
    app.domains = hosts
        .iter()
        .map(|host| match host {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        })
        .chain(["localhost".to_owned()])
        .collect();
    app.knobs.any_port = true;
    simulator.add_app(app);
    simulator
}

fn master_key() -> MasterKey {
    let digits = format!(
        "{:032x}{:032x}",
        rand::random::<u128>(),
        rand::random::<u128>()
    );
    digits.parse().expect("64 hexadecimal digits are a key")
}

fn appid() -> AppId {
    APPID.parse().expect("the constant is an AppID")
}

fn welcome(address: SocketAddr, wechat: SocketAddr, key: &str, console: &str) -> String {
    let (bold, plain) = ("\x1b[1m", "\x1b[0m");
    format!(
        "\
{bold}wxsign demo{plain}: the server and a simulated WeChat. No account is needed, nothing is kept.

  {bold}Demo page{plain}   http://{address}/demo
  {bold}The console{plain} {console}
  {bold}A signature{plain} curl -sG http://{address}/jsapi/signature --data-urlencode url=http://{address}/demo
  {bold}The token{plain}   curl -s http://{address}/v1/accounts/{APPID}/access-token -H 'Authorization: Bearer {key}'
  {bold}Its ticket{plain}  curl -s 'http://{address}/simulator/control/tickets?appid={APPID}'

The simulated WeChat listens on http://{wechat}. Ctrl-C ends both.

{}"
        ,with_a_real_account()
    )
}

/// How it goes on, with this program as it was called.
fn with_a_real_account() -> String {
    let program = std::env::args().next();
    let program = program.as_deref().unwrap_or("wxsign");
    format!(
        "\
With a real account (FILE holds its AppSecret, the host is that of your pages):
  export WXSIGN_APPID=wx… WXSIGN_SECRET_FILE=FILE WXSIGN_PAGE_HOSTS=h5.example.com
  {program} doctor && {program} serve
"
    )
}

#[cfg(test)]
mod tests {
    use super::parse_script;

    #[test]
    fn an_address_of_a_script_cannot_widen_the_policy() {
        let script = "https://unpkg.com/vconsole@3.15.1/dist/vconsole.min.js";
        assert_eq!(parse_script(script).as_deref(), Ok(script));
        for other in [
            "vconsole.min.js",
            "https://unpkg.com/a.js; script-src *",
            "https://unpkg.com/a.js;script-src",
            "https://unpkg.com/a,b",
            "https://*/a.js",
            "data:text/javascript,",
        ] {
            assert!(parse_script(other).is_err(), "{other}");
        }
    }
}
