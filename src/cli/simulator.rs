use std::net::SocketAddr;
use std::time::Duration;

use super::{Failure, answer};
use crate::account::AppId;
use crate::clock::Clock;
use crate::credential::Secret;
use crate::server;
use crate::simulator::{self, App, Simulator};

/// Run a simulated WeChat alone, for other programs' tests
///
/// Point a server at it with WXSIGN_UPSTREAM, or with WXSIGN_WECOM_UPSTREAM for a WeCom app, which
/// --appid names by its CorpID and AgentId (ww0123456789abcdef-1000002). Nothing is kept.
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign simulator --listen 127.0.0.1:9001 --domain h5.example.com")]
pub(super) struct SimulatorArgs {
    /// Address and port to listen on, port 0 for any free one [default: 127.0.0.1:8090]
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8090",
        hide_default_value = true,
        value_parser = crate::config::parse_address
    )]
    pub(super) listen: SocketAddr,
    /// AppID of the account that it knows at first [default: wx0123456789abcdef]
    #[arg(
        long,
        value_name = "APPID",
        default_value = "wx0123456789abcdef",
        hide_default_value = true
    )]
    pub(super) appid: AppId,
    /// AppSecret of that account [default: 0123456789abcdef0123456789abcdef]
    #[arg(
        long,
        value_name = "SECRET",
        default_value = "0123456789abcdef0123456789abcdef",
        hide_default_value = true
    )]
    pub(super) secret: String,
    /// A JS接口安全域名 of that account; may be given several times [default: localhost, 127.0.0.1]
    #[arg(long = "domain", value_name = "HOST")]
    pub(super) domains: Vec<String>,
    /// Seed of all tokens and tickets: the same seed gives the same values [default: 1]
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1,
        hide_default_value = true
    )]
    pub(super) seed: u64,
}

pub(super) fn run(args: SimulatorArgs) -> Result<(), Failure> {
    super::start_logging()?;
    let listener = super::listen::bind(args.listen)?;
    super::block_on(simulate(listener, args))
}

async fn simulate(listener: std::net::TcpListener, args: SimulatorArgs) -> Result<(), Failure> {
    let (listener, address) = super::adopt(listener)?;
    let shutdown = super::shutdown(Duration::ZERO)?;
    let simulator = Simulator::new(Clock::system(), args.seed);
    let mut app = App::new(args.appid.clone(), Secret::new(args.secret.as_str()));
    app.knobs.any_port = args.domains.is_empty();
    app.domains = if args.domains.is_empty() {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
    } else {
        args.domains
    };
    simulator.add_app(app);
    let upstream = match args.appid.wecom() {
        None => "WXSIGN_UPSTREAM",
        Some(_) => "WXSIGN_WECOM_UPSTREAM",
    };
    answer(&format!(
        "\
A simulated WeChat listens on http://{address}. Nothing is kept; never use it for a real account.

  {upstream}=http://{address} WXSIGN_APPID={} WXSIGN_SECRET={} \\
    WXSIGN_PAGE_HOSTS=localhost WXSIGN_STORE=memory: wxsign serve

  curl http://{address}/simulator/control
",
        args.appid, args.secret
    ))?;
    let router = simulator::control_router(simulator.clone())
        .fallback_service(simulator::wechat_router(simulator));
    server::serve(listener, router, shutdown.closing).await;
    Ok(())
}
